package chat

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"sync"
	"testing"

	"sshchat/sshchat/text"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeJournal is a Journal in memory. Where broken is set it refuses.
type fakeJournal struct {
	mu      sync.Mutex
	events  []Event
	calls   int
	broken  error
	looking func(batch []Event) // called before a batch counts as stored
	out     chan Batch
}

func (t *fakeJournal) Append(b Batch) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.calls++
	if t.looking != nil {
		t.looking(b.Events)
	}
	switch {
	case errors.Is(t.broken, ErrOnlyDecided):
		b = b.Decided()
	case t.broken != nil:
		return t.broken
	}
	t.events = append(t.events, b.Events...)
	t.channel() <- b
	return t.broken
}

func (t *fakeJournal) Events() <-chan Batch {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.channel()
}

func (t *fakeJournal) channel() chan Batch {
	if t.out == nil {
		t.out = make(chan Batch, 1)
	}
	return t.out
}

func (t *fakeJournal) Rehearse(_, after *State) (*State, error) { return after, nil }

func (t *fakeJournal) fail(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.broken = err
}

func (t *fakeJournal) stored() []Event {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.events)
}

var quiet = slog.New(slog.DiscardHandler)

// start runs a hub in which the people are in #general. It ends with the test.
func start(t testing.TB, j Journal, people ...string) *Hub {
	t.Helper()
	general := RoomState{Name: General}
	for _, p := range people {
		general.Members = append(general.Members, Member{name(t, p), 1})
	}
	return running(t, hubOver(j, nil, []RoomState{general}, quiet))
}

// running runs the hub until the test ends.
func running(t testing.TB, h *Hub) *Hub {
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- h.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil && !errors.Is(err, ErrJournalDead) {
			t.Errorf("Run: %v", err)
		}
	})
	return h
}

func say(t testing.TB, h *Hub, from string, room RoomName, text string) Message {
	t.Helper()
	if a, b, direct := room.Pair(); direct { // both must have an account
		h.caller(a)
		h.caller(b)
	}
	m, err := h.Post(context.Background(), h.caller(name(t, from)), room, Say, words(text))
	if err != nil {
		t.Fatalf("%s in %s: %v", from, room, err)
	}
	return m
}

