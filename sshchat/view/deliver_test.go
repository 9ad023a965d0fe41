package view

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
	"sshchat/sshchat/text/texttest"
	"sshchat/sshchat/view/output"
)

// A message that comes to a session at rest makes no garbage, if another session has shown it before. The control is a
// screen with a private note each time, which makes it redraw.
func TestDeliverMakesNoGarbage(t *testing.T) {
	if race {
		t.Skip("pools lose things at random under the race detector")
	}
	filter := &chat.Filter{Ignore: map[chat.Name]bool{ann: true}, Focus: map[chat.Name]bool{bob: true}, Quiet: true}
	for _, kind := range []Kind{KindFull, KindPlain, KindPipe} {
		for name, c := range map[string]struct {
			rooms  int
			filter *chat.Filter
		}{"one room": {1, nil}, "a filter": {1, filter}, "of three rooms": {3, nil}} {
			t.Run(fmt.Sprint(kind, " ", name), func(t *testing.T) {
				w := newTown(kind, 2*c.rooms, c.rooms, c.rooms)
				first, at := w.sessions[0], w.sessions[c.rooms] // both see room 0
				var spans []chat.Span
				for range 300 {
					s := w.says()
					s.Filter, s.Me = c.filter, mustName("user0")
					first.Deliver([]chat.Span{s})
					first.Flush()
					first.Done()
					spans = append(spans, s)
				}
				written := 0
				deliver := func() {
					at.Deliver(spans[:1])
					spans = spans[1:]
					written += len(at.Flush())
					at.Done()
				}
				if n := testing.AllocsPerRun(200, deliver); n > 0 {
					t.Errorf("%v allocations for each message", n)
				}
				if written < 50*len("hello everybody") {
					t.Errorf("%d bytes were written", written)
				}
				control := testing.AllocsPerRun(50, func() {
					at.Fail("no")
					deliver()
				})
				if control == 0 && kind == KindFull {
					t.Error("control: a frame drawn anew makes no garbage")
				}
			})
		}
	}
}

// What a session has shown is not what another is shown of a message that was edited or deleted since, nor of one that is of
// another room or another person to it.
func TestEncodedIsSharedWithCare(t *testing.T) {
	direct := text.Direct(ann, bob)
	m := said(chat.General, bob, "the first words, of ann")
	m.DisplaySeq, m.Seq = 7, 1
	edited, deleted, elsewhere, private := m, m, m, m
	edited.Text, edited.Edited = said(chat.General, bob, "other words").Text, true
	deleted.Text, deleted.Deleted = chat.Text{}, true
	elsewhere.Room, elsewhere.DisplaySeq = dev, 8
	private.Room, private.DisplaySeq = direct, 9
	for _, kind := range []Kind{KindFull, KindPlain, KindPipe} {
		lines := &Lines{}
		shows := func(me chat.Name, room chat.RoomName, width int, preferences Preferences, m chat.Message) string {
			t.Helper()
			var past []chat.Message
			for i := range 99 {
				p := said(room, bob, fmt.Sprint("before ", i))
				p.At = m.At
				past = append(past, p)
			}
			ui := New(kind, Options{Me: me, Width: width, Height: 12, Term: "xterm", Preferences: preferences, Lines: lines, Past: pastOf(func(_ chat.RoomName, _ uint64, n int) []chat.Message {
				return past[len(past)-min(n, len(past)):]
			})})
			ui.Enter(room)
			ui.Flush()
			past = append(past, m)
			ui.Deliver([]chat.Span{{Room: m.Room, Entries: []chat.Message{m}}})
			return string(ui.Flush())
		}
		first := shows(carol, chat.General, 80, Preferences{}, m)
		if again := shows(carol, chat.General, 80, Preferences{}, m); again != first || !strings.Contains(first, "the first words") {
			t.Errorf("%s: another is shown %q, the first %q", kind, again, first)
		}
		for name, c := range map[string]struct{ got, has, not string }{
			"edited":    {shows(carol, chat.General, 80, Preferences{}, edited), "other words", "first words"},
			"deleted":   {shows(carol, chat.General, 80, Preferences{}, deleted), "", "first words"},
			"narrow":    {shows(carol, chat.General, 20, Preferences{}, m), "the", ""},
			"named":     {shows(ann, chat.General, 80, Preferences{}, m), "words", ""},
			"clockless": {shows(carol, chat.General, 80, Preferences{Clock: "off"}, m), "words", "12:34"},
			"of ann":    {shows(ann, chat.General, 80, Preferences{}, private), "", "@ann"},
			"of bob":    {shows(bob, chat.General, 80, Preferences{}, private), "", "@bob"},
		} {
			if !strings.Contains(c.got, c.has) || c.not != "" && strings.Contains(c.got, c.not) {
				t.Errorf("%s: %s is shown %q", kind, name, c.got)
			}
			same := kind == KindPipe && (name == "narrow" || name == "named" || name == "clockless")
			if (c.got == first) != same {
				t.Errorf("%s: %s is shown what the first is, %v: %q", kind, name, !same, c.got)
			}
		}
		if got := shows(carol, chat.General, 80, Preferences{}, elsewhere); kind != KindFull && !strings.Contains(got, "#dev ") {
			t.Errorf("%s: of another room %q", kind, got)
		}
	}
}

