package cluster

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/chat/journaltest"
	"sshchat/sshchat/cluster/natstest"
	"sshchat/sshchat/text"
)

// marksOf is what a node's folder keeps.
func marksOf(s *site) map[placeRead]uint64 {
	all := make(map[placeRead]uint64)
	for _, m := range s.marks.All() {
		all[placeRead{m.Name, m.Room}] = m.Seq
	}
	return all
}

// say posts something, which all nodes then have.
func (r *rig) say(t testing.TB, who journaltest.Person, what string) uint64 {
	t.Helper()
	words, err := text.ParseText(what)
	if err != nil {
		t.Fatal(err)
	}
	m, err := r.sites[0].hub.Load().Post(t.Context(), who.Caller, chat.General, chat.Say, words)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range r.sites {
		if hub := s.hub.Load(); hub != nil {
			eventually(t, "the message on "+s.name, func() bool { return lastIn(hub, who.Name) >= m.Seq })
		}
	}
	return m.Seq
}

// lastIn is the newest message of #general that the hub shows.
func lastIn(hub *chat.Hub, me chat.Name) uint64 {
	r := hub.Reader(me, chat.From{Unread: 1 << 20, ClearAway: 1 << 20, Peek: true})
	defer r.Close()
	last := uint64(0)
	for _, d := range r.Next(1 << 20) {
		last = max(last, d.Seq)
	}
	return last
}

// eventually waits for something that happens within a few seconds.
func eventually(t testing.TB, what string, is func() bool) time.Duration {
	t.Helper()
	began := time.Now()
	for !is() {
		if time.Since(began) > 20*time.Second {
			t.Fatalf("no %s in 20 s", what)
		}
		time.Sleep(time.Millisecond)
	}
	return time.Since(began)
}

func unread(hub *chat.Hub, me chat.Name) int {
	for _, r := range chat.NewInbox(me, hub).List() {
		if r.Name == chat.General {
			return r.Unread
		}
	}
	return -1
}

// What somebody reads on one node is read on the others, also on one that was away, and on one that starts.
func TestReadingIsSharedByNodes(t *testing.T) {
	t.Parallel()
	r := newRig(t, natstest.StartOne(t), 3, journaltest.Options{})
	defer r.Close()
	alice := r.alice(t)
	bob := journaltest.NewPerson(t, "bob")
	if err := r.sites[0].hub.Load().Decide(t.Context(), chat.TheServer, chat.CreateAccount{Account: bob.Account(chat.User)}, nil); err != nil {
		t.Fatal(err)
	}
	var last uint64
	for i := range 3 {
		last = r.say(t, alice, fmt.Sprint("message ", i))
	}
	n1, n2, n3 := r.sites[0], r.sites[1], r.sites[2]
	hub2 := n2.hub.Load()
	hub2.SessionOpened(bob.Name)
	session := hub2.Reader(bob.Name, chat.From{Peek: true})
	defer session.Close()
	if got := unread(hub2, bob.Name); got != 3 {
		t.Fatalf("control: %d unread on n2 before anything was read", got)
	}
	n1.hub.Load().Mark(bob.Name, chat.General, last-1)
	took := eventually(t, "mark on n2", func() bool { return unread(hub2, bob.Name) == 1 })
	t.Logf("read on n1, and shown so on n2 after %v", took)
	eventually(t, "mark on n3", func() bool { return unread(n3.hub.Load(), bob.Name) == 1 })
	if heard := session.Next(100); !slices.ContainsFunc(heard, func(d chat.Delivery) bool { return d.Kind == chat.Marked && d.Seq == last-1 }) {
		t.Errorf("the session on n2 heard %v", heard)
	}
	n3.crash()
	n1.hub.Load().Mark(bob.Name, chat.General, last)
	eventually(t, "mark on n2", func() bool { return unread(hub2, bob.Name) == 0 })
	if err := n3.start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "mark on n3, which was away", func() bool { return unread(n3.hub.Load(), bob.Name) == 0 })

	last = r.say(t, alice, "one more")
	n2.hub.Load().Mark(bob.Name, chat.General, last)
	if err := n2.stop(); err != nil {
		t.Fatal(err)
	}
	n2.node = nil
	if got := unread(n1.hub.Load(), bob.Name); got != 0 {
		t.Errorf("%d unread on n1: a node that stopped kept what was read last to itself", got)
	}
	n1.crash()
	if err := n2.start(); err != nil { // n3 alone has it in memory
		t.Fatal(err)
	}
	if err := n1.start(); err != nil {
		t.Fatal(err)
	}
	for _, s := range r.sites {
		eventually(t, "mark on "+s.name, func() bool { return marksOf(s)[placeRead{bob.Name, chat.General}] == last })
	}
}

// Whatever is read where, while a node comes and goes: all nodes have the same in the end, and never less than was read.
func TestMarksConverge(t *testing.T) {
	t.Parallel()
	r := newRig(t, natstest.StartOne(t), 3, journaltest.Options{})
	defer r.Close()
	alice := r.alice(t)
	last := uint64(0)
	for i := range 40 {
		last = max(last, r.say(t, alice, fmt.Sprint(i)))
	}
	var mu sync.Mutex
	read := make(map[placeRead]uint64) // the newest
	people := []chat.Name{alice.Name}
	for i := range 20 {
		p := journaltest.NewPerson(t, fmt.Sprint("p", i))
		if err := r.sites[0].hub.Load().Decide(t.Context(), chat.TheServer, chat.CreateAccount{Account: p.Account(chat.User)}, nil); err != nil {
			t.Fatal(err)
		}
		people = append(people, p.Name)
	}
	ctx, stop := context.WithCancel(context.Background())
	var readers sync.WaitGroup
	for _, s := range r.sites[:2] { // the third only comes and goes
		readers.Go(func() {
			for ctx.Err() == nil {
				who, seq := people[rand.IntN(len(people))], rand.Uint64N(last)+1
				got := s.hub.Load().Mark(who, chat.General, seq)
				mu.Lock()
				at := placeRead{who, chat.General}
				read[at] = max(read[at], got)
				mu.Unlock()
				time.Sleep(time.Millisecond)
			}
		})
	}
	if err := r.Restart(2); err != nil {
		t.Fatal(err)
	}
	stop()
	readers.Wait()
	first := marksOf(r.sites[0])
	for _, s := range r.sites {
		eventually(t, "same marks on "+s.name, func() bool { first = marksOf(r.sites[0]); return maps.Equal(marksOf(s), first) })
	}
	for at, seq := range read {
		if first[at] < seq && seq > 1 { // Mark returns what was never to read, too
			if got := r.sites[0].hub.Load().Marks(at.name)[at.room]; got < seq {
				t.Errorf("%s has read up to %d, and it is %d", at.name, seq, got)
			}
		}
	}
}
