package history

import (
	"bytes"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"filippo.io/age"

	"sshchat/sshchat/chat"
	"sshchat/store/durable/powercut"
)

// crowded is a place where alice is among n readers of #general, who share a key: what is counted here is heads.
func crowded(t testing.TB, n int) (p *place, alice reader) {
	t.Helper()
	alice = ed25519Reader(t, "alice")
	p = newPlace(t, alice)
	for i := range n - 1 {
		name := mustName(t, fmt.Sprintf("extra%d", i))
		p.keys[name] = []age.Recipient{alice.to}
		p.opt.Rooms[0].Members = append(p.opt.Rooms[0].Members, chat.Member{Name: name, Since: 1})
	}
	return p, alice
}

// cheapen has the heads of all but alice cost nothing, and open nothing.
func (p *place) cheapen() {
	for name := range p.keys {
		if strings.HasPrefix(name.String(), "extra") {
			p.keys[name] = []age.Recipient{cheap(name.String())}
		}
	}
}

func closes(t testing.TB, what string, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(30 * time.Second):
		t.Fatalf("%s does not come", what)
	}
}

// Where nothing is made ahead nobody waits; where it is, a message waits for it alone, and only where it begins a window;
// a change of readers also until the window before has had its time; a ban for nothing.
func TestWhoWaitsForTheNextWindow(t *testing.T) {
	t.Parallel()
	small, alice := crowded(t, preparedReaders-1)
	small.open()
	small.say(alice, "hello")
	for _, c := range []chat.Change{chat.NoChange, chat.Join, chat.Revoke} {
		if small.h.Prepared(chat.General, c) != nil {
			t.Errorf("in a small room a change %d waits", c)
		}
	}
	p, alice := crowded(t, 100)
	type pause struct {
		ends time.Time
		over func()
	}
	pauses := make(chan pause, 2) // of joins, in the first window and in the next
	p.opt.at = func(ends time.Time, over func()) { pauses <- pause{ends, over} }
	p.open()
	if p.h.Prepared(chat.General, chat.Revoke) != nil {
		t.Error("a ban waits")
	}
	closes(t, "the first window", p.h.Prepared(chat.General, chat.NoChange))
	first := <-pauses
	begun := time.Now()
	p.say(alice, "hello")
	if p.h.Prepared(chat.General, chat.NoChange) != nil {
		t.Error("a message waits though a window is open")
	}
	joins := p.h.Prepared(chat.General, chat.Join)
	p.commit(change(chat.General, chat.Revoke, alice.name))
	says := p.h.Prepared(chat.General, chat.NoChange)
	closes(t, "the next window", says)
	next := <-pauses
	first.over()
	select {
	case <-joins:
		t.Error("a join does not wait for the window to last")
	default:
	}
	next.over()
	closes(t, "the time of joins", joins)
	if lasts := next.ends.Sub(begun); lasts < 100*readerPace {
		t.Errorf("a join is to end a window of 100 readers after %v", lasts)
	}
	if p.h.Prepared(mustRoom(t, "elsewhere"), chat.Join) != nil {
		t.Error("an unknown room waits")
	}
	p.say(alice, "again")
	if err := p.h.Close(); err != nil {
		t.Fatal(err)
	}
}

// Who stops the server does not wait for heads that nobody will use.
func TestCloseDoesNotWaitForHeads(t *testing.T) {
	t.Parallel()
	p, alice := crowded(t, 1000)
	asked, goOn := make(chan bool, 1), make(chan struct{})
	var made atomic.Int32
	p.opt.Recipients = func(*chat.State, chat.RoomName, chat.Name) []age.Recipient {
		made.Add(1)
		select {
		case asked <- true:
		default:
		}
		<-goOn
		return []age.Recipient{alice.to}
	}
	h := p.open()
	<-asked // it is at the first head
	next := h.rooms[chat.General].ahead[0]
	closed := make(chan error)
	go func() { closed <- h.Close() }()
	for !next.dropped.Load() {
		runtime.Gosched()
	}
	close(goOn)
	if err := <-closed; err != nil {
		t.Fatal(err)
	}
	if cores := runtime.GOMAXPROCS(0); int(made.Load()) > cores {
		t.Errorf("%d heads were made, on %d cores", made.Load(), cores)
	}
	if h.workers.running > 0 {
		t.Errorf("%d goroutines go on", h.workers.running)
	}
}

