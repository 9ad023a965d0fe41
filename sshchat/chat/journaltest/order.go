package journaltest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"sshchat/sshchat/chat"
)

// mark is a Seq that only grows.
type mark struct{ atomic.Uint64 }

func (m *mark) raise(to uint64) {
	for {
		if now := m.Load(); now >= to || m.CompareAndSwap(now, to) {
			return
		}
	}
}

// durableBeforeShown: what any reader of any hub has seen, and what was acknowledged, is there after all hubs have crashed.
func durableBeforeShown(t testing.TB, maker Maker, o Options) {
	for range Times(1, 15) { // a hub holds no more than a few rounds
		crashesAmid(newWorld(t, maker, o))
	}
}

func crashesAmid(w *world) {
	for round := range 3 {
		seen, acked := w.crashAmid(round, 40)
		w.agree(chat.General)
		for i := range w.rig.Hubs() {
			all := w.stored(i, w.bob, chat.General)
			if err := gapless(all, w.rig.Hubs()[i].Since(w.bob.Name, chat.General)); err != nil {
				w.Errorf("round %d: hub %d: %v", round, i, err)
			}
			for what, list := range map[string][]line{"acknowledged": acked, "shown": seen} {
				for _, l := range list {
					if !slices.ContainsFunc(all, func(s line) bool { return s.seq == l.seq && s.text == l.text }) {
						w.Fatalf("round %d: message %d, %q, was %s, and hub %d does not have it after the crash", round, l.seq, l.text, what, i)
					}
				}
			}
			if n := w.rig.Hubs()[i].Since(w.bob.Name, chat.General); n == 0 {
				w.Errorf("bob reads from %d", n)
			}
		}
	}
}

// crashAmid has all hubs crash while people talk, once so many messages were acknowledged, and returns what readers have seen
// and what was acknowledged.
func (w *world) crashAmid(round, after int) (seen, acked []line) {
	var mu sync.Mutex
	var reading, talking sync.WaitGroup
	ctx, end := context.WithCancel(w.ctx)
	for _, h := range w.rig.Hubs() {
		r := h.Reader(w.bob.Name, chat.From{Only: []chat.RoomName{chat.General}})
		reading.Go(func() {
			defer r.Close()
			for {
				mu.Lock()
				for _, d := range r.Next(64) {
					if d.Kind == chat.Say {
						seen = append(seen, line{seq: d.Seq, text: d.Text.String()})
					}
				}
				mu.Unlock()
				if r.Wait(ctx) != nil {
					return
				}
			}
		})
	}
	said := make(chan struct{}, 1000)
	for i := range 4 * len(w.rig.Hubs()) {
		h := w.hub(i)
		talking.Go(func() {
			for k := range 50 {
				text := fmt.Sprintf("round %d: %d says %d", round, i, k)
				seq, err := w.post(h, w.alice, chat.General, text)
				if err != nil {
					return // it has crashed
				}
				mu.Lock()
				acked = append(acked, line{seq: seq, text: text})
				mu.Unlock()
				said <- struct{}{}
			}
		})
	}
	go func() { talking.Wait(); close(said) }()
	for range after {
		<-said
	}
	err := w.rig.Restart()
	talking.Wait()
	end()
	reading.Wait()
	w.must(err)
	return seen, acked
}

