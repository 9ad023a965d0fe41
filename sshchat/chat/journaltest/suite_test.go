package journaltest

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"

	"sshchat/sshchat/chat"
)

// memoryRig is hubs over a log in memory.
type memoryRig struct {
	log   *Memory
	line  *Line
	leads int // so many hubs order what they are asked for; 0: one at a time does, which may be any
	lead  int // which that is
	nodes []*Node
	hubs  []*chat.Hub
	stops []func() error
	flaws flaws
}

// flaws are what is wrong with the journal of a control.
type flaws struct {
	journal func(i int, n *Node) chat.Journal            // in place of the node
	sees    func(i int, b chat.Batch) (chat.Batch, bool) // what comes out at hub i
	leader  func(*Line) chat.Leader                      // in place of the line
	end     func(i int, e *End) chat.Leader              // in place of its end, where leadership moves
	restart func(*Memory)                                // what a crash of all does to the log
}

func newMemoryRig(hubs, leads int, f flaws) Rig {
	r := &memoryRig{
		log: NewMemory(chat.NewState(chat.Parts{})), line: NewLine(), leads: leads,
		nodes: make([]*Node, hubs), hubs: make([]*chat.Hub, hubs), stops: make([]func() error, hubs), flaws: f,
	}
	for i := range hubs {
		r.start(i)
	}
	if leads == 0 {
		return moving{r}
	}
	return r
}

// memory makes rigs of so many hubs over one log in memory, of which the first lead.
func memory(hubs, leads int, f flaws) Maker {
	return func(testing.TB, Options) Rig { return newMemoryRig(hubs, leads, f) }
}

func (r *memoryRig) start(i int) {
	n, c := r.log.Rejoin()
	if r.flaws.journal != nil {
		c.Journal = r.flaws.journal(i, n)
	}
	if r.flaws.sees != nil {
		n.sees = func(b chat.Batch) (chat.Batch, bool) { return r.flaws.sees(i, b) }
	}
	end := &End{Line: r.line}
	switch {
	case r.leads == 0:
		c.Leader = end
		if r.flaws.end != nil {
			c.Leader = r.flaws.end(i, end)
		}
	case i >= r.leads:
		c.Leader = r.line
		if r.flaws.leader != nil {
			c.Leader = r.flaws.leader(r.line)
		}
	}
	c.Log = slog.New(slog.DiscardHandler)
	h := chat.NewHub(c)
	end.Hub = h
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- h.Run(ctx) }()
	r.nodes[i], r.hubs[i] = n, h
	r.stops[i] = func() error { cancel(); err := <-ended; ended <- err; return err }
	switch {
	case i != r.lead:
	case r.leads == 0:
		r.log.Lead(n)
		fallthrough
	default:
		r.line.Lead(h)
	}
}

// moving is a rig in which leadership moves.
type moving struct{ *memoryRig }

// Move implements Mover. The hub that led learns of it as it appends.
func (r moving) Move(to int) error {
	r.lead = to
	r.log.Lead(r.nodes[to])
	dawdle() // the one that led still takes requests, and has some staged
	r.line.Lead(r.hubs[to])
	return nil
}

// Restart has another hub lead if the one that does ends, and that is not the only one.
func (r moving) Restart(which ...int) error {
	if slices.Contains(which, r.lead) && len(which) < len(r.hubs) {
		r.nodes[r.lead].Leave()
		for i := range r.hubs {
			if !slices.Contains(which, i) {
				r.Move(i)
				break
			}
		}
	}
	return r.memoryRig.Restart(which...)
}

func (r *memoryRig) Hubs() []*chat.Hub { return append([]*chat.Hub(nil), r.hubs...) }

func (r *memoryRig) Restart(which ...int) error {
	all := len(which) == 0
	if all {
		for i := range r.hubs {
			which = append(which, i)
		}
	}
	for _, i := range which {
		if i == r.lead {
			r.line.Lead(nil)
		}
		r.nodes[i].Leave()
	}
	for _, i := range which {
		r.stops[i]()
	}
	if all && r.flaws.restart != nil {
		r.flaws.restart(r.log)
	}
	for _, i := range which {
		r.start(i)
	}
	return nil
}

func (r *memoryRig) Fault(f Fault) error {
	r.line.Lose(f == LosesAnswer)
	if f == LosesAnswer && r.leads == len(r.hubs) {
		return Unsupported("requests are ordered where they are made")
	}
	r.log.Fail(map[Fault]error{
		Refuses: errors.New("the disk is full"), OnlyDecides: chat.ErrOnlyDecided, Dies: chat.ErrJournalDead,
	}[f])
	return nil
}

func (r *memoryRig) Dead() error { return r.stops[0]() }

func (r *memoryRig) Stored(i int, who Person, room chat.RoomName) ([]chat.Message, error) {
	return r.log.Messages(room, r.hubs[i].Since(who.Name, room)), nil
}

func (r *memoryRig) Share(Person, chat.RoomName) error { return Unsupported("nothing is sealed") }

func (r *memoryRig) Password() (string, chat.Opaque) {
	return "age1recipient", chat.NewOpaque("sealed")
}

func (r *memoryRig) Close() error {
	for _, stop := range r.stops[1:] {
		stop()
	}
	r.stops[0]()
	return nil
}

func TestMemory(t *testing.T) {
	t.Parallel()
	races := Times(40, 1000)
	t.Run("one hub", func(t *testing.T) { Run(t, races, memory(1, 1, flaws{})) })
	t.Run("three hubs, one leads", func(t *testing.T) { Run(t, races, memory(3, 1, flaws{})) })
	t.Run("three hubs, all lead", func(t *testing.T) { Run(t, races, memory(3, 3, flaws{})) })
	t.Run("three hubs, leadership moves", func(t *testing.T) { Run(t, races, memory(3, 0, flaws{})) })
}

// TestTwoHubsAreBehind: two hubs that are behind by all that they may be do not wait for each other.
func TestTwoHubsAreBehind(t *testing.T) {
	t.Parallel()
	m := NewMemory(chat.NewState(chat.Parts{}))
	a, _, _ := m.Join()
	b, _, _ := m.Join()
	for range backlog {
		m.Put(func(*chat.Parts) {})
	}
	for _, n := range []*Node{a, b} {
		if err := n.Append(chat.Batch{N: 1}); !errors.Is(err, chat.ErrBehind) {
			t.Errorf("a hub that is %d batches behind appends: %v", backlog, err)
		}
	}
}
