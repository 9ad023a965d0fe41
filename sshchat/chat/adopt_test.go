package chat

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"sshchat/sshchat/text"
)

// joining is a hub that starts over what the log of the realm has so far. Its Run is not under way.
func (r *realm) joining(t *testing.T) *Hub {
	t.Helper()
	synctest.Wait()
	of := r.hubs[0]
	last := make(map[RoomName]uint64)
	for name, room := range of.rooms {
		last[name] = room.Log.Last()
	}
	at := &seat{leads: &r.leads}
	at.hub = NewHub(Config{Journal: r.log.join(), State: of.View().State, Last: last, Applied: r.log.n, Clock: moment, Leader: at, Log: quiet})
	return at.hub
}

// adopt has the hub take over what another holds, and returns in how many rooms it did.
func adopt(t *testing.T, h *Hub, memory []RoomMemory) (n int) {
	t.Helper()
	for _, m := range memory {
		ok, err := h.RestoreMemory(m)
		if err != nil {
			t.Error(err)
		}
		if ok {
			n++
		}
	}
	return n
}

// A node that starts shows what the others hold, taken after what it has, while they talk: as they show it, in their order, once
// its journal has caught up; to each person what is theirs.
func TestMemoryOfAnotherNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dev, alice, bob := room(t, "dev"), name(t, "alice"), name(t, "bob")
		pair := text.Direct(alice, bob)
		r := newRealm(t, nil, RoomState{Name: dev, Members: []Member{{alice, 1}}}).run(t)
		of := r.hubs[0]
		rooms := []RoomName{General, dev, pair}
		talk := func(from, to int) {
			for i := from; i < to; i++ {
				say(t, of, "alice", rooms[i%3], fmt.Sprint(i))
				time.Sleep(time.Millisecond)
			}
		}
		talk(0, 30)
		join(t, of, "bob", "dev") // he reads from message 11
		say(t, of, "bob", dev, "bob is here")
		of.NotifyRoom(alice, dev, "a notice to all")
		talk(30, 60)
		do := func(h *Hub, kind Kind, of uint64, with string) {
			var err error
			if kind.Reacts() {
				_, err = h.React(t.Context(), h.caller(alice), General, kind, of, words(with))
			} else if kind == Edit {
				_, err = h.Amend(t.Context(), h.caller(alice), General, kind, of, words(with))
			} else {
				_, err = h.Amend(t.Context(), h.caller(alice), General, kind, of, Text{})
			}
			if err != nil {
				t.Error(err)
			}
		}
		do(of, Edit, 1, "once")
		do(of, React, 2, "👍")

		h := r.joining(t)
		do(of, Edit, 1, "twice")
		do(of, Delete, 3, "")
		do(of, Unreact, 2, "👍")
		do(of, React, 2, "🎉")
		talk(60, 70)
		synctest.Wait()
		before := of.Before(alice, General, 0, LogLines)
		if n := adopt(t, h, slices.Collect(of.Memory())); n != 3 {
			t.Fatalf("%d rooms of 3", n)
		}
		if !slices.Equal(before, of.Before(alice, General, 0, LogLines)) {
			t.Error("what is taken changes the hub")
		}
		part(t, of, "bob", "dev")
		if got := sees(t, h, "alice", dev); got == "" || h.rooms[dev].Log.Last() != 21 {
			t.Errorf("#dev ends with message %d: %s", h.rooms[dev].Log.Last(), got)
		}
		if got := h.Before(bob, dev, 0, LogLines); len(got) == 0 || got[0].Text.String() != "bob is here" {
			t.Errorf("bob sees %q", told(got))
		}
		places := make(map[uint64]RoomName)
		var all []Message
		for name, room := range h.rooms {
			for _, m := range room.Log.Tail(LogLines) {
				if places[m.DisplaySeq] != (RoomName{}) {
					t.Errorf("%s and %s have the same place", places[m.DisplaySeq], name)
				}
				places[m.DisplaySeq] = name
				all = append(all, m)
			}
		}
		slices.SortFunc(all, func(a, b Message) int { return int(int64(a.DisplaySeq) - int64(b.DisplaySeq)) })
		if !slices.IsSortedFunc(all, func(a, b Message) int { return a.At.Compare(b.At) }) {
			t.Error("across rooms they are not in the order in which they were said")
		}

		running(t, h)
		say(t, h, "alice", General, "the end")
		synctest.Wait()
		for _, where := range rooms {
			one, two := of.Before(alice, where, 0, LogLines), h.Before(alice, where, 0, LogLines)
			one = slices.DeleteFunc(slices.Clone(one), func(m Message) bool { return m.Kind == PresenceChange })
			if !slices.EqualFunc(one, two, alikeOnNodes) {
				t.Errorf("%s: %q, and the other hub shows %q", where, told(two), told(one))
			}
			for i := range two[1:] {
				if two[i+1].DisplaySeq <= two[i].DisplaySeq {
					t.Fatalf("%s: entry %d is not after the one before", where, i+1)
				}
			}
		}
		if h.In(bob, dev) || sees(t, h, "bob", dev) != "" {
			t.Error("bob left, and sees the room")
		}
		reader := h.Reader(alice, From{Only: []RoomName{General}, After: map[RoomName]uint64{General: 5}})
		for _, d := range reader.Next(999) {
			if d.Gap.Count() > 0 {
				t.Errorf("who resumes misses %v", d.Gap)
			}
		}
	})
}