// What is lent is not written over before it is given back, whatever other sessions do meanwhile.
func TestWhatIsLentIsLeftAlone(t *testing.T) {
	w := newTown(KindPlain, 2, 1, 1)
	one, two := w.sessions[0], w.sessions[1]
	one.Done()
	deliver := func(s townsman) []byte {
		s.Deliver([]chat.Span{w.says()})
		return s.Flush()
	}
	lent := deliver(one)
	was := string(lent)
	for range 100 {
		deliver(two)
		two.Done()
		one.Deliver([]chat.Span{w.says()}) // one has not given back: it takes another
	}
	if string(lent) != was {
		t.Errorf("%q was written over: %q", was, lent)
	}
	one.Flush()
	one.Done()
	one.Done()
	if a, b := deliver(one), deliver(two); string(a) == string(b) && &a[0] == &b[0] {
		t.Error("a buffer that was given back twice is lent twice")
	}
}

// Lines that sessions share are those that each would write by itself, in the order in which they were said.
func TestSharedLinesAreOnesOwn(t *testing.T) {
	rooms := []chat.RoomName{chat.General, dev, text.Direct(ann, bob), text.Direct(bob, bob)}
	rapid.Check(t, func(r *rapid.T) {
		draw := func(n int, label string) int { return rapid.IntRange(0, n-1).Draw(r, label) }
		lines := &Lines{}
		kind := []Kind{KindPlain, KindPipe}[draw(2, "kind")]
		type pair struct{ shared, own UI }
		var pairs []pair
		for range 4 {
			o := Options{
				Me: []chat.Name{ann, bob, carol}[draw(3, "me")], Width: []int{20, 80}[draw(2, "width")], Height: 24,
				Preferences: Preferences{Clock: []string{"", "off", "15:04:05"}[draw(3, "clock")], Zone: []*time.Location{nil, time.FixedZone("there", 3600)}[draw(2, "zone")]},
			}
			room := rooms[draw(3, "room")]
			own := New(kind, o)
			o.Lines = lines
			shared := New(kind, o)
			shared.Enter(room)
			own.Enter(room)
			pairs = append(pairs, pair{shared, own})
		}
		order := uint64(0)
		for range 5 {
			var all []chat.Message
			spans := make([]chat.Span, len(rooms))
			for range draw(6, "messages") {
				at := draw(len(rooms), "in")
				m := happened(rooms[at], []chat.Kind{chat.Say, chat.Me, chat.Edit, chat.Notice, chat.PresenceChange}[draw(5, "kind")], []chat.Name{ann, bob}[draw(2, "from")], texttest.Scripts[draw(len(texttest.Scripts), "text")]+[]string{"", " ann", "\nbob"}[draw(3, "end")])
				order++
				m.DisplaySeq, m.Edited = order, draw(9, "edited") == 0
				all = append(all, m)
				spans[at].Room, spans[at].Entries = m.Room, append(spans[at].Entries, m)
			}
			for i, p := range pairs {
				p.shared.Deliver(spans)
				p.own.Deliver(spansOf(all...)) // which are in order
				got, want := string(p.shared.Flush()), string(p.own.Flush())
				if got != want {
					t.Fatalf("%s %d writes %q, by itself %q", kind, i, got, want)
				}
				p.shared.Done()
				p.own.Done()
			}
		}
	})
}

