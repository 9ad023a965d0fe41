//go:build goexperiment.runtimesecret

package sshchat

import (
	"reflect"
	"unsafe"

	gossh "golang.org/x/crypto/ssh"
)

// wipe overwrites what is left of the last packet that was read: the library keeps one decrypted until the next takes its place,
// and when a connection ends on a wrong password none does. It has no way to ask for that, so its fields are looked up by
// name; TestWipeReachesThePacket fails when they are called otherwise. Only the goroutine that reads the connection may
// call it, when there is nothing more to read.
func wipe(p gossh.ServerPreAuthConn) (reached bool) {
	v := reflect.ValueOf(p)
	for _, name := range []string{"transport", "conn", "reader", "packetCipher"} {
		if v = target(v); v.Kind() != reflect.Struct {
			return false
		}
		v = v.FieldByName(name)
	}
	if v = target(v); v.Kind() != reflect.Struct {
		return false
	}
	for _, name := range []string{"buf", "packetData"} {
		if f := v.FieldByName(name); f.IsValid() && f.CanAddr() && f.Type() == reflect.TypeFor[[]byte]() {
			b := *(*[]byte)(unsafe.Pointer(f.UnsafeAddr()))
			clear(b[:cap(b)])
			reached = true
		}
	}
	return reached
}

// target follows interfaces and pointers.
func target(v reflect.Value) reflect.Value {
	for v.Kind() == reflect.Interface || v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	return v
}
