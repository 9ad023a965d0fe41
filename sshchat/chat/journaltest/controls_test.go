package journaltest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"

	"sshchat/sshchat/chat"
)

// recorder is a test that notes whether it failed, and fails nobody else.
type recorder struct {
	testing.TB // which nothing but the methods below may be called of

	mu       sync.Mutex
	errors   []string // guarded by mu
	skipped  bool     // guarded by mu
	cleanups []func()
}

func (r *recorder) Helper()          {}
func (r *recorder) Cleanup(f func()) { r.cleanups = append(r.cleanups, f) }

func (r *recorder) Error(args ...any) { r.Errorf("%s", fmt.Sprint(args...)) }

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.errors = append(r.errors, fmt.Sprintf(format, args...))
}

func (r *recorder) Fatal(args ...any) { r.Error(args...); runtime.Goexit() }

func (r *recorder) Fatalf(format string, args ...any) { r.Errorf(format, args...); runtime.Goexit() }

func (r *recorder) Failed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.errors) > 0
}

func (r *recorder) Skip(args ...any) {
	r.mu.Lock()
	r.skipped = true
	r.mu.Unlock()
	runtime.Goexit()
}

// record runs a case, and returns what it complains of.
func record(run func(testing.TB, Maker), maker Maker) (complaints []string, skipped bool) {
	r := &recorder{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			for _, f := range slices.Backward(r.cleanups) {
				f()
			}
		}()
		run(r, maker)
	}()
	<-done
	return r.errors, r.skipped
}

// wrong is a journal of which Append is not as it ought to be.
type wrong struct {
	*Node
	append func(n *Node, b chat.Batch) error
}

func (w wrong) Append(b chat.Batch) error { return w.append(w.Node, b) }

// appends is the flaw of an Append.
func appends(f func(n *Node, b chat.Batch) error) flaws {
	return flaws{journal: func(_ int, n *Node) chat.Journal { return wrong{n, f} }}
}

// said reports whether anything is said in the batch.
func said(b chat.Batch) bool {
	return slices.ContainsFunc(b.Events, func(e chat.Event) bool { return e.Message.Seq > 0 })
}

// loses forgets the last batch of the log: it was acknowledged before it was durable.
func loses(m *Memory) {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := m.batches[:len(m.batches)-1]
	for len(all) > 0 && all[len(all)-1].After == m.batches[len(all)].After && !said(m.batches[len(all)]) {
		all = all[:len(all)-1] // nothing but questions
	}
	before := m.batches[len(all)].Before
	m.n, m.state, m.batches, m.nodes = 0, before, nil, nil
	clear(m.last)
	for _, b := range all {
		m.add(b)
	}
	m.state = before
}

// twice appends a batch in which something is said again, as if it had not been known that it is stored.
func twice(n *Node, b chat.Batch) error {
	err := n.Append(b)
	if err == nil && said(b) {
		b.N, b.Before = b.N+1, b.After
		n.Append(b)
	}
	return err
}

// drops leaves out, at the second hub, what is said in a batch.
func drops(i int, b chat.Batch) (chat.Batch, bool) {
	b.Events = slices.Clone(b.Events)
	for k := range b.Events {
		if e := &b.Events[k]; i == 1 && e.Message.Seq%7 == 5 {
			e.Change = chat.Revoke // of which hubs take no notice
		}
	}
	return b, true
}

// missing leaves out a batch, at the second hub.
func missing(i int, b chat.Batch) (chat.Batch, bool) { return b, i != 1 || b.N != 12 }

// reorders swaps, at the second hub, what is said first and last in a batch.
func reorders(i int, b chat.Batch) (chat.Batch, bool) {
	if i == 1 && len(b.Events) > 1 {
		b.Events = slices.Clone(b.Events)
		slices.Reverse(b.Events)
	}
	return b, true
}

// shifts has people read, at the second hub, from a message before they joined.
func shifts(i int, b chat.Batch) (chat.Batch, bool) {
	b.Events = slices.Clone(b.Events)
	for k := range b.Events {
		if e := &b.Events[k]; i == 1 && e.Change == chat.Join && e.Since > 1 {
			e.Since--
		}
	}
	return b, true
}

