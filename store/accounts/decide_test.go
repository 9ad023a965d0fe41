package accounts

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/store/changes"
)

// Followers are told each step from one durable State to the next, in order, before whoever asked for it is answered; of
// what failed they are told nothing.
func TestFollowersKnowBeforeTheAnswer(t *testing.T) {
	t.Parallel()
	u := open(t, t.TempDir())
	var steps []chat.View // of the writer, until it has answered
	u.Follow(func(before, after chat.View) {
		if len(steps) > 0 && before != steps[len(steps)-1] {
			t.Error("a step is missing, or told twice")
		}
		if u.View().State != after.State {
			t.Error("told before it is durable")
		}
		steps = append(steps, after)
	})
	first := u.View().State
	alice := create(t, u, "alice", "")
	if len(steps) != 1 || first.Len() != 0 || steps[0].Len() != 1 {
		t.Fatalf("%d steps", len(steps))
	}
	s := decided(t, u, callerOf(alice), addKeyOf(t, alice))
	if len(steps) != 2 || steps[1].State != s {
		t.Errorf("%d steps, and the answer is another State", len(steps))
	}
	full := errors.New("disk full")
	u.write = func(changes.Line) error { return full }
	_, err := u.Decide(callerOf(alice), addKeyOf(t, alice))
	wantErr(t, err, full)
	if len(steps) != 2 {
		t.Error("told of what has not happened")
	}
	u.write = u.files.changes.Append
	checkpoint(t, u)
	edited := strings.Replace(mustRead(t, u.files.path), `"role":"user"`, `"role":"mod"`, 1)
	if err := os.WriteFile(u.files.path, []byte(edited), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := u.Reload(); err != nil {
		t.Fatal(err)
	}
	if a, _ := steps[len(steps)-1].ByID(alice.ID); len(steps) != 3 || a.Role != chat.Mod {
		t.Errorf("%d steps; alice is %s", len(steps), a.Role)
	}
}

func addKeyOf(t *testing.T, a chat.Account) chat.AddKeys {
	t.Helper()
	return chat.AddKeys{ID: a.ID, Keys: []chat.Key{newKey(t)}}
}

// What changes nothing costs no write, and is answered only when what it found is durable.
func TestWhatChangesNothingIsNotWritten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		u := openIn(t, t.TempDir(), Options{WorkFactor: 4})
		defer u.Close()
		alice := create(t, u, "alice", "")
		set := func(value string) error { return u.SetSetting(alice.ID, "bell", value) }
		if err := set("all"); err != nil {
			t.Fatal(err)
		}
		var writes atomic.Int32
		begun, goOn := make(chan struct{}), make(chan error)
		u.write = func(line changes.Line) error {
			writes.Add(1)
			close(begun)
			if err := <-goOn; err != nil {
				return err
			}
			return u.files.changes.Append(line)
		}
		for _, in := range []chat.Intent{chat.Expire{}, chat.Visit{ID: alice.ID, Day: "2000-01-01"}, chat.SetAllowlist{}} {
			decided(t, u, chat.TheServer, in)
		}
		decided(t, u, callerOf(alice), chat.Speak{Room: chat.General})
		if err := set("all"); err != nil || writes.Load() != 0 {
			t.Errorf("%d writes, %v", writes.Load(), err)
		}
		for _, fails := range []error{nil, errors.New("disk full")} {
			begun, goOn = make(chan struct{}), make(chan error)
			value := map[bool]string{true: "off", false: "mention"}[fails == nil]
			before := writes.Load()
			answers := make(chan error, 2)
			go func() { answers <- set(value) }()
			<-begun
			go func() { answers <- set(value) }()
			time.Sleep(time.Second)
			synctest.Wait()
			if len(answers) != 0 {
				t.Error("answered before it is durable")
			}
			goOn <- fails
			for range 2 {
				wantErr(t, <-answers, fails)
			}
			if writes.Load() != before+1 {
				t.Errorf("%d writes", writes.Load()-before)
			}
		}
	})
}

// An invite's ID is longer if another has it; and lists of States that were shown do not change.
func TestInvitesOfOneID(t *testing.T) {
	t.Parallel()
	u := open(t, t.TempDir())
	for range 3 {
		if _, _, err := u.Invite(name("alice"), 1, time.Time{}); err != nil {
			t.Fatal(err)
		}
	}
	in, code, err := u.NewInvite(name("alice"), 1, time.Time{})
	if err != nil || len(in.Invite.ID) != 4 || in.Invite.Hash != InviteHash(code) {
		t.Fatalf("%+v, %v", in, err)
	}
	in.Invite.ID = u.Invites()[0].ID
	wantErr(t, u.decide(in), chat.ErrInviteID)
	if n := len(u.Invites()); n != 3 {
		t.Errorf("%d invites", n)
	}
	if _, _, err := u.NewInvite(name("alice"), 0, time.Time{}); err == nil {
		t.Error("an invite of no uses")
	}
}

// Recipients are parsed once, and only so many are kept.
func TestRecipientsAreKeptParsed(t *testing.T) {
	t.Parallel()
	var r recipients
	first := r.parsed(someRecipient)
	if first == nil || r.parsed(someRecipient) != first {
		t.Error("parsed again")
	}
	if r.parsed(ecdsaKey) != nil || r.parsed("nonsense") != nil {
		t.Error("a recipient of what is none")
	}
	for i := range maxRecipients {
		r.lines[fmt.Sprint(i)] = nil
	}
	r.parsed(keyA)
	if len(r.lines) > 1 {
		t.Errorf("%d are kept", len(r.lines))
	}
}
