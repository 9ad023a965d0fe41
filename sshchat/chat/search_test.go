package chat

import (
	"fmt"
	"slices"
	"testing"

	"sshchat/sshchat/text"
)

func TestSearch(t *testing.T) {
	h := start(t, &fakeJournal{}, "alice", "bob")
	bob := name(t, "bob")
	join(t, h, "alice", "ci")
	ci, pair := room(t, "ci"), text.Direct(name(t, "alice"), bob)
	say(t, h, "alice", ci, "the old build")
	join(t, h, "bob", "ci")
	say(t, h, "alice", General, "The Build of General")
	say(t, h, "alice", ci, "building a CAFÉ")
	say(t, h, "bob", pair, "a build between us")
	say(t, h, "alice", General, "gone build")
	amend(t, h, "alice", Delete, 2, "")
	if err := h.SetTopic(t.Context(), bob, General, words("build")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		who   string
		rooms []RoomName
		words []string
		n     int
		want  []string
	}{
		{"bob", nil, []string{"build"}, 9, []string{"The Build of General", "building a CAFÉ", "a build between us"}},
		{"bob", nil, []string{"BUILD"}, 2, []string{"building a CAFÉ", "a build between us"}},
		{"bob", []RoomName{General, ci}, []string{"build", "a"}, 9, []string{"The Build of General", "building a CAFÉ"}},
		{"bob", nil, []string{"cafe\u0301"}, 9, []string{"building a CAFÉ"}},
		{"bob", nil, []string{"old"}, 9, nil}, // said before bob came
		{"bob", nil, []string{"nowhere"}, 9, nil},
		{"bob", nil, []string{"", ""}, 9, nil},
		{"bob", nil, nil, 9, nil},
		{"bob", nil, []string{"build"}, 0, nil},
		{"alice", nil, []string{"build"}, 1, []string{"a build between us"}},
		{"mallory", []RoomName{General, ci, pair}, []string{"build"}, 9, nil},
	} {
		var got []string
		for _, m := range h.Search(name(t, c.who), c.rooms, c.words, c.n) {
			got = append(got, m.Text.String())
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s searches %q in %v: %q, want %q", c.who, c.words, c.rooms, got, c.want)
		}
	}
}

func TestMentionsOf(t *testing.T) {
	h := start(t, &fakeJournal{}, "alice", "bob")
	bob := name(t, "bob")
	join(t, h, "alice", "ci")
	say(t, h, "alice", room(t, "ci"), "bob is not here yet")
	join(t, h, "bob", "ci")
	for i := range 5 {
		say(t, h, "alice", General, fmt.Sprintf("bob, %d", i))
		say(t, h, "alice", text.Direct(name(t, "alice"), bob), fmt.Sprint(i))
		say(t, h, "bob", General, "I am bob")
		say(t, h, "alice", General, "bobby")
	}
	var got []string
	for _, m := range h.Mentions(bob, nil, 3) {
		got = append(got, m.Text.String())
	}
	if !slices.Equal(got, []string{"3", "bob, 4", "4"}) {
		t.Errorf("the last three are %q", got)
	}
	if n := len(h.Mentions(bob, nil, 99)); n != 10 {
		t.Errorf("%d in all: what was said before bob came is not bob's to see", n)
	}
}

func TestKeptIsForMembers(t *testing.T) {
	h := start(t, &fakeJournal{}, "alice", "mallory")
	join(t, h, "alice", "ci")
	say(t, h, "alice", room(t, "ci"), "secret")
	if n := h.Kept(name(t, "mallory"), room(t, "ci")); n != 0 {
		t.Errorf("a stranger learns that %d messages are there", n)
	}
	if n := h.Kept(name(t, "alice"), room(t, "ci")); n != 1 {
		t.Errorf("a member learns of %d", n)
	}
}

func BenchmarkSearch(b *testing.B) {
	h := start(b, &fakeJournal{}, "alice")
	log := h.rooms[General].Log
	for i := range LogLines {
		log.Append(Message{Room: General, Seq: uint64(i) + 1, DisplaySeq: uint64(i) + 1, From: name(b, "alice"), Kind: Say, Text: words("a line as people write them, of some eighty bytes or so")})
	}
	for b.Loop() {
		h.Search(name(b, "alice"), nil, []string{"nowhere"}, 20)
	}
}