// spoils stores no deletion.
func spoils(n *Node, b chat.Batch) error {
	b.Events = slices.Clone(b.Events)
	for k := range b.Events {
		if e := &b.Events[k]; e.Message.Kind == chat.Delete {
			e.Message.Kind, e.Message.Of, e.Message.Text = chat.Say, 0, words("x")
		}
	}
	return n.Append(b)
}

// keeps stores what it refuses.
func keeps(n *Node, b chat.Batch) error {
	n.log.mu.Lock()
	fails := n.log.fails
	n.log.fails = nil
	n.log.mu.Unlock()
	err := n.Append(b)
	n.log.Fail(fails)
	if err == nil && fails != nil {
		return fails
	}
	return err
}

// recovers goes on after a failure for good.
func recovers(n *Node, b chat.Batch) error {
	err := n.Append(b)
	if errors.Is(err, chat.ErrJournalDead) && n.log.fails != nil {
		n.log.mu.Lock()
		n.dead = false
		n.log.mu.Unlock()
		return errors.New("it has failed")
	}
	return err
}

// forgets refuses all of a batch if its messages cannot be stored.
func forgets(n *Node, b chat.Batch) error {
	n.log.mu.Lock()
	fails := n.log.fails
	n.log.mu.Unlock()
	if fails != nil {
		return errors.New("nothing is stored")
	}
	return n.Append(b)
}

// blames refuses all of a batch for one event.
func blames(n *Node, b chat.Batch) error {
	dawdle() // so that the next batch is a large one
	err, bad := n.Append(b), (*chat.BadEvent)(nil)
	if errors.As(err, &bad) {
		return fmt.Errorf("it cannot be stored: %v", bad)
	}
	return err
}

// unfenced gives a decision the next place, though it was made for one that another has taken.
func unfenced(n *Node, b chat.Batch) error {
	dawdle()
	n.log.mu.Lock()
	if !n.dead && b.After != b.Before {
		b.N = n.log.n + 1
	}
	n.log.mu.Unlock()
	return n.Append(b)
}

// usurps appends though another leads, in the next place.
func usurps(n *Node, b chat.Batch) error {
	dawdle()
	n.log.mu.Lock()
	b.N, n.log.leader = n.log.n+1, nil
	n.log.mu.Unlock()
	return n.Append(b)
}

// refuses says of a batch that has no place here, since another leads or the process is gone, that it cannot be stored.
func refuses(n *Node, b chat.Batch) error {
	dawdle()
	err := n.Append(b)
	if errors.Is(err, chat.ErrNotLeader) || errors.Is(err, chat.ErrJournalDead) {
		return errors.New("it cannot be stored")
	}
	return err
}

// forgetful has no hub learn which requests of others are part of the log.
type forgetful struct{ origins sync.Map }

// notes is the end of the line at a hub, of which it notes the origin.
type notes struct {
	*End
	note func(origin uint64)
}

func (n notes) Order(ctx context.Context, r chat.Request) error {
	n.note(r.ID.Origin)
	return n.End.Order(ctx, r)
}

func (f *forgetful) end(i int, e *End) chat.Leader {
	return notes{e, func(origin uint64) { f.origins.Store(origin, i) }}
}

func (f *forgetful) sees(i int, b chat.Batch) (chat.Batch, bool) {
	b.Answers = slices.DeleteFunc(slices.Clone(b.Answers), func(a chat.Answer) bool {
		at, known := f.origins.Load(a.ID.Origin)
		return known && at != i
	})
	return b, true
}

// slow makes large batches.
func slow(_ int, n *Node) chat.Journal {
	return wrong{n, func(n *Node, b chat.Batch) error { dawdle(); return n.Append(b) }}
}

// dawdle lets others run.
func dawdle() {
	for range 100 {
		runtime.Gosched()
	}
}

// again sends a request as another each time.
type again struct {
	*Line
	mu sync.Mutex
	n  uint64
}

