package view

import (
	"fmt"
	"strconv"
	"testing"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
)

// town is rooms that are said something in, in turn, and sessions of people who are in some of them.
type town struct {
	people   *chat.Roster // of each room; nil if it is not shown
	rooms    []chat.RoomName
	logs     map[chat.RoomName][]chat.Message
	lines    *Lines
	order    uint64
	sessions []townsman
}

type townsman struct {
	UI
	rooms []Room
}

// newTown has n sessions of a kind; each is in some of the rooms, and has the first of its own in sight.
func newTown(kind Kind, n, rooms, each int) *town {
	return newTownOf(kind, n, rooms, each, 80, 24, nil)
}

// newTownOf is newTown with terminals of that size, on which those people are in each room.
func newTownOf(kind Kind, n, rooms, each, width, height int, people *chat.Roster) *town {
	w := &town{people: people, logs: make(map[chat.RoomName][]chat.Message), lines: &Lines{}}
	for i := range rooms {
		name, _ := text.ParseRoomName("room" + strconv.Itoa(i))
		w.rooms = append(w.rooms, name)
	}
	for range 100 * rooms {
		w.says()
	}
	for i := range n {
		ui := New(kind, Options{
			Me: mustName("user" + strconv.Itoa(i)), Width: width, Height: height, Term: "xterm-256color", Server: "chat.example", Lines: w.lines, Past: pastOf(w.before),
		})
		s := townsman{UI: ui}
		for j := range each {
			s.rooms = append(s.rooms, Room{Name: w.rooms[(i+j)%rooms], Topic: "what we build", Here: 3, Members: 9, People: people})
		}
		ui.Enter(s.rooms[0].Name)
		ui.Rooms(s.rooms)
		ui.Flush()
		ui.Done()
		w.sessions = append(w.sessions, s)
	}
	return w
}

func (w *town) before(room chat.RoomName, before uint64, n int) []chat.Message {
	return lastBefore(w.logs[room], before, n)
}

// says has the next message be said in the next room, and returns it as a reader pulls it.
func (w *town) says() chat.Span {
	room := w.rooms[int(w.order)%len(w.rooms)]
	w.order++
	m := said(room, bob, "hello everybody, this is what people say all day: "+strconv.Itoa(int(w.order)))
	m.DisplaySeq, m.Seq = w.order, w.order
	log := append(w.logs[room], m)
	if len(log) > chat.LogLines {
		log = append([]chat.Message(nil), log[chat.LogLines/2:]...)
	}
	w.logs[room] = log
	return chat.Span{Room: room, Entries: log[len(log)-1:]}
}

// BenchmarkDeliver is one message delivered to one of a hundred sessions that share what is made of it, and flushed.
func BenchmarkDeliver(b *testing.B) {
	for _, kind := range []Kind{KindFull, KindPlain, KindPipe} {
		for _, c := range []struct {
			name        string
			rooms, each int
			filter      *chat.Filter
			batch       int
		}{
			{"one room", 1, 1, nil, 1},
			{"filtered", 1, 1, &chat.Filter{Ignore: map[chat.Name]bool{ann: true}, Quiet: true}, 1},
			{"rooms", 10, 3, nil, 1},
			{"flood", 1, 1, nil, 64},
		} {
			b.Run(fmt.Sprint(kind, "/", c.name), func(b *testing.B) {
				w := newTown(kind, 100, c.rooms, c.each)
				written := 0
				deliveries := 0
				spans := make([]chat.Span, 1)
				b.ReportAllocs()
				b.ResetTimer()
				start := processorTime(b)
				for deliveries < b.N {
					var span chat.Span
					for range c.batch {
						span = w.says()
					}
					if log := w.logs[span.Room]; c.batch > 1 && len(log) > c.batch {
						span.Entries = log[len(log)-c.batch:]
					}
					span.Filter = c.filter
					for i := range w.sessions {
						s := &w.sessions[i]
						at := -1
						for j := range s.rooms {
							if s.rooms[j].Name == span.Room {
								at = j
							}
						}
						if at < 0 {
							continue
						}
						deliveries += len(span.Entries)
						spans[0] = span
						s.Deliver(spans)
						if kind == KindFull && at > 0 {
							s.rooms[at].Unread++
							s.UI.Rooms(s.rooms)
						}
						if s.Pending() {
							written += len(s.Flush())
							s.Done()
						}
					}
				}
				b.ReportMetric(float64(written)/float64(deliveries), "written/op")
				b.ReportMetric(float64(processorTime(b)-start)/float64(deliveries), "cpu-ns/op")
			})
		}
	}
}
