//go:build unix

package listen

import (
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// socketPath is a path for a socket: those of t.TempDir may be too long for one.
func socketPath(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "listen-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "chat.sock")
}

func none() *Before { return Opened(nil, nil) }

func mustOpen(t *testing.T, b *Before, addresses ...string) []*Listener {
	t.Helper()
	all, err := b.Open(addresses)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { Close(all) })
	return all
}

// answers reports whether somebody accepts connections of l.
func answers(t *testing.T, l *Listener) bool {
	t.Helper()
	accepted := make(chan error, 1)
	go func() {
		conn, err := l.Accept()
		if err == nil {
			conn.Close()
		}
		accepted <- err
	}()
	conn, err := net.Dial(l.Addr().Network(), l.Addr().String())
	if err != nil {
		t.Error(err)
		return false
	}
	conn.Close()
	return <-accepted == nil
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	for _, good := range []string{":2222", "127.0.0.1:22", "[::1]:0", "chat.example.org:ssh", "unix:/run/sshchat/chat.sock"} {
		if err := Check(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for bad, want := range map[string]string{
		"": "an address and a port", "2222": "an address and a port", "127.0.0.1:": "not a port", ":99999": "not a port",
		"unix:": "begin with /", "unix:chat.sock": "begin with /", "unix:@chat": "begin with /", "unix:/a b": "no spaces", "unix:/a'b": "no spaces",
		"unix:/a\x00b": "no spaces", "unix:/" + strings.Repeat("x", maxPath): "at most 100 bytes",
	} {
		if err := Check(bad); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v; want %q", bad, err, want)
		}
	}
}

// All addresses or none: the error names the one that failed, and the others are free again.
func TestOneBadAddressOpensNothing(t *testing.T) {
	t.Parallel()
	taken := mustOpen(t, none(), "127.0.0.1:0")[0]
	path := socketPath(t)
	_, err := none().Open([]string{"unix:" + path, taken.String()})
	if err == nil || !strings.Contains(err.Error(), taken.String()+": ") || !strings.Contains(err.Error(), "in use") {
		t.Fatalf("error %v", err)
	}
	if _, err := os.Lstat(path); err == nil {
		t.Error("the socket of the other address is left")
	}
}

func TestUnixSocket(t *testing.T) {
	t.Parallel()
	path := socketPath(t)
	address := "unix:" + path
	l := mustOpen(t, none(), address)[0]
	info, err := os.Lstat(path)
	if err != nil || info.Mode() != fs.ModeSocket|Mode {
		t.Fatalf("mode %v, %v", info.Mode(), err)
	}
	if l.String() != address || !answers(t, l) {
		t.Errorf("%s does not answer", l)
	}

	// Somebody listens there.
	if _, err := none().Open([]string{address}); err == nil || !strings.Contains(err.Error(), "another program listens there") {
		t.Errorf("a second server: %v", err)
	}
	if !answers(t, l) {
		t.Error("the second server took the first one's socket")
	}

	// Nobody does any more: a crash leaves the file.
	l.Listener.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
	again := mustOpen(t, none(), address)[0]
	if !answers(t, again) {
		t.Error("a stale socket is not replaced")
	}
	again.Close()
	if _, err := os.Lstat(path); err == nil {
		t.Error("the socket is left after a stop")
	}

	// Other files are nobody's to remove.
	for what, make := range map[string]func() error{
		"a file":              func() error { return os.WriteFile(path, []byte("mine"), 0o600) },
		"a link to elsewhere": func() error { return os.Symlink("/dev/null", path) },
		"a folder":            func() error { return os.Mkdir(path, 0o700) },
	} {
		if err := make(); err != nil {
			t.Fatal(err)
		}
		if _, err := none().Open([]string{address}); err == nil || !strings.Contains(err.Error(), "not a socket") {
			t.Errorf("%s: %v", what, err)
		}
		if err := os.Remove(path); err != nil {
			t.Errorf("%s is gone: %v", what, err)
		}
	}
}

// A planned restart keeps all listeners: those of addresses, of Unix sockets, and of the service manager.
func TestTheNextProcessGoesOnListening(t *testing.T) {
	t.Parallel()
	unix := "unix:" + socketPath(t)
	given, _ := manager(t)
	first := mustOpen(t, Opened(nil, []*os.File{given}), "127.0.0.1:0", unix)
	if len(first) != 3 || !first[0].Given() || first[1].Given() {
		t.Fatalf("%v", first)
	}
	var before []string
	for _, l := range first {
		before = append(before, l.String())
	}
	files := Keep(first)
	Close(first)
	if len(files) != 3 {
		t.Fatalf("%d files are kept", len(files))
	}
	b := Opened(files, nil)
	if !b.Given() {
		t.Error("it is forgotten that the service manager opened one")
	}
	second := mustOpen(t, b, "127.0.0.1:0", unix)
	for i, l := range second {
		if l.String() != before[i] || !answers(t, l) || l.Given() != (i == 0) {
			t.Errorf("%s, then %s", before[i], l)
		}
	}

	// An address that is not set any more: its socket goes.
	files = Keep(second)
	Close(second)
	b = Opened(files, nil)
	third := mustOpen(t, b, "127.0.0.1:0")
	b.Close()
	if len(third) != 2 {
		t.Errorf("%v", third)
	}
	if _, err := os.Lstat(strings.TrimPrefix(unix, unixPrefix)); err == nil {
		t.Error("the socket that is not used any more is left")
	}
}

// manager is a listening socket as a service manager passes one, and its address.
func manager(t *testing.T) (*os.File, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	file, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return file, l.Addr().String()
}

// An address that the service manager has opened is not opened a second time, which would fail.
func TestGivenSocketIsTheAddress(t *testing.T) {
	t.Parallel()
	file, address := manager(t)
	all := mustOpen(t, Opened(nil, []*os.File{file}), address)
	if len(all) != 1 || !all[0].Given() || !answers(t, all[0]) {
		t.Errorf("%v", all)
	}
}

// What a service manager passes that connections cannot be accepted from is refused with advice about the unit.
func TestGivenSocketsThatDoNotListen(t *testing.T) {
	t.Parallel()
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	datagrams, err := udp.(*net.UDPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	l := mustOpen(t, none(), "127.0.0.1:0")[0]
	conn, err := net.Dial("tcp", l.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	connection, err := conn.(*net.TCPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	plain, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	for want, file := range map[string]*os.File{"Accept=no": connection, "ListenStream=": datagrams, "not a stream socket": plain} {
		if _, err := Opened(nil, []*os.File{file}).Open(nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want %q", err, want)
		}
	}
}
