package command

import (
	"fmt"
	"strings"
	"testing"

	"sshchat/sshchat/chat"
)

func TestReplies(t *testing.T) {
	r := newRig(t, "alice", "bob")
	r.say("bob", chat.General, "shall we?")
	r.must("reply-to general/1 yes,  'quoted --reply x")
	r.lists("history", "#general/1 bob: shall we?", "#general/2 alice replies to 1: yes,  'quoted --reply x")
	r.refuses("reply-to general/9 hello", chat.NotFound, "no such message in #general")
	r.refuses("reply-to general/0 hello", chat.NotFound, "no such message in #general")
	r.refuses("reply-to nowhere/1 hello", chat.Denied, "you are not in #nowhere")
	r.refuses("reply-to bob hello", chat.Usage, "not a message ID")
	r.refuses("reply-to general/1", chat.Usage, "/reply-to needs an ID and a message")
	r.must("edit no")
	r.lists("history", "#general/1 bob: shall we?", "#general/2 alice replies to 1: no (edited)")
	r.must("delete")
	r.refuses("reply-to general/2 hello", chat.NotFound, "or it was deleted")
	r.refuses("reply-to general/3 hello", chat.NotFound, "no such message") // an edit

	r.face = Exec
	r.sees("say --reply general/1 general one", "general/5\n")
	r.sees("say general --reply '#general/1' two", "general/6\n") // also where it is looked for
	r.sees("reply-to general/1 three", "general/7\n")
	for _, line := range []string{"say general --reply=general/1 four", "say --reply=general/1 general four"} {
		r.must(line)
	}
	r.refuses("say --reply general/1 nowhere one", chat.Usage, "say: general/1 is not a message in #nowhere")
	r.refuses("say --reply nonsense general one", chat.Usage, "not a message ID")
	r.refuses("say --reply", chat.Usage, "--reply")
	// What only looks like a flag is said as it is.
	for _, said := range []string{"--verbose is broken", "-- dashes", "--", "--replying is not --reply", "see --reply general/1"} {
		r.must("say general " + said)
		if m, ok := r.hub.Last(r.me, chat.General); !ok || m.Text.String() != said || m.Of != 0 {
			t.Errorf("%q is said as %q, to %d", said, m.Text, m.Of)
		}
	}
}

func TestReactions(t *testing.T) {
	r := newRig(t, "alice", "bob", "carol")
	r.refuses("react 👍", chat.Failed, "there is no such message in #general in memory")
	r.say("bob", chat.General, "done")
	r.say("alice", chat.General, "great")
	r.must("react 👍") // the last that somebody else said
	r.must("react general/2 :tada:")
	r.lists("history", "#general/1 bob: done [👍 1]", "#general/2 alice: great [🎉 1]")
	r.refuses("react general/1 👍", chat.Failed, "you have already reacted with 👍 to that message")
	r.refuses("react general/1 👍️", chat.Failed, "already reacted") // with VS16 it is the same one
	for _, bad := range []string{"ok", "👍👍", ":nonsense:", "x👍"} {
		r.refuses("react general/1 "+bad, chat.Usage, "is not one emoji")
	}
	r.refuses("react", chat.Usage, "usage: /react [ID] EMOJI")
	r.refuses("react general/1 👍 👎", chat.Usage, "too many")
	r.refuses("react general/99 👍", chat.NotFound, "no such message in #general")
	r.refuses("react general/3 👍", chat.NotFound, "no such message") // a reaction
	r.refuses("react nowhere/1 👍", chat.Denied, "you are not in #nowhere")

	r.as("bob")
	r.must("react general/2 🎉")
	r.must("react general/2 ❤")
	r.face = Exec
	r.refuses("react 👍", chat.Usage, "needs")
	r.refuses("unreact", chat.Usage, "usage: unreact")
	r.sees("search --json great", `"text":"great","reactions":[{"emoji":"🎉","by":["alice","bob"]},{"emoji":"❤️","by":["bob"]}]}`)
	r.sees("unreact general/2 🎉", "general/7\n")
	r.refuses("unreact general/2 🎉", chat.NotFound, "you have not reacted with 🎉 to that message")
	r.sees("search great", "alice: great [🎉 1, ❤️ 1]")
	r.face = Chat
	r.must("unreact")
	r.sees("search great", "alice: great [🎉 1]")
	r.refuses("unreact", chat.Failed, "no such message")
	r.refuses("unreact general/2", chat.NotFound, "you have not reacted to that message")

	// Who ignores somebody does not count them.
	r.as("carol")
	r.must("react general/2 🎉")
	r.face = Exec
	r.as("bob")
	r.sees("search great", "[🎉 2]")
	r.must("ignore carol")
	r.sees("search great", "[🎉 1]")
	r.sees("search --json great", `"by":["alice"]`)

	// A message that is deleted has none.
	r.as("alice")
	r.must("delete general/2")
	r.refuses("react general/2 👍", chat.NotFound, "or it was deleted")
	r.refuses("unreact general/2 🎉", chat.NotFound, "or it was deleted")
	m, _ := r.hub.Find(r.me, chat.General, 2)
	if m.Reactions != nil || !m.Deleted {
		t.Errorf("%+v", m)
	}
}

