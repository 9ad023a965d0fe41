package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

// script runs a session without a terminal on the given input, as ssh -T does, and returns its exit code.
func (u *user) script(input string) (seen string, code int) {
	u.t.Helper()
	o := u.pipe()
	if _, err := io.WriteString(o.typed, input); err != nil {
		u.t.Fatal(err)
	}
	if err := o.typed.Close(); err != nil {
		u.t.Fatal(err)
	}
	code = o.code()
	return o.seen.String(), code
}

// code is the exit code that the session ends with; -1 where it had none.
func (o *openSession) code() int {
	o.u.t.Helper()
	err := <-o.ended
	o.ended <- err
	var exit *ssh.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitStatus()
	}
	return -1
}

// last is how many messages #general has.
func (u *user) last() int {
	u.t.Helper()
	out := strings.TrimSpace(u.must("say general how many are there"))
	var n int
	if _, err := fmt.Sscanf(out, "general/%d", &n); err != nil {
		u.t.Fatalf("%q: %v", out, err)
	}
	return n
}

// A session without a terminal ends with the code of the last line that was refused: what was refused is never code 0.
func TestScriptEndsWithTheCodeOfItsLastRefusal(t *testing.T) {
	t.Parallel()
	s := startServer(t, "")
	s.register("bob")
	alice := s.register("alice")
	for name, c := range map[string]struct {
		input string
		code  int
		words string
	}{
		"nothing":                 {"", 0, ""},
		"lines":                   {"one\n/me waves\n/rooms\n//slash\n\n", 0, "alice: one"},
		"the last without an end": {"two", 0, "alice: two"},
		"too long a message":      {strings.Repeat("x", 5000) + "\n", 1, "too long"},
		"too long a line":         {strings.Repeat("x", 50000) + "\n", 1, "not sent: the line was longer than"},
		"no command":              {"/nosuch\n", 2, "unknown command /nosuch"},
		"usage":                   {"/msg\n", 2, "usage"},
		"no right":                {"/kick bob\n", 3, "server moderators and admins can use /kick"},
		"no such person":          {"/msg nobody hi\n", 4, "no account named nobody"},
		"not UTF-8":               {"caf\xe9\n", 1, "not sent: this is not UTF-8 text"},
		"needs a terminal":        {"/passwd\n", 2, "terminal"},
		"then one that is fine":   {"/msg nobody hi\nfine\n/rooms\n", 4, "alice: fine"},
		"the last of several":     {"/nosuch\n/msg nobody hi\n", 4, ""},
		"and quits":               {"/nosuch\n/quit\n", 2, ""},
		"without an end":          {"/nosuch", 2, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, code := alice.again(t).script(c.input)
			if code != c.code {
				t.Errorf("exit %d, want %d\n%s", code, c.code, out)
			}
			if !strings.Contains(out, c.words) {
				t.Errorf("no %q in:\n%s", c.words, out)
			}
		})
	}
}

// again is the user with a connection of this test's own.
func (u *user) again(t *testing.T) *user {
	t.Helper()
	client, err := u.server.dialAs(u.name, ssh.PublicKeys(u.signer))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return &user{client, t, u.server, u.name, u.signer}
}

// A session shows what was acknowledged before the server stopped, also what was waiting for its next frame.
func TestServerThatStopsShowsWhatIsStored(t *testing.T) {
	t.Parallel()
	s := startServer(t, "")
	alice := s.register("alice")
	all := map[string]*openSession{"pipe": alice.pipe(), "plain": alice.again(t).plain(80, 24)}
	for _, o := range all {
		o.typeln("/names")
		o.sees("online")
	}
	lines := ""
	for i := range 8 {
		lines += fmt.Sprintf("line %d.\n", i)
	}
	if _, errs, code := alice.again(t).exec("say general -", lines); code != 0 {
		t.Fatal(errs)
	}
	s.stop()
	for name, o := range all {
		o.code()
		if seen := o.seen.String(); !strings.Contains(seen, "line 7.") {
			t.Errorf("%s is stopped and was shown %q", name, seen)
		}
	}
}