// batches: many post at once, at all hubs. Everything has its place once, without gaps, the same everywhere; and what was
// acknowledged before something else began stands before it.
func batches(t testing.TB, maker Maker, o Options) {
	w := newWorld(t, maker, o)
	people := []*Person{w.alice, w.bob, w.carol, w.dave}
	each := Times(5, 500)
	var said mark
	var talking sync.WaitGroup
	for i := range 8 {
		h, me := w.hub(i), people[i%len(people)]
		talking.Go(func() {
			for k := range each {
				before := said.Load()
				seq, err := w.post(h, me, chat.General, fmt.Sprintf("%d says %d", i, k))
				if err != nil {
					t.Errorf("poster %d: %v", i, err)
					return
				}
				if seq <= before {
					t.Errorf("message %d began after message %d was acknowledged", seq, before)
				}
				said.raise(seq)
			}
		})
	}
	talking.Wait()
	if t.Failed() {
		return
	}
	w.agree(chat.General)
	total := uint64(8 * each)
	for i, h := range w.rig.Hubs() {
		for what, all := range map[string][]line{"shows": shown(h, w.alice, chat.General), "has stored": w.stored(i, w.alice, chat.General)} {
			if uint64(len(all)) != min(total, chat.LogLines) {
				t.Errorf("hub %d %s %d messages of %d", i, what, len(all), total)
				continue
			}
			if err := gapless(all, total-uint64(len(all))+1); err != nil {
				t.Errorf("hub %d %s: %v", i, what, err)
			}
			if err := alike(all, shown(w.rig.Hubs()[0], w.alice, chat.General)); err != nil {
				t.Errorf("hub %d %s: %v", i, what, err)
			}
			next := map[string]int{} // each one's own are in their order
			for _, l := range all {
				var who, k int
				fmt.Sscanf(l.text, "%d says %d", &who, &k)
				if at := fmt.Sprint(who); next[at] > k {
					t.Errorf("hub %d %s %q behind a later one", i, what, l.text)
				} else {
					next[at] = k
				}
			}
		}
	}
}

// amongMessages: who joins among messages reads from exactly there on, and who leaves no further; edits and deletions hold for
// what they mean, and for all.
func amongMessages(t testing.TB, maker Maker, o Options) {
	w := newWorld(t, maker, o)
	var said, since mark
	var mu sync.Mutex
	want := map[uint64]string{} // what the message says in the end
	var talking sync.WaitGroup
	for i := range 4 {
		h := w.hub(i)
		talking.Go(func() {
			for k := range Times(8, 300) {
				least, text := since.Load(), fmt.Sprintf("%d says %d", i, k)
				seq, err := w.post(h, w.alice, w.dev, text)
				if err != nil {
					t.Errorf("poster %d: %v", i, err)
					return
				}
				if seq < least {
					t.Errorf("message %d was said after somebody joined who reads from message %d", seq, least)
				}
				said.raise(seq)
				last := seq
				switch k % 4 {
				case 1:
					text += ", edited"
					last, err = w.amend(h, chat.Edit, seq, text)
				case 2:
					text = ""
					last, err = w.amend(h, chat.Delete, seq, "")
				}
				if err != nil {
					t.Errorf("poster %d amends message %d: %v", i, seq, err)
					return
				}
				said.raise(last)
				mu.Lock()
				want[seq] = text
				mu.Unlock()
			}
		})
	}
	for i := range 6 {
		w.joins(w.hub(i), w.carol, &said, &since)
		if err := w.hub(i).Decide(w.ctx, w.carol.Caller, chat.LeaveRoom{Room: w.dev}, nil); err != nil {
			t.Errorf("carol leaves: %v", err)
		}
	}
	w.joins(w.hub(1), w.dave, &said, &since)
	w.joins(w.hub(2), w.carol, &said, &since)
	talking.Wait()
	w.agree(w.dev)
	if t.Failed() {
		return
	}
	w.checkAmong(want)
	w.must(w.rig.Restart())
	w.agree(w.dev)
	for i := range w.rig.Hubs() {
		w.checkStored(i, want)
	}
}

func (w *world) amend(h *chat.Hub, kind chat.Kind, of uint64, said string) (uint64, error) {
	var text chat.Text
	if said != "" {
		text = words(said)
	}
	m, err := h.Amend(w.ctx, w.alice.Caller, w.dev, kind, of, text)
	return m.Seq, err
}

// joins has somebody join #dev, and looks at what they read from.
func (w *world) joins(h *chat.Hub, who *Person, said, since *mark) {
	before := said.Load()
	if err := h.Decide(w.ctx, who.Caller, chat.JoinRoom{Room: w.dev}, nil); err != nil {
		w.Errorf("%s joins: %v", who.Name, err)
		return
	}
	from := h.Since(who.Name, w.dev)
	if from <= before {
		w.Errorf("%s reads from message %d, and joined after message %d was acknowledged", who.Name, from, before)
	}
	since.raise(from)
}

