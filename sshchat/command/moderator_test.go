package command

import (
	"strings"
	"testing"

	"sshchat/sshchat/attack"
	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
)

// A moderator of the server looks for private rooms by what only runs a room, and opens them to walk in.
func TestAttackModeratorOpensAPrivateRoom(t *testing.T) {
	row := attack.On(t, attack.Identity, "a server moderator finds a private room, and makes it public to join")
	r := newRig(t, "alice", "mallory", "bob")
	for who, role := range map[string]chat.Role{"alice": chat.Admin, "mallory": chat.Mod} {
		r.change(who, func(a *chat.Account) { a.Role = role })
	}
	r.must("join #den")
	r.must("room set-private #den on")
	den, err := text.ParseRoomName("den")
	if err != nil {
		t.Fatal(err)
	}
	r.say("alice", den, "hi")
	r.as("mallory")
	lines := []string{"delete ROOM/1", "room set-private ROOM off", "slow ROOM 10s", "kick bob ROOM", "kick alice ROOM", "mod mallory ROOM", "unmod bob ROOM"}
	for _, line := range lines {
		seen, is := r.run(strings.Replace(line, "ROOM", "#den", 1))
		none, isNot := r.run(strings.Replace(line, "ROOM", "#nil", 1))
		if is == nil {
			t.Errorf("%s is done", line)
			continue
		}
		if there, gone := strings.ReplaceAll(seen+is.Error(), "den", "nil"), none+isNot.Error(); there != gone || ExitCode(is) != ExitCode(isNot) {
			t.Errorf("%s tells that there is a room: %q, not %q", line, there, gone)
		}
	}
	r.refuses("join #den", chat.NotFound, "no such room")
	row.Tried("%d commands", len(lines))
	row.Held("the same answer as for a room that does not exist")

	r.as("alice")
	r.must("invite mallory #den")
	r.as("mallory")
	r.must("join #den")
	r.must("slow #den 10s")
	row.Control("an invited moderator can moderate it")
}
