package journal_test

import (
	"errors"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
	"sshchat/store/accounts"
	"sshchat/store/durable/powercut"
)

// one is a folder in which alice has an account, and its hub has stopped.
func one(t *testing.T, d *powercut.Disk) (*folder, person) {
	t.Helper()
	f, err := openFolder(d, settings{})
	if err != nil {
		t.Fatal(err)
	}
	h, alice := f.hub(nil, 0), newPerson(t, "alice")
	stop := run(h)
	if err := errors.Join(alice.enrol(f, h, chat.Admin), alice.say(h, chat.General, "first")); err != nil {
		t.Fatal(err)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	return f, alice
}

// said is the n-th message of alice's in #general.
func said(t *testing.T, n uint64) chat.Event {
	t.Helper()
	name, err := text.ParseName("alice")
	if err != nil {
		t.Fatal(err)
	}
	words, err := text.ParseText("hello")
	if err != nil {
		t.Fatal(err)
	}
	return chat.Event{Room: chat.General, Message: chat.Message{
		Room: chat.General, Seq: n, At: time.Now().UTC().Truncate(time.Millisecond), From: name, Kind: chat.Say, Text: words,
	}}
}

// after is the State with what alice wants decided.
func after(t *testing.T, f *folder, s *chat.State, who chat.Caller, in chat.Intent) *chat.State {
	t.Helper()
	next, err := chat.View{State: s, At: f.accounts.Moment()}.Check(who, in)
	if err != nil {
		t.Fatal(err)
	}
	return next
}

// What is decided and undone in one batch is no change: the history does not stand on one that is not there.
func TestDecisionsThatCancelOut(t *testing.T) {
	t.Parallel()
	d := powercut.New()
	f, alice := one(t, d)
	s := f.accounts.View().State
	set := func(s *chat.State, value string) *chat.State {
		return after(t, f, s, alice.Caller, chat.SetSetting{ID: alice.Login.Account, Name: "bell", Value: value})
	}
	b := chat.Batch{At: f.accounts.Moment(), Before: s, After: set(set(s, "all"), ""), Events: []chat.Event{said(t, 2)}}
	if err := f.Append(b); err != nil {
		t.Fatal(err)
	}
	if a, h := f.accounts.Changes(), f.history.Change(); a != h {
		t.Errorf("the accounts end with change %d, the history with %d", a, h)
	}
	if err := f.close(); err != nil {
		t.Fatal(err)
	}
	again, err := openFolder(d, settings{})
	if err != nil {
		t.Fatal(err)
	}
	if err := again.close(); err != nil {
		t.Error(err)
	}
}

// Accounts that are older than what the history stands on are refused.
func TestOldCopyOfTheAccountsIsRefused(t *testing.T) {
	t.Parallel()
	d := powercut.New()
	f, alice := one(t, d)
	if err := f.accounts.Checkpoint(); err != nil {
		t.Fatal(err)
	}
	old := make(map[string][]byte)
	for _, name := range []string{"data/users.json", "data/changes.jsonl"} {
		old[name] = d.Content(name)
	}
	s := f.accounts.View().State
	b := chat.Batch{At: f.accounts.Moment(), Before: s, After: after(t, f, s, alice.Caller, chat.SetTopic{Room: chat.General, Topic: "new"}), Events: []chat.Event{said(t, 2)}}
	if err := f.Append(b); err != nil {
		t.Fatal(err)
	}
	if err := f.close(); err != nil {
		t.Fatal(err)
	}
	for name, content := range old {
		if err := d.Remove(name); err != nil {
			t.Fatal(err)
		}
		file, err := d.Create(name)
		if err == nil {
			_, err = file.WriteAt(content, 0)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := openFolder(d, settings{}); err == nil {
		t.Error("an old copy of users.json and changes.jsonl is taken")
	}
}

// The audit log has no line of what was refused, since it comes last; and what it has a line of outlives a power cut, also if
// the State is as before.
func TestActsAreStoredWithTheirBatch(t *testing.T) {
	t.Parallel()
	d := powercut.New()
	f, _ := one(t, d)
	s := f.accounts.View().State
	b := chat.Batch{At: f.accounts.Moment(), Before: s, After: s, Audit: []chat.AuditEntry{{By: "alice", Do: "ban", On: "bob"}}, Events: []chat.Event{said(t, 2)}}
	lines := func(f *folder) int {
		acts, err := f.audit.Entries(time.Time{}, 99)
		if err != nil {
			t.Fatal(err)
		}
		return len(acts)
	}
	d.FailFrom(1, errors.New("disk full"))
	if err := f.Append(b); err == nil || lines(f) != 0 {
		t.Errorf("refused: %v, and the audit log has %d lines", err, lines(f))
	}
	f, _ = one(t, powercut.New())
	d = f.disk.(*powercut.Disk)
	s = f.accounts.View().State
	b.Before, b.After = s, s
	if err := f.Append(b); err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(powercut.Seed(t), 3))
	for range 20 {
		again, err := openFolder(d.Cut(r), settings{})
		if err != nil {
			t.Fatal(err)
		}
		if n := lines(again); n != 1 {
			t.Errorf("after a power cut the audit log has %d lines", n)
		}
	}
}

// acted is a batch of a message and a line of the audit log.
func acted(t *testing.T, f *folder) chat.Batch {
	s := f.accounts.View().State
	return chat.Batch{At: f.accounts.Moment(), Before: s, After: s, Audit: []chat.AuditEntry{{By: "alice", Do: "ban", On: "bob"}}, Events: []chat.Event{said(t, 2)}}
}

// auditLines is how many lines the folder's audit log has.
func auditLines(t *testing.T, f *folder) int {
	t.Helper()
	acts, err := f.audit.Entries(time.Time{}, 99)
	if err != nil {
		t.Fatal(err)
	}
	return len(acts)
}

// users.json has no change whose line of the audit log a crash may still take back: not while what was said with it is being
// stored, not before a start has restored the line, and not while the audit log cannot be written.
func TestUsersJSONWaitsForTheAuditLog(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(powercut.Seed(t), 6))

	f, _ := one(t, powercut.New())
	f.close()
	syncs, free := 0, 0
	f, err := openFolder(f.disk, settings{synced: func(time.Duration) {
		if syncs++; f.Noting().TryLock() {
			free++
			f.Noting().Unlock()
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if syncs, free = 0, 0; f.Append(acted(t, f)) != nil || syncs == 0 || free > 0 {
		t.Errorf("while %d syncs of the history ran, users.json could be written %d times", syncs, free)
	}

	f, _ = one(t, powercut.New())
	if err := f.Append(acted(t, f)); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		d := f.disk.(*powercut.Disk).Cut(r)
		u, err := accounts.OpenOn(d, "data", accounts.Options{WorkFactor: 4, FlushEvery: -1})
		if err != nil {
			t.Fatal(err)
		}
		u.Checkpoint() // as in the background, before the audit log is opened
		again, err := openFolder(d.Cut(r), settings{})
		if err != nil {
			t.Fatal(err)
		}
		if n := auditLines(t, again); n != 1 {
			t.Fatalf("after two power cuts the audit log has %d lines", n)
		}
	}

	for at := 1; ; at++ {
		f, _ := one(t, powercut.New())
		d := f.disk.(*powercut.Disk)
		d.Fail(at, syscall.ENOSPC)
		err := f.Append(acted(t, f))
		failed := d.Failed()
		d.Heal()
		if err == nil {
			if err := f.accounts.Checkpoint(); err != nil {
				t.Errorf("op %d: %v", at, err)
			}
			again, err := openFolder(d.Cut(r), settings{})
			if err != nil {
				t.Fatal(err)
			}
			if n := auditLines(t, again); n != 1 {
				t.Errorf("op %d failed: the audit log has %d lines", at, n)
			}
		}
		if !failed {
			break
		}
	}
}
