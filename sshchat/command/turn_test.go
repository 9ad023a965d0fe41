package command

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/chat/journaltest"
	"sshchat/sshchat/fence"
)

// acts is an audit log in memory.
type acts struct {
	Audit
	all []chat.AuditEntry
}

func (a *acts) Append(entry chat.AuditEntry) error { a.all = append(a.all, entry); return nil }
func (a *acts) Note(entry chat.AuditEntry) error   { return a.Append(entry) }

// losing is how somebody loses a right, and which commands need it.
var losing = map[string]struct {
	lose  func(*queue)
	needs func(*Command) bool
}{
	"the login": {(*queue).removeKey, func(*Command) bool { return true }},
	"the role":  {func(q *queue) { q.role(chat.User) }, func(c *Command) bool { return c.Role != "" }},
	"the word":  {(*queue).mute, func(c *Command) bool { return c.Effect == Speaks || c.Says != nil }},
}

// queue is a chat in which commands wait for their turn, and rights are lost meanwhile.
type queue struct {
	*rig
	acts *acts
}

// preparing is a journal for a large room that takes a while to prepare for what is said, or for who comes and goes.
type preparing struct {
	*journaltest.Node
	during func()
}

func (p *preparing) Prepared(chat.RoomName, chat.Change) <-chan struct{} {
	if p.during != nil {
		p.during()
	}
	ready := make(chan struct{})
	close(ready)
	return ready
}

func newQueue(t *testing.T, j *preparing) *queue {
	t.Helper()
	q := &queue{acts: &acts{}}
	q.rig = newRigOver(t, func(n *journaltest.Node) chat.Journal {
		n.Appended(func(b chat.Batch) { q.acts.all = append(q.acts.all, b.Audit...) })
		if j == nil {
			return n
		}
		j.Node = n
		return j
	}, chat.RoomState{Name: chat.General}, "mallory", "bob")
	q.services.Audit = q.acts
	q.session.correspondent = name(t, "bob")
	q.role(chat.Admin)
	return q
}

func (q *queue) role(role chat.Role) {
	q.change(q.me.String(), func(a *chat.Account) { a.Role = role })
}

// removeKey takes away the key that mallory logged in with.
func (q *queue) removeKey() {
	q.change(q.me.String(), func(a *chat.Account) { a.Keys = []chat.Key{{Line: "ssh-ed25519 other", Fingerprint: "SHA256:other"}} })
}

func (q *queue) mute() {
	q.put(func(parts *chat.Parts) { parts.Mutes = []chat.Sanction{{User: q.me}} })
}

// give has mallory give a line of the command, and tells whether it was run.
func (q *queue) give(cmd *Command, ui UI, line string) (ran bool, err error) {
	q.t.Helper()
	counted := *cmd
	if !cmd.Free { // else the wait is in Run
		counted.Run = func(context.Context, *Call) error { ran = true; return nil }
	}
	r := &Registry{byName: map[UI]map[string]*Command{ui: {cmd.Name: &counted}}}
	before := q.hub.Posted()
	err = r.Run(q.t.Context(), line, q.call(ui))
	return ran || q.hub.Posted() > before, err
}

func (q *queue) call(ui UI) Call {
	return Call{
		Services: q.services, UI: ui, Account: q.account(q.me), Name: q.me, In: strings.NewReader(""),
		Out: &strings.Builder{}, Err: &strings.Builder{}, Session: q.session, Caller: q.session,
		Who: func() chat.Caller { return caller(q.me) },
	}
}

// lineOf is a line that the command takes, with words that others would see.
func lineOf(cmd *Command, ui UI) string {
	switch {
	case cmd.Name == "edit" && ui == Exec:
		return "edit general/1 other words"
	case cmd.ID && cmd.Text:
		return cmd.Name + " general/1 other words"
	case cmd.Name == "react", cmd.Name == "unreact":
		return cmd.Name + " general/1 👍"
	case cmd.Person:
		return cmd.Name + " bob words"
	}
	words := []string{cmd.Name}
	need := cmd.RoomAt
	if cmd.Text {
		need = max(need, cmd.Words)
	}
	for range need {
		words = append(words, "#fresh")
	}
	if cmd.Text {
		words = append(words, "1h words")
	}
	return strings.Join(words, " ")
}

// A command that waits for its turn, while the right to it is lost, is refused when its turn comes, and that is audited.
func TestEveryCommandWhoseTurnComesTooLate(t *testing.T) {
	tried := 0
	for _, cmd := range all {
		if cmd.Free && cmd.Effect == Reads {
			continue // it never waits
		}
		for _, ui := range []UI{Chat, Exec} {
			if cmd.UIs&ui == 0 {
				continue
			}
			for what, way := range losing {
				q := newQueue(t, nil)
				q.say("mallory", chat.General, "some words")
				line := lineOf(cmd, ui)
				if ran, err := q.give(cmd, ui, line); !ran && !cmd.Free || cmd.Free && ExitCode(err) == int(chat.Denied) && !strings.Contains(line, "#fresh") {
					t.Errorf("control: %s: run: %v, %v", line, ran, err)
				}
				q.acts.all = nil
				if !way.needs(cmd) {
					continue
				}
				q.session.wait = func() { way.lose(q) }
				ran, err := q.give(cmd, ui, line)
				if ran || ExitCode(err) != int(chat.Denied) {
					t.Errorf("%s, without %s: run: %v, exit %d: %v", line, what, ran, ExitCode(err), err)
				}
				is := func(a chat.AuditEntry) bool { return a.Do == cmd.Name && a.Result == "denied" }
				if audited := len(q.acts.all) == 1 && is(q.acts.all[0]); audited != (cmd.Effect != Reads || cmd.Role != "" || cmd.Audit) {
					t.Errorf("%s, without %s: in the audit log is %v", line, what, q.acts.all)
				}
				tried++
			}
		}
	}
	if tried < 2*len(all) {
		t.Errorf("only %d tries", tried)
	}
}