// A window that was not made ahead, and whose write fails, lets nobody wait for what nobody makes.
func TestNobodyWaitsAfterFailedWrites(t *testing.T) {
	t.Parallel()
	p, alice := crowded(t, preparedReaders+1)
	d := powercut.New()
	h, err := open(d, "data", p.opt)
	if err != nil {
		t.Fatal(err)
	}
	p.h = h
	t.Cleanup(func() { h.Close() })
	fill := func(full bool) {
		d.Heal()
		if full {
			d.FailFrom(1, syscall.ENOSPC)
		}
	}
	for range 3 { // the window made ahead begins, in vain; a change spoils it; the next is made in a hurry, in vain
		fill(true)
		if err := h.Commit([]chat.Event{p.message(chat.General, alice.name, "never stored")}); err == nil {
			t.Fatal("stored on a full disk")
		}
		p.seqs = h.Last()
		fill(false)
		p.commit(change(chat.General, chat.Rekey, alice.name))
		for _, c := range []chat.Change{chat.NoChange, chat.Join, chat.Leave} {
			if wait := h.Prepared(chat.General, c); wait != nil {
				closes(t, "what was not made ahead", wait)
			}
		}
	}
	p.say(alice, "stored")
}

// What a room of many readers takes in memory: an open window, and the next one made ahead.
func BenchmarkLargeRoom(b *testing.B) {
	for _, n := range []int{10, 1_000, 10_000} {
		b.Run(fmt.Sprintf("readers=%d", n), func(b *testing.B) {
			p, alice := crowded(b, n)
			var before, after runtime.MemStats
			for b.Loop() {
				runtime.GC()
				runtime.ReadMemStats(&before)
				p.open()
				closes(b, "a window", p.h.Prepared(chat.General, chat.Join))
				p.say(alice, "hello")
				closes(b, "the next window", p.h.Prepared(chat.General, chat.Join))
				runtime.GC()
				runtime.ReadMemStats(&after)
				if err := p.h.Close(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(n), "B/reader")
		})
	}
}

// A change of keys that changes nothing for the open window makes nobody's head again: a key that it was never sealed to
// is removed, as one that was just added and whose owner hung up; or what is sealed to is what it was. The control is a
// key that it was sealed to.
func TestChangesOfKeysThatChangeNothing(t *testing.T) {
	t.Parallel()
	p, _ := crowded(t, 2*preparedReaders)
	alice, phone, tablet := ageReader(t, "alice"), ageReader(t, "alice"), ageReader(t, "alice")
	keys := func(of ...reader) {
		var to []age.Recipient
		for _, r := range of {
			to = append(to, r.to)
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		p.keys[alice.name] = to
	}
	keys(alice)
	p.open()
	windows := func() uint64 {
		t.Helper()
		p.say(alice, "hello")
		h, err := p.h.Head(chat.General)
		if err != nil {
			t.Fatal(err)
		}
		return h.W
	}
	for _, c := range []struct {
		what    string
		keys    []reader
		change  chat.Change
		windows uint64
	}{
		{"nothing", []reader{alice}, chat.Rekey, 0},
		{"a key was added, she hung up, and it was removed", []reader{alice}, chat.Revoke, 0},
		{"a key was added, and she hung up; another that she had added so was removed", []reader{alice, phone}, chat.Revoke, 1},
		{"it was removed as well", []reader{alice}, chat.Revoke, 1},
		{"a first password, which is a new key", []reader{alice, tablet}, chat.Revoke, 1},
		{"another password", []reader{alice, phone}, chat.Revoke, 1},
		{"a key was added", []reader{alice, phone, tablet}, chat.Rekey, 1},
		{"a key was removed", []reader{alice, phone}, chat.Revoke, 1},
		{"the same keys in another order", []reader{phone, alice}, chat.Rekey, 0},
		{"a key was removed", []reader{alice}, chat.Revoke, 1},
		{"it was replaced by another", []reader{tablet}, chat.Revoke, 1},
		{"she is banned", nil, chat.Revoke, 1},
		{"and not any more", []reader{alice}, chat.Rekey, 1},
		{"she left", []reader{alice}, chat.Leave, 1},
		{"and came back", []reader{alice}, chat.Join, 1},
	} {
		before := windows()
		keys(c.keys...)
		p.commit(change(chat.General, c.change, alice.name))
		if got := windows() - before; got != c.windows {
			t.Errorf("%s: %d windows begin", c.what, got)
		}
		for i, key := range []reader{alice, phone, tablet} {
			reads := c.change != chat.Leave && slices.ContainsFunc(c.keys, func(r reader) bool { return r.id == key.id })
			if p.opensLast(key) != reads {
				t.Errorf("%s: key %d opens the last message: %v", c.what, i, !reads)
			}
		}
	}
}

// opensLast reports whether the reader's key opens the last message of #general.
func (p *place) opensLast(r reader) bool {
	p.t.Helper()
	lines, err := openAll(bytes.NewReader(p.file()), &Opener{Identities: []age.Identity{r.id}})
	if err != nil {
		p.t.Fatal(err)
	}
	return len(lines) > 0 && lines[len(lines)-1].Seq == p.seqs[chat.General]
}
