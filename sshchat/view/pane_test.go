package view

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
)

// rosterOf is a roster of so many people who are online, away and offline. Every third is a moderator.
func rosterOf(online, away, offline int) *chat.Roster {
	is := &chat.Roster{Online: online, Away: away, Offline: offline}
	for i := range online + away + offline {
		name := fmt.Sprintf("user%d", i)
		if i%7 == 2 {
			name = fmt.Sprintf("somebody-with-a-long-name-%d", i)
		}
		is.People = append(is.People, chat.Presence{Name: mustName(name), Online: i < online+away, Away: i >= online && i < online+away, Moderates: i%3 == 0})
	}
	return is
}

// people are five who are in a room.
func people(t testing.TB) *chat.Roster {
	t.Helper()
	return &chat.Roster{Online: 3, Away: 1, Offline: 1, People: []chat.Presence{
		{Name: ann, Online: true, Moderates: true}, {Name: bob, Online: true}, {Name: mustName("somebody-with-a-long-name"), Online: true},
		{Name: mustName("carol"), Online: true, Away: true}, {Name: mustName("dave")},
	}}
}

// eveningWith is the evening in a room whose people are shown.
func (s *stage) eveningWith(people *chat.Roster) {
	s.evening()
	s.Full.Rooms([]Room{{Name: chat.General, Topic: "what we build", Here: 4, Members: 5, People: people}, {Name: dev, Unread: 3}, {Name: text.Direct(ann, bob), Unread: 1, Mentions: 1}})
	s.flush()
}

func TestPaneScreens(t *testing.T) {
	for _, c := range []struct {
		name          string
		width, height int
		term          string
		people        *chat.Roster
		then          func(s *stage)
	}{
		{"pane", 100, 30, "xterm-256color", people(t), func(s *stage) { s.types("a line that is being typed") }},
		{"pane-wide", 160, 20, "xterm-256color", rosterOf(9, 2, 4), func(*stage) {}},
		{"pane-crowd", 100, 12, "xterm-256color", rosterOf(20, 2, 400), func(*stage) {}},
		{"pane-offline", 100, 14, "xterm-256color", rosterOf(3, 0, 40), func(*stage) {}},
		{"pane-mono", 100, 20, "vt100", people(t), func(*stage) {}},
		{"pane-compact", 110, 16, "xterm-256color", people(t), func(s *stage) { s.Set(Preferences{Compact: true}); s.flush() }},
		{"pane-list", 100, 16, "xterm-256color", people(t), func(s *stage) { s.Show("/help", strings.Repeat("a line of help\n", 40)); s.flush() }},
		{"pane-box", 100, 16, "xterm-256color", people(t), func(s *stage) { s.types(strings.Repeat("a long line ", 30)) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStage(t, c.width, c.height, c.term)
			s.eveningWith(c.people)
			c.then(s)
			s.checkRedraw()
			s.narrow()
			s.golden(c.name)
		})
	}
}

// The pane is there from 100 columns on, and only in rooms; it follows who is in the room; and what comes goes out beside it.
func TestPane(t *testing.T) {
	s := newStage(t, 99, 20, "xterm-256color")
	s.eveningWith(people(t))
	check := func(wanted bool) {
		t.Helper()
		s.checkRedraw()
		if got := strings.Contains(s.text(), "│ @ann") || strings.Contains(s.text(), "│ +4 online"); got != wanted {
			t.Errorf("with %d columns the pane is there: %v\n%s", s.cols, got, s.text())
		}
	}
	check(false)
	for _, size := range []struct {
		width, height int
		pane          bool
	}{{100, 20, true}, {101, 30, true}, {160, 45, true}, {99, 45, false}, {100, 5, true}, {20, 5, false}, {100, 3, true}, {100, 1, false}, {160, 30, true}} {
		s.resize(size.width, size.height)
		s.flush()
		check(size.pane)
	}
	s.says(said(chat.General, bob, "beside the pane"))
	s.flush()
	check(true)
	s.shows("beside the pane")
	if strings.Contains(s.wrote, "waves") || strings.Contains(s.wrote, "\x1b[2J") {
		t.Errorf("the messages were written again: %q", s.wrote)
	}
	is := people(t)
	is.People = append(slices.Clone(is.People), chat.Presence{Name: mustName("erin")})
	is.Offline++
	s.Full.Rooms([]Room{{Name: chat.General, Topic: "what we build", Here: 4, Members: 6, People: is}, {Name: dev}, {Name: text.Direct(ann, bob), People: is}})
	if !s.Pending() {
		t.Error("somebody came, and nothing is drawn")
	}
	s.flush()
	s.shows("erin")
	if strings.Contains(s.wrote, "@ann") {
		t.Errorf("what has not changed is written again: %q", s.wrote)
	}
	check(true)
	s.Full.Enter(text.Direct(ann, bob))
	s.flush()
	check(false)
	s.Full.Enter(chat.General)
	s.flush()
	check(true)
	s.Full.Rooms([]Room{{Name: chat.General}})
	s.flush()
	check(false)
}

