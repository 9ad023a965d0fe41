package sshchat_test

import (
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"sshchat/sshchat"
	"sshchat/sshchat/attack"

	"go.uber.org/goleak"
	"golang.org/x/crypto/ssh"
)

// hammer does to a server what the other attacks do, a little of each, and returns in how many connections.
func hammer(t *testing.T, s *inside) (tried int) {
	t.Helper()
	for i := range 40 {
		nc, err := net.Dial("tcp", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		tried++
		switch i % 4 {
		case 0:
			io.WriteString(nc, "GET / HTTP/1.1\r\n\r\n")
		case 1:
			io.WriteString(nc, "SSH-2.0-quiet\r\n")
		case 2:
			io.WriteString(nc, strings.Repeat("\xff", 100_000))
		}
		nc.Close()
	}
	for i := range 20 {
		tried++
		if _, err := ssh.Dial("tcp", s.addr, &ssh.ClientConfig{
			User: fmt.Sprintf("guess%d", i), Auth: []ssh.AuthMethod{ssh.Password("wrong but long enough")}, HostKeyCallback: ssh.InsecureIgnoreHostKey(),
		}); err == nil {
			t.Fatal("in")
		}
	}
	for range 5 {
		client := s.dial()
		for range 30 {
			if _, requests, err := client.OpenChannel("session", nil); err == nil {
				go ssh.DiscardRequests(requests)
			}
		}
		client.Close()
		client = s.dial()
		tried += 2
		sess, err := client.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		if err := sess.RequestPty("xterm", 65535, 65535, ssh.TerminalModes{}); err != nil {
			t.Fatal(err)
		}
		in, err := sess.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := sess.Shell(); err != nil {
			t.Fatal(err)
		}
		io.WriteString(in, strings.Repeat("\x1b]0;", 10_000))
		sess.WindowChange(0, 0)
		client.Close()
	}
	return tried
}

// quiet waits until nobody is connected.
func (s *inside) quiet() {
	s.t.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if st := s.Stats(); st.Connections == 0 && st.Sessions == 0 && st.Starting == 0 {
			return
		}
		if time.Now().After(end) {
			s.t.Fatalf("still there: %+v", s.Stats())
		}
	}
}

// After the attacks nothing is left of them: no goroutine, no place held, no memory. The control: while somebody is
// connected, their goroutines are found.
func TestAttackNothingIsLeftOfAttacks(t *testing.T) {
	row := attack.On(t, attack.Connections, "a little of everything, five times")
	here := goleak.IgnoreCurrent()
	limits := sshchat.DefaultLimits
	limits.Penalties, limits.FailDelay, limits.Starting, limits.StartingSource, limits.DropFrom = false, 0, 1000, 1000, 1000
	limits.Registrations = 0 // nobody is let in to register
	s := startInside(t, limits)
	heap := func() uint64 {
		s.quiet()
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	tried := hammer(t, s)
	before := heap()
	for range 4 {
		tried += hammer(t, s)
	}
	if after := heap(); after > before+2<<20 {
		t.Errorf("the heap grew from %d to %d bytes", before, after)
	}
	client := s.dial()
	if goleak.Find(here) == nil {
		t.Error("the control: a connection has no goroutines")
	}
	client.Close()
	s.end()
	goleak.VerifyNone(t, here)
	row.Tried("%d connections", tried)
	row.Held("no goroutine, no slot and less than 2 MiB of memory is left over")
	row.Control("an open connection is found")
}
