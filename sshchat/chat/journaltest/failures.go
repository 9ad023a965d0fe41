package journaltest

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"sshchat/sshchat/chat"
)

// refusedOnce: what is refused is nowhere, then or later, and its Seqs are given out again.
func refusedOnce(t testing.TB, maker Maker) {
	w := newWorld(t, maker, Options{Fault: Refuses})
	first, err := w.post(w.hub(0), w.alice, w.dev, "before")
	w.must(err)
	broken(t, w.rig, Refuses)
	for i := range 4 {
		if _, err := w.post(w.hub(i), w.alice, w.dev, "refused"); !errors.Is(err, chat.ErrNotStored) {
			t.Errorf("a message that is not stored: %v", err)
		}
	}
	for i, in := range []chat.Intent{chat.JoinRoom{Room: w.dev}, chat.JoinRoom{Room: w.room("other")}} {
		if err := w.decide(i, w.carol.Caller, in); !errors.Is(err, chat.ErrNotDecided) {
			t.Errorf("a decision that is not stored: %v", err)
		}
	}
	broken(t, w.rig, Sound)
	next, err := w.post(w.hub(1), w.alice, w.dev, "after")
	w.must(err)
	if next != first+1 {
		t.Errorf("the message after those that were refused is %d, not %d", next, first+1)
	}
	nowhere := func(when string) {
		w.agree(w.dev)
		for i, h := range w.rig.Hubs() {
			all := append(shown(h, w.alice, w.dev), w.stored(i, w.alice, w.dev)...)
			if _, made := h.View().Room(w.room("other")); made || h.In(w.carol.Name, w.dev) || count(all, "refused") > 0 {
				t.Errorf("%s: hub %d has what was refused", when, i)
			}
			if count(w.stored(i, w.alice, w.dev), "after") != 1 {
				t.Errorf("%s: hub %d has not stored once what was said after the failure", when, i)
			}
		}
	}
	nowhere("then")
	w.must(w.rig.Restart())
	nowhere("after a restart")
	w.must(w.decide(0, w.carol.Caller, chat.JoinRoom{Room: w.dev}))
	if since := w.hub(0).Since(w.carol.Name, w.dev); since != next+1 {
		t.Errorf("carol joins after message %d and reads from %d", next, since)
	}
}

// refusedForGood: after a failure that is final nothing is taken until a restart, though all is well again.
func refusedForGood(t testing.TB, maker Maker) {
	w := newWorld(t, maker, Options{Fault: Dies})
	_, err := w.post(w.hub(0), w.alice, w.dev, "before")
	w.must(err)
	broken(t, w.rig, Dies)
	if _, err := w.post(w.hub(0), w.alice, w.dev, "in doubt"); err == nil {
		t.Error("a message is acknowledged by a journal that has failed")
	}
	broken(t, w.rig, Sound)
	if _, err := w.post(w.hub(0), w.alice, w.dev, "too late"); err == nil {
		t.Fatal("a message is taken after a failure for good")
	}
	if err := w.rig.Dead(); !errors.Is(err, chat.ErrJournalDead) {
		t.Errorf("Run returns %v", err)
	}
	w.must(w.rig.Restart())
	_, err = w.post(w.hub(0), w.alice, w.dev, "again")
	w.must(err)
	w.agree(w.dev)
	for i := range w.rig.Hubs() {
		all := w.stored(i, w.alice, w.dev)
		for _, c := range []struct {
			said        string
			least, most int
		}{{"before", 1, 1}, {"in doubt", 0, 1}, {"too late", 0, 0}, {"again", 1, 1}} {
			if n := count(all, c.said); n < c.least || n > c.most {
				t.Errorf("hub %d has stored %q %d times", i, c.said, n)
			}
		}
		if err := gapless(all, 1); err != nil {
			t.Errorf("hub %d: %v", i, err)
		}
	}
}

