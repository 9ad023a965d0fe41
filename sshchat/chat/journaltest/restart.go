package journaltest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"sshchat/sshchat/chat"
)

// restarts: after each acknowledged request, or, without proofs of full length, after each third of them, whichever these are, a hub,
// or all of them, crash and start again, and all is as before.
func restarts(t testing.TB, maker Maker, o Options) {
	w := newWorld(t, maker, o)
	dev, slow := w.dev, chat.SetSlow{Room: w.dev, Slow: time.Hour}
	say := func(room chat.RoomName) func(*chat.Hub) error {
		return func(h *chat.Hub) error {
			_, err := w.post(h, w.alice, room, "said")
			return err
		}
	}
	decide := func(who *Person, in chat.Intent) func(*chat.Hub) error {
		return func(h *chat.Hub) error { return h.Decide(w.ctx, who.Caller, in, nil) }
	}
	newer := *w.bob
	newer.newKey(t)
	erin := NewPerson(t, "erin")
	steps := []func(*chat.Hub) error{
		say(chat.General), say(dev), decide(w.carol, chat.JoinRoom{Room: dev}), say(dev),
		decide(w.alice, chat.SetTopic{Room: dev, Topic: "tea"}), decide(w.alice, slow), say(dev),
		decide(w.alice, chat.Ban{Sanction: chat.Sanction{User: w.bob.Name}}), say(chat.General),
		decide(w.alice, chat.Unban{Target: "bob"}), say(dev), decide(w.carol, chat.LeaveRoom{Room: dev}),
		decide(w.bob, chat.AddKeys{ID: w.bob.Login.Account, Keys: []chat.Key{newer.Public}}), say(chat.General),
		func(h *chat.Hub) error {
			return h.Decide(w.ctx, chat.TheServer, chat.CreateAccount{Account: erin.Account(chat.User)}, nil)
		},
		say(chat.General), decide(w.carol, chat.JoinRoom{Room: dev}), decide(w.alice, chat.CreateRoom{Room: w.room("new")}),
		decide(w.bob, chat.RemoveKey{ID: w.bob.Login.Account, Fingerprint: w.bob.Key}), say(dev),
		decide(w.alice, chat.CloseRoom{Room: w.room("new")}), say(chat.General),
		func(h *chat.Hub) error {
			_, err := w.amend(h, chat.Edit, 1, "edited")
			if errors.Is(err, chat.ErrNoMessage) {
				return nil // a hub that has started again has none in memory
			}
			return err
		},
		decide(w.alice, chat.DeleteAccount{ID: w.dave.Login.Account}), say(chat.General),
	}
	first := rand.IntN(3)
	for i, step := range steps {
		w.must(step(w.hub(i)))
		if i%3 != first && !Long() {
			continue
		}
		w.agree(chat.General, dev)
		before := w.snapshot()
		if i%2 == 0 {
			w.must(w.rig.Restart())
		} else {
			w.must(w.rig.Restart(i % len(w.rig.Hubs())))
		}
		w.agree(chat.General, dev)
		if after := w.snapshot(); !after.equal(before) {
			t.Fatalf("step %d: after the restart there is %+v, not %+v", i, after, before)
		}
		for _, room := range []chat.RoomName{chat.General, dev} {
			if err := gapless(w.stored(0, w.alice, room), 1); err != nil {
				t.Errorf("%s: %v", room, err)
			}
		}
		if t.Failed() {
			t.Fatalf("step %d", i)
		}
	}
	for _, want := range []error{nil, chat.ErrSlow} { // the rule holds
		if _, err := w.post(w.hub(0), w.carol, dev, "fast"); !errors.Is(err, want) {
			t.Errorf("carol says something in a slow room: %v", err)
		}
	}
}

// snapshot is what a restart must not change.
type snapshot struct {
	state   *chat.State
	general uint64 // the last Seq
	dev     uint64
	since   [4]uint64 // of dev, for all four
	stored  []line
}

func (w *world) snapshot() (s snapshot) {
	h := w.rig.Hubs()[0]
	s.state = h.View().State
	for room, last := range map[chat.RoomName]*uint64{chat.General: &s.general, w.dev: &s.dev} {
		if info, err := h.Room(w.alice.Name, room); err == nil {
			*last = info.Last
		}
	}
	for i, p := range []*Person{w.alice, w.bob, w.carol, w.dave} {
		s.since[i] = h.Since(p.Name, w.dev)
	}
	last := len(w.rig.Hubs()) - 1
	s.stored = append(w.stored(last, w.alice, chat.General), w.stored(last, w.alice, w.dev)...)
	return s
}

func (s snapshot) equal(o snapshot) bool {
	return s.state.Since(o.state).IsZero() && s.general == o.general && s.dev == o.dev && s.since == o.since &&
		len(s.stored) == len(o.stored) && alike(s.stored, o.stored) == nil
}

// crashes: hubs crash one after another, and all at once, amid requests. What was acknowledged is there once, what was refused is
// not, and what was neither is there once or not at all.
func crashes(t testing.TB, maker Maker) {
	w := newWorld(t, maker, Options{})
	for round := range Times(2, 40) {
		var mu sync.Mutex
		var talking sync.WaitGroup
		answers := map[string]error{}
		asked := make(chan struct{}, 1000)
		for i := range 6 {
			h := w.hub(i)
			talking.Go(func() {
				for k := range 12 {
					text := fmt.Sprintf("round %d: %d says %d", round, i, k)
					_, err := w.post(h, w.alice, w.dev, text)
					mu.Lock()
					answers[text] = err
					mu.Unlock()
					asked <- struct{}{}
					if err != nil {
						return
					}
				}
			})
		}
		for range 6 { // at least one of each is answered, or refused
			<-asked
		}
		var err error
		if n := len(w.rig.Hubs()); round%2 == 0 {
			err = w.rig.Restart(round / 2 % n)
		} else {
			err = w.rig.Restart()
		}
		talking.Wait()
		w.must(err)
		w.agree(w.dev)
		for i := range w.rig.Hubs() {
			all := w.stored(i, w.alice, w.dev)
			if err := gapless(all, 1); err != nil {
				t.Errorf("round %d: hub %d: %v", round, i, err)
			}
			for said, err := range answers {
				if n := count(all, said); n > 1 || n == 0 && err == nil {
					t.Errorf("round %d: hub %d has stored %q %d times; its answer was: %v", round, i, said, n, err)
				}
			}
		}
		if t.Failed() {
			return
		}
	}
}