// The last row of a pane counts who is not in it, and says of people who are online that they are.
func TestPaneCountsTheRest(t *testing.T) {
	p := newRenderer(&Options{Me: ann, Term: "vt100"}, Preferences{})
	for _, c := range []struct {
		online, away, offline, height int
		last                          string
	}{
		{3, 0, 0, 3, " user1"}, {3, 0, 0, 2, "+2 online"}, {3, 0, 0, 1, "+3 online"}, {3, 2, 1, 5, "+2 online"}, {3, 2, 1, 8, " user5"}, {3, 2, 1, 7, "+1 offline"},
		{0, 0, 2, 2, "+2 offline"}, {1, 0, 500, 5, "+498 offline"}, {250, 1, 1, 220, "+51 online"}, {1, 1, 0, 3, " user1"}, {0, 0, 0, 5, ""}, {5, 0, 0, 0, ""},
	} {
		is := rosterOf(c.online, c.away, c.offline)
		is.People = is.People[:min(200, len(is.People))]
		rows := p.roster(is, 12, c.height)
		last := ""
		if len(rows) > 0 {
			last, _, _ = strip(rows[len(rows)-1])
		}
		if len(rows) > c.height || last != c.last && !(strings.HasPrefix(c.last, " user") && (last[0] == '@' || last[0] == ' ')) {
			t.Errorf("%d, %d and %d people in %d rows: %d rows, of which the last is %q, not %q", c.online, c.away, c.offline, c.height, len(rows), last, c.last)
		}
	}
}

// A delivery beside a pane makes no garbage either.
func TestDeliverBesidePane(t *testing.T) {
	if race {
		t.Skip("pools lose things at random under the race detector")
	}
	w := newTownOf(KindFull, 2, 1, 1, 120, 30, rosterOf(20, 3, 40))
	var spans []chat.Span
	for range 300 {
		s := w.says()
		w.sessions[0].Deliver([]chat.Span{s})
		w.sessions[0].Flush()
		w.sessions[0].Done()
		spans = append(spans, s)
	}
	at := w.sessions[1]
	if n := testing.AllocsPerRun(200, func() {
		at.Deliver(spans[:1])
		spans = spans[1:]
		at.Flush()
		at.Done()
	}); n > 0 {
		t.Errorf("%v allocations for each message", n)
	}
}

// BenchmarkPane is a delivery to a session of 120 columns without a pane, and beside one of few people and of many.
func BenchmarkPane(b *testing.B) {
	for _, c := range []struct {
		name   string
		people *chat.Roster
	}{{"none", nil}, {"few", rosterOf(5, 0, 0)}, {"crowd", rosterOf(200, 0, 0)}} {
		b.Run(c.name, func(b *testing.B) {
			w := newTownOf(KindFull, 100, 1, 1, 120, 30, c.people)
			written, deliveries := 0, 0
			b.ReportAllocs()
			for deliveries < b.N {
				spans := []chat.Span{w.says()}
				for _, s := range w.sessions {
					s.Deliver(spans)
					written += len(s.Flush())
					s.Done()
					deliveries++
				}
			}
			b.ReportMetric(float64(written)/float64(deliveries), "written/op")
		})
	}
}
