package accounts

import (
	"os"
	"strings"
	"testing"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/store/clock"
)

const day = 24 * time.Hour

// machine is a computer whose wall clock can be wrong. It remembers over a restart what was believed, as package clock does.
type machine struct {
	dir      string
	wallTime time.Time
	ran      time.Duration
	latest   time.Time
	clock    *clock.Clock
}

func newMachine(t *testing.T) *machine {
	return &machine{dir: t.TempDir(), wallTime: time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)}
}

func (m *machine) run(d time.Duration)  { m.wallTime, m.ran = m.wallTime.Add(d), m.ran+d }
func (m *machine) step(d time.Duration) { m.wallTime = m.wallTime.Add(d) }

// boot opens the accounts on the machine.
func (m *machine) boot(t *testing.T) *Store {
	t.Helper()
	opt := cheap
	opt.Now = func() time.Time { return m.wallTime }
	m.clock = clock.New(clock.Options{Now: opt.Now, Elapsed: func() time.Duration { return m.ran }})
	opt.Clock = m.clock
	u := openIn(t, m.dir, opt)
	if !m.latest.IsZero() {
		m.clock.Known(m.latest)
	}
	t.Cleanup(func() { u.Close() })
	return u
}

func (m *machine) halt(t *testing.T, u *Store) {
	t.Helper()
	m.latest = m.clock.Read().Latest
	if err := u.Close(); err != nil {
		t.Fatal(err)
	}
}

// wantSealed holds who of them #general is sealed to: "ab-" is alice, bob and not carol.
func wantSealed(t *testing.T, u *Store, when, want string) {
	t.Helper()
	got := ""
	for _, who := range []string{"alice", "bob", "carol"} {
		if u.Recipients(nil, chat.General, name(who)) != nil {
			got += who[:1]
		} else {
			got += "-"
		}
	}
	if got != want {
		t.Errorf("%s: sealed to %s, want %s", when, got, want)
	}
}

func visit(t *testing.T, u *Store, a chat.Account) {
	t.Helper()
	if _, err := u.Seen(a.ID, func(in chat.Visit) error { return u.decide(in) }); err != nil {
		t.Fatal(err)
	}
}

// The machine has no battery: it starts in 2006, and is right a minute later. Nobody is taken for absent, whether they were
// here before, came while the clock was wrong, or registered then; and what is noted of a visit does not go back.
func TestClockThatStartsBehindTakesNobodyOut(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	u := m.boot(t)
	alice := create(t, u, "alice", "")
	create(t, u, "bob", "")
	m.halt(t, u)
	right := m.wallTime.Add(day)
	m.wallTime = time.Date(2006, 1, 2, 0, 0, 0, 0, time.UTC)
	u = m.boot(t)
	visit(t, u, alice)
	create(t, u, "carol", "")
	wantSealed(t, u, "in 2006", "abc")
	m.wallTime = right
	wantSealed(t, u, "the clock is right", "abc")
	if a, _ := u.ByName(alice.Name); a.Seen != "2026-11-25" {
		t.Errorf("alice was seen on %s", a.Seen)
	}
	m.halt(t, u)
	wantSealed(t, m.boot(t), "after a restart", "abc")
}

// The clock steps ahead by a year while the server runs, or at a start, and is put right later. Nobody is taken for absent.
// The controls: after a day of running the clock is believed, and then who was here meanwhile still counts as here.
func TestClockThatIsAheadTakesNobodyOut(t *testing.T) {
	t.Parallel()
	for _, restart := range []bool{false, true} {
		m := newMachine(t)
		u := m.boot(t)
		alice := create(t, u, "alice", "")
		create(t, u, "bob", "")
		create(t, u, "carol", "")
		m.step(365 * day)
		if restart {
			for range 3 { // whoever comes does not make the clock right
				visit(t, u, alice)
				m.halt(t, u)
				u = m.boot(t)
			}
		}
		visit(t, u, alice)
		wantSealed(t, u, "a year ahead", "abc")
		m.run(time.Hour)
		m.step(-365 * day)
		visit(t, u, alice)
		wantSealed(t, u, "the clock is right", "abc")
		if a, _ := u.ByName(alice.Name); a.Seen != "2026-11-25" {
			t.Errorf("alice was seen on %s", a.Seen)
		}
		m.step(365 * day)
		visit(t, u, alice)
		m.run(day)
		wantSealed(t, u, "a year ahead for a day", "a--")
		visit(t, u, alice)
		m.halt(t, u)
		wantSealed(t, m.boot(t), "and after a restart", "a--")
	}
}

