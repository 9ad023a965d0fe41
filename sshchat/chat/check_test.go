package chat

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sshchat/sshchat/attack"
	"sshchat/sshchat/text"
)

// Everything that is said or decided is looked at once more at its place: who has lost their login by then changes nothing.
func TestChecksAreAskedAtThePlace(t *testing.T) {
	h := start(t, &fakeJournal{}, "alice", "bob")
	alice, bob, dev := name(t, "alice"), name(t, "bob"), room(t, "dev")
	join(t, h, "alice", "dev")
	join(t, h, "bob", "dev")
	said := say(t, h, "alice", dev, "hello")
	carol, stale := name(t, "carol"), h.caller(alice)
	h.caller(carol)
	before := h.View().State
	stale.Login.Key = "SHA256:removed"
	for _, in := range []Intent{
		Post{Room: dev, Kind: Say, Text: words("x")}, Post{Room: dev, Kind: Edit, Of: said.Seq, Text: words("x")},
		Post{Room: dev, Kind: Delete, Of: said.Seq}, Post{Room: dev, Kind: Delete, Of: said.Seq, AnyAuthor: true},
		JoinRoom{Room: room(t, "new")}, LeaveRoom{dev}, SetTopic{dev, "x"}, InviteToRoom{carol, dev}, SetSlow{dev, time.Second},
		SetPrivate{dev, true}, SetModerator{bob, dev, true}, KickFromRoom{Name: bob, Room: dev}, Speak{dev},
	} {
		if _, err := h.View().Check(h.caller(alice), in); err != nil {
			t.Errorf("the control: %T: %v", in, err)
		}
		if err := h.submit(t.Context(), newRequest(stale, in)); !errors.Is(err, ErrStale) {
			t.Errorf("%T: %v", in, err)
		}
	}
	if h.View().State != before {
		t.Error("something was decided all the same")
	}
	if got := h.Before(alice, dev, 0, 9); len(got) != 1 || got[0].Text.String() != "hello" || !h.In(bob, dev) {
		t.Errorf("in the room: %v", got)
	}
}

// I ask to join a large room, which takes a while. Meanwhile it is made private, I lose my right to be here, or it is
// removed. I must not come in by having asked before. The control is that nothing happens meanwhile, and I am in.
func TestAttackJoinThatWaits(t *testing.T) {
	row := attack.On(t, attack.Identity, "join a large room, and lose access while the join waits")
	mallory, dev := name(t, "mallory"), room(t, "dev")
	ways := map[string]struct {
		meanwhile func(t *testing.T, h *Hub) error
		in        bool
	}{
		"nothing": {func(*testing.T, *Hub) error { return nil }, true},
		"private": {func(t *testing.T, h *Hub) error {
			return h.Decide(t.Context(), TheServer, SetPrivate{dev, true}, nil)
		}, false},
		"private, and invited": {func(t *testing.T, h *Hub) error {
			err := h.Decide(t.Context(), TheServer, SetPrivate{dev, true}, nil)
			return errors.Join(err, h.Decide(t.Context(), h.caller(name(t, "alice")), InviteToRoom{mallory, dev}, nil))
		}, true},
		"put out": {func(t *testing.T, h *Hub) error {
			err := h.Decide(t.Context(), TheServer, SetPrivate{dev, true}, nil)
			err = errors.Join(err, h.Decide(t.Context(), h.caller(name(t, "alice")), InviteToRoom{mallory, dev}, nil))
			return errors.Join(err, h.Kick(t.Context(), mallory, dev))
		}, false},
		"removed": {func(t *testing.T, h *Hub) error { return h.RemoveRoom(t.Context(), dev) }, false},
	}
	row.Tried("the room is made private, I am removed, the room is closed")
	row.Held("a join is checked again when it is made")
	row.Control("without a change, or with an invitation, I join")
	for what, c := range ways {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				j := &busy{done: make(chan struct{})}
				h := hubOver(j, nil, []RoomState{{Name: dev, By: name(t, "alice"), Members: []Member{{name(t, "alice"), 1}}}}, quiet)
				ctx, stop := context.WithCancel(t.Context())
				ended := make(chan error, 1)
				go func() { ended <- h.Run(ctx) }()
				joined := make(chan error, 1)
				go func() { _, err := h.Join(t.Context(), mallory, dev); joined <- err }()
				synctest.Wait()
				if err := c.meanwhile(t, h); err != nil {
					t.Error(err)
				}
				close(j.done)
				err := <-joined
				if (err == nil) != c.in || h.In(mallory, dev) != c.in {
					t.Errorf("in %v, joined: %v", h.In(mallory, dev), err)
				}
				enters := func(e Event) bool { return e.Change == Join && e.Name == mallory }
				if slices.ContainsFunc(j.stored(), enters) != c.in {
					t.Error("the history has it otherwise")
				}
				stop()
				<-ended
			})
		})
	}
}

