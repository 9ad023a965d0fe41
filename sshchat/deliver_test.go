package sshchat

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/chat/journaltest"
	"sshchat/sshchat/command"
	"sshchat/sshchat/fence"
	"sshchat/sshchat/text"
	"sshchat/sshchat/view"
	"sshchat/sshchat/wake"
)

// noHistory has nothing that could be opened.
type noHistory struct{ command.History }

func (noHistory) Above(string, chat.RoomName, int) int { return 0 }

// busyRoom is a hub that runs, with alice and bob in #general.
func busyRoom(tb testing.TB) (h *chat.Hub, say func()) {
	tb.Helper()
	return busyRoomAfter(tb, 0)
}

// busyRoomAfter is the same after so many messages that are not in memory.
func busyRoomAfter(tb testing.TB, last uint64) (h *chat.Hub, say func()) {
	tb.Helper()
	alice, bob := testName(tb, "alice"), testName(tb, "bob")
	accounts := []chat.Account{{ID: "a", Name: alice, Role: chat.User, Generation: "g"}, {ID: "b", Name: bob, Role: chat.User, Keys: []chat.Key{{Fingerprint: "SHA256:b"}}}}
	members := []chat.Member{{Name: alice, Since: 1}, {Name: bob, Since: 1}}
	state := chat.NewState(chat.Parts{Accounts: accounts, Rooms: []chat.RoomState{{Name: chat.General, Members: members, Last: last}}})
	node, state, applied := journaltest.NewMemory(state).Join()
	h = chat.NewHub(chat.Config{Last: map[chat.RoomName]uint64{chat.General: last}, Journal: node, State: state, Applied: applied, Clock: journaltest.Now, Log: slog.New(slog.DiscardHandler)})
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- h.Run(ctx) }()
	tb.Cleanup(func() { stop(); <-ended })
	words, err := text.ParseText("a line as people write them, of some eighty bytes or so, all of it about nothing")
	if err != nil {
		tb.Fatal(err)
	}
	who := chat.Caller{Login: chat.Login{Account: "b", Key: "SHA256:b"}, Name: bob}
	return h, func() {
		if _, err := h.Post(ctx, who, chat.General, chat.Say, words); err != nil {
			tb.Fatal(err)
		}
	}
}

// shows is a server of that hub.
func shows(h *chat.Hub) *Server {
	s, _ := bareServer()
	s.lines = new(view.Lines)
	s.services = &command.Services{Hub: h, History: noHistory{}}
	return s
}

// display is one of alice, with that UI, to a client that takes everything.
func (s *Server) display(tb testing.TB, kind view.Kind) *display {
	tb.Helper()
	h := s.services.Hub
	g := newFilter(&conn{Conn: discard{}, server: s}, newChannel(&conn{Conn: discard{}, server: s}, 1<<60))
	g.pty, g.width, g.height, g.term, g.waker = kind != view.KindPipe, 80, 24, "xterm", wake.New()
	who := &caller{server: s, conn: g.conn, name: testName(tb, "alice")}
	v := &display{who: who, channel: g, began: time.Now(), frame: newTimer(g.waker, frameDue), marks: marksTimer{timer: newTimer(g.waker, marksDue)}}
	v.ui = view.New(kind, v.options())
	v.reader = h.Reader(who.name, v.readerStart())
	v.inbox = chat.NewInbox(who.name, h)
	v.SetRoom(chat.General)
	tb.Cleanup(v.reader.Close)
	return v
}

// draws has the display show what has come.
func (v *display) draws(tb testing.TB) {
	tb.Helper()
	if err := v.draw(); err != nil {
		tb.Fatal(err)
	}
}