// The same for what waits until a large room is prepared for it.
func TestCommandsThatWaitForALargeRoom(t *testing.T) {
	registry := NewRegistry()
	for _, c := range []struct {
		ui   UI
		line string
	}{
		{Exec, "say general words"}, {Exec, "msg bob words"}, {Chat, "reply words"}, {Chat, "me waves"}, {Chat, "shrug"}, {Chat, "edit other words"},
		{Exec, "edit general/1 other words"}, {Exec, "delete general/1"}, {Chat, "join #dev"}, {Exec, "part dev"},
	} {
		cmd, _, err := registry.Find(c.ui, c.line)
		if err != nil {
			t.Fatal(err)
		}
		for what, way := range losing {
			if !way.needs(cmd) || what == "the word" && cmd.Name == "join" { // which is of a room that is there
				continue
			}
			t.Run(fmt.Sprintf("%s without %s", c.line, what), func(t *testing.T) {
				j := &preparing{}
				q := newQueue(t, j)
				q.say("mallory", chat.General, "some words")
				if err := registry.Run(t.Context(), "join dev", q.call(Exec)); err != nil {
					t.Fatal(err)
				}
				dev := q.hub.RoomsOf(q.me)[1]
				q.session.room = chat.General
				if cmd.Name == "join" {
					q.hub.Decide(t.Context(), caller(q.me), chat.LeaveRoom{Room: dev}, nil)
				}
				was, in, waited := q.hub.Posted(), q.hub.In(q.me, dev), false
				j.during = func() { waited = true; way.lose(q) }
				err := registry.Run(t.Context(), c.line, q.call(c.ui))
				if !waited || ExitCode(err) != int(chat.Denied) || q.hub.Posted() != was || q.hub.In(q.me, dev) != in {
					t.Errorf("waited: %v, exit %d: %v", waited, ExitCode(err), err)
				}
				if n := len(q.acts.all); n != 1 || q.acts.all[0].Result != "denied" {
					t.Errorf("in the audit log is %v", q.acts.all)
				}
			})
		}
	}
}

// outOfReach is a log that cannot be followed until then.
type outOfReach struct {
	until time.Time
	cause error
}

func (l outOfReach) FencedFor() time.Duration { return 0 }
func (l outOfReach) CatchesUp() bool          { return false }
func (l outOfReach) Cause() error             { return l.cause }
func (l outOfReach) Fenced() error {
	if time.Now().Before(l.until) {
		return errOutOfReach
	}
	return nil
}

var errOutOfReach = &chat.Refusal{Code: chat.Failed, Text: "read-only"}

// What is typed to be said waits as long as the session does, if the log may come back. Scripts and changes are refused after a while, and
// what did not begin before its session ended is known not to be done.
func TestWhatWaitsForTheLog(t *testing.T) {
	for _, c := range []struct {
		line  string
		in    UI
		fence outOfReach // until so long after the epoch of the test
		gone  time.Duration
		after time.Duration
		err   error
	}{
		{"me waves", Chat, outOfReach{}, 0, 0, nil},
		{"me waves", Chat, outOfReach{until: time.Time{}.Add(fence.End)}, 0, fence.End, nil},
		{"me waves", Chat, outOfReach{until: time.Time{}.Add(fence.End), cause: errOutOfReach}, 0, fence.Login, errOutOfReach},
		{"me waves", Chat, outOfReach{until: time.Time{}.Add(fence.End)}, time.Second, time.Second, ErrNotBegun},
		{"join new", Chat, outOfReach{until: time.Time{}.Add(fence.End)}, 0, fence.Login, errOutOfReach},
		{"say general hello", Exec, outOfReach{until: time.Time{}.Add(fence.End)}, 0, fence.Login, errOutOfReach},
		{"names", Chat, outOfReach{until: time.Time{}.Add(fence.End)}, 0, fence.Reading, nil},
	} {
		synctest.Test(t, func(t *testing.T) {
			r, ctx := newRig(t, "alice"), t.Context()
			r.face = c.in
			began := time.Now()
			c.fence.until = began.Add(c.fence.until.Sub(time.Time{}))
			r.services.Fence = fence.New(c.fence, fence.LookEvery)
			if c.gone > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, c.gone)
				defer cancel()
			}
			_, err := r.runIn(ctx, c.line)
			if took := time.Since(began).Round(time.Second); !errors.Is(err, c.err) || took != c.after {
				t.Errorf("%s: %v after %v, want %v after %v", c.line, err, took, c.err, c.after)
			}
		})
	}
}
