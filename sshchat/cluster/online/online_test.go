package online

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/cluster/peer"
	"sshchat/sshchat/text"
)

// network is some nodes in one process, whose calls fail as the test has it.
type network struct {
	t  *testing.T
	mu sync.Mutex
	at map[string]*station
	// fails is asked about each call: before it is done, and after.
	fails func(from, to string, done bool) bool
}

// station is a node of the network.
type station struct {
	net     *network
	name    string
	hub     *chat.Hub
	stop    func()
	handler peer.Handler
	watch   func(string, bool)
	alive   map[string]bool
	calls   int
}

var errLost = errors.New("lost")

func (s *station) Handle(kind string, f peer.Handler) {
	s.net.mu.Lock()
	defer s.net.mu.Unlock()
	if kind == Kind {
		s.handler = f
	}
}

func (s *station) Call(ctx context.Context, node, kind string, request []byte) ([]byte, error) {
	s.net.mu.Lock()
	s.calls++
	to, fails := s.net.at[node], s.net.fails
	var f peer.Handler
	if to != nil {
		f = to.handler
	}
	s.net.mu.Unlock()
	if f == nil || fails != nil && fails(s.name, node, false) {
		return nil, errLost
	}
	reply, err := f(ctx, s.name, request)
	if err == nil && fails != nil && fails(s.name, node, true) {
		return nil, errLost
	}
	return reply, err
}

func (s *station) Alive() (names []string) {
	s.net.mu.Lock()
	defer s.net.mu.Unlock()
	for name, is := range s.alive {
		if is {
			names = append(names, name)
		}
	}
	return names
}

func (s *station) Watch(f func(string, bool)) {
	s.net.mu.Lock()
	s.watch = f
	s.net.mu.Unlock()
	for _, name := range s.Alive() {
		f(name, true)
	}
}

// hears has the station hear of another, or not any more.
func (s *station) hears(other string, alive bool) {
	s.net.mu.Lock()
	s.alive[other] = alive
	f := s.watch
	s.net.mu.Unlock()
	if f != nil {
		f(other, alive)
	}
}

// called is how many calls the station has made.
func (s *station) called() int {
	s.net.mu.Lock()
	defer s.net.mu.Unlock()
	return s.calls
}

// people are in the room of the tests.
var people = []string{"alice", "bob", "carol", "dave"}

