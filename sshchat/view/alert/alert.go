// Package alert decides which messages alert a person, by the terminal's bell or a notification on the desktop, and what a
// notification says: who wrote, and where, and never what. It reads no clock, and writes nothing.
package alert

import (
	"strconv"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
)

// When a person is alerted.
const (
	Off     = "off"
	Mention = "mention" // of direct messages, and of those that mention them
	All     = "all"     // of all messages
)

// Wants reports whether me, who is shown m, is alerted of it. filter may be nil.
func Wants(when string, m *chat.Message, me chat.Name, filter *chat.Filter) bool {
	switch {
	case when == Off || m.From == me || m.Kind != chat.Say && m.Kind != chat.Me || filter.Hushes(m.Room):
		return false
	case when == All:
		return true
	}
	return filter.Mentions(m, me)
}

const (
	// Every is the least time between two notifications of a session: what comes meanwhile is in the second.
	Every = 3 * time.Second
	// Attentive is for how long after a key nothing is notified of the room that is shown.
	Attentive = 30 * time.Second
)

// Notifier is what a session's person has not been notified of yet. It belongs to one goroutine.
type Notifier struct {
	me      chat.Name
	waiting []waiting // a room each, in the order in which they came
	next    time.Time // nothing is notified before
	typed   time.Time
}

// waiting is what there is to be notified of in a room.
type waiting struct {
	room chat.RoomName
	from chat.Name // zero for several people
	n    int
}

// New returns a Notifier for me.
func New(me chat.Name) *Notifier { return &Notifier{me: me} }

// Typed notes that the person has pressed a key.
func (n *Notifier) Typed(now time.Time) { n.typed = now }

// Add adds a message. shown is the room whose end is on the screen.
func (n *Notifier) Add(m *chat.Message, shown chat.RoomName, now time.Time) {
	if m.Room == shown && now.Sub(n.typed) < Attentive {
		return
	}
	for i := range n.waiting {
		if w := &n.waiting[i]; w.room == m.Room {
			w.n++
			if w.from != m.From {
				w.from = chat.Name{}
			}
			return
		}
	}
	n.waiting = append(n.waiting, waiting{m.Room, m.From, 1})
}

// Take returns what to notify the person of now; empty for nothing. If something waits for its time, wait is how long.
func (n *Notifier) Take(now time.Time) (said string, wait time.Duration) {
	if len(n.waiting) == 0 {
		return "", 0
	}
	if wait = n.next.Sub(now); wait > 0 {
		return "", wait
	}
	said = n.say()
	n.waiting, n.next = nil, now.Add(Every)
	return said, 0
}

// maxRooms is how many rooms a notification names.
const maxRooms = 3

func (n *Notifier) say() string {
	if len(n.waiting) == 1 {
		return n.waiting[0].say(n.me)
	}
	count := 0
	var names []string
	for _, w := range n.waiting {
		count += w.n
		names = append(names, w.room.For(n.me))
	}
	where := strconv.Itoa(len(names)) + " rooms"
	if len(names) <= maxRooms {
		where = text.List(names)
	}
	return text.Count(count, "message") + " in " + where
}

func (w *waiting) say(me chat.Name) string {
	switch {
	case w.room.IsDirect() && w.n == 1:
		return "direct message from " + w.from.String()
	case w.room.IsDirect():
		return text.Count(w.n, "direct message") + " from " + w.room.Other(me).String()
	case w.n == 1:
		return w.from.String() + " in " + w.room.For(me)
	case w.from.IsZero():
		return text.Count(w.n, "message") + " in " + w.room.For(me)
	}
	return text.Count(w.n, "message") + " from " + w.from.String() + " in " + w.room.For(me)
}
