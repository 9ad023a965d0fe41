package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// guarded are the limits on guessing as a server has them that was told nothing.
var guarded = []string{"--guesses", "5", "--most-guesses", "100", "--failure-time", "300ms", "--penalties=true"}

// I have a list with the right password in it, and hydra. It must not come to it, and come to it at once where
// the limits are off; and the owner's key logs in from elsewhere meanwhile.
func TestHydraDoesNotFindThePassword(t *testing.T) {
	client(t, "hydra")
	list := filepath.Join(t.TempDir(), "list")
	var words strings.Builder
	for i := range 60 {
		fmt.Fprintf(&words, "a wrong guess, number %d\n", i)
	}
	words.WriteString(goodPassword + "\n")
	if err := os.WriteFile(list, []byte(words.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		flags []string
		finds bool
	}{"guarded": {guarded, false}, "limits off": {nil, true}} {
		t.Run(name, func(t *testing.T) {
			s := startServer(t, "", append(c.flags, "--passwords", "100", "--login-time", "20s")...)
			s.registerByPassword("paula")
			out, _, _ := runClient(t, "", "timeout", "25", "hydra", "-l", "paula", "-P", list, "-t", "4", "-W", "1", "-I", "-f", "-s", s.port(), "ssh://127.0.0.1")
			if found := strings.Contains(out, "password: "+goodPassword); found != c.finds {
				t.Errorf("found: %v\n%s\n%.2000s", found, out, s.log)
			}
		})
	}
}

// I guess in turn from one address: after four wrong passwords the next connection is closed before a byte of it.
// The one whose name it is learns of it at the next login, from elsewhere.
func TestGuessersAreTurnedAwayAndTold(t *testing.T) {
	s := startServer(t, "", guarded...)
	s.registerByPassword("paula")
	for range 4 { // the first three owe a little less than 15 s when the third is answered
		if r := s.raw(); r.password("paula", "wrong but long enough") != msgAuthFailure {
			t.Fatal("a wrong password is right")
		}
	}
	conn, err := s.dialFrom("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	if n, err := conn.Read(make([]byte, 1)); n > 0 || err == nil {
		t.Error("a source with a penalty is answered")
	}
	conn.Close()
	paula := s.byPasswordFrom("127.0.0.2", "paula", goodPassword)
	o := paula.plain(80, 24)
	o.sees("! 4 wrong passwords were tried for your account since your last login, the last")
	o.sees("from 127.0.0.1 at ")

	s = startServer(t, "") // the control
	s.registerByPassword("paula")
	for range 10 {
		if r := s.raw(); r.password("paula", "wrong but long enough") != msgAuthFailure {
			t.Fatal("a wrong password is right")
		}
	}
}

// dialFrom connects from another address of the loopback network.
func (s *testServer) dialFrom(ip string) (net.Conn, error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}, Timeout: patience}
	conn, err := d.Dial("tcp", s.addr)
	if err == nil {
		err = conn.SetReadDeadline(time.Now().Add(patience))
	}
	return conn, err
}

// byPasswordFrom logs in from there.
func (s *testServer) byPasswordFrom(ip, name, password string) *user {
	s.t.Helper()
	conn, err := s.dialFrom(ip)
	if err != nil {
		s.t.Fatal(err)
	}
	c, channels, requests, err := ssh.NewClientConn(conn, s.addr, &ssh.ClientConfig{
		User: name, Auth: []ssh.AuthMethod{ssh.Password(password)}, HostKeyCallback: ssh.InsecureIgnoreHostKey(),
	})
	if err != nil {
		s.t.Fatal(err)
	}
	conn.SetReadDeadline(time.Time{})
	s.t.Cleanup(func() { c.Close() })
	return &user{ssh.NewClient(c, channels, requests), s.t, s, name, nil}
}
