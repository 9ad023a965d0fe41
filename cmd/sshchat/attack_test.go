package main

import (
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"sshchat/sshchat/attack"
)

// healthy checks that somebody else gets in and is heard, whatever is going on.
func healthy(t *testing.T, s *testServer, u *user) {
	t.Helper()
	if out := s.login(u.name, u.signer).must("say general still well"); !strings.HasPrefix(out, "general/") {
		t.Errorf("not healthy: %q", out)
	}
}

// closes waits until the server has closed the connection.
func closes(t testing.TB, what string, wait func() error) {
	t.Helper()
	done := make(chan struct{})
	go func() { wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(patience):
		t.Errorf("%s: the connection is kept", what)
	}
}

// Requests that no chat needs are refused, in any number, and the session goes on.
func TestAttackRequestsOfAHostileClient(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Connections, "SSH requests that a chat does not need")
	s := startServer(t, "")
	alice := s.register("alice")
	sess, err := alice.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("x", 64<<10)
	pty := ssh.Marshal(struct {
		Term       string
		W, H, X, Y uint32
		Modes      string
	}{long, 80, 24, 0, 0, ""})
	requests := map[string][]byte{
		"pty-req": pty, "x11-req": nil, "auth-agent-req@openssh.com": nil, "signal": ssh.Marshal(struct{ S string }{"KILL"}),
		"break": {0, 0, 0, 1}, "nonsense@example.com": []byte(long[:3000]), "window-change": {1},
	}
	for request, payload := range requests {
		if ok, err := sess.SendRequest(request, true, payload); ok || err != nil {
			t.Errorf("%s: granted %v, %v", request, ok, err)
		}
	}
	refused := 0
	for range 1000 {
		ok, err := sess.SendRequest("env", true, ssh.Marshal(struct{ Name, Value string }{"NO_COLOR", "1"}))
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			refused++
		}
	}
	if refused != 1000-16 {
		t.Errorf("%d variables of 1000 refused", refused)
	}
	if out, err := sess.Output("whoami"); err != nil || !strings.HasPrefix(string(out), "alice ") {
		t.Errorf("after all that: %q, %v", out, err)
	}
	healthy(t, s, alice)
	wanted, err := alice.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	defer wanted.Close()
	if err := errors.Join(wanted.Setenv("NO_COLOR", "1"), wanted.RequestPty("xterm", 24, 80, ssh.TerminalModes{}), wanted.Shell()); err != nil {
		t.Errorf("control: %v", err)
	}
	row.Tried("%d kinds, and 1000 environment variables", len(requests))
	row.Held("refused except for %d variables, and the command runs", 1000-refused)
	row.Control("a variable, a terminal and a shell are granted")
}

// Neither forwards nor channels without end.
func TestAttackChannelsOfAHostileClient(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Connections, "endless channels, and forwarding")
	s := startServer(t, "")
	alice := s.register("alice")
	if c, err := alice.Dial("tcp", "127.0.0.1:22"); err == nil {
		c.Close()
		t.Error("forwards a port")
	}
	if l, err := alice.Listen("tcp", "127.0.0.1:0"); err == nil {
		l.Close()
		t.Error("listens for a client")
	}
	const tried = 1000
	open := func(u *user) (opened int) {
		for range tried {
			if _, requests, err := u.OpenChannel("session", nil); err == nil {
				go ssh.DiscardRequests(requests)
				opened++
			}
		}
		return opened
	}
	opened := open(alice)
	if opened != 4 {
		t.Errorf("%d channels opened", opened)
	}
	healthy(t, s, alice)
	raised := open(startServer(t, "", "--max-sessions", "100").register("alice"))
	if raised != 100 {
		t.Errorf("control: %d channels opened", raised)
	}
	row.Tried("%d channels, a port in each direction", tried)
	row.Held("%d channels, no forwarding", opened)
	row.Control("%d channels with the limit raised", raised)
}

// Who does nothing with what is granted loses it; with longer times the same waits.
func TestAttackIdleHandsAreCutOff(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Connections, "unused connections, such as an idle ControlMaster")
	patient := startServer(t, "")
	control := patient.register("alice") // and nothing more, until all others are cut off
	s := startServer(t, "")
	alice := s.register("alice")

	s = s.again("--key-exchange-timeout", "300ms")
	tcp, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	closes(t, "says nothing at all", func() error { _, err := io.Copy(io.Discard, tcp); return err })

	s = s.again("--unused-connection-timeout", "300ms", "--registration-grace-time", "300ms")
	closes(t, "opens no channel", s.login("alice", alice.signer).Wait)
	kept := alice.at(s).soon("whoami") // as OpenSSH's ControlMaster: the session ends, the connection stays
	closes(t, "keeps a connection without a session", kept.Wait)
	closes(t, "does not register", s.login("stranger", newSigner(t)).Wait)

	s = s.again("--session-start-timeout", "300ms")
	noCommand := s.login("alice", alice.signer)
	if _, _, err := noCommand.OpenChannel("session", nil); err != nil {
		t.Fatal(err)
	}
	closes(t, "gives no command", noCommand.Wait)

	control.must("whoami")
	row.Tried("5 kinds")
	row.Held("closed when their time is over")
	row.Control("with a longer time, the same connection stays open")
}

