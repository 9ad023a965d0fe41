package sshchat_test

import (
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"sshchat/sshchat"
	"sshchat/sshchat/chat"
	"sshchat/sshchat/command"

	"golang.org/x/crypto/ssh"
)

// shown is what a terminal was sent.
type terminalOutput struct {
	mu  sync.Mutex
	all []byte
	new chan struct{} // holds a token when there is more
}

func (s *terminalOutput) Write(p []byte) (int, error) {
	s.mu.Lock()
	s.all = append(s.all, p...)
	s.mu.Unlock()
	select {
	case s.new <- struct{}{}:
	default:
	}
	return len(p), nil
}

// clear forgets what was shown.
func (s *terminalOutput) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = nil
}

// wait waits until the text is shown.
func (s *terminalOutput) wait(t *testing.T, text string) {
	t.Helper()
	for late := time.After(20 * time.Second); ; {
		s.mu.Lock()
		all := string(s.all)
		s.mu.Unlock()
		if strings.Contains(all, text) {
			return
		}
		select {
		case <-s.new:
		case <-late:
			t.Fatalf("%q is not shown: %q", text, all)
		}
	}
}

// person is alice at a terminal.
type person struct {
	t *testing.T
	*ssh.Session
	client *ssh.Client
	keys   io.Writer
	screen *terminalOutput
}

// openSession opens a session with that terminal.
func (s *inside) openSession(term string) person {
	s.t.Helper()
	client := s.dial()
	sess, err := client.NewSession()
	if err != nil {
		s.t.Fatal(err)
	}
	p := person{s.t, sess, client, nil, &terminalOutput{new: make(chan struct{}, 1)}}
	sess.Stdout = p.screen
	if p.keys, err = sess.StdinPipe(); err != nil {
		s.t.Fatal(err)
	}
	if err := sess.RequestPty(term, 24, 80, ssh.TerminalModes{}); err != nil {
		s.t.Fatal(err)
	}
	if err := sess.Shell(); err != nil {
		s.t.Fatal(err)
	}
	p.screen.wait(s.t, "Welcome")
	return p
}

// Wait returns how the session ended, and leaves as a client does whose only session it was: the server need not wait for that.
func (p person) Wait() error {
	err := p.Session.Wait()
	p.client.Close()
	return err
}

func (p person) types(text string) {
	p.t.Helper()
	if _, err := io.WriteString(p.keys, text); err != nil {
		p.t.Fatal(err)
	}
}

// stall has messages wait to be stored until the returned function is called.
func (s *inside) stall() (store func()) {
	until := make(chan struct{})
	s.stalls.Store(&until)
	return sync.OnceFunc(func() {
		s.stalls.Store(nil)
		close(until)
	})
}

// said are the messages in #general.
func (s *inside) said() (texts []string) {
	name := chat.Name{}
	for a := range s.users.View().Accounts() {
		name = a.Name
	}
	for _, m := range s.hub.Before(name, chat.General, 0, chat.LogLines) {
		if m.Kind.Stored() {
			texts = append(texts, m.Text.String())
		}
	}
	return texts
}

// TestSessionGoesOnWhileAMessageIsStored: keys work and the screen draws while a message waits for the disk; what is typed
// meanwhile comes after it, in order, and so does the end.
func TestSessionGoesOnWhileAMessageIsStored(t *testing.T) {
	t.Parallel()
	for _, term := range []string{"xterm", "dumb"} {
		t.Run(term, func(t *testing.T) {
			server := startInside(t, sshchat.DefaultLimits)
			defer server.end()
			p := server.openSession(term)
			store := server.stall()
			defer store()
			p.types("one\r")
			p.types("two\rthree\r")
			p.types("halfway typed")
			p.screen.wait(t, "halfway typed")
			p.screen.clear()
			server.hub.Announce(chat.Text{}) // wakes the session, and says nothing
			server.hub.NotifyRoom(chat.Name{}, chat.General, "the room goes on")
			p.screen.wait(t, "the room goes on")
			if said := server.said(); len(said) > 0 {
				t.Errorf("shown before it is stored: %q", said)
			}
			p.types("\x15") // an empty line again, so that Ctrl+D ends the session
			p.types("\x04")
			store()
			if err := p.Wait(); err != nil {
				t.Errorf("the session ended with %v", err)
			}
			if got := strings.Join(server.said(), " "); got != "one two three" {
				t.Errorf("said: %q", got)
			}
		})
	}
}

// slowAccounts check a setting once they may.
type slowAccounts struct {
	userAccounts
	until chan struct{}
}

func (a slowAccounts) CleanSetting(_, value string) (string, error) {
	<-a.until
	return value, nil
}

// TestSessionGoesOnWhileACommandRuns: others' messages come while a command is under way, keys work, and what it answers is
// shown when it is done.
func TestSessionGoesOnWhileACommandRuns(t *testing.T) {
	t.Parallel()
	until := make(chan struct{})
	server := startInsideWith(t, sshchat.DefaultLimits, func(a userAccounts) command.Accounts { return slowAccounts{a, until} })
	defer server.end()
	p := server.openSession("xterm")
	p.types("/bell all\r")
	server.hub.NotifyRoom(chat.Name{}, chat.General, "the room goes on")
	p.screen.wait(t, "the room goes on")
	p.types("typed meanwhile")
	p.screen.wait(t, "typed meanwhile")
	p.screen.clear()
	close(until)
	p.screen.wait(t, "all")
	p.types("\r")
	p.screen.wait(t, "alice")
	p.types("\x04")
	if err := p.Wait(); err != nil {
		t.Errorf("the session ended with %v", err)
	}
	if got := strings.Join(server.said(), " "); got != "typed meanwhile" {
		t.Errorf("said: %q", got)
	}
}

// TestClientThatIsCutOff: a message that was on its way when its author was cut off is said all the same, and the session
// leaves nothing behind.
func TestClientThatIsCutOff(t *testing.T) {
	t.Parallel()
	server := startInside(t, sshchat.DefaultLimits)
	defer server.end()
	p := server.openSession("xterm")
	store := server.stall()
	defer store()
	p.types("last words\r")
	p.types("x")
	p.screen.wait(t, "x")
	p.Close()
	store()
	p.client.Close()
	server.Shutdown(t.Context(), sshchat.Stops) // which waits for it
	if n := server.Stats().Sessions; n > 0 {
		t.Fatalf("%d sessions do not end", n)
	}
	if got := strings.Join(server.said(), " "); got != "last words" {
		t.Errorf("said: %q", got)
	}
}
