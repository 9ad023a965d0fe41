package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/charmbracelet/x/vt"
	"golang.org/x/crypto/ssh"
)

// What a full screen begins and ends with: the alternate screen.
const (
	takesTerminal = "\x1b[?1049h"
	givesBack     = "\x1b[?1049l"
)

func (u *user) full(width, height int) *openSession {
	return u.open("\r", func(s *ssh.Session) error { return s.RequestPty("xterm-256color", height, width, ssh.TerminalModes{}) })
}

// looks waits until the screen, as a terminal would show it, is as wanted.
func (o *openSession) looks(width, height int, what string, wanted func(screen string) bool) {
	o.u.t.Helper()
	var screen string
	defer func() {
		if o.u.t.Failed() {
			o.u.t.Logf("the screen of %s:\n%s", o.u.name, screen)
		}
	}()
	waitFor(o.u.t, what, func() bool {
		e := vt.NewEmulator(width, height)
		if _, err := e.WriteString(o.seen.String()); err != nil {
			o.u.t.Fatal(err)
		}
		screen = e.String()
		return wanted(screen)
	})
}

// However a session ends, its terminal is as it was, and the last words can be read there.
func TestTerminalIsGivenBack(t *testing.T) {
	t.Parallel()
	s := startServer(t, "")
	alice := s.register("alice")
	for way, leave := range map[string]func(o *openSession){
		"/quit":   func(o *openSession) { o.typeln("/quit") },
		"Ctrl+D":  func(o *openSession) { o.typeln("\x04") },
		"/ui":     func(o *openSession) { o.typeln("/ui plain") },
		"its end": func(o *openSession) { o.typed.Close() },
	} {
		t.Log(way)
		o := alice.full(80, 24)
		o.sees("Welcome, alice")
		leave(o)
		o.sees(givesBack)
		alice.must("set ui auto")
	}
	o := alice.full(80, 24)
	o.sees("Welcome, alice")
	s.terminate()
	<-o.ended
	_, after, ok := strings.Cut(o.seen.String(), givesBack)
	if !ok || !strings.Contains(after, "The server is stopping") {
		t.Errorf("after the terminal was given back: %q", after)
	}
	if strings.Count(o.seen.String(), takesTerminal) != 1 {
		t.Errorf("%q", o.seen)
	}
}

// A file of 300 KB that is pasted by accident is dropped at once, and its person told: at the pace of input it would
// take a minute.
func TestPasteOfAFile(t *testing.T) {
	t.Parallel()
	s := startServer(t, "")
	alice := s.register("alice")
	o := alice.full(80, 24)
	o.sees("Welcome, alice")
	go fmt.Fprint(o.typed, "\x1b[200~"+strings.Repeat("a line of a file\n", 300<<10/17)+"\x1b[201~")
	o.sees("the paste is too long")
	fmt.Fprint(o.typed, "\x03hello\r")
	o.looks(80, 24, "what was typed after it", func(s string) bool { return strings.Contains(s, "alice │ hello") })
}

// Two sessions of one person: what is read in one is read in the other, and what is chosen holds in both.
func TestTwoSessionsAgree(t *testing.T) {
	t.Parallel()
	s := startServer(t, "")
	alice, bob := s.register("alice"), s.register("bob")
	alice.must("join dev")
	bob.must("join dev")
	first, second := bob.full(80, 20), bob.full(80, 20)
	first.sees("Welcome, bob")
	second.sees("Welcome, bob")
	alice.must("say dev bob, are you there?")
	for _, o := range []*openSession{first, second} {
		o.looks(80, 20, "a mention in the bar", func(s string) bool { return strings.Contains(s, "2:#dev 1!") })
	}
	fmt.Fprint(first.typed, "\x1ba") // Alt+A: the next unread room
	first.looks(80, 20, "the message", func(s string) bool {
		return strings.Contains(s, "alice │ bob, are you there?") && strings.Contains(s, "─ unread ─")
	})
	second.looks(80, 20, "nothing unread any more", func(s string) bool { return strings.Contains(s, "2:#dev") && !strings.Contains(s, "2:#dev 1") })
	first.typeln("/timestamp off")
	fmt.Fprint(second.typed, "\x0e")
	second.looks(80, 20, "no times", func(s string) bool { return strings.Contains(s, "\n     alice │ bob, are you there?") })
	third := bob.full(80, 20) // marks and settings are there for whoever comes in later
	third.looks(80, 20, "a bar without counts", func(s string) bool { return strings.Contains(s, "2:#dev") && !strings.Contains(s, "2:#dev 1") })
}

// A link is lost and the person comes back: nobody is there twice, and nobody is there who is gone.
func TestNoGhosts(t *testing.T) {
	t.Parallel()
	s := startServer(t, "")
	alice, bob := s.register("alice"), s.register("bob")
	here := func() string { return alice.must("who general --json") }
	lost := s.login("bob", bob.signer)
	lost.full(80, 24).sees("Welcome, bob")
	if !strings.Contains(here(), `{"name":"bob","here":true`) {
		t.Fatalf("bob is there, and is not: %s", here())
	}
	lost.Close() // the client's end, without a word of the session's
	waitFor(t, "bob to be gone", func() bool { return strings.Contains(here(), `{"name":"bob","here":false`) })
	bob.full(80, 24).sees("Welcome, bob")
	if got := here(); strings.Count(got, `"name":"bob"`) != 1 || !strings.Contains(got, `{"name":"bob","here":true`) {
		t.Errorf("bob is back: %s", got)
	}
}
