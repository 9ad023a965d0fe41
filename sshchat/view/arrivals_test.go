package view

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
	"sshchat/sshchat/text/texttest"
	"sshchat/sshchat/view/theme"
)

// house is rooms with their logs as a server has them, and a reader of each: what was said is in a room's past before it
// is delivered, and what it became replaces it there while the reader has the array from before.
type house struct {
	*stage
	rooms  []Room
	read   map[chat.RoomName]uint64 // the order of what was delivered last
	filter *chat.Filter
	now    time.Time
	short  int // flushes that were no frames

	quick *Full // another session of the same person, which is delivered everything at once
}

var carol = mustName("carol")

func newHouse(t testing.TB, width, height int, term string) *house {
	h := &house{stage: newStage(t, width, height, term), read: make(map[chat.RoomName]uint64), now: noon}
	h.rooms = []Room{{Name: chat.General, Topic: "topic"}, {Name: dev, Unread: 1, Mark: 1}, {Name: text.Direct(ann, bob)}}
	h.o.Past = pastOf(h.shown)
	h.Full = NewFull(h.o)
	h.enter(h.rooms...)
	h.quick = NewFull(h.o)
	h.quick.Enter(chat.General)
	return h
}

// shown is Options.Past: of the rooms' logs what the person wants to see.
func (h *house) shown(room chat.RoomName, before uint64, n int) []chat.Message {
	var ms []chat.Message
	for _, m := range h.before(room, before, len(h.past[room])) {
		if h.filter == nil || h.filter.Shows(&m, ann) {
			ms = append(ms, m)
		}
	}
	return ms[max(0, len(ms)-n):]
}

// happens appends to a room's log. An edit or a deletion is of the message seq, and changes it in a copy of the log.
func (h *house) happens(m chat.Message) {
	log := h.past[m.Room]
	h.order++
	m.DisplaySeq, m.At = h.order, h.now
	if m.Kind.Stored() {
		m.Seq = 1 + uint64(len(slices.DeleteFunc(slices.Clone(log), func(m chat.Message) bool { return m.Seq == 0 })))
	}
	if m.Of > 0 {
		log = slices.Clone(log)
		for i := range log {
			switch e := &log[i]; {
			case e.Seq != m.Of:
			case m.Kind == chat.Delete:
				e.Text, e.Deleted = chat.Text{}, true
			case !e.Deleted:
				e.Text, e.Edited = m.Text, true
			}
		}
	}
	h.past[m.Room] = append(log, m)
	h.quick.Flush()
	h.quick.Deliver([]chat.Span{{Room: m.Room, Entries: []chat.Message{m}}})
}

// next is what a reader pulls of a room: up to n entries, after a gap of so many that it was too late for.
func (h *house) next(room chat.RoomName, n, late int) chat.Span {
	log := h.past[room]
	i, found := find(log, h.read[room])
	if found {
		i++
	}
	s := chat.Span{Room: room, Filter: h.filter, Me: ann}
	if late = min(late, len(log)-i); late > 0 {
		s.Gap = chat.Gap{From: 1, To: uint64(late)}
	}
	s.Entries = log[i+late : min(i+late+n, len(log))]
	if end := i + late + len(s.Entries); end > 0 {
		h.read[room] = log[end-1].DisplaySeq
	}
	return s
}

// deliver takes what there is from all rooms.
func (h *house) deliver() {
	var spans []chat.Span
	for _, r := range h.rooms {
		spans = append(spans, h.next(r.Name, len(h.past[r.Name]), 0))
	}
	h.Deliver(spans)
}

// draw flushes.
func (h *house) draw() {
	h.t.Helper()
	if h.added != nil && !h.stale {
		h.short++
	}
	h.flush()
	h.Done()
}

