package accounts

import (
	"fmt"
	"testing"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/store/changes"
)

// What changes nothing costs no write.
func TestWhatChangesNothingIsNotWritten(t *testing.T) {
	t.Parallel()
	u := open(t, t.TempDir())
	alice := create(t, u, "alice", "")
	if err := u.SetSetting(alice.ID, "bell", "all"); err != nil {
		t.Fatal(err)
	}
	writes, b := 0, u.Changes()
	u.write = func(line changes.Line) error {
		writes++
		return u.files.changes.Append(line)
	}
	for _, in := range []chat.Intent{chat.Expire{}, chat.Visit{ID: alice.ID, Day: "2000-01-01"}, chat.SetAllowlist{}} {
		decided(t, u, chat.TheServer, in)
	}
	decided(t, u, callerOf(alice), chat.Speak{Room: chat.General})
	now := u.View().State
	for range 2 {
		if err := u.Append(Change{Before: now, After: now}); err != nil {
			t.Fatal(err)
		}
	}
	if err := u.SetSetting(alice.ID, "bell", "all"); err != nil || writes != 0 || u.Changes() != b {
		t.Errorf("%d writes, %v", writes, err)
	}
	if err := u.SetSetting(alice.ID, "bell", "off"); err != nil || writes != 1 || u.Changes() != b+1 {
		t.Errorf("the control: %d writes, %v", writes, err)
	}
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