func nameOf(t *testing.T, s string) chat.Name {
	t.Helper()
	name, err := text.ParseName(s)
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// journal is of a chat in which nothing is said.
type journal struct{}

func (journal) Append(chat.Batch) error                            { return errors.New("this is a test") }
func (journal) Events() <-chan chat.Batch                          { return nil }
func (journal) Rehearse(_, after *chat.State) (*chat.State, error) { return after, nil }

// start starts a node, with a hub of its own, which hears the others and is heard by them.
func (n *network) start(name string) *station {
	n.t.Helper()
	general := chat.RoomState{Name: chat.General}
	for _, who := range people {
		general.Members = append(general.Members, chat.Member{Name: nameOf(n.t, who), Since: 1})
	}
	state := chat.NewState(chat.Parts{Rooms: []chat.RoomState{general}})
	s := &station{net: n, name: name, alive: make(map[string]bool)}
	s.hub = chat.NewHub(chat.Config{Journal: journal{}, State: state, Clock: func() chat.Moment { return chat.Moment{Wall: time.Now()} }, Log: quiet})
	n.mu.Lock()
	var others []*station
	for _, o := range n.at {
		if o.name != name {
			others = append(others, o)
			s.alive[o.name] = true
		}
	}
	n.at[name] = s
	n.mu.Unlock()
	ctx, stop := context.WithCancel(n.t.Context())
	ended := make(chan struct{})
	e := New(s.hub, s, quiet)
	go func() {
		defer close(ended)
		e.Run(ctx)
	}()
	s.stop = func() { stop(); <-ended }
	for _, o := range others {
		o.hears(name, true)
	}
	synctest.Wait()
	return s
}

var quiet = slog.New(slog.DiscardHandler)

// online is who is online on any node, and who is away, as this one knows it.
func (s *station) online() string {
	var words []string
	members, err := s.hub.Members(nameOf(s.net.t, "alice"), chat.General)
	if err != nil {
		s.net.t.Fatal(err)
	}
	for _, m := range members {
		switch {
		case m.Away:
			why, _, _ := s.hub.Away(m.Name)
			words = append(words, m.Name.String()+"("+why.String()+")")
		case m.Online:
			words = append(words, m.Name.String())
		}
	}
	return strings.Join(words, " ")
}

// agree checks what all stations know.
func agree(t *testing.T, want, when string, stations ...*station) {
	t.Helper()
	for _, s := range stations {
		if got := s.online(); got != want {
			t.Errorf("%s: %s knows %q, not %q", when, s.name, got, want)
		}
	}
}

// passes lets time pass.
func passes(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// notices is what a person's sessions on a node are shown from now on.
func (s *station) notices(who string) func() string {
	r := s.hub.Reader(nameOf(s.net.t, who), chat.From{})
	return func() string {
		var lines []string
		for {
			more := r.Next(100)
			for _, d := range more {
				if d.Kind == chat.Notice {
					lines = append(lines, d.Text.String())
				}
			}
			if len(more) == 0 {
				return strings.Join(lines, " ")
			}
		}
	}
}

func TestWhoIsOnline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &network{t: t, at: make(map[string]*station)}
		a := n.start("a")
		alice, bob := nameOf(t, "alice"), nameOf(t, "bob")
		a.hub.SessionOpened(alice)
		b, c := n.start("b"), n.start("c")
		passes(2 * tryAgain)
		agree(t, "alice", "a node that starts", a, b, c)
		b.hub.SessionOpened(bob)
		synctest.Wait()
		agree(t, "alice bob", "at once", a, b, c)
		c.hub.SetAway(bob, text.Sprintf("tea"))
		passes(gather)
		agree(t, "alice bob(tea)", "away", a, b, c)
		shown := []func() string{a.notices("alice"), b.notices("bob")}
		c.hub.Announce(text.Sprintf("one"))
		c.hub.NotifyRoom(alice, chat.General, "two")
		passes(2 * gather)
		a.hub.NotifyUser(bob, "three")
		passes(2 * gather)
		a.hub.AnnounceHere(text.Sprintf("four"))
		for i, want := range []string{"one two four", "one two three"} {
			if got := shown[i](); got != want {
				t.Errorf("notices on node %d: %q, not %q", i, got, want)
			}
		}
		before := a.called()
		passes(time.Minute)
		if idle := a.called() - before; idle < 2*int(time.Minute/hasToAgree)/2 || idle > 2*int(time.Minute/hasToAgree)+2 {
			t.Errorf("%d calls in a minute in which nothing happens", idle)
		}
		a.hears("b", false) // it is cut off
		passes(time.Second)
		agree(t, "alice", "b is gone for a", a)
		agree(t, "alice bob(tea)", "b is gone for a", b, c)
		a.hears("b", true)
		passes(2 * hasToAgree)
		agree(t, "alice bob(tea)", "b is there again", a, b, c)
		b.stop()
		b = n.start("b") // with its sessions gone; nobody noticed but by that
		passes(2 * hasToAgree)
		agree(t, "alice", "b was started again", a, b, c)
		for _, s := range []*station{a, b, c} {
			s.stop()
		}
	})
}

// Whatever calls are lost, before they are done or after, in the end all nodes know the same, and each notice was shown once, in order.
func TestLostCalls(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			random, loses := rand.New(rand.NewPCG(seed, 1)), rand.New(rand.NewPCG(seed, 2))
			n := &network{t: t, at: make(map[string]*station)}
			stations := []*station{n.start("a"), n.start("b"), n.start("c")}
			passes(2 * tryAgain)
			lost := 0
			n.fails = func(string, string, bool) bool {
				n.mu.Lock()
				defer n.mu.Unlock()
				if loses.IntN(3) == 0 {
					lost++
					return true
				}
				return false
			}
			for _, s := range stations {
				s.hub.SessionOpened(nameOf(t, "alice"))
			}
			shown := make([]func() string, len(stations))
			for i, s := range stations {
				shown[i] = s.notices("alice")
			}
			open, total := make(map[string][]*station), 0
			for range 200 {
				s, who := stations[random.IntN(3)], people[1+random.IntN(3)]
				switch at := slices.Index(open[who], s); {
				case random.IntN(4) == 0:
					total++
					stations[0].hub.Announce(text.Sprintf("%d", total))
				case random.IntN(6) == 0:
					s.hub.SetAway(nameOf(t, who), text.Sprintf("%d", random.IntN(100)))
				case at >= 0:
					s.hub.SessionClosed(nameOf(t, who))
					open[who] = slices.Delete(open[who], at, at+1)
				default:
					s.hub.SessionOpened(nameOf(t, who))
					open[who] = append(open[who], s)
				}
				passes(time.Duration(random.IntN(300)) * time.Millisecond)
			}
			n.mu.Lock()
			n.fails = nil
			n.mu.Unlock()
			passes(4 * hasToAgree)
			if lost < 20 {
				t.Errorf("seed %d: %d calls were lost", seed, lost)
			}
			agree(t, stations[0].online(), fmt.Sprint("seed ", seed), stations...)
			for _, who := range people[1:] {
				if is := stations[1].hub.Online(nameOf(t, who)); is != (len(open[who]) > 0) {
					t.Errorf("seed %d: %s is online: %v, with %d sessions", seed, who, is, len(open[who]))
				}
			}
			var want []string
			for i := range total {
				want = append(want, fmt.Sprint(i+1))
			}
			for i := range stations {
				if got := shown[i](); got != strings.Join(want, " ") {
					t.Errorf("seed %d: on node %d are shown %s, of %d", seed, i, got, total)
				}
			}
			for _, s := range stations {
				s.stop()
			}
		})
	}
}