func TestTooManyReactions(t *testing.T) {
	r := newRig(t, "alice", "bob")
	r.say("bob", chat.General, "choose")
	flag := func(n int) string { return string([]rune{0x1F1E6, rune(0x1F1E6 + n)}) }
	for n := range chat.MaxEmoji {
		r.must("react general/1 " + flag(n))
	}
	r.refuses("react general/1 👍", chat.Failed, "at most 20 different reactions")
	r.as("bob")
	r.must("react general/1 " + flag(3))
	r.refuses("react general/1 👍", chat.Failed, "at most 20 different reactions")
	r.as("alice")
	r.must("unreact general/1 " + flag(4))
	r.must("react general/1 👍")
	r.must("unreact general/1")
	if m, _ := r.hub.Find(r.me, chat.General, 1); len(m.Reactions.All()) != 1 {
		t.Errorf("%+v", m.Reactions.All())
	}
}

// Reacting is paced as speaking is: else it would be the way to flood a room.
func TestReactionsArePaced(t *testing.T) {
	r := newRig(t, "alice", "bob")
	r.say("bob", chat.General, "hello")
	r.must("react 👍")
	r.must("unreact 👍")
	if r.session.said != 2 {
		t.Errorf("%d messages were paced", r.session.said)
	}
}

func TestPins(t *testing.T) {
	r := newRig(t, "alice", "bob", "carol")
	r.must("join #dev")
	r.as("bob")
	r.must("join #dev")
	dev := r.session.room
	r.as("alice")
	r.must("mod bob dev")
	r.session.room = dev
	r.sees("pins", "No pinned messages.")
	r.say("alice", dev, "read this first")
	r.must("pin")
	r.sees("pins", "#dev/1 alice: read this first; pinned by alice\n")
	r.refuses("pin dev/1", chat.Failed, "already pinned")
	r.refuses("pin dev/7", chat.NotFound, "no such message in #dev")
	r.refuses("pin general/1", chat.Denied, "only moderators of the room")
	r.refuses("unpin dev/7", chat.NotFound, "that message is not pinned")

	r.as("carol")
	r.refuses("pin dev/1", chat.Denied, "you are not in #dev")
	r.refuses("pins dev", chat.Denied, "you are not in #dev")
	r.must("join #dev")
	r.refuses("pin dev/1", chat.Denied, "only moderators of the room")
	r.refuses("unpin dev/1", chat.Denied, "only moderators of the room")
	r.sees("pins", "No pinned messages.") // what was said before she came

	r.face = Exec
	r.as("alice")
	for i := 2; i <= chat.MaxPins; i++ {
		r.say("alice", dev, fmt.Sprint("message ", i))
		r.must(fmt.Sprint("pin dev/", i))
	}
	r.say("alice", dev, "and this")
	r.refuses("pin dev/21", chat.Failed, "too many pinned messages: at most 20 in a room")
	r.refuses("pin", chat.Usage, "pin needs")
	r.must("unpin dev/2")
	r.must("pin dev/21")
	r.must("delete dev/1") // and its pin with it
	if seen := r.must("pins dev --json"); strings.Contains(seen, `"dev/1"`) || strings.Count(seen, "\n") != chat.MaxPins-1 ||
		!strings.Contains(seen, `{"id":"dev/21","by":"alice","at":"`) || !strings.Contains(seen, `"text":"and this"`) {
		t.Errorf("%s", seen)
	}
	r.as("bob")
	r.must("ignore alice")
	if seen := r.must("pins dev"); strings.Contains(seen, "and this") || !strings.Contains(seen, "dev/21 (from somebody you ignore); pinned by alice\n") {
		t.Errorf("%s", seen)
	}
	if seen := r.must("pins --json dev"); strings.Contains(seen, "and this") {
		t.Errorf("%s", seen)
	}
}

// Two people pin between themselves, and nobody else.
func TestPinsOfTwo(t *testing.T) {
	r := newRig(t, "alice", "bob", "carol")
	r.must("msg bob remember this")
	r.face = Exec
	r.as("bob")
	r.must("pin @alice/1")
	r.sees("pins @alice", "@alice/1 alice: remember this; pinned by bob\n")
	r.as("carol")
	r.refuses("pin @alice/1", chat.NotFound, "no such message")
	r.as("alice")
	r.sees("pins --json @bob", `{"id":"@bob/1","by":"bob",`)
	r.must("unpin @bob/1")
	r.sees("pins @bob", "No pinned messages.")
}