// arrivalsProperty: whatever comes, in whatever order and portions, what a screen shows when everything is delivered is what would be
// redrawn.
func arrivalsProperty(t testing.TB, r *rapid.T) (short int) {
	draw := func(n int, label string) int { return rapid.IntRange(0, n-1).Draw(r, label) }
	people := []chat.Name{bob, bob, carol, ann}
	h := newHouse(t, 12+draw(140, "width"), 5+draw(25, "height"), []string{"xterm-256color", "linux", "vt100"}[draw(3, "term")])
	defer h.release()
	says := func() {
		room := h.rooms[draw(4, "room")%3].Name
		m := happened(room, chat.Say, people[draw(4, "who")], texttest.Scripts[draw(len(texttest.Scripts), "text")]+strings.Repeat(" word", draw(20, "words"))+[]string{"", "", " ann", "\nanother line"}[draw(4, "end")])
		switch draw(12, "kind") {
		case 0:
			m.Kind = chat.Me
		case 1:
			m.Kind, m.From = chat.PresenceChange, chat.Name{}
		case 2:
			m.Kind, m.Of = chat.Edit, 1+uint64(draw(len(h.past[room])+1, "of"))
		case 3:
			m.Kind, m.Of, m.Text = chat.Delete, 1+uint64(draw(len(h.past[room])+1, "of")), chat.Text{}
		case 4:
			h.now = h.now.Add([]time.Duration{time.Hour, 11 * time.Hour, -2 * time.Hour, 20 * time.Second, time.Minute}[draw(5, "later")])
		}
		h.happens(m)
	}
	for range []int{0, 3, 10, 30}[draw(4, "before")] {
		says()
	}
	h.deliver()
	h.draw()
	for range rapid.IntRange(1, 40).Draw(r, "steps") {
		switch draw(17, "what") {
		case 0, 1, 2, 3, 4, 5, 6:
			for range []int{1, 1, 2, 3, 5, 30}[draw(6, "messages")] {
				says()
			}
			h.deliver()
		case 7: // the past runs ahead
			for range 1 + draw(3, "messages") {
				says()
			}
		case 8:
			h.Deliver([]chat.Span{h.next(h.rooms[draw(3, "room")].Name, 1+draw(3, "some"), 0)})
		case 9:
			h.Deliver([]chat.Span{h.next(h.rooms[draw(3, "room")].Name, 2, draw(3, "late"))})
		case 10:
			h.Deliver([]chat.Span{{Entries: []chat.Message{happened(chat.RoomName{}, chat.Notice, chat.Name{}, "told alone"), {Room: dev, Kind: chat.Joined}}[:1+draw(2, "told")]}})
		case 11:
			[]func(){
				func() { h.Fail("no") }, func() { h.Print("an answer") }, func() { h.Show("list", "a\nb\nc") }, func() { h.Clear() },
				func() { h.Ask("Sure? ", true) },
			}[draw(5, "call")]()
		case 12:
			h.resize(12+draw(140, "width"), 4+draw(26, "height"))
			h.quick.Resize(h.cols, h.Full.rows)
		case 13, 16:
			if draw(3, "enter") == 0 {
				h.Full.Enter(h.rooms[draw(3, "room")].Name)
			}
			r := &h.rooms[draw(3, "room")]
			switch draw(6, "change") {
			case 4:
				r.People = nil
			case 5:
				r.People = rosterOf(draw(9, "online"), draw(3, "away"), draw(30, "offline"))
			case 0:
				r.Unread++
			case 1:
				r.Unread, r.Mentions, r.Mark = r.Unread+1, r.Mentions+1, r.Mark+1
			case 2:
				r.Topic += "!"
			case 3:
				r.Sealed, r.Unread, r.Mentions = r.Sealed^1, 0, 0
			}
			h.Full.Rooms(h.rooms[:len(h.rooms)-draw(2, "left")])
		case 14:
			h.filter = []*chat.Filter{nil, {Ignore: map[chat.Name]bool{bob: true}}, {Quiet: true}, {Focus: map[chat.Name]bool{carol: true}}}[draw(4, "filter")]
			h.Set(Preferences{Theme: theme.Names()[draw(3, "theme")], Bell: "all", Compact: draw(2, "compact") == 0})
		case 15:
			h.Input([]byte([]string{"x", "\x1b[5~", "\x1b[6~", "\x1b", "\r", "\x7f", "q"}[draw(7, "key")]))
			h.Expire()
		}
		if draw(4, "flush") == 0 {
			continue // several things in one frame
		}
		h.draw()
		h.deliver()
		h.draw()
		h.checkRedraw()
	}
	return h.short
}

// TestFirstMessageBelowANote: the first message of a room stands below its day, also if it had a note before, and
// another room has shown that day.
func TestFirstMessageBelowANote(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 60, 12, "xterm-256color")
	h.happens(happened(chat.General, chat.Say, bob, "hello"))
	h.deliver()
	h.draw()
	h.Full.Enter(dev)
	h.Print("told alone")
	h.draw()
	h.happens(happened(dev, chat.Say, bob, "first"))
	h.deliver()
	h.draw()
	h.checkRedraw()
}

// shrinking is a test whose failures are rapid's, which looks for a shorter way to them.
type shrinking struct {
	testing.TB
	r *rapid.T
}

func (s shrinking) Errorf(format string, args ...any) { s.r.Errorf(format, args...) }
func (s shrinking) Fatalf(format string, args ...any) { s.r.Fatalf(format, args...) }

func TestArrivals(t *testing.T) {
	noRaces(t)
	t.Parallel()
	short := 0
	rapid.Check(t, func(r *rapid.T) { short += arrivalsProperty(shrinking{t, r}, r) })
	if short < 50 {
		t.Errorf("control: %d times messages were added to what was shown", short)
	}
}

func FuzzArrivals(f *testing.F) {
	f.Fuzz(func(t *testing.T, steps []byte) {
		rapid.MakeFuzz(func(r *rapid.T) { arrivalsProperty(shrinking{t, r}, r) })(t, steps)
	})
}