// Whoever is connected when the server stops ends with code 1 and not with 0, so that what runs ssh in a loop connects
// again, and at once: nobody who only waits for input, or does not read, keeps the server. What was being sent is not half
// sent, and the sender knows how far it came.
func TestServerThatStopsEndsNobodyWithCode0(t *testing.T) {
	t.Parallel()
	s := startServer(t, "", "--write-timeout", "10m")
	alice := s.register("alice")
	all := map[string]*openSession{
		"follow": alice.run("follow"), "follow --json": alice.again(t).run("follow --json"),
		"say -": alice.again(t).run("say general -"), "key add -": alice.again(t).run("key add -"),
		"pipe": alice.again(t).pipe(), "plain": alice.again(t).plain(80, 24),
		"full": alice.again(t).open("\r", func(s *ssh.Session) error { return s.RequestPty("xterm", 24, 80, ssh.TerminalModes{}) }),
	}
	all["full"].sees("Welcome")
	all["plain"].sees("Welcome")
	all["say -"].typeln("one")
	all["say -"].typeln("two")
	io.WriteString(all["say -"].typed, "half a line")
	io.WriteString(all["pipe"].typed, "another half")
	io.WriteString(all["key add -"].typed, "ssh-ed25519 AAAA")
	all["say -"].sees("general/2\n")
	all["follow"].sees("alice: two")

	deaf, err := alice.again(t).NewSession()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := deaf.StdoutPipe(); err != nil { // which nobody reads
		t.Fatal(err)
	}
	if err := deaf.Start("follow"); err != nil {
		t.Fatal(err)
	}
	big := strings.Repeat(strings.Repeat("x", 4000)+"\n", 700) // more than x/crypto's window of 2 MiB
	if _, errs, code := alice.exec("say general -", big); code != 0 {
		t.Fatal(errs)
	}
	s.stop()
	for name, o := range all {
		if code := o.code(); code != 1 {
			t.Errorf("%s ends with code %d:\n%s", name, code, o.seen)
		}
		if name != "full" && !strings.Contains(strings.ToLower(o.seen.String()), "the server is stopping") {
			t.Errorf("%s is told: %q", name, o.seen)
		}
	}
	if out := all["say -"].seen.String(); !strings.Contains(out, "2 lines were sent, the last as general/2; the rest was not.") || strings.Contains(out, "internal error") {
		t.Errorf("say - says %q", out)
	}
	if log := s.log.String(); !strings.Contains(log, "the client reads nothing") {
		t.Errorf("who read nothing was waited for until the server's patience ended:\n%s", log)
	}
	alice = alice.at(startServer(t, s.data)).again(t)
	if n := alice.last(); n != 703 {
		t.Errorf("the next message is number %d", n)
	}
}

// Half a line is sent by the end of input, and by nothing else: not by a connection that is lost or closed.
func TestLostConnectionIsNotTheEndOfInput(t *testing.T) {
	t.Parallel()
	s := startServer(t, "")
	bob, alice := s.register("bob"), s.register("alice")
	alice.must("claim " + s.claimCode())
	alice = alice.again(t)
	before := alice.last()
	for name, begin := range map[string]func(*user) *openSession{
		"say -": func(u *user) *openSession { return u.run("say general -") },
		"pipe":  func(u *user) *openSession { return u.pipe() },
	} {
		for how, end := range map[string]func(*openSession) error{
			"closed channel": func(o *openSession) error { return o.Close() },
			"closed":         func(o *openSession) error { return o.u.Close() },
		} {
			watch := alice.again(t).run(fmt.Sprintf("follow general --since general/%d", before)) // which misses nothing, however late it begins
			o := begin(bob.again(t))
			o.typeln("whole, " + name + how)
			watch.sees("whole, " + name + how)
			before++
			io.WriteString(o.typed, "half, "+name+how)
			if err := end(o); err != nil {
				t.Fatal(err)
			}
			waitFor(t, "the end of "+name, func() bool { return !strings.Contains(alice.must("sessions"), "bob") })
		}
	}
	if n := alice.last(); n != before+1 {
		t.Errorf("message number %d, want %d: half a line was sent", n, before+1)
	}
	o := alice.again(t).run("say general -")
	io.WriteString(o.typed, "half")
	if err := o.typed.Close(); err != nil {
		t.Fatal(err)
	}
	if code := o.code(); code != 0 || alice.last() != before+3 {
		t.Errorf("control: exit %d: %s", code, o.seen)
	}
}