// Messages that have one place take it from each other, and are never taken for each other. What is too long takes none.
func TestPlacesOfEncoded(t *testing.T) {
	var s encodedMessages
	one := encoded{encodedKey: encodedKey{order: 1, width: 80}}
	two := one
	for two.width++; two.slot(0) != one.slot(0); two.width++ {
	}
	s.keep(&one, 0)
	if s.find(&one.encodedKey, 0) != &one || s.find(&two.encodedKey, 0) != nil {
		t.Error("one is not found, or taken for two")
	}
	s.keep(&two, 0)
	if s.find(&one.encodedKey, 0) != nil || s.find(&two.encodedKey, 0) != &two {
		t.Error("two is not found, or taken for one")
	}
	long := one
	long.bytes = encode(strings.Repeat("x", maxEncoded+1))
	if s.keep(&long, 0); s.find(&long.encodedKey, 0) != nil {
		t.Error("what is too long is kept")
	}
	places := make(map[int]bool)
	for i := range uint64(200) { // as of a busy room
		places[(&encodedKey{order: 1000 + i, width: 80}).slot(77)] = true
	}
	if len(places) < 195 {
		t.Errorf("200 messages that follow each other have %d places", len(places))
	}
}

// Sessions that share lines may be served by any number of goroutines, and each is shown what one alone is.
func TestLinesFromManySessions(t *testing.T) {
	for _, kind := range []Kind{KindFull, KindPlain, KindPipe} {
		w := newTown(kind, 9, 1, 1)
		var spans []chat.Span
		for range 100 {
			spans = append(spans, w.says())
		}
		wrote := make([]strings.Builder, len(w.sessions))
		serve := func(i int) {
			for _, span := range spans {
				w.sessions[i].Deliver([]chat.Span{span})
				wrote[i].Write(w.sessions[i].Flush())
				w.sessions[i].Done()
			}
		}
		var wg sync.WaitGroup
		for i := range w.sessions[1:] {
			wg.Go(func() { serve(i + 1) })
		}
		wg.Wait()
		serve(0)
		for i := range wrote {
			if wrote[i].String() != wrote[0].String() || wrote[i].Len() < 100*len("hello everybody") {
				t.Errorf("%s: session %d is shown %d bytes, not what one alone is", kind, i, wrote[i].Len())
			}
		}
	}
}

// What is deleted goes from the screen, also if the person ignores who has deleted it.
func TestDeletedByWhoIsIgnored(t *testing.T) {
	h := newHouse(t, 60, 16, "xterm")
	h.happens(said(chat.General, carol, "a secret"))
	h.deliver()
	h.draw()
	h.shows("a secret")
	h.filter = &chat.Filter{Ignore: map[chat.Name]bool{bob: true}}
	h.Set(Preferences{})
	h.draw()
	h.happens(chat.Message{Room: chat.General, Kind: chat.Delete, From: bob, Of: 1})
	h.deliver()
	h.draw()
	h.hides("a secret")
	h.shows("carol │ (deleted)")
}

func encode(s string) output.Encoded {
	var w output.Buffer
	w.Text([]byte(s))
	return w.Encode()
}
