package journaltest

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"sshchat/sshchat/chat"
)

// moves: leadership moves from hub to hub amid requests at all of them. All are done, each once, and in one order.
func moves(t testing.TB, maker Maker) {
	w, rig := newMovers(t, maker, Sound)
	w.moveAmid(rig, false)
}

// movesLosing: the first answer to each request is lost, so that it comes twice, often to another hub.
func movesLosing(t testing.TB, maker Maker) {
	w, rig := newMovers(t, maker, LosesAnswer)
	broken(t, rig, LosesAnswer)
	w.moveAmid(rig, false)
}

// movesCrashing: the hub that leads crashes amid requests, and another leads. What is asked for at the others is done once; what was
// asked for at the one that crashed, once or not at all.
func movesCrashing(t testing.TB, maker Maker) {
	w, rig := newMovers(t, maker, Sound)
	w.moveAmid(rig, true)
}

func newMovers(t testing.TB, maker Maker, f Fault) (*world, Mover) {
	t.Helper()
	w := newWorld(t, maker, Options{Fault: f})
	rig, ok := w.rig.(Mover)
	if !ok {
		t.Skip("leadership does not move")
	}
	return w, rig
}

// talk is what was asked for, each thing by one name, and the answers.
type talk struct {
	sync.Mutex
	answers map[string]error
	hubs    map[string]int // where
}

// moveAmid has people talk and make rooms at all hubs while leadership moves, and, if it crashes, the one that led
// starts again every other time.
func (w *world) moveAmid(rig Mover, crashes bool) {
	hubs := len(rig.Hubs())
	said, lead := talk{answers: make(map[string]error), hubs: make(map[string]int)}, 0
	for round := range Times(4, 60) { // a log in memory has 4 096 messages: 68 rounds
		progress := make(chan struct{}, 1000)
		asking := w.talks(&said, round, progress)
		for range hubs { // some are on their way
			<-progress
		}
		lost := -1
		if crashes && round%2 == 1 {
			lost = lead
			w.must(rig.Restart(lost))
		}
		lead = (lead + 1) % hubs
		w.must(rig.Move(lead))
		asking.Wait()
		for what, err := range said.answers {
			if err != nil && said.hubs[what] != lost {
				w.Errorf("round %d: %q, asked for at hub %d while hub %d was lost: %v", round, what, said.hubs[what], lost, err)
			}
		}
		w.once(&said)
		if w.Failed() {
			w.Fatalf("round %d", round)
		}
		clear(said.answers)
	}
}

// talks has somebody at each hub say things and make a room, until it is asked for all or one fails.
func (w *world) talks(said *talk, round int, progress chan<- struct{}) *sync.WaitGroup {
	var asking sync.WaitGroup
	for i := range 2 * len(w.rig.Hubs()) {
		at := i % len(w.rig.Hubs())
		h := w.hub(at)
		note := func(what string, err error) {
			said.Lock()
			said.answers[what], said.hubs[what] = err, at
			said.Unlock()
			progress <- struct{}{}
		}
		asking.Go(func() {
			last := uint64(0)
			for k := range 10 {
				what := fmt.Sprintf("round %d: %d says %d", round, i, k)
				seq, err := w.post(h, w.alice, w.dev, what)
				note(what, err)
				if err == nil && seq <= last {
					w.Errorf("message %d was said after message %d", seq, last)
				}
				if last = seq; err != nil {
					return
				}
			}
			made := fmt.Sprintf("r%d-%d", round, i)
			note(made, h.Decide(w.ctx, w.alice.Caller, chat.CreateRoom{Room: w.room(made)}, nil))
			h.Decide(w.ctx, w.alice.Caller, chat.CloseRoom{Room: w.room(made)}, nil)
		})
	}
	return &asking
}

// once says what was not done once, of what was acknowledged, or more than once.
func (w *world) once(said *talk) {
	w.Helper()
	w.agree(w.dev)
	for i := range w.rig.Hubs() {
		all := w.stored(i, w.alice, w.dev)
		if err := gapless(all, 1); err != nil {
			w.Errorf("hub %d: %v", i, err)
		}
		for what, err := range said.answers {
			if n := count(all, what); !strings.HasPrefix(what, "round") {
				continue // a room: made twice, it would have been refused
			} else if n > 1 || n == 0 && err == nil {
				w.Errorf("hub %d has stored %q %d times; its answer was: %v", i, what, n, err)
			}
		}
	}
}