// TestADeliveryAllocatesNothing: what is said is laid out once for all sessions that show it alike, and costs each of them its
// write, and no garbage.
func TestADeliveryAllocatesNothing(t *testing.T) {
	if underRace {
		t.Skip("the race detector has pools forget")
	}
	for _, c := range []struct {
		name  string
		kind  view.Kind
		alert bool // there are words, hushed rooms and notifications
	}{{"full", view.KindFull, false}, {"plain", view.KindPlain, false}, {"pipe", view.KindPipe, false}, {"full, alerted", view.KindFull, true}, {"plain, alerted", view.KindPlain, true}} {
		t.Run(c.name, func(t *testing.T) {
			h, say := busyRoom(t)
			s := shows(h)
			first, v := s.display(t, c.kind), s.display(t, c.kind)
			if c.alert {
				for _, v := range []*display{first, v} {
					v.filter = chat.Filter{Highlight: text.NewWords([]string{"deploy", "writers"}), Hushed: map[chat.RoomName]bool{text.Direct(testName(t, "alice"), testName(t, "bob")): true}}
					v.reader.Filter(&v.filter)
					v.inbox.Filter(v.filter)
					v.channel.term, v.settings.Notify = "xterm-kitty", "mention"
					if v.notices = v.notices.set(v); v.notices == nil {
						t.Fatal("nothing is notified")
					}
				}
			}
			delivered := s.stats.Deliveries.Load
			for range 2 * chat.IdleLog { // the screen is full, pools and caches are
				say()
				first.draws(t)
				v.draws(t)
			}
			const runs = 500
			alone := testing.AllocsPerRun(runs, func() { say(); first.draws(t) })
			v.draws(t)
			before := delivered()
			both := testing.AllocsPerRun(runs, func() { say(); first.draws(t); v.draws(t) })
			if n := delivered() - before; n < 2*runs {
				t.Errorf("%d of %d are delivered", n, 2*runs)
			}
			if both > alone {
				t.Errorf("a message to two takes %v allocations, and %v to one", both, alone)
			}
		})
	}
}

// Messages that come to a program together are followed by more: those are gathered. One by one they are not held back, and
// neither is a reader that is behind.
func TestAProgramGetsManyTogether(t *testing.T) {
	t.Parallel()
	h, say := busyRoom(t)
	s := shows(h)
	v := s.display(t, view.KindPipe)
	for _, c := range []struct {
		messages int
		rests    bool
	}{{1, false}, {2, true}, {deliverBatch - 1, true}, {deliverBatch, false}, {1, false}} {
		for range c.messages {
			say()
		}
		v.draws(t)
		if rests := !v.next.IsZero(); rests != c.rests {
			t.Errorf("after %d messages it waits for more: %v, want %v", c.messages, rests, c.rests)
		}
	}
}

func BenchmarkDeliver(b *testing.B) {
	for _, kind := range []view.Kind{view.KindFull, view.KindPlain, view.KindPipe} {
		b.Run(string(kind), func(b *testing.B) {
			h, say := busyRoom(b)
			s := shows(h)
			first, v := s.display(b, kind), s.display(b, kind)
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				say()
				first.draws(b)
				b.StartTimer()
				v.draws(b)
			}
		})
	}
}

// What somebody reads now and then their other sessions know at once; in a busy room they do within flushMarksEvery.
func TestReadMarksArePassedOn(t *testing.T) {
	h, say := busyRoom(t)
	v := shows(h).display(t, view.KindPlain)
	read := func() uint64 { return h.Marks(v.who.name)[chat.General] }
	before := read()
	for i := range uint64(marksAtOnce) {
		say()
		v.draws(t)
		if got := read(); got != before+i+1 {
			t.Fatalf("after %d messages the mark is %d, and was %d", i+1, got, before)
		}
	}
	for range 20 {
		say()
		v.draws(t)
	}
	held := read()
	if held == before+marksAtOnce+20 || !v.marks.set {
		t.Errorf("control: in a busy room each message is passed on (%d), or no timer is set (%v)", held, v.marks.set)
	}
	v.marks.paid = time.Now() // a while later
	if !v.marks.fired() {
		t.Fatal("the timer is not set")
	}
	if v.marks.flush(v.inbox); read() != before+marksAtOnce+20 {
		t.Errorf("the mark is %d after that", read())
	}
}

// staleLog is a log of which messages come that may be out of date.
type staleLog struct{}

func (staleLog) Fenced() error            { return errOver }
func (staleLog) Cause() error             { return nil }
func (staleLog) FencedFor() time.Duration { return time.Second }
func (staleLog) CatchesUp() bool          { return true }

// A screen that draws nothing, as what it would show may be out of date, looks again by itself: what else is to be shown, such as that the
// server is read-only, wakes it once.
func TestHeldScreenLooksAgain(t *testing.T) {
	t.Parallel()
	hub, _ := busyRoom(t)
	s := shows(hub)
	v := s.display(t, view.KindFull)
	v.draws(t)
	v.resting = false
	s.services.Fence = fence.New(staleLog{}, fence.LookEvery)
	v.draws(t)
	if !v.resting {
		t.Fatal("nothing wakes it again")
	}
	for v.channel.waker.Wait(0)&frameDue == 0 { // it does
	}
}