// A peer that is dead, though its kernel keeps the connection open, is found out by its silence.
func TestAttackDeadPeerIsFoundOut(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Connections, "a dead peer with an open connection")
	s := startServer(t, "")
	alice := s.register("alice")
	s = s.again("--client-alive-interval", "200ms")
	living := alice.at(s).soon("whoami") // its client answers
	tcp, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	c, _, _, err := ssh.NewClientConn(tcp, s.addr, &ssh.ClientConfig{ // its requests are never answered
		User: "alice", Auth: []ssh.AuthMethod{ssh.PublicKeys(alice.signer)}, HostKeyCallback: ssh.InsecureIgnoreHostKey(),
	})
	if err != nil {
		t.Fatal(err)
	}
	ch, _, err := c.OpenChannel("session", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ch.SendRequest("shell", true, nil); err != nil {
		t.Fatal(err)
	}
	closes(t, "gives no sign of life", c.Wait)
	living.must("say general still well")
	row.Tried("a session whose client does not answer")
	row.Held("closed after three unanswered keepalives")
	row.Control("a client that answers stays connected")
}

// What is not SSH is sent away.
func TestAttackGarbageOnThePort(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Connections, "protocols other than SSH")
	s := startServer(t, "")
	alice := s.register("alice")
	s = s.again("--key-exchange-timeout", "2s")
	var sent sync.WaitGroup
	hellos := []string{"GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01\x02\x00\x01\x00", strings.Repeat("\x00\xff", 4096), "SSH-2.0-x\r\n" + strings.Repeat("A", 70000)}
	for _, hello := range hellos {
		sent.Go(func() {
			tcp, err := net.Dial("tcp", s.addr)
			if err != nil {
				t.Error(err)
				return
			}
			defer tcp.Close()
			io.WriteString(tcp, hello) // the server may have closed already
			closes(t, "sends garbage", func() error { _, err := io.Copy(io.Discard, tcp); return err })
		})
	}
	sent.Wait()
	alice.at(s).soon("say general still well")
	row.Tried("%d kinds", len(hellos))
	row.Held("closed")
	row.Control("SSH gets in")
}

// Only so many may be about to register; who leaves makes room. A stranger beyond that is let in to be told so, and no more.
func TestAttackSlotsForStrangers(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Identity, "take all registration slots")
	s := startServer(t, "", "--max-registrations", "2", "--registration-grace-time", "2m")
	first, second := s.login("one", newSigner(t)), s.login("two", newSigner(t))
	third := newSigner(t)
	for _, line := range []string{"register", "claim " + s.claimCode(), "whoami"} {
		_, errs, code := s.login("three", third).exec(line, "")
		if code != 3 || !strings.Contains(errs, "too many people are creating an account right now; each has 2 minutes for it") {
			t.Errorf("%s: exit %d, %q", line, code, errs)
		}
	}
	first.Close()
	waitFor(t, "the slot to come free", func() bool {
		_, _, code := s.login("three", third).exec("register", "")
		return code == 0
	})
	second.must("register")
	row.Tried("3 for 2 slots")
	row.Held("the third is told when to try again, for any command")
	row.Control("it can register once another leaves")
}

// A name cannot forge a line of the log.
func TestAttackNameForgesNoLogLine(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Room, "forge a log line with a name")
	s := startServer(t, "")
	evil := "eve\nlisten INFO login source=1.2.3.4 name=root\x1b[2J" + strings.Repeat("e", 10000)
	if c, err := s.dialAs(evil, ssh.Password("a long enough password")); err == nil {
		c.Close()
		t.Error("in")
	}
	waitFor(t, "the failure in the log", func() bool { return strings.Contains(s.log.String(), "login failed") })
	for line := range strings.Lines(s.log.String()) {
		if strings.HasPrefix(line, "listen INFO") || strings.Contains(line, "\x1b") || len(line) > 300 {
			t.Errorf("forged: %q", line)
		}
	}
	if naive := "login failed name=" + evil; !strings.Contains(naive, "\nlisten INFO") {
		t.Error("control: it would forge none")
	}
	row.Tried("a name of 10 KB with a newline and escapes")
	row.Held("quoted and shortened")
	row.Control("written unquoted, it is a line of its own")
}