// An account that stays connected is here, also where its last day was noted by a clock that was wrong.
func TestConnectedCountsAsHere(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.wallTime = time.Date(2006, 1, 2, 0, 0, 0, 0, time.UTC) // a new server, of which nothing is known
	u := m.boot(t)
	alice := create(t, u, "alice", "")
	create(t, u, "bob", "")
	create(t, u, "carol", "")
	visit(t, u, alice)
	m.wallTime = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	wantSealed(t, u, "the clock is right", "abc")
	m.run(2 * day)
	wantSealed(t, u, "and has been for days", "a--")
	m.run(88 * day)
	visit(t, u, alice)
	m.run(80 * day)
	wantSealed(t, u, "80 days after a visit", "a--")
	m.run(11 * day)
	wantSealed(t, u, "91 days after it", "---")
}

// A clock that is ahead ends no ban, mute or invite for good, also not where others are decided on meanwhile.
func TestClockThatIsAheadForgetsNothing(t *testing.T) {
	t.Parallel()
	for _, restart := range []bool{false, true} {
		m := newMachine(t)
		u := m.boot(t)
		create(t, u, "alice", "")
		create(t, u, "bob", "")
		end := m.wallTime.Add(7 * day)
		if err := u.Ban(chat.Sanction{User: name("alice"), By: name("bob"), Until: end}); err != nil {
			t.Fatal(err)
		}
		if err := u.Mute(chat.Sanction{User: name("alice"), By: name("bob"), Until: end}); err != nil {
			t.Fatal(err)
		}
		_, code, err := u.Invite(name("bob"), 1, end)
		if err != nil {
			t.Fatal(err)
		}
		m.step(90 * day)
		if restart {
			m.halt(t, u)
			u = m.boot(t)
		}
		if err := u.Ban(chat.Sanction{User: name("bob"), By: name("bob"), Until: m.wallTime.Add(time.Hour)}); err != nil {
			t.Fatal(err)
		}
		if err := u.Mute(chat.Sanction{User: name("bob"), By: name("bob"), Until: m.wallTime.Add(time.Hour)}); err != nil {
			t.Fatal(err)
		}
		if _, _, err := u.Invite(name("bob"), 1, m.wallTime.Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		want := func(when string, bans, mutes, invites int, valid bool) {
			t.Helper()
			if b, m, i := len(u.Bans()), len(u.Mutes()), len(u.Invites()); b != bans || m != mutes || i != invites || u.Invited(code) != valid {
				t.Errorf("%s: %d bans, %d mutes, %d invites, valid %v", when, b, m, i, u.Invited(code))
			}
		}
		want("ahead", 2, 2, 1, false)
		m.run(time.Hour)
		want("an hour later", 1, 1, 0, false) // what was decided by this clock ends by it
		m.step(-90 * day)
		want("right again", 2, 2, 2, true) // for bob it is 90 days longer now: a ban errs on that side
		if err := u.Unban("bob"); err != nil {
			t.Fatal(err)
		}
		if err := u.Unmute(name("bob")); err != nil {
			t.Fatal(err)
		}
		m.run(7 * day)
		want("after their time", 0, 0, 1, false)
	}
}

// What lasts an hour by a clock that is behind by years is not over as soon as the clock is right.
func TestBanByAClockThatIsBehind(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	u := m.boot(t)
	create(t, u, "alice", "")
	m.halt(t, u)
	right := m.wallTime
	m.wallTime = time.Date(2006, 1, 2, 0, 0, 0, 0, time.UTC)
	u = m.boot(t)
	if err := u.Ban(chat.Sanction{User: name("alice"), By: name("bob"), Until: m.wallTime.Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	m.wallTime = right
	if len(u.Bans()) != 1 {
		t.Error("the ban is over")
	}
	m.run(time.Hour)
	if len(u.Bans()) != 0 {
		t.Error("the ban is not over")
	}
}

// Where nothing was remembered, the file itself says what time it was: who has been away by it is away at once.
func TestClockOfAFileByHand(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	u := open(t, dir)
	create(t, u, "alice", "")
	create(t, u, "bob", "")
	create(t, u, "carol", "")
	if err := u.Close(); err != nil {
		t.Fatal(err)
	}
	ago := time.Now().UTC().AddDate(0, 0, -100).Format(time.DateOnly)
	today := time.Now().UTC().Format(time.DateOnly)
	edited := strings.NewReplacer(`"seen":"`+today, `"seen":"`+ago, `"created":"`+today, `"created":"`+ago).Replace(mustRead(t, u.files.path))
	writeUsers(t, dir, edited)
	wantSealed(t, open(t, dir), "written now", "---")
	long := time.Now().Add(-100 * day)
	if err := os.Chtimes(u.files.path, long, long); err != nil {
		t.Fatal(err)
	}
	wantSealed(t, open(t, dir), "written 100 days ago", "abc")
}
