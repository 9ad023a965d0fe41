package peer

import (
	"encoding/binary"
	"fmt"
	"reflect"
	"time"
	"unsafe"

	"github.com/flynn/noise"

	"sshchat/store/agesplit"
)

// suite is Noise_KK_25519_ChaChaPoly_SHA256: each side knows the other's static key beforehand.
var suite = noise.NewCipherSuite(noise.DH25519, noise.CipherChaChaPoly, noise.HashSHA256)

// prologue is what both sides must mean alike: the protocol, the chat, who calls, who is called.
func prologue(genesis, caller, called string) []byte {
	b := []byte("sshchat-peer/1")
	for _, s := range []string{genesis, caller, called} {
		b = binary.BigEndian.AppendUint32(b, uint32(len(s)))
		b = append(b, s...)
	}
	return b
}

// self is what a node proves in a handshake.
type self struct {
	genesis  string
	name     string
	key      *Key
	instance uint64 // drawn for this process
}

// side returns the state of a handshake.
func (p *self) side(caller, called string, static []byte) (*noise.HandshakeState, error) {
	return noise.NewHandshakeState(noise.Config{
		CipherSuite:   suite,
		Pattern:       noise.HandshakeKK,
		Initiator:     caller == p.name,
		Prologue:      prologue(p.genesis, caller, called),
		StaticKeypair: p.key.pair,
		PeerStatic:    static,
	})
}

// hello begins a handshake with a node. The instance is sealed to its static key.
func (p *self) hello(node, public string) (hs *noise.HandshakeState, message []byte, err error) {
	static, err := parsePublic(public)
	if err != nil {
		return nil, nil, err
	}
	agesplit.InSecret(func() {
		if hs, err = p.side(p.name, node, static); err == nil {
			message, _, _, err = hs.WriteMessage(nil, binary.BigEndian.AppendUint64(nil, p.instance))
		}
	})
	return hs, message, err
}

// finish ends the handshake of the calling side. It can be tried again with another message.
func finish(hs *noise.HandshakeState, welcome []byte, s *session) (err error) {
	agesplit.InSecret(func() {
		var to, from *noise.CipherState
		if _, to, from, err = hs.ReadMessage(nil, welcome); err == nil {
			s.take(to, from)
		}
	})
	return err
}

// welcome is the whole handshake of the side that is called.
func (p *self) welcome(node string, hello []byte, s *session) (message []byte, instance uint64, err error) {
	static, err := parsePublic(s.public)
	if err != nil {
		return nil, 0, err
	}
	agesplit.InSecret(func() {
		var hs *noise.HandshakeState
		var payload []byte
		var from, to *noise.CipherState
		if hs, err = p.side(node, p.name, static); err != nil {
			return
		}
		defer forget(hs)
		if payload, _, _, err = hs.ReadMessage(nil, hello); err != nil {
			return
		}
		if len(payload) != 8 {
			err = fmt.Errorf("a payload of %d bytes, not 8", len(payload))
			return
		}
		instance = binary.BigEndian.Uint64(payload)
		if message, from, to, err = hs.WriteMessage(nil, nil); err == nil {
			s.take(to, from)
		}
	})
	return message, instance, err
}

// take moves the keys of a handshake into the session. What the library keeps is replaced by keys that are never used
// (Rekey cannot be undone).
func (s *session) take(to, from *noise.CipherState) {
	for _, k := range []struct {
		r *ratchet
		c *noise.CipherState
	}{{&s.send, to}, {&s.receive, from}} {
		key := k.c.UnsafeKey()
		copy(k.r.key[:], key[:])
		clear(key[:])
		k.c.Rekey()
	}
	s.made = time.Now()
}

// forget erases what a handshake leaves in the library's state: the one-time private key, and the chaining key, from which the
// session's first keys were made. The library has no way to ask for the second, so its fields are looked up by name;
// TestHandshakeIsErased fails when they are called otherwise. Out of reach are copies inside HMAC and ChaCha20: a build with
// runtimesecret erases them when the garbage collector finds them, in others they stay until the memory is used again.
func forget(hs *noise.HandshakeState) (reached int) {
	clear(hs.LocalEphemeral().Private)
	symmetric := reflect.ValueOf(hs).Elem().FieldByName("ss")
	if symmetric.Kind() != reflect.Struct {
		return 0
	}
	for _, name := range []string{"ck", "prevCK"} {
		if f := symmetric.FieldByName(name); f.IsValid() && f.Type() == reflect.TypeFor[[]byte]() {
			b := *(*[]byte)(unsafe.Pointer(f.UnsafeAddr()))
			clear(b[:cap(b)])
			reached++
		}
	}
	if f := symmetric.FieldByName("CipherState"); f.Kind() == reflect.Struct {
		if k := f.FieldByName("k"); k.IsValid() && k.Type() == reflect.TypeFor[[KeySize]byte]() {
			clear((*[KeySize]byte)(unsafe.Pointer(k.UnsafeAddr()))[:])
			reached++
		}
	}
	return reached
}