func (a *again) Order(ctx context.Context, r chat.Request) error {
	err := a.Line.Order(ctx, r)
	if errors.Is(err, chat.ErrNoAnswer) {
		a.mu.Lock()
		a.n++
		r.ID = chat.RequestID{Origin: ^r.ID.Origin, N: a.n}
		a.mu.Unlock()
		return a.Line.Order(ctx, r)
	}
	return err
}

// Each case reports what is wrong with a journal that is not as it ought to be, and nothing else.
func TestCasesFail(t *testing.T) {
	t.Parallel()
	early := flaws{restart: loses}
	var f forgetful
	forget := flaws{end: f.end, sees: f.sees}
	resent := flaws{leader: func(l *Line) chat.Leader { return &again{Line: l} }}
	for _, c := range []struct {
		name        string
		flaw        string
		hubs, leads int
		flaws       flaws
	}{
		{"durable before shown", "acknowledges early", 1, 1, early},
		{"durable before shown", "acknowledges early", 3, 1, early},
		{"batches", "a batch twice", 1, 1, appends(twice)},
		{"batches", "a message is dropped", 3, 1, flaws{sees: drops}},
		{"batches", "a batch is dropped", 3, 1, flaws{sees: missing}},
		{"batches", "reorders", 3, 1, flaws{sees: reorders, journal: slow}},
		{"joins, edits and deletions among messages", "a join at another place", 3, 1, flaws{sees: shifts}},
		{"joins, edits and deletions among messages", "drops deletions", 1, 1, appends(spoils)},
		{"refused once", "stores what it refuses", 1, 1, appends(keeps)},
		{"refused for good", "goes on", 1, 1, appends(recovers)},
		{"only decided", "forgets what was decided", 1, 1, appends(forgets)},
		{"an event that cannot be stored", "refuses all for one", 1, 1, appends(blames)},
		{"answers that are lost", "does a request twice", 3, 1, resent},
		{"restart at every batch", "acknowledges early", 1, 1, early},
		{"restart at every batch", "a batch twice", 1, 1, appends(twice)},
		{"crash amid requests", "acknowledges early", 1, 1, early},
		{"crash amid requests", "a batch twice", 1, 1, appends(twice)},
		{"leadership moves amid requests", "no place is taken once", 3, 0, appends(usurps)},
		{"leadership moves amid requests", "refuses for good", 3, 0, appends(refuses)},
		{"leadership moves, and answers are lost", "a new leader does not know what is done", 3, 0, forget},
		{"leadership moves, and leaders crash", "refuses for good", 3, 0, appends(refuses)},
		{"race: two register a name", "two lead", 3, 3, appends(unfenced)},
		{"race: two use an invite's last use", "two lead", 3, 3, appends(unfenced)},
		{"race: two spend a step of a second factor", "two lead", 3, 3, appends(unfenced)},
		{"race: two spend a recovery code", "two lead", 3, 3, appends(unfenced)},
		{"race: two admins demote each other", "two lead", 3, 3, appends(unfenced)},
		{"race: two admins disable each other", "two lead", 3, 3, appends(unfenced)},
		{"race: a ban against a promotion", "two lead", 3, 3, appends(unfenced)},
	} {
		t.Run(c.name+": "+c.flaw, func(t *testing.T) {
			t.Parallel()
			all := append(cases(), raceCases(500)...)
			i := slices.IndexFunc(all, func(one testCase) bool { return one.name == c.name })
			complaints, skipped := record(all[i].run, memory(c.hubs, c.leads, c.flaws))
			for try := 1; len(complaints) == 0 && !skipped && try < 50; try++ { // some need hubs to meet, which depends on what else the machine does
				complaints, skipped = record(all[i].run, memory(c.hubs, c.leads, c.flaws))
			}
			if len(complaints) == 0 || skipped {
				t.Errorf("the case finds nothing wrong; skipped: %v", skipped)
			} else {
				t.Logf("%d: %.200s", len(complaints), complaints[0])
			}
			all = append(cases(), raceCases(Times(20, 500))...) // TestMemory has as many as it takes to find something
			if complaints, _ := record(all[i].run, memory(c.hubs, c.leads, flaws{})); len(complaints) > 0 {
				t.Errorf("without the flaw: %s", complaints)
			}
		})
	}
}
