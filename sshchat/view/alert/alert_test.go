package alert

import (
	"strings"
	"testing"
	"time"

	"sshchat/sshchat/attack"
	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

var (
	ann   = must(text.ParseName("ann"))
	bob   = must(text.ParseName("bob"))
	carol = must(text.ParseName("carol"))
	dev   = must(text.ParseRoomName("dev"))
	noon  = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
)

func says(room chat.RoomName, from chat.Name, said string) *chat.Message {
	return &chat.Message{Room: room, From: from, Kind: chat.Say, Text: must(text.ParseText(said))}
}

func TestWhatIsWanted(t *testing.T) {
	filter := &chat.Filter{Highlight: text.NewWords([]string{"deploy"}), Hushed: map[chat.RoomName]bool{dev: true, text.Direct(ann, carol): true}}
	presence := says(chat.General, bob, "ann joined")
	presence.Kind = chat.PresenceChange
	deleted := says(chat.General, bob, "ann")
	deleted.Deleted = true
	for _, c := range []struct {
		what          string
		m             *chat.Message
		mention, all_ bool
	}{
		{"a message", says(chat.General, bob, "hello"), false, true},
		{"a name", says(chat.General, bob, "hello Ann"), true, true},
		{"a word", says(chat.General, bob, "deploy!"), true, true},
		{"one's own", says(chat.General, ann, "ann, deploy!"), false, false},
		{"a direct message", says(text.Direct(ann, bob), bob, "psst"), true, true},
		{"a hushed room", says(dev, bob, "ann, deploy!"), false, false},
		{"a hushed conversation", says(text.Direct(ann, carol), carol, "psst"), false, false},
		{"who joins", presence, false, false},
		{"a deleted message", deleted, false, true},
	} {
		if Wants(Off, c.m, ann, filter) || Wants(Mention, c.m, ann, filter) != c.mention || Wants(All, c.m, ann, filter) != c.all_ || Wants("", c.m, ann, filter) != c.mention {
			t.Errorf("%s: of mentions %v, of all %v", c.what, Wants(Mention, c.m, ann, filter), Wants(All, c.m, ann, filter))
		}
	}
	if Wants(Mention, says(chat.General, bob, "deploy!"), ann, nil) || !Wants(Mention, says(dev, bob, "ann"), ann, nil) {
		t.Error("without a filter")
	}
}

// A notification says who and where, and nothing of what was said.
func TestWhatANotificationSays(t *testing.T) {
	secret := "ann, the code is 4711"
	for _, c := range []struct {
		messages []*chat.Message
		want     string
	}{
		{[]*chat.Message{says(chat.General, bob, secret)}, "bob in #general"},
		{[]*chat.Message{says(chat.General, bob, secret), says(chat.General, bob, secret)}, "2 messages from bob in #general"},
		{[]*chat.Message{says(chat.General, bob, secret), says(chat.General, carol, secret), says(chat.General, bob, secret)}, "3 messages in #general"},
		{[]*chat.Message{says(text.Direct(ann, bob), bob, secret)}, "direct message from bob"},
		{[]*chat.Message{says(text.Direct(ann, bob), bob, secret), says(text.Direct(ann, bob), bob, secret)}, "2 direct messages from bob"},
		{[]*chat.Message{says(text.Direct(ann, bob), bob, secret), says(dev, bob, secret)}, "2 messages in @bob and #dev"},
		{[]*chat.Message{says(dev, bob, secret), says(text.Direct(ann, bob), bob, secret), says(chat.General, carol, secret), says(dev, carol, secret)}, "4 messages in #dev, @bob and #general"},
		{[]*chat.Message{says(dev, bob, secret), says(text.Direct(ann, bob), bob, secret), says(chat.General, carol, secret), says(text.Direct(ann, carol), carol, secret)}, "4 messages in 4 rooms"},
	} {
		n := New(ann)
		for _, m := range c.messages {
			n.Add(m, chat.RoomName{}, noon)
		}
		if said, wait := n.Take(noon); said != c.want || wait != 0 {
			t.Errorf("%q after %s, not %q", said, wait, c.want)
		}
	}
}

// TestAttackNotificationFlood: who writes much does not fill a desktop, nor put words on it.
func TestAttackNotificationFlood(t *testing.T) {
	row := attack.On(t, attack.Room, "flood a person's desktop with notifications, or put text on it")
	n, shown := New(ann), 0
	const messages = 1000
	for i := range messages {
		now := noon.Add(time.Duration(i) * 10 * time.Millisecond)
		n.Add(says(text.Direct(ann, bob), bob, "buy now"), chat.RoomName{}, now)
		said, _ := n.Take(now)
		if said != "" {
			shown++
		}
		if strings.Contains(said, "buy") {
			t.Errorf("a notification says %q", said)
		}
	}
	if shown != 4 {
		t.Errorf("%d notifications in 10 s", shown)
	}
	row.Tried("%d direct messages in 10 s", messages)
	row.Held("%d notifications, of names and numbers alone", shown)
	n, shown = New(ann), 0
	for i := range 10 {
		now := noon.Add(time.Duration(i) * Every)
		n.Add(says(text.Direct(ann, bob), bob, "hello"), chat.RoomName{}, now)
		if said, _ := n.Take(now); said == "direct message from bob" {
			shown++
		}
	}
	if shown != 10 {
		t.Errorf("%d of 10 are shown", shown)
	}
	row.Control("of %d messages %d s apart each has its notification", shown, Every/time.Second)
}

func TestNotificationsComeOneByOne(t *testing.T) {
	n := New(ann)
	takes := func(after time.Duration, want string, wantWait time.Duration) {
		t.Helper()
		if said, wait := n.Take(noon.Add(after)); said != want || wait != wantWait {
			t.Errorf("after %s: %q and wait %s, not %q and %s", after, said, wait, want, wantWait)
		}
	}
	takes(0, "", 0)
	n.Add(says(dev, bob, "1"), chat.General, noon)
	takes(0, "bob in #dev", 0)
	takes(time.Second, "", 0)
	for range 1000 {
		n.Add(says(dev, bob, "2"), chat.General, noon)
		takes(time.Second, "", 2*time.Second)
	}
	takes(3*time.Second, "1000 messages from bob in #dev", 0)
	takes(9*time.Second, "", 0)
	n.Add(says(dev, bob, "3"), chat.General, noon)
	takes(9*time.Second, "bob in #dev", 0)
}

// Somebody who is typing sees the room, and is not notified of it; of others they are.
func TestNobodyIsNotifiedOfWhatTheyWatch(t *testing.T) {
	n := New(ann)
	n.Typed(noon)
	n.Add(says(dev, bob, "1"), dev, noon.Add(Attentive-time.Second))
	if said, _ := n.Take(noon); said != "" {
		t.Errorf("notified: %q", said)
	}
	n.Add(says(chat.General, bob, "1"), dev, noon.Add(time.Second))
	n.Add(says(dev, bob, "1"), dev, noon.Add(Attentive))
	if said, _ := n.Take(noon); said != "2 messages in #general and #dev" {
		t.Errorf("notified: %q", said)
	}
}