// I am put out of a large room. I must not read on while the history gets ready for that, as it does when I leave by
// myself: that is the control.
func TestAttackReadOnWhileKicked(t *testing.T) {
	row := attack.On(t, attack.Identity, "keep reading in a large room while being removed from it")
	synctest.Test(t, func(t *testing.T) {
		j := &busy{done: make(chan struct{})}
		mallory, dev := name(t, "mallory"), room(t, "dev")
		h := hubOver(j, nil, []RoomState{{Name: dev, Members: []Member{{mallory, 1}}}}, quiet)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- h.Run(ctx) }()
		soon, give := context.WithTimeout(t.Context(), time.Second)
		defer give()
		if err := h.Part(soon, mallory, dev); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("left: %v", err)
		}
		if err := h.Kick(t.Context(), mallory, dev); err != nil || h.In(mallory, dev) {
			t.Errorf("kicked: %v, in %v", err, h.In(mallory, dev))
		}
		row.Tried("1")
		row.Held("a removal does not wait")
		row.Control("leaving voluntarily waits")
		stop()
		<-ended
	})
}

// A slow room is slow for all that is said in it.
func TestSlowIsForEdits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := &fakeJournal{}
		bob, dev := name(t, "bob"), room(t, "dev")
		h := hubOver(j, nil, []RoomState{
			{Name: dev, By: name(t, "alice"), Rules: Rules{Slow: 10 * time.Second}, Members: []Member{{bob, 1}, {name(t, "alice"), 1}}},
		}, quiet)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- h.Run(ctx) }()
		m := say(t, h, "bob", dev, "one")
		edit := func() error {
			_, err := h.Amend(t.Context(), h.caller(bob), dev, Edit, m.Seq, words("two"))
			return err
		}
		topic := func() error { return h.SetTopic(t.Context(), bob, dev, words("three")) }
		for what, do := range map[string]func() error{"edit": edit, "topic": topic} {
			if err := do(); !errors.Is(err, ErrSlow) {
				t.Errorf("%s at once: %v", what, err)
			} else if !strings.Contains(err.Error(), "you can post again in 10s") {
				t.Errorf("%s at once: %v", what, err)
			}
			time.Sleep(10 * time.Second) // of the bubble's clock
			if err := do(); err != nil {
				t.Errorf("%s after ten seconds: %v", what, err)
			}
			if err := do(); !errors.Is(err, ErrSlow) {
				t.Errorf("%s again: %v", what, err)
			}
		}
		if _, err := h.Amend(t.Context(), h.caller(bob), dev, Delete, m.Seq, text.Text{}); err != nil {
			t.Errorf("taking back says nothing: %v", err)
		}
		if err := h.SetTopic(t.Context(), name(t, "alice"), dev, words("four")); err != nil {
			t.Errorf("who made the room: %v", err)
		}
		if err := h.SetTopic(t.Context(), name(t, "alice"), dev, words("five")); err != nil {
			t.Errorf("who made the room, again: %v", err)
		}
		stop()
		<-ended
	})
}

// A private room that somebody makes for others lets its maker in, and nobody else.
func TestMakerOfAPrivateRoomGetsIn(t *testing.T) {
	h := start(t, &fakeJournal{}, "alice", "bob")
	ops := room(t, "ops")
	boss := h.caller(name(t, "alice"))
	if err := h.Decide(t.Context(), TheServer, SetRole{boss.Login.Account, Admin}, nil); err != nil {
		t.Fatal(err)
	}
	if err := h.Decide(t.Context(), boss, CreateRoom{ops, true}, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Join(t.Context(), name(t, "bob"), ops); !errors.Is(err, ErrNoRoom) {
		t.Errorf("bob: %v", err)
	}
	if made := join(t, h, "alice", "ops"); made {
		t.Error("it was made before")
	}
	if r, _ := h.View().Room(ops); !r.Private || !slices.Equal(r.Invited, []Name{name(t, "alice")}) || !r.By.IsZero() {
		t.Errorf("kept: %+v", r)
	}
}

func TestNoticesHaveAuthors(t *testing.T) {
	h := start(t, &fakeJournal{}, "alice", "bob")
	r := h.Reader(name(t, "bob"), From{})
	if err := h.SetTopic(t.Context(), name(t, "alice"), General, words("news")); err != nil {
		t.Fatal(err)
	}
	h.NotifyRoom(name(t, "alice"), General, "alice did something")
	h.NotifyRoom(Name{}, General, "the server did")
	shown := func(f Filter) (n int) {
		for _, d := range h.Before(name(t, "bob"), General, 0, 9) {
			if f.Shows(&d, name(t, "bob")) {
				n++
			}
		}
		return n
	}
	if got := r.Next(9); len(got) != 3 {
		t.Errorf("%d notices", len(got))
	}
	ignoring := Filter{Ignore: map[Name]bool{name(t, "alice"): true}}
	focused := Filter{Focus: map[Name]bool{name(t, "carol"): true}}
	if a, b, c := shown(Filter{}), shown(ignoring), shown(focused); a != 3 || b != 1 || c != 3 {
		t.Errorf("shown: %d, ignoring %d, focused %d", a, b, c)
	}
}
