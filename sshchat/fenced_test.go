package sshchat_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sshchat/sshchat"
	"sshchat/sshchat/chat"
	"sshchat/sshchat/command"
	"sshchat/sshchat/fence"
	"sshchat/sshchat/text"

	"golang.org/x/crypto/ssh"
)

// sharedLog is a log that cannot be followed for so long, in nanoseconds; 0: it is followed.
type sharedLog struct {
	lost  atomic.Int64
	cause atomic.Pointer[chat.Refusal]
}

var errReadOnly = errors.New("read-only: the log is out of reach")

func (l *sharedLog) CatchesUp() bool { return false }

func (l *sharedLog) Cause() error {
	if cause := l.cause.Load(); cause != nil {
		return cause
	}
	return nil
}

func (l *sharedLog) FencedFor() time.Duration { return time.Duration(l.lost.Load()) }

func (l *sharedLog) Fenced() error {
	if l.lost.Load() > 0 {
		return errReadOnly
	}
	return nil
}

func startFenced(t *testing.T) (*inside, *sharedLog) {
	t.Helper()
	l := &sharedLog{}
	limits := sshchat.DefaultLimits
	limits.Penalties = false
	return startInsideWith(t, limits, func(a userAccounts) command.Accounts { return a }, func(s *command.Services) { s.Fence = fence.New(l, 20*time.Millisecond) }), l
}

// While a server does not hear what others decide, it lets nobody in and does nothing, and goes on with both when it does.
func TestFencedServerWaits(t *testing.T) {
	t.Parallel()
	s, log := startFenced(t)
	client := s.dial()
	log.lost.Store(int64(time.Second))
	said, in := make(chan error, 1), make(chan struct{})
	sess, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	go func() { said <- sess.Run("say general hello") }()
	go func() { s.dial().Close(); close(in) }()
	reads, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	if out, err := reads.Output("whoami"); err != nil || !strings.Contains(string(out), "alice") { // takes longer than the other two would
		t.Errorf("reading: %q, %v", out, err)
	}
	select {
	case err := <-said:
		t.Errorf("it was said: %v", err)
	case <-in:
		t.Error("a login was let in")
	default:
	}
	log.lost.Store(0)
	if err := <-said; err != nil {
		t.Error(err)
	}
	<-in
}

// A server that is fenced for long turns connections away before it introduces itself, so that load balancers that look for that find
// another, and ends its sessions.
func TestFencedServerEndsSessions(t *testing.T) {
	t.Parallel()
	s, log := startFenced(t)
	p := s.openSession("dumb")
	p.screen.wait(t, "general")
	log.lost.Store(int64(fence.TurnAway - time.Second))
	p.screen.wait(t, "Read-only: this server cannot reach the chat's log.")
	log.lost.Store(int64(fence.TurnAway + time.Second))
	if said := greeting(t, s.addr); strings.HasPrefix(said, "SSH-") || !strings.Contains(said, "cannot reach the chat's log") {
		t.Errorf("a client is greeted with %q", said)
	}
	log.lost.Store(0)
	p.screen.wait(t, "can be reached again")
	if said := greeting(t, s.addr); !strings.HasPrefix(said, "SSH-") { // the control
		t.Errorf("a client is greeted with %q", said)
	}
	log.lost.Store(int64(fence.End + time.Second))
	if err := p.Wait(); err == nil {
		t.Error("the session ended as if its person had ended it")
	}
	p.screen.wait(t, "Please connect again")
}

// Messages that come while a server does not know what was decided are shown once it does: until then a session may be of somebody who
// was banned. What the server itself has to say is shown. The control: before and after, they are shown at once.
func TestFencedServerHoldsMessages(t *testing.T) {
	t.Parallel()
	for _, terminal := range []string{"dumb", "xterm"} {
		s, log := startFenced(t)
		p := s.openSession(terminal)
		p.screen.wait(t, "general")
		s.hub.Announce(text.Sprintf("before the fence"))
		p.screen.wait(t, "before the fence")
		log.lost.Store(int64(time.Second))
		s.hub.Announce(text.Sprintf("during the fence"))
		p.screen.wait(t, "Read-only")
		p.screen.mu.Lock()
		shown := string(p.screen.all)
		p.screen.mu.Unlock()
		if strings.Contains(shown, "during the fence") {
			t.Errorf("on %s it is shown:\n%q", terminal, shown)
		}
		log.lost.Store(0)
		p.screen.wait(t, "during the fence")
	}
}

