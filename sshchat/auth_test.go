package sshchat

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"sshchat/sshchat/attack"
	"sshchat/sshchat/chat"
	"sshchat/sshchat/command"
	"sshchat/sshchat/proxy"
)

// doorOf is a server as far as logging in is concerned, for the accounts of the names, all of which have a password.
func doorOf(t *testing.T, l *lock, registration bool, names ...string) *Server {
	var accounts []chat.Account
	for i, n := range names {
		accounts = append(accounts, chat.Account{ID: fmt.Sprint(i), Name: testName(t, n), Password: true})
	}
	limits, discard := DefaultLimits, slog.New(slog.DiscardHandler)
	limits.Passwords = 1000
	s := &Server{
		passwords: l, log: discard, events: newEvents(discard, time.Now),
		services: &command.Services{Hub: hubOf(accounts...)},
	}
	s.services.SetEntrance(command.Entrance{Registration: registration})
	s.sourceCounts = newSourceCounts(limits)
	return s
}

// try tries a password on a connection of its own, as soon as the source may connect.
func (s *Server) try(t *testing.T, ip, name string) {
	t.Helper()
	c := &conn{server: s, source: ip, from: testSource(t, ip)}
	for s.penaltyLeft(c) > 0 {
		time.Sleep(s.penaltyLeft(c))
	}
	(&authentication{server: s, conn: c, ctx: t.Context()}).tryPassword(name, []byte("a guess"), nil)
}

// I have made an account, so that my source is known and is not kept away, and spray a password over five hundred names from
// there. Few are looked at, while those who log in from there are looked at as ever. The control: from a source where nobody has
// logged in even fewer are, and with penalties off all.
func TestAttackSprayFromAKnownSource(t *testing.T) {
	row := attack.On(t, attack.Guessing, "one password for each of 500 names, from a source where I have an account")
	synctest.Test(t, func(t *testing.T) {
		counts := make(map[string]int)
		names := []string{"mallory", "bob"}
		for i := range 500 {
			names = append(names, fmt.Sprintf("name%c%c%c", 'a'+i/100, 'a'+i/10%10, 'a'+i%10))
		}
		for what, c := range map[string]struct {
			known, penalties bool
			most, least      int
		}{"known": {true, true, 45, 30}, "a stranger's": {false, true, 15, 1}, "no penalties": {true, false, 500, 500}} {
			l := &lock{}
			s := doorOf(t, l, false, names...)
			s.limits().Penalties = c.penalties
			if c.known {
				s.attempts.Succeeded(testName(t, "mallory"), testSource(t, "192.0.2.1"))
				s.attempts.Succeeded(testName(t, "bob"), testSource(t, "192.0.2.1"))
			}
			begun := time.Now()
			for _, n := range names[2:] {
				if time.Since(begun) > 10*time.Minute {
					break
				}
				s.try(t, "192.0.2.1", n)
			}
			looked := 0
			for _, n := range l.looked {
				if !n.IsZero() {
					looked++
				}
			}
			if looked > c.most || looked < c.least {
				t.Errorf("%s: %d are looked at, not %d to %d", what, looked, c.least, c.most)
			}
			counts[what] = looked
			s.try(t, "192.0.2.1", "bob")
			if last := l.looked[len(l.looked)-1]; c.known && last != testName(t, "bob") {
				t.Errorf("%s: the password of somebody who logs in from there is not looked at", what)
			}
		}
		row.Tried("ten minutes")
		row.Held("%d are checked; passwords of people who log in from there are checked as usual", counts["known"])
		row.Control("%d from a stranger's source, %d without penalties", counts["a stranger's"], counts["no penalties"])
	})
}

// I send passwords for names without an account, each of which would cost the server 64 MiB and a tenth of a second. With
// registration open it is public that there is no account, and nothing is looked at or counted. The control: with
// registration closed each costs what that of an account does.
func TestAttackStrangersPasswordsCostNothing(t *testing.T) {
	row := attack.On(t, attack.Guessing, "passwords for names without an account, for the server's CPU")
	synctest.Test(t, func(t *testing.T) {
		const tries = 20
		scrypts := make(map[bool]int)
		for registration, want := range map[bool]int{true: 0, false: tries} {
			l := &lock{}
			s := doorOf(t, l, registration, "alice")
			begun := time.Now()
			for i := range tries {
				s.try(t, "192.0.2.1", fmt.Sprintf("stranger%c", 'a'+i))
			}
			scrypts[registration] = len(l.looked)
			if len(l.looked) != want {
				t.Errorf("registration open %v: %d scrypts", registration, len(l.looked))
			}
			if owed := len(s.penalties.List()) > 0; owed == registration {
				t.Errorf("registration open %v: the source owes: %v", registration, owed)
			}
			if took := time.Since(begun); registration && took > 0 {
				t.Errorf("a stranger waits %v", took)
			}
		}
		row.Tried("%d", tries)
		row.Held("%d scrypts if it is public that there is no account", scrypts[true])
		row.Control("%d with registration closed", scrypts[false])
	})
}

