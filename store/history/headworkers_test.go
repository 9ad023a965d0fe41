package history

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"filippo.io/age"

	"sshchat/sshchat/chat"
)

// addRoom adds a room with n readers whose heads cost nothing.
func (p *place) addRoom(name string, n int) chat.RoomName {
	p.t.Helper()
	room := chat.RoomState{Name: mustRoom(p.t, name)}
	for i := range n {
		who := mustName(p.t, fmt.Sprintf("%s%d", name, i))
		p.keys[who] = []age.Recipient{cheap(who.String())}
		room.Members = append(room.Members, chat.Member{Name: who, Since: 1})
	}
	p.opt.Rooms = append(p.opt.Rooms, room)
	return room.Name
}

// Heads are made on all cores, and on no more, whichever rooms they are of; when there are none to be made no goroutine is left.
func TestHeadsAreMadeOnAllCores(t *testing.T) {
	t.Parallel()
	p, _ := crowded(t, spareReaders)
	p.cheapen()
	p.addRoom("dev", 100)
	cores := runtime.GOMAXPROCS(0)
	var now, most, begun atomic.Int32
	all := make(chan struct{}) // closed when as many heads are being made at once as there are cores
	keys := p.opt.Recipients
	p.opt.Recipients = func(s *chat.State, room chat.RoomName, name chat.Name) []age.Recipient {
		n := now.Add(1)
		defer now.Add(-1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		if nth := int(begun.Add(1)); nth == cores {
			close(all)
		} else if nth < cores {
			<-all
		}
		return keys(s, room, name)
	}
	h := p.open()
	closes(t, "a head on each core", all)
	p.made()
	closes(t, "the other room's window", h.rooms[mustRoom(t, "dev")].ahead[0].made)
	if n := int(most.Load()); n != cores {
		t.Errorf("%d heads were made at once, on %d cores", n, cores)
	}
	ended := make(chan struct{})
	go func() {
		h.workers.all.Wait()
		close(ended)
	}()
	closes(t, "the end of the goroutines", ended)
}

// Rooms take turns, a few heads each, and windows that come next come before those after them. One that was dropped has none.
func TestRoomsTakeTurns(t *testing.T) {
	t.Parallel()
	window := func(room string, turns int) *preparedWindow {
		p := &preparedWindow{room: mustRoom(t, room), made: make(chan struct{}), paced: make(chan struct{})}
		p.readers = make([]chat.Name, turns*headsAtOnce)
		return p
	}
	w := headWorkers{running: runtime.GOMAXPROCS(0)} // so that no goroutine takes any
	gone := window("gone", 3)
	gone.dropped.Store(true)
	for _, p := range []*preparedWindow{window("large", 4), gone, window("small", 2), window("tiny", 1)} {
		w.enqueue(p, false)
	}
	spare := window("spare", 3)
	w.enqueue(spare, true)
	var turns []string
	for {
		p, task := w.take()
		if p == nil {
			break
		}
		if n := task.to - task.from; n != headsAtOnce {
			t.Errorf("%s has a turn of %d heads", p.room, n)
		}
		turns = append(turns, p.room.String())
		if len(turns) == 8 {
			w.enqueue(window("late", 1), false)
			w.enqueue(spare, false) // it comes next by now
		}
	}
	want := []string{"large", "small", "tiny", "large", "small", "large", "large", "spare", "late", "spare", "spare"}
	if !slices.Equal(turns, want) {
		t.Errorf("the turns are %q, not %q", turns, want)
	}
}

// countHeads counts the heads that are made for each reader from here on, and can have them wait.
type countHeads struct {
	hold sync.RWMutex
	mu   sync.Mutex
	made map[chat.Name]int
}

func (p *place) counted() *countHeads {
	c := &countHeads{made: make(map[chat.Name]int)}
	keys := p.opt.Recipients
	p.opt.Recipients = func(s *chat.State, room chat.RoomName, name chat.Name) []age.Recipient {
		c.mu.Lock()
		c.made[name]++
		c.mu.Unlock()
		c.hold.RLock()
		defer c.hold.RUnlock()
		return keys(s, room, name)
	}
	return c
}

func (c *countHeads) total() (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, times := range c.made {
		n += times
	}
	return n
}

// A ban that comes while a window's heads are made takes one of them out, and no other is made again. Whoever was banned opens
// nothing that is said after, though their head may have been made; everyone else does.
func TestABanTakesOneHeadOutOfAWindowBeingMade(t *testing.T) {
	t.Parallel()
	p, alice := crowded(t, 10*headsAtOnce)
	p.cheapen()
	first, last := ageReader(t, "aaron"), ageReader(t, "zoe")
	for _, r := range []reader{first, last} {
		p.keys[r.name] = []age.Recipient{r.to}
		p.opt.Rooms[0].Members = append(p.opt.Rooms[0].Members, chat.Member{Name: r.name, Since: 1})
	}
	c := p.counted()
	c.hold.Lock()
	p.open()
	for _, r := range []reader{first, last} {
		p.mu.Lock()
		p.keys[r.name] = nil
		p.mu.Unlock()
		p.commit(change(chat.General, chat.Revoke, r.name))
	}
	if u := p.h.Unprepared([]chat.Event{change(chat.General, chat.Revoke, alice.name)}); u != nil {
		t.Error("a ban waits for heads")
	}
	next := p.h.rooms[chat.General].ahead[0]
	c.hold.Unlock()
	closes(t, "the window", next.made)
	p.say(alice, "not for them")
	if w := p.h.rooms[chat.General].at; w.keys != next.keys {
		t.Error("the window was made anew")
	}
	for _, r := range []reader{first, last} {
		if p.opensLast(r) {
			t.Errorf("%s opens what was said after the ban", r.name)
		}
	}
	if !p.opensLast(alice) {
		t.Error("alice does not open it")
	}
	next = p.h.rooms[chat.General].ahead[0]
	closes(t, "the window after it", next.made)
	readers := len(p.opt.Rooms[0].Members)
	if n := c.total(); n > 2*readers+2*2 { // two windows, and whoever has changed
		t.Errorf("%d heads are made for two windows of %d readers", n, readers)
	}
}

// Heads of those who have changed are made before the next window begins, so that nobody waits for them however many they are.
// The control is the same before they are made.
func TestHeadsOfTheChangedAreMadeAhead(t *testing.T) {
	t.Parallel()
	const changed = 10 * changedAtOnce
	p, alice := crowded(t, 100)
	p.cheapen()
	c := p.counted()
	p.open()
	next := p.h.rooms[chat.General].ahead[0]
	closes(t, "the window", next.made)
	phone := ageReader(t, "extra7")
	c.hold.Lock()
	var batch []chat.Event
	for i := range changed {
		name := mustName(t, fmt.Sprintf("extra%d", i))
		p.mu.Lock()
		p.keys[name] = []age.Recipient{phone.to}
		p.mu.Unlock()
		batch = append(batch, change(chat.General, chat.Rekey, name))
	}
	p.commit(batch...)
	said := []chat.Event{{Room: chat.General}}
	u := p.h.Unprepared(said)
	if u == nil || u.Index != 0 {
		t.Fatal("a message is to make the heads of all who have changed")
	}
	select {
	case <-u.Done:
		t.Fatal("the heads are made though none can be")
	default:
	}
	c.hold.Unlock()
	closes(t, "the heads of the changed", u.Done)
	if p.h.Unprepared(said) != nil {
		t.Error("it is not prepared after that")
	}
	c.hold.Lock() // no head is made from here on
	p.say(alice, "for the new keys")
	c.hold.Unlock()
	if !p.opensLast(phone) {
		t.Error("the new key does not open it")
	}
	closes(t, "the window after it", p.h.rooms[chat.General].ahead[0].made)
	if n := c.total(); n > 2*100+2*changed {
		t.Errorf("%d heads were made", n)
	}
}

// A batch is said to be unprepared at the first message that begins a window which is not made, and not where it goes on in
// one that is open.
func TestUnprepared(t *testing.T) {
	t.Parallel()
	p, alice, hold := heldUp(t)
	dev := p.addRoom("dev", preparedReaders-1)
	p.opt.Window = 3
	h := p.open()
	p.made()
	hold.Lock()
	message := func(room chat.RoomName) chat.Event { return chat.Event{Room: room} }
	leaves := func(i int) chat.Event {
		return change(chat.General, chat.Leave, mustName(t, fmt.Sprintf("extra%d", i)))
	}
	general := message(chat.General)
	three := []chat.Event{general, general, general}
	for what, c := range map[string]struct {
		batch []chat.Event
		index int // -1: it is prepared
	}{
		"nothing":                {nil, -1},
		"the windows made ahead": {slices.Concat(three, three, three), -1},
		"one more":               {slices.Concat(three, three, three, []chat.Event{message(dev), general}), 10},
		"bans":                   {[]chat.Event{leaves(1), general, leaves(2), general, leaves(3), general, leaves(4)}, -1},
		"a message more":         {[]chat.Event{leaves(1), general, leaves(2), general, leaves(3), general, leaves(4), message(dev), general}, 8},
		"another room":           {slices.Repeat([]chat.Event{message(dev)}, 100), -1},
		"one that is not known":  {slices.Repeat([]chat.Event{message(mustRoom(t, "nowhere"))}, 100), -1},
	} {
		u := h.Unprepared(c.batch)
		if got := -1; u != nil && u.Index != c.index || u == nil && got != c.index {
			t.Errorf("%s: %+v", what, u)
		}
	}
	for range 3 { // the windows that were made
		p.say(alice, "one")
		if u := h.Unprepared([]chat.Event{general, general}); u != nil {
			t.Errorf("a window that is open takes no more: %+v", u)
		}
		p.say(alice, "two")
		p.say(alice, "three")
	}
	u := h.Unprepared([]chat.Event{general})
	if u == nil {
		t.Fatal("a window that is not made is prepared")
	}
	select {
	case <-u.Done:
		t.Error("it is made, though no head can be")
	default:
	}
	hold.Unlock()
	closes(t, "the next window", u.Done)
	if h.Unprepared([]chat.Event{general}) != nil {
		t.Error("it is not prepared after that")
	}
}

// Close comes while heads are made, of a window and of those who have changed, and while somebody waits for them: all of it ends.
func TestCloseLetsGoOfWhoWaits(t *testing.T) {
	t.Parallel()
	p, _, hold := heldUp(t)
	h := p.open()
	hold.Lock()
	u := h.Unprepared([]chat.Event{{Room: chat.General}})
	if u == nil {
		t.Fatal("a window that is not made is prepared")
	}
	joins := h.Prepared(chat.General, chat.Join)
	closed := make(chan error)
	go func() { closed <- h.Close() }()
	closes(t, "whoever waits for heads", u.Done)
	hold.Unlock()
	select {
	case err := <-closed:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("it does not close")
	}
	closes(t, "whoever waits to join", joins)
}