// until waits for something that becomes true by itself.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for late := time.Now().Add(20 * time.Second); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(late) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

// greeting is the first line of a server.
func greeting(t *testing.T, addr string) string {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	line, _ := bufio.NewReader(conn).ReadString('\n')
	return line
}

// If it is another reason than that the log is out of reach, people see that one, and so do clients that are turned away.
func TestFencedServerSaysWhy(t *testing.T) {
	t.Parallel()
	s, log := startFenced(t)
	p := s.openSession("dumb")
	p.screen.wait(t, "general")
	log.cause.Store(&chat.Refusal{Code: chat.Failed, Text: "read-only: this server was removed"})
	log.lost.Store(int64(fence.TurnAway + time.Second))
	p.screen.wait(t, "Read-only: this server was removed.")
	if said := greeting(t, s.addr); strings.HasPrefix(said, "SSH-") || !strings.Contains(said, "this server was removed") || strings.Contains(said, "cannot reach") {
		t.Errorf("a client is greeted with %q", said)
	}
	log.lost.Store(int64(fence.End + time.Second))
	if err := p.Wait(); err == nil {
		t.Error("the session ended as if its person had ended it")
	}
	p.screen.wait(t, "Read-only: this server was removed.")
}

// What is typed while a server is fenced waits as long as the session does. If that is ended first, nothing of it is lost and nothing is said
// twice: the lines that waited are a draft of the next session, before what was being typed. Control: a line that is said before.
func TestFencedServerKeepsWhatWaits(t *testing.T) {
	t.Parallel()
	for _, terminal := range []string{"dumb", "xterm"} {
		s, log := startFenced(t)
		p := s.openSession(terminal)
		p.types("before\r")
		until(t, "what is typed before is said", func() bool { return len(s.said()) == 1 })
		log.lost.Store(int64(time.Second))
		p.screen.wait(t, "Read-only")
		p.types("one\r//two\rthree\rand half")
		p.screen.wait(t, "and half")
		log.lost.Store(int64(fence.End + time.Second))
		var exit *ssh.ExitError
		if err := p.Wait(); !errors.As(err, &exit) || exit.ExitStatus() != int(chat.Failed) {
			t.Errorf("on %s the session ended with %v", terminal, err)
		}
		p.screen.wait(t, "not sent: 3 lines.")
		log.lost.Store(0)
		next := s.openSession(terminal)
		next.screen.wait(t, "Your draft is back.")
		next.types("\r")
		until(t, "the draft is said", func() bool { return len(s.said()) > 1 })
		if got := s.said(); !slices.Equal(got, []string{"before", "one\n/two\nthree\nand half"}) {
			t.Errorf("on %s %q is said", terminal, got)
		}
	}
}

// A script whose session is ended by the fence is to try again: its exit code is no refusal, and what it has sent is counted.
func TestFencedServerCountsLinesOfAScript(t *testing.T) {
	t.Parallel()
	s, log := startFenced(t)
	client := s.dial()
	sess, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	in, err := sess.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	errs := &terminalOutput{new: make(chan struct{}, 1)}
	sess.Stderr = errs
	if err := sess.Shell(); err != nil {
		t.Fatal(err)
	}
	io.WriteString(in, "before\n")
	until(t, "what is sent before is said", func() bool { return len(s.said()) == 1 })
	log.lost.Store(int64(time.Second))
	errs.wait(t, "Read-only")
	io.WriteString(in, "one\ntwo\n/help topic\n")
	said := make(chan error, 1)
	go func() {
		other, err := client.NewSession()
		if err == nil {
			err = other.Run("say general three")
		}
		said <- err
	}()
	until(t, "the other session is there", func() bool { return len(s.Sessions()) == 2 })
	log.lost.Store(int64(fence.End + time.Second))
	var exit *ssh.ExitError
	for what, err := range map[string]error{"lines": sess.Wait(), "say": <-said} {
		if !errors.As(err, &exit) || exit.ExitStatus() != int(chat.Failed) {
			t.Errorf("%s: the session ended with %v", what, err)
		}
	}
	errs.wait(t, "not sent: 3 lines.")
	if got := s.said(); !slices.Equal(got, []string{"before"}) {
		t.Errorf("%q is said", got)
	}
}
