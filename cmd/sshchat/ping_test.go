package main

import (
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
)

// A server that answers is healthy, however its address was found; everything else is not, and the message says why.
func TestPing(t *testing.T) {
	t.Parallel()
	s := startServer(t, "")
	for _, args := range [][]string{{"ping", s.addr}, {"ping", "--listen", s.addr}} {
		out, errs, code := runHere(t, args...)
		if code != 0 || !strings.HasPrefix(out, "SSH-2.0-") {
			t.Errorf("%v: exit %d, %s%s", args, code, out, errs)
		}
	}
	for said, want := range map[string]string{
		"":                         "without an answer",
		"HTTP/1.1 400 \x1b[2J\r\n": "not an SSH server",
		"\r\n":                     "not an SSH server",
	} {
		if out, errs, code := runHere(t, "ping", sayingOnce(t, said)); code != 1 || out != "" || !strings.Contains(errs, want) || strings.Contains(errs, "\x1b") {
			t.Errorf("%q: exit %d, %s%s", said, code, out, errs)
		}
	}
	s.stop()
	for _, address := range []string{s.addr, "unix:" + filepath.Join(t.TempDir(), "none"), "nonsense"} {
		if out, errs, code := runHere(t, "ping", address); code != 1 || out != "" || !strings.Contains(errs, "ping "+address) {
			t.Errorf("%s: exit %d, %s%s", address, code, out, errs)
		}
	}
}

// sayingOnce is the address of a server that says something to its first client, and closes the connection.
func sayingOnce(t *testing.T, said string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	t.Cleanup(func() { l.Close(); <-ended })
	go func() {
		defer close(ended)
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		io.WriteString(conn, said)
	}()
	return l.Addr().String()
}

func TestReachable(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		":2222": "tcp localhost:2222", "0.0.0.0:22": "tcp localhost:22", "[::]:22": "tcp localhost:22",
		"127.0.0.1:1": "tcp 127.0.0.1:1", "chat.example.org:22": "tcp chat.example.org:22", "unix:/run/chat": "unix /run/chat",
	} {
		if network, at := reachable(address); network+" "+at != want {
			t.Errorf("%s: %s %s, want %s", address, network, at, want)
		}
	}
}