func room(t testing.TB, s string) RoomName {
	t.Helper()
	r, err := text.ParseRoomName(s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func join(t testing.TB, h *Hub, who, where string) (made bool) {
	t.Helper()
	made, err := h.Join(t.Context(), name(t, who), room(t, where))
	if err != nil {
		t.Fatalf("%s joins %s: %v", who, where, err)
	}
	return made
}

func part(t testing.TB, h *Hub, who, where string) {
	t.Helper()
	if err := h.Part(t.Context(), name(t, who), room(t, where)); err != nil {
		t.Fatalf("%s leaves %s: %v", who, where, err)
	}
}

func TestJoinMakesTheRoomOnce(t *testing.T) {
	h := start(t, &fakeJournal{}, "alice")
	if !join(t, h, "alice", "ci") || join(t, h, "alice", "ci") || join(t, h, "bob", "ci") {
		t.Error("a room is made by its first only")
	}
	want := RoomState{Name: room(t, "ci"), By: name(t, "alice"), Members: []Member{{name(t, "alice"), 1}, {name(t, "bob"), 1}}}
	if got, _ := h.View().Room(want.Name); !reflect.DeepEqual(got, want) {
		t.Errorf("decided: %+v", got)
	}
	if _, err := h.Join(t.Context(), name(t, "carol"), text.Direct(name(t, "alice"), name(t, "bob"))); !errors.Is(err, ErrNoRoom) {
		t.Errorf("carol joins @alice+bob: %v", err)
	}
	if err := h.Part(t.Context(), name(t, "alice"), General); !errors.Is(err, ErrGeneral) {
		t.Errorf("alice leaves #general: %v", err)
	}
	if err := h.Part(t.Context(), name(t, "carol"), room(t, "ci")); !errors.Is(err, ErrNotIn) {
		t.Errorf("carol leaves where she is not: %v", err)
	}
}

// Many make one room at the same time: all get in, one made it.
func TestRaceForARoom(t *testing.T) {
	h := start(t, &fakeJournal{})
	var wg sync.WaitGroup
	made := make(chan bool, 32)
	for i := range cap(made) {
		wg.Go(func() {
			m, err := h.Join(t.Context(), name(t, fmt.Sprintf("p%d", i)), room(t, "ci"))
			if err != nil {
				t.Error(err)
			}
			made <- m
		})
	}
	wg.Wait()
	close(made)
	makers := 0
	for m := range made {
		if m {
			makers++
		}
	}
	info, err := h.Room(name(t, "p0"), room(t, "ci"))
	if makers != 1 || err != nil || info.Members != cap(made) {
		t.Errorf("%d made it, %d are in it, %v", makers, info.Members, err)
	}
}

// Somebody makes the room between one's look and one's own making.
func TestMakeRoomThatIsThereByNow(t *testing.T) {
	h := start(t, &fakeJournal{})
	join(t, h, "alice", "ci")
	if err := h.submit(t.Context(), newRequest(h.caller(name(t, "bob")), JoinRoom{Room: room(t, "ci")})); err != nil {
		t.Error(err)
	}
	if got, _ := h.View().Room(room(t, "ci")); got.By != name(t, "alice") || len(got.Members) != 2 {
		t.Errorf("decided: %+v", got)
	}
}

// hung-up-while-joining: what the registry has, the journal gets.
func TestJoinAndPartOutliveTheirCaller(t *testing.T) {
	journal := &fakeJournal{}
	h := start(t, journal)
	gone, hangUp := context.WithCancel(t.Context())
	hangUp()
	for range 20 { // a select takes either of two that are ready
		if _, err := h.Join(gone, name(t, "alice"), room(t, "ci")); err != nil {
			t.Fatal(err)
		}
		if err := h.Part(gone, name(t, "alice"), room(t, "ci")); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(journal.stored()); n != 40 {
		t.Errorf("%d of 40 changes in the journal", n)
	}
}

func TestLimitsOfOnePerson(t *testing.T) {
	h := start(t, &fakeJournal{}, "alice")
	for i := range MaxCreated {
		join(t, h, "alice", fmt.Sprintf("made%d", i))
	}
	if _, err := h.Join(t.Context(), name(t, "alice"), room(t, "onemore")); !errors.Is(err, ErrTooMany) {
		t.Errorf("one room too many made: %v", err)
	}
	for i := range MaxJoined - MaxCreated - 1 { // #general counts
		join(t, h, fmt.Sprintf("maker%d", i), fmt.Sprintf("other%d", i))
		join(t, h, "alice", fmt.Sprintf("other%d", i))
	}
	before := h.View().State
	if _, err := h.Join(t.Context(), name(t, "alice"), room(t, "onemore")); !errors.Is(err, ErrTooMany) {
		t.Errorf("one room too many joined: %v", err)
	}
	if h.View().State != before {
		t.Error("a refused join left something")
	}
	say(t, h, "alice", text.Direct(name(t, "alice"), name(t, "bob")), "direct rooms do not count")
}

// private-room-as-stranger: it answers as a room that is not there.
func TestPrivateRoomIsNotThere(t *testing.T) {
	secret, bob := room(t, "secret"), name(t, "bob")
	h := running(t, hubOver(&fakeJournal{}, nil, []RoomState{
		{Name: secret, Rules: Rules{Private: true}, By: name(t, "alice"), Members: []Member{{name(t, "alice"), 1}}},
	}, quiet))
	if _, err := h.Room(bob, secret); !errors.Is(err, ErrNoRoom) {
		t.Errorf("Room: %v", err)
	}
	if _, err := h.Members(bob, secret); !errors.Is(err, ErrNoRoom) {
		t.Errorf("Members: %v", err)
	}
	if _, err := h.Join(t.Context(), bob, secret); !errors.Is(err, ErrNoRoom) {
		t.Errorf("Join: %v", err)
	}
	if err := h.SetTopic(t.Context(), bob, secret, words("mine")); !errors.Is(err, ErrNotIn) {
		t.Errorf("SetTopic: %v", err)
	}
	for _, info := range h.Rooms(bob) {
		if info.Name == secret {
			t.Error("listed")
		}
	}
	if infos := h.Rooms(name(t, "alice")); len(infos) != 2 || !infos[1].Joined { // the negative control
		t.Errorf("alice's own list: %+v", infos)
	}
}

// A message tells at most what its words say: the sanitiser stands before private notices too.
func TestTellCleans(t *testing.T) {
	h := start(t, &fakeJournal{}, "alice")
	r := h.Reader(name(t, "alice"), From{})
	h.NotifyUser(name(t, "alice"), "no such command: %s", "\x1b[2J\u202e")
	if got := r.Next(9); len(got) != 1 || got[0].Text.String() != "no such command: [2J" {
		t.Errorf("%v", got)
	}
}