// onlyDecided: if messages alone cannot be stored, what is decided beside them holds, and they are refused.
func onlyDecided(t testing.TB, maker Maker) {
	w := newWorld(t, maker, Options{Fault: OnlyDecides})
	_, err := w.post(w.hub(0), w.alice, w.dev, "before")
	w.must(err)
	broken(t, w.rig, OnlyDecides)
	var asking sync.WaitGroup
	for i := range 20 {
		h := w.hub(i)
		asking.Go(func() {
			if _, err := w.post(h, w.alice, w.dev, "refused"); !errors.Is(err, chat.ErrNotStored) {
				t.Errorf("a message that is not stored: %v", err)
			}
		})
		asking.Go(func() {
			in := chat.CreateRoom{Room: w.room(fmt.Sprintf("room%d", i))}
			if err := h.Decide(w.ctx, w.alice.Caller, in, nil); err != nil {
				t.Errorf("a decision beside it: %v", err)
			}
		})
	}
	asking.Wait()
	broken(t, w.rig, Sound)
	next, err := w.post(w.hub(0), w.alice, w.dev, "after")
	w.must(err)
	if next != 2 {
		t.Errorf("the message after those that were refused is %d", next)
	}
	for range 2 {
		w.agree(w.dev)
		for i, h := range w.rig.Hubs() {
			if n := len(h.View().Rooms()); n != 22 {
				t.Errorf("hub %d has %d rooms of 22", i, n)
			}
			if all := w.stored(i, w.alice, w.dev); len(all) != 2 || count(all, "refused") > 0 {
				t.Errorf("hub %d has stored %+v", i, all)
			}
		}
		w.must(w.rig.Restart())
	}
}

// badEvent: what the journal cannot store is refused alone, wherever it is asked for; what is beside it in the batch is stored.
func badEvent(t testing.TB, maker Maker) {
	w := newWorld(t, maker, Options{})
	type unknown struct{}
	rounds := Times(4, 60)
	for range rounds {
		var asking sync.WaitGroup
		start := make(chan struct{})
		for i := range 60 {
			h, leader := w.hub(i), w.hub(i/6)
			asking.Go(func() {
				<-start
				if i%6 > 0 {
					if _, err := w.post(h, w.alice, w.dev, "fine"); err != nil {
						t.Errorf("a message beside it: %v", err)
					}
				} else if err := leader.Store(chat.Event{Room: w.dev, Stored: unknown{}}); err == nil {
					t.Errorf("hub %d stores what it does not know", i/6%len(w.rig.Hubs()))
				}
			})
		}
		close(start)
		asking.Wait()
	}
	w.agree(w.dev)
	for i := range w.rig.Hubs() {
		if all := w.stored(i, w.alice, w.dev); len(all) != 50*rounds || gapless(all, 1) != nil {
			t.Errorf("hub %d has stored %d messages of %d: %v", i, len(all), 50*rounds, gapless(all, 1))
		}
	}
}

// lostAnswers: a request whose answer is lost is sent again, and done once.
func lostAnswers(t testing.TB, maker Maker) {
	w := newWorld(t, maker, Options{Fault: LosesAnswer})
	broken(t, w.rig, LosesAnswer)
	erin := NewPerson(t, "erin")
	account := erin.Account(chat.User)
	for i := range w.rig.Hubs() {
		before, err := w.post(w.hub(i), w.alice, w.dev, fmt.Sprint("once ", i))
		w.must(err)
		after, err := w.post(w.hub(i), w.alice, w.dev, fmt.Sprint("twice ", i))
		w.must(err)
		if after != before+1 {
			t.Errorf("hub %d: messages %d and %d were said one after the other", i, before, after)
		}
	}
	last := len(w.rig.Hubs()) - 1
	w.must(w.decide(last, chat.TheServer, chat.CreateAccount{Account: account}))
	w.must(w.decide(last, erin.Caller, chat.JoinRoom{Room: w.dev}))
	since := w.hub(last).Since(erin.Name, w.dev)
	w.must(w.decide(last, w.alice.Caller, chat.Ban{Sanction: chat.Sanction{User: w.bob.Name, Why: "spam"}}))
	w.must(w.decide(last, w.alice.Caller, chat.Unban{Target: w.bob.Name.String()}))
	w.must(w.decide(last, w.alice.Caller, chat.CreateRoom{Room: w.room("made")}))
	w.must(w.rig.Fault(Sound))
	w.agree(w.dev)
	for i, h := range w.rig.Hubs() {
		all := w.stored(i, w.alice, w.dev)
		if len(all) != 2*len(w.rig.Hubs()) || gapless(all, 1) != nil {
			t.Errorf("hub %d has stored %d messages of %d: %v", i, len(all), 2*len(w.rig.Hubs()), gapless(all, 1))
		}
		if h.View().Len() != 5 || len(h.View().AllBans()) > 0 || h.Since(erin.Name, w.dev) != since || since != uint64(len(all)+1) {
			t.Errorf("hub %d: %d accounts, %d bans, erin reads from message %d", i, h.View().Len(), len(h.View().AllBans()), since)
		}
	}
}