// alikeOnNodes reports whether two hubs show an entry alike.
func alikeOnNodes(a, b Message) bool {
	counts := func(r *Reactions) []ReactionCount { return (*Filter)(nil).Count(r, Name{}) }
	if !slices.Equal(counts(a.Reactions), counts(b.Reactions)) {
		return false
	}
	a.DisplaySeq, b.DisplaySeq, a.Reactions, b.Reactions = 0, 0, nil, nil
	return a == b
}

// A memory that ends before what the node has applied is not used: what is missing may be a deletion. Nor is one of messages that the
// node does not have yet. Outside a cluster nor is one that goes further than the history.
func TestMemoryOfAnotherNodeAtAnotherPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRealm(t, nil).run(t)
		of := r.hubs[0]
		empty := r.joining(t)
		say(t, of, "alice", General, "one")
		say(t, of, "alice", General, "two")
		early := slices.Collect(of.Memory())
		h := r.joining(t)
		say(t, of, "alice", General, "three")
		late := r.joining(t)
		memory := slices.Collect(of.Memory())
		for what, c := range map[string]struct {
			hub    *Hub
			memory []RoomMemory
			want   int
		}{
			"it ends where the node does":    {h, early, 2},
			"it ends later":                  {r.joining(t), memory, 3},
			"it ends earlier":                {late, early, 0},
			"all of it comes later":          {empty, memory, 0},
			"it ends later, and no cluster":  {NewHub(Config{Journal: &fakeJournal{}, State: of.View().State, Last: map[RoomName]uint64{General: 2}, Clock: moment, Log: quiet}), memory, 0},
			"what is dropped comes later":    {NewHub(Config{Journal: &fakeJournal{}, State: of.View().State, Clock: moment, Leader: &seat{}, Log: quiet}), []RoomMemory{{Room: General, Dropped: 2, Entries: memory[0].Entries[2:]}}, 0},
			"it is of where the hub has one": {h, early, 2},
		} {
			c.memory = slices.Clone(c.memory)
			c.memory[0].Entries = slices.Clone(c.memory[0].Entries)
			adopted := adopt(t, c.hub, c.memory) == 1
			if got := held(c.hub, General); got != c.want || adopted && c.want == 0 {
				t.Errorf("%s: %d messages, not %d; used: %v", what, got, c.want, adopted)
			}
		}
	})
}

// Messages whose texts did not arrive at the node that is asked are a gap at the one that starts, of exactly those.
func TestMemoryWithMissingTexts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := missingAt(t, "b", "c")
		for _, s := range []string{"a", "b", "c", "d"} {
			say(t, r.hubs[0], "alice", General, s)
		}
		h := r.joining(t)
		if n := adopt(t, h, slices.Collect(r.hubs[1].Memory())); n != 1 {
			t.Fatalf("%d rooms", n)
		}
		reader := h.Reader(name(t, "bob"), From{Only: []RoomName{General}, After: map[RoomName]uint64{General: 0}})
		if got := deliveries(reader); !slices.Equal(got, []string{"a", "2-3 missed", "d"}) {
			t.Errorf("shown: %q", got)
		}
	})
}

// What a hub holds can be taken while people talk, come and go.
func TestMemoryWhileTheHubRuns(t *testing.T) {
	h := start(t, &fakeJournal{}, "alice", "bob")
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 300 {
			if _, err := h.Post(t.Context(), h.caller(name(t, "alice")), General, Say, words(fmt.Sprint(i))); err != nil {
				t.Error(err)
			}
			if i%10 == 0 {
				h.Join(t.Context(), name(t, "bob"), room(t, "dev"))
				h.Part(t.Context(), name(t, "bob"), room(t, "dev"))
			}
		}
	}()
	for taken := 0; ; {
		for m := range h.Memory() {
			if err := m.check(); err != nil {
				t.Fatal(err)
			}
			if m.Room == General && len(m.Entries) < taken {
				t.Fatalf("%d entries, and %d before", len(m.Entries), taken)
			} else if m.Room == General {
				taken = len(m.Entries)
			}
		}
		select {
		case <-done:
			if n := held(h, General); n < 300 {
				t.Errorf("%d of 300 messages are kept", n)
			}
			return
		default:
		}
	}
}

// Who resumes on a node that is behind the one they were on sees nothing twice, and goes on after what they have seen. On a server alone
// such a message is another: its history was restored from before.
func TestResumeOnANodeThatIsBehind(t *testing.T) {
	t.Parallel()
	state := start(t, &fakeJournal{}, "alice").View().State
	for _, cluster := range []bool{true, false} {
		c := Config{Journal: &fakeJournal{}, State: state, Last: map[RoomName]uint64{General: 5}, Clock: moment, Log: quiet}
		if cluster {
			c.Leader = &seat{}
		}
		h := NewHub(c)
		reader := h.Reader(name(t, "alice"), From{Only: []RoomName{General}, After: map[RoomName]uint64{General: 8}})
		log := h.rooms[General].Log
		var seen []uint64
		for seq := uint64(6); seq <= 11; seq++ {
			kind := Say
			if seq == 7 || seq == 10 {
				kind = Missing
			}
			log.Append(Message{Room: General, Seq: seq, Kind: kind, DisplaySeq: seq})
			if seq%2 == 1 {
				for _, d := range reader.Next(9) {
					for missed := d.Gap.From; missed < d.Gap.From+uint64(d.Gap.Count()); missed++ {
						seen = append(seen, missed)
					}
					if d.Gap.Count() == 0 {
						seen = append(seen, d.Seq)
					}
				}
			}
		}
		want := map[bool][]uint64{true: {9, 10, 11}, false: {6, 7, 8, 9, 10, 11}}[cluster]
		if !slices.Equal(seen, want) {
			t.Errorf("in a cluster: %v: %v is seen, not %v", cluster, seen, want)
		}
	}
}
