package command

import (
	"testing"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
)

// Whoever made a room closes it when nobody else is in it, from inside, or after having left it; nobody else does, but
// admins, who close any.
func TestRoomIsClosedByItsMaker(t *testing.T) {
	for _, ui := range []UI{Chat, Exec} {
		r := newRig(t, "alice", "bob", "root", "mo")
		for who, role := range map[string]chat.Role{"root": chat.Admin, "mo": chat.Mod} {
			r.change(who, func(a *chat.Account) { a.Role = role })
		}
		r.face = ui
		r.must("join lab")
		r.as("bob")
		r.refuses("room delete lab", chat.Denied, "only by an admin, or by its creator once nobody else is in it")
		r.must("join lab")
		r.as("mo")
		r.refuses("room delete lab", chat.Denied, "by an admin")
		r.as("alice")
		r.refuses("room delete lab", chat.Denied, "#lab has 1 other member; you can close it once nobody else is in it")
		r.as("bob")
		r.must("part lab")
		r.as("alice")
		lab, err := text.ParseRoomName("lab")
		if err != nil {
			t.Fatal(err)
		}
		r.session.room = lab
		r.sees("room close lab", "Closed #lab.")
		if r.session.room != chat.General {
			t.Errorf("in a room that is closed: %s", r.session.room)
		}
		r.refuses("room delete lab", chat.NotFound, "no such room")
		r.refuses("room delete general", chat.Failed, "cannot be closed")

		r.must("join den")
		r.must("room set-private den on")
		r.as("bob")
		r.refuses("room delete den", chat.NotFound, "no such room")
		r.as("alice")
		r.must("part den")
		r.must("room delete den") // it is hers, though she is not in it

		r.must("join lab")
		r.as("bob")
		r.must("join lab")
		r.as("root")
		r.must("room delete lab --yes")
		r.as("bob")
		r.refuses("room delete nowhere", chat.NotFound, "no such room")
	}
}
