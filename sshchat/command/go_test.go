package command

import (
	"testing"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
)

func TestMatchName(t *testing.T) {
	for _, c := range []struct {
		name, word string
		rank       int // -1: it does not fit
	}{
		{"#dev", "dev", 0}, {"#dev", "#dev", 0}, {"#dev", "@dev", -1}, {"@bob", "bob", 0}, {"@bob", "@b", 1}, {"#deployments", "dep", 1},
		{"#web-deploys", "dep", 2}, {"#web_deploys", "dep", 2}, {"#codependent", "dep", 3}, {"#deployments", "dpl", 4},
		{"#deployments", "dlp", -1}, {"#dev", "devs", -1}, {"#dev", "", -1}, {"#dev", "#", -1}, {"@bob", "@", -1},
	} {
		if rank, ok := matchName(c.name, c.word); ok != (c.rank >= 0) || ok && rank != c.rank {
			t.Errorf("%q for %s: %d, %v", c.word, c.name, rank, ok)
		}
	}
}

func TestNextUnread(t *testing.T) {
	at := func(name string, unread, mentions int) chat.InboxRoom {
		room, err := text.ParseRoomName(name)
		if err != nil {
			t.Fatal(err)
		}
		return chat.InboxRoom{Name: room, Unread: unread, Mentions: mentions}
	}
	rooms := []chat.InboxRoom{at("a", 1, 0), at("b", 9, 9), at("c", 2, 0), at("d", 3, 1), at("e", 4, 0)}
	next := func(now string, mentions bool) string {
		room, err := nextUnread(rooms, at(now, 0, 0).Name, mentions)
		if err != nil {
			return err.Error()
		}
		return room.String()
	}
	for _, c := range []struct {
		now      string
		mentions bool
		want     string
	}{{"b", false, "d"}, {"d", false, "b"}, {"d", true, "b"}, {"zzz", false, "b"}} {
		if got := next(c.now, c.mentions); got != c.want {
			t.Errorf("after %s: %s, not %s", c.now, got, c.want)
		}
	}
	rooms = rooms[:3]
	rooms[1].Mentions = 0
	if got := next("b", false); got != "c" {
		t.Errorf("without mentions: %s", got)
	}
	if got := next("b", true); got != "no other room has unread messages that mention you" {
		t.Errorf("the next mention is %s", got)
	}
	rooms = rooms[1:2]
	if got := next("b", false); got != "no other room has unread messages" {
		t.Errorf("nothing unread: %s", got)
	}
}