// checkAmong looks at what members read who joined at different times.
func (w *world) checkAmong(want map[uint64]string) {
	room, _ := w.rig.Hubs()[0].View().Room(w.dev)
	all := shown(w.rig.Hubs()[0], w.alice, w.dev)
	for i, h := range w.rig.Hubs() {
		for _, m := range room.Members {
			who := map[chat.Name]*Person{w.alice.Name: w.alice, w.bob.Name: w.bob, w.carol.Name: w.carol, w.dave.Name: w.dave}[m.Name]
			if since := h.Since(m.Name, w.dev); since != m.Since {
				w.Errorf("hub %d: %s reads from message %d, and the State says %d", i, m.Name, since, m.Since)
			}
			theirs := slices.DeleteFunc(slices.Clone(all), func(l line) bool { return l.seq < m.Since })
			if got := shown(h, who, w.dev); !slices.Equal(got, theirs) {
				w.Errorf("hub %d shows %s %d messages of the %d since %d", i, m.Name, len(got), len(theirs), m.Since)
			}
		}
		w.checkStored(i, want)
		if early, err := w.rig.Stored(i, *w.dave, w.dev); err != nil || len(early) > 0 && early[0].Seq < h.Since(w.dave.Name, w.dev) {
			w.Errorf("hub %d: dave, who joined once, reads from message %d on: %v", i, early[0].Seq, err)
		}
	}
}

// checkStored looks at what became of the messages that were edited and deleted.
func (w *world) checkStored(i int, want map[uint64]string) {
	all := w.stored(i, w.alice, w.dev)
	n := 0
	for _, l := range all {
		said, ok := want[l.seq]
		if !ok {
			continue
		}
		n++
		if l.text != said || l.deleted != (said == "") {
			w.Errorf("hub %d has stored message %d as %q (deleted: %v), not %q", i, l.seq, l.text, l.deleted, said)
		}
	}
	if err := gapless(all, 1); err != nil || n != len(want) {
		w.Errorf("hub %d has stored %d messages of %d: %v", i, n, len(want), err)
	}
}

// shares: a new key opens all that its owner has shared with it, also if messages are said meanwhile.
func shares(t testing.TB, maker Maker, o Options) {
	w := newWorld(t, maker, o)
	talk := func(n int) {
		for k := range n {
			if _, err := w.post(w.hub(k), w.alice, chat.General, fmt.Sprintf("%d of %d", k, n)); err != nil {
				t.Error(err)
				return
			}
		}
	}
	talk(20)
	w.settle()
	if err := w.rig.Share(*w.bob, chat.General); err != nil { // nothing is new to the key they have
		unsupported(t, err)
		t.Fatal(err)
	}
	newer := *w.bob
	newer.newKey(t)
	w.must(w.decide(0, w.bob.Caller, chat.AddKeys{ID: w.bob.Login.Account, Keys: []chat.Key{newer.Public}}))
	w.settle() // a rig shares on a hub of its own, with the keys that are known there
	before := w.stored(0, &newer, chat.General)
	if len(before) >= 20 {
		t.Errorf("the control: the new key opens %d messages before anything was shared", len(before))
	}
	var talking sync.WaitGroup
	talking.Go(func() { talk(20) })
	err := w.rig.Share(*w.bob, chat.General)
	talking.Wait()
	w.must(err)
	w.agree(chat.General)
	for range 2 {
		for i := range w.rig.Hubs() {
			if all := w.stored(i, &newer, chat.General); len(all) != 40 || gapless(all, 1) != nil {
				t.Errorf("hub %d: the new key opens %d messages of 40; %v", i, len(all), errors.Join(gapless(all, 1)))
			}
		}
		w.must(w.rig.Restart())
		w.agree(chat.General)
	}
}