// I ask about keys as fast as I am answered, from many connections: ten a second, and a crowd of logins by key waits for
// nothing. The control: an exempt source asks as it likes.
func TestAttackKeyQueriesArePaced(t *testing.T) {
	row := attack.On(t, attack.Connections, "offer keys as fast as they are answered")
	synctest.Test(t, func(t *testing.T) {
		const questions = 270
		s := doorOf(t, &lock{}, true)
		ask := func(exempt, logsIn bool) time.Duration {
			begun := time.Now()
			for range questions {
				c := &conn{server: s, source: "192.0.2.1", from: testSource(t, "192.0.2.1"), exempt: exempt}
				a := &authentication{server: s, conn: c, ctx: t.Context()}
				if err := a.paceQuery(); err != nil {
					t.Fatal(err)
				}
				if logsIn {
					s.keyQueries.Refund(c.from, a.queries)
				}
			}
			return time.Since(begun)
		}
		if took := ask(false, true); took != 0 {
			t.Errorf("270 logins by key wait %v", took)
		}
		paced := ask(false, false)
		if paced < 20*time.Second || paced > 22*time.Second {
			t.Errorf("270 questions are answered in %v", paced)
		}
		exempt := ask(true, false)
		if exempt != 0 {
			t.Errorf("an exempt source waits %v", exempt)
		}
		ended, end := context.WithCancel(t.Context())
		end()
		a := &authentication{server: s, conn: &conn{server: s, from: testSource(t, "192.0.2.1")}, ctx: ended}
		if err := a.paceQuery(); err == nil {
			t.Error("a connection that has ended is waited for")
		}
		row.Tried("%d offers from one source", questions)
		row.Held("answered in %v; as many logins by key are not delayed", paced.Round(time.Second))
		row.Control("an exempt source is answered in %v", exempt)
	})
}

func TestImaginableNames(t *testing.T) {
	for _, s := range []string{"jane.doe", "4real", `DOMAIN\jane`, "josé", "_", "jane@corp", "COMPUTER$", "x+y", "名前", "Mary Ann", "o'brien", "a.very.long.name.but.one.that.people.do.have", "jane doe", `CORP\Jane Doe`, "o'neill", "jane "} {
		if !imaginable(s) {
			t.Errorf("%q is nobody's", s)
		}
	}
	for _, s := range []string{"", " ", "a\nb", "a\tb", "a\x00", "\x1b[2J", `a"b`, "%s", "{{.}}", "a/b", "../..", "\u202eecila", "\xff", "1234567890123456789012345678901234567890123456789012345678901234."} {
		if imaginable(s) {
			t.Errorf("%q is a name", s)
		}
	}
	for in, want := range map[string]string{"jane.doe": "jane-doe", "4real": "real", `DOMAIN\Jane`: "jane", "jane@corp": "jane", "josé": "", "4": "", "_x": "x",
		`CORP\Jane Doe`: "jane-doe", "O'Neill": "oneill", "jane ": "jane"} {
		if got := possible(in); got != want {
			t.Errorf("instead of %q: %q, not %q", in, got, want)
		}
	}
}

func TestApprox(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "1 second", time.Millisecond: "1 second", 1100 * time.Millisecond: "2 seconds", 18 * time.Second: "18 seconds", 120 * time.Second: "2 minutes",
		101 * time.Second: "2 minutes", 47*time.Minute + 1: "48 minutes", time.Hour: "60 minutes", 3 * time.Hour: "3 hours",
	} {
		if got := approx(d); got != want {
			t.Errorf("%v is %s, not %s", d, got, want)
		}
	}
}

// FuzzHello checks that what begins a connection is told apart however it is cut.
func FuzzHello(f *testing.F) {
	for _, s := range []string{"SSH-2.0-x\r\n", "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nSSH-2.0-x\r\n", "\r\n\r\n\x00\r\nQUIT\n!!", "GET / HTTP/1.1\r\n", "PROX", "\r\n\r\nSSH-2.0", ""} {
		f.Add([]byte(s), uint8(1))
		f.Add([]byte(s), uint8(200))
	}
	f.Fuzz(func(t *testing.T, in []byte, chunk uint8) {
		whole := func(step int) (header bool, err error) {
			var h preamble
			for rest := in; len(rest) > 0 && err == nil; {
				n := min(step, len(rest))
				header, err = h.take(rest[:n])
				rest = rest[n:]
			}
			return header, err
		}
		header, err := whole(1)
		if p, e := whole(max(int(chunk), 1)); p != header || e != err {
			t.Errorf("%q: %v, %v byte by byte; %v, %v in pieces of %d", in, header, err, p, e, chunk)
		}
		s := string(in)
		if ssh := len(s) >= 4 && s[:4] == "SSH-"; ssh && err != nil || !ssh && len(s) >= 12 && err == nil {
			t.Errorf("%q: %v", in, err)
		}
		if (len(s) >= 6 && s[:6] == "PROXY " || len(s) >= 12 && s[:12] == proxy.Signature) != header {
			t.Errorf("%q has a PROXY header: %v", in, header)
		}
	})
}