// A call that comes late, after others that say more, changes nothing; one of a node that is not heard any more, neither.
func TestLateCalls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &network{t: t, at: make(map[string]*station)}
		a := n.start("a")
		a.hears("b", true)
		says := func(m message) string {
			t.Helper()
			request, err := m.encode()
			if err != nil {
				t.Fatal(err)
			}
			reply, err := a.handler(t.Context(), "b", request)
			if err != nil {
				t.Fatal(err)
			}
			return string(reply)
		}
		bob, carol := person{Name: nameOf(t, "bob"), Online: true}, person{Name: nameOf(t, "carol"), Online: true}
		for i, c := range []struct {
			m           message
			reply, then string
		}{
			{message{Instance: 1, Number: 1, People: []person{bob}}, again, ""},
			{message{Instance: 1, Number: 2, All: true, People: []person{bob}}, taken, "bob"},
			{message{Instance: 1, Number: 4, After: 3, People: []person{carol}}, again, "bob"},
			{message{Instance: 1, Number: 5, After: 2, People: []person{carol}}, taken, "bob carol"},
			{message{Instance: 1, Number: 2, All: true, People: []person{bob}}, taken, "bob carol"},
			{message{Instance: 2, Number: 9, After: 5}, again, "bob carol"},
			{message{Instance: 2, Number: 1, All: true}, taken, ""},
			{message{Instance: 2, Number: 3, After: 1, People: []person{bob}}, taken, "bob"},
		} {
			if reply := says(c.m); reply != c.reply || a.online() != c.then {
				t.Errorf("message %d: %s, %q", i, reply, a.online())
			}
		}
		a.hears("b", false)
		if reply := says(message{Instance: 2, Number: 4, All: true, People: []person{bob}}); reply != again || a.online() != "" {
			t.Errorf("a node that is gone: %s, %q", reply, a.online())
		}
		for _, bad := range []string{"", "{", `{"people":[{"online":true}]}`, `{"people":[{"name":"Alice"}]}`, `{"people":[{"name":"a b"}]}`, `{"notices":[{"room":"@b+a"}]}`} {
			if reply, err := a.handler(t.Context(), "b", []byte(bad)); err == nil {
				t.Errorf("%s: %s", bad, reply)
			}
		}
		a.stop()
	})
}

// More people than one message takes are in the next.
func TestManyPeople(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &network{t: t, at: make(map[string]*station)}
		a := n.start("a")
		for i := range maxPeople + 10 {
			a.hub.SessionOpened(nameOf(t, fmt.Sprint("p", i)))
		}
		b := n.start("b")
		passes(2 * tryAgain)
		for i := range maxPeople + 10 {
			if name := nameOf(t, fmt.Sprint("p", i)); !b.hub.Online(name) {
				t.Fatalf("%s is not online", name)
			}
		}
		for i := range maxPeople + 10 {
			a.hub.SessionClosed(nameOf(t, fmt.Sprint("p", i)))
		}
		passes(hasToAgree)
		if left := b.hub.Attendance(nil); len(left) > 0 || b.hub.Online(nameOf(t, "p0")) || b.hub.Online(nameOf(t, fmt.Sprint("p", maxPeople+9))) {
			t.Error("somebody is left")
		}
		a.stop()
		b.stop()
	})
}

func FuzzMessage(f *testing.F) {
	f.Add([]byte(`{"instance":1,"number":2,"all":true,"people":[{"name":"bob","online":true,"away":true,"why":"tea","since":"2026-01-02T03:04:05Z","version":3}]}`))
	f.Add([]byte(`{"number":5,"after":2,"notices":[{"number":4,"text":"\u001b[2Jhello","to":"bob","room":"@alice+bob","by":"carol","removed":"dave","batch":9}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, people, notices, err := decode(b)
		if err != nil {
			return
		}
		for i, a := range people {
			if a.Name.IsZero() || strings.ContainsAny(a.Absence.Why.String(), "\x1b\r\n") || len(a.Absence.Why.String()) > maxWhy {
				t.Fatalf("%+v", a)
			}
			m.People[i] = personOf(a)
		}
		for i, n := range notices {
			if strings.ContainsAny(n.Text.String(), "\x1b\r") {
				t.Fatalf("%+v", n)
			}
			m.Notices[i] = noticeOf(m.Notices[i].Number, n)
		}
		again, err := m.encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, people2, notices2, err := decode(again); err != nil || !slices.Equal(people, people2) || !slices.Equal(notices, notices2) {
			t.Fatalf("%s is read as\n%+v %+v\n%+v %+v, %v", again, people, notices, people2, notices2, err)
		}
	})
}
