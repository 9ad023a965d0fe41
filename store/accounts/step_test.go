package accounts

import (
	"testing"

	"sshchat/sshchat/chat"
)

// A decision is looked at when it is rehearsed, when it is asked whether it is one, and when it is appended. What it says is
// worked out the first time, and forgotten once it is durable.
func TestAStepIsWorkedOutOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	u := open(t, dir)
	before := u.View()
	wanted, err := before.Check(chat.TheServer, chat.CreateRoom{Room: roomName("first")})
	if err != nil {
		t.Fatal(err)
	}
	after, err := u.Rehearse(before.State, wanted)
	if err != nil {
		t.Fatal(err)
	}
	rehearsed := u.looked.Load()
	if rehearsed == nil || rehearsed.encoded == nil || u.step(before.State, after) != rehearsed {
		t.Errorf("what was rehearsed is worked out again: %+v", rehearsed)
	}
	if !u.Differ(before.State, after) || u.Differ(after, after) || u.looked.Load() != rehearsed {
		t.Error("what was rehearsed is no change, or is worked out again")
	}
	if err := u.Append(Change{Before: before.State, After: after}); err != nil {
		t.Fatal(err)
	}
	if u.looked.Load() != nil {
		t.Error("what is durable is kept")
	}
	// Decided, and undone: another State, which says the same.
	if again := chat.NewState(after.Parts()); u.Differ(after, again) {
		t.Error("what says the same is a change")
	}
	// Another step than the one that was rehearsed is not taken for it.
	if _, err := u.Rehearse(after, wanted); err != nil {
		t.Fatal(err)
	}
	other, err := u.View().Check(chat.TheServer, chat.CreateRoom{Room: roomName("second")})
	if err != nil {
		t.Fatal(err)
	}
	if err := u.Append(Change{Before: after, After: other}); err != nil {
		t.Fatal(err)
	}
	if err := u.Close(); err != nil {
		t.Fatal(err)
	}
	for _, r := range []string{"first", "second"} {
		if _, made := open(t, dir).View().Room(roomName(r)); !made {
			t.Errorf("there is no room %q after a start", r)
		}
	}
}
