package keyring

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sshchat/hostkeys"
	"sshchat/sshchat/attack"
	"sshchat/sshchat/chat"
	"sshchat/sshchat/cluster/peer"

	"golang.org/x/crypto/ssh"
)

// town is nodes that are connected, and what they decided.
type town struct {
	t  testing.TB
	mu sync.Mutex

	state *chat.State       // guarded by mu; after all that is decided
	nodes map[string]*node  // guarded by mu; those that run
	old   map[string]bool   // guarded by mu; those that run an older version
	dirs  map[string]string // of the data folders
	stops map[string]context.CancelFunc
	late  map[string]bool // guarded by mu; those that do not apply what is decided

	// Each is called once, without mu; nil: nothing is.
	deciding func(in chat.SetHostKeys) error // guarded by mu; before something is decided; an error: the node gets that at once
	answered func()                          // guarded by mu; before the answer to a call arrives
}

// once takes out a function that is called once.
func once[F any](t *town, f *F) (is F) {
	t.mu.Lock()
	defer t.mu.Unlock()
	is, *f = *f, is
	return is
}

// node is one of them, as Hub and Others.
type node struct {
	town     *town
	name     string
	ring     *Ring
	handler  peer.Handler
	follow   []func(before, after chat.View)
	log      *logged
	applying sync.Mutex                 // held while it applies
	state    atomic.Pointer[chat.State] // that it has applied
}

// logged is a log that a test reads.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func viewOf(state *chat.State) chat.View {
	now := time.Now().UTC()
	return chat.View{State: state, At: chat.Moment{Wall: now, Trusted: now, Latest: now, Stamp: now}}
}

// view is what is decided.
func (t *town) view() chat.View {
	t.mu.Lock()
	defer t.mu.Unlock()
	return viewOf(t.state)
}

func (n *node) View() chat.View { return viewOf(n.state.Load()) }

// apply has a node apply what is decided, as a hub does: the State first, then the followers.
func (n *node) apply() {
	n.applying.Lock()
	defer n.applying.Unlock()
	after := n.town.view()
	before := viewOf(n.state.Swap(after.State))
	for _, f := range n.follow {
		f(before, after)
	}
}

// delay has a node apply nothing from now on, until apply does it.
func (t *town) delay(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.late[name] = true
}

// apply has a node apply what it has not yet, and what comes from now on.
func (t *town) apply(name string) {
	t.mu.Lock()
	delete(t.late, name)
	n := t.nodes[name]
	t.mu.Unlock()
	n.apply()
}

func (n *node) Follow(f func(before, after chat.View)) { n.follow = append(n.follow, f) }

func (n *node) Decide(_ context.Context, who chat.Caller, in chat.Intent, _ *chat.AuditEntry) error {
	if f := once(n.town, &n.town.deciding); f != nil {
		if err := f(in.(chat.SetHostKeys)); err != nil {
			return err
		}
	}
	return n.town.decide(who, in)
}

// decide has something decided, and applied on all nodes that are not late.
func (t *town) decide(who chat.Caller, in chat.Intent) error {
	t.mu.Lock()
	next, err := viewOf(t.state).Check(who, in)
	var apply []*node
	if err == nil {
		t.state = next
		for name, n := range t.nodes {
			if !t.late[name] {
				apply = append(apply, n)
			}
		}
	}
	t.mu.Unlock()
	for _, n := range apply {
		n.apply()
	}
	return err
}

func (n *node) HandleSecret(_ string, f peer.Handler) { n.handler = f }

func (n *node) Alive() (names []string) {
	n.town.mu.Lock()
	defer n.town.mu.Unlock()
	for name := range n.town.nodes {
		if name != n.name {
			names = append(names, name)
		}
	}
	return names
}

func (n *node) Listed() (names []string) {
	for name := range n.town.dirs {
		if name != n.name {
			names = append(names, name)
		}
	}
	return names
}

func (n *node) Call(ctx context.Context, name, _ string, request []byte) ([]byte, error) {
	n.town.mu.Lock()
	to, old := n.town.nodes[name], n.town.old[name]
	n.town.mu.Unlock()
	switch {
	case to == nil:
		return nil, peer.ErrUnreachable
	case old:
		return nil, peer.ErrUnknownKind
	}
	answer, err := to.handler(ctx, n.name, request)
	if f := once(n.town, &n.town.answered); f != nil {
		f()
	}
	return answer, err
}

// newTown is nodes whose folders have the same host key. None runs.
func newTown(t testing.TB, names ...string) *town {
	t.Helper()
	first := t.TempDir()
	if _, _, err := hostkeys.Open(first); err != nil {
		t.Fatal(err)
	}
	c := &town{t: t, state: chat.NewState(chat.Parts{}), nodes: make(map[string]*node), old: make(map[string]bool), dirs: make(map[string]string), stops: make(map[string]context.CancelFunc), late: make(map[string]bool)}
	for _, name := range names {
		c.dirs[name] = t.TempDir()
		copyDir(t, c.dirs[name], first)
	}
	t.Cleanup(func() {
		for name := range c.dirs {
			c.stop(name)
		}
	})
	return c
}

// copyDir has one folder hold what another does.
func copyDir(t testing.TB, to, from string) {
	t.Helper()
	files, err := os.ReadDir(from)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(filepath.Join(from, f.Name()))
		if err == nil {
			err = os.WriteFile(filepath.Join(to, f.Name()), b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// start starts a node.
func (t *town) start(name string) error { return t.startAt(name, t.view().State) }

// startAt starts a node whose folder has applied no more than that.
func (t *town) startAt(name string, state *chat.State) error {
	keys, _, err := hostkeys.Open(t.dirs[name])
	if err != nil {
		return err
	}
	n := &node{town: t, name: name, log: &logged{}}
	n.state.Store(state)
	ctx, stop := context.WithCancel(context.Background())
	if n.ring, err = New(ctx, keys, n, n, slog.New(slog.NewTextHandler(n.log, nil))); err != nil {
		stop()
		return err
	}
	t.mu.Lock()
	t.nodes[name], t.stops[name] = n, stop
	late := t.late[name]
	t.mu.Unlock()
	if !late {
		n.apply()
	}
	n.ring.Begin(ctx)
	return nil
}

func (t *town) must(name string) *Ring {
	t.t.Helper()
	if err := t.start(name); err != nil {
		t.t.Fatal(err)
	}
	return t.nodes[name].ring
}

func (t *town) stop(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if stop := t.stops[name]; stop != nil {
		stop()
	}
	delete(t.nodes, name)
}

// same fails unless all nodes that run come to serve and announce what is decided, with the same records.
func (t *town) same() {
	t.t.Helper()
	want := choice(t.view().HostKeys())
	records := ""
	t.mu.Lock()
	nodes := maps.Clone(t.nodes)
	t.mu.Unlock()
	for name, n := range nodes {
		for began := time.Now(); !n.ring.Choice().Is(want) || n.ring.Ready() != nil; time.Sleep(time.Millisecond) {
			if time.Since(began) > 20*time.Second {
				t.t.Fatalf("node %s has %s, and %s is decided: %v\n%s", name, n.ring.Choice(), want, n.ring.Ready(), n.log)
			}
		}
		if got := ssh.FingerprintSHA256(n.ring.Signers()[0].PublicKey()); got != want.Current {
			t.t.Errorf("node %s serves %s", name, got)
		}
		all := string(bytes.Join(n.ring.Records(), nil))
		if records == "" {
			records = all
		} else if all != records {
			t.t.Errorf("node %s has other records", name)
		}
	}
}

func rotate(t testing.TB, r *Ring) {
	t.Helper()
	if _, _, err := r.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// A rotation on any node is that of all; nodes that are down are named, and follow when they are back; one that is new has what the chat has.
func TestRotationOnAllNodes(t *testing.T) {
	t.Parallel()
	c := newTown(t, "n1", "n2", "n3")
	n1, n2 := c.must("n1"), c.must("n2")
	c.must("n3")
	first := c.view().HostKeys()
	if first.Current == "" || !n1.Choice().Is(choice(first)) {
		t.Fatalf("decided is %+v", first)
	}
	made, lack, err := n1.Prepare(t.Context())
	if err != nil || !made || len(lack) > 0 {
		t.Fatalf("%v %v %v", made, lack, err)
	}
	c.same()
	if made, _, err := n2.Prepare(t.Context()); err != nil || made {
		t.Errorf("there are two next keys: %v, %v", made, err)
	}
	c.stop("n3")
	lack, err = n2.Rotate(t.Context())
	if err != nil || strings.Join(lack, " ") != "n3" {
		t.Errorf("%v, %v", lack, err)
	}
	c.same()
	if is := c.view().HostKeys(); is.Current == first.Current || is.Next != "" || is.At.IsZero() {
		t.Errorf("decided is %+v, and was %+v", is, first)
	}
	rotate(t, n1)
	c.must("n3")
	c.same()
	if _, err := n1.Rotate(t.Context()); err == nil {
		t.Error("rotated to nothing")
	}
}

// Whoever rotates at the same moment: one next key, and nobody is left with another.
func TestRotationsAtOnce(t *testing.T) {
	t.Parallel()
	c := newTown(t, "n1", "n2", "n3")
	rings := []*Ring{c.must("n1"), c.must("n2"), c.must("n3")}
	for range 5 {
		var all sync.WaitGroup
		for _, r := range rings {
			all.Go(func() {
				if _, _, err := r.Prepare(t.Context()); err != nil && !errors.Is(err, chat.ErrHostKeys) {
					t.Error(err)
				}
			})
		}
		all.Wait()
		c.same()
		if _, err := rings[1].Rotate(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.same()
	}
}

// A next key is on one node only while it is decided. Whatever that node does meanwhile, it has the key if it is decided, and not otherwise.
func TestProposedKeyIsKept(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]func(t *testing.T, c *town){
		"an earlier decision is followed late":   followedLate,
		"the key that lacked is taken meanwhile": takenMeanwhile,
		"a copy arrives after the decision":      takenTooLate,
		"the node ends before it applies":        endsBeforeItApplies,
		"the answer is lost":                     answerIsLost,
		"another node is faster":                 anotherIsFaster,
		"the first keys are decided meanwhile":   firstKeysMeanwhile,
		"the next key becomes the current one":   rotatedMeanwhile,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newTown(t, "n1", "n2")
			f(t, c)
			c.same()
			for name, dir := range c.dirs {
				left, err := filepath.Glob(filepath.Join(dir, "proposed_*"))
				if err != nil || len(left) > 0 {
					t.Errorf("node %s keeps a key that is not decided: %v %v", name, left, err)
				}
			}
		})
	}
}

// prepare has a node prepare the next key, which is done by f once it is made. It returns what was to be decided.
func (t *town) prepare(name string, f func(in chat.SetHostKeys) error) (in chat.SetHostKeys, err error) {
	t.t.Helper()
	t.mu.Lock()
	t.deciding = func(is chat.SetHostKeys) error {
		in = is
		return f(is)
	}
	t.mu.Unlock()
	_, _, err = t.nodes[name].ring.Prepare(t.t.Context())
	if in == (chat.SetHostKeys{}) {
		t.t.Fatalf("nothing was to be decided: %v", err)
	}
	return in, err
}

// decided fails unless that is.
func (t *town) decided(in chat.SetHostKeys, err error) {
	t.t.Helper()
	if is := t.view().HostKeys(); err != nil || is != in.To || is.Next == "" {
		t.t.Fatalf("decided is %+v, and was to be %+v: %v", is, in.To, err)
	}
}

// A hub shows what is decided a moment before its followers know.
func followedLate(_ *testing.T, c *town) {
	c.must("n1")
	c.must("n2")
	n1 := c.nodes["n1"]
	c.decided(c.prepare("n1", func(chat.SetHostKeys) error {
		n1.follow[0](viewOf(chat.NewState(chat.Parts{})), n1.View())
		return nil
	}))
}

// lacks has a next key be decided that is on n2 only, which does not run; n1 does.
func (t *town) lacks() {
	t.t.Helper()
	if _, _, err := t.must("n2").Prepare(t.t.Context()); err != nil {
		t.t.Fatal(err)
	}
	t.stop("n2")
	t.must("n1")
}

func takenMeanwhile(t *testing.T, c *town) {
	c.lacks()
	c.decided(c.prepare("n1", func(in chat.SetHostKeys) error {
		c.must("n2")
		if err := c.nodes["n1"].ring.take(t.Context()); err != nil || c.nodes["n1"].ring.Choice().Next != in.From.Next {
			t.Errorf("control: the key that lacked is not here: %v", err)
		}
		return nil
	}))
}

func takenTooLate(t *testing.T, c *town) {
	c.lacks()
	in, err := c.prepare("n1", func(in chat.SetHostKeys) error {
		c.mu.Lock()
		c.answered = func() { // n2's to n1, with the key that lacked
			c.delay("n2")
			if err := c.decide(chat.TheServer, in); err != nil {
				t.Error(err)
			}
		}
		c.mu.Unlock()
		c.must("n2")
		if err := c.nodes["n1"].ring.take(t.Context()); err != nil {
			t.Error(err)
		}
		return context.Canceled // the person who asked has gone, and it is decided all the same
	})
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	c.apply("n2")
	c.decided(in, nil)
}

func endsBeforeItApplies(t *testing.T, c *town) {
	c.must("n1")
	c.must("n2")
	before := c.view().State
	in, err := c.prepare("n1", func(in chat.SetHostKeys) error {
		c.delay("n1")
		if err := c.decide(chat.TheServer, in); err != nil {
			t.Error(err)
		}
		return chat.ErrNotKnown
	})
	if !errors.Is(err, chat.ErrNotKnown) {
		t.Error(err)
	}
	c.stop("n1")
	if err := c.startAt("n1", before); err != nil {
		t.Fatal(err)
	}
	c.apply("n1")
	c.decided(in, nil)
}

func answerIsLost(t *testing.T, c *town) {
	c.must("n1")
	c.must("n2")
	lost := func(chat.SetHostKeys) error { return chat.ErrStopping }
	first, _ := c.prepare("n1", lost)
	if is := c.nodes["n1"].ring.Choice(); is.Next != "" || len(c.nodes["n1"].ring.Announced()) != 1 {
		t.Errorf("it announces %s, which is not decided", is)
	}
	c.same() // it gives others what is decided
	c.stop("n1")
	c.must("n1")
	if again, _ := c.prepare("n1", lost); again != first {
		t.Errorf("it was to be %+v, and then %+v", first, again)
	}
	if err := c.decide(chat.TheServer, first); err != nil { // by a leader that had got it
		t.Fatal(err)
	}
	c.decided(first, nil)
}

func anotherIsFaster(t *testing.T, c *town) {
	c.must("n1")
	c.must("n2")
	if _, err := c.prepare("n1", func(chat.SetHostKeys) error {
		c.decided(c.prepare("n2", func(chat.SetHostKeys) error { return nil }))
		return nil
	}); !errors.Is(err, chat.ErrHostKeys) {
		t.Error(err)
	}
}

func firstKeysMeanwhile(t *testing.T, c *town) {
	c.must("n1")
	n2 := c.must("n2")
	c.mu.Lock()
	c.state = chat.NewState(chat.Parts{})
	c.mu.Unlock()
	c.apply("n1")
	c.apply("n2")
	if _, err := c.prepare("n1", func(chat.SetHostKeys) error {
		n2.Begin(t.Context())
		return nil
	}); !errors.Is(err, chat.ErrHostKeys) {
		t.Error(err)
	}
	c.decided(c.prepare("n1", func(chat.SetHostKeys) error { return nil }))
}

func rotatedMeanwhile(t *testing.T, c *town) {
	c.lacks()
	if _, err := c.prepare("n1", func(in chat.SetHostKeys) error {
		c.delay("n1")
		c.must("n2")
		err := c.decide(chat.TheServer, chat.SetHostKeys{From: in.From, To: chat.HostKeys{Current: in.From.Next}})
		c.apply("n1")
		return err
	}); !errors.Is(err, chat.ErrHostKeys) {
		t.Error(err)
	}
	c.same()
	c.decided(c.prepare("n1", func(chat.SetHostKeys) error { return nil }))
}

// A next key whose only node is gone for good is replaced by another.
func TestNextKeyThatIsGone(t *testing.T) {
	t.Parallel()
	c := newTown(t, "n1", "n2")
	n1 := c.must("n1")
	if _, lack, err := n1.Prepare(t.Context()); err != nil || len(lack) != 1 {
		t.Fatal(lack, err)
	}
	gone := c.view().HostKeys().Next
	c.stop("n1")
	n2 := c.must("n2") // serves: the current key is the chat's
	if _, err := n2.Rotate(t.Context()); err == nil {
		t.Error("rotated to a key that is not here")
	}
	if made, _, err := n2.Prepare(t.Context()); err != nil || !made || c.view().HostKeys().Next == gone {
		t.Errorf("%v, %v", made, err)
	}
	c.must("n1") // has a key that is not decided
	c.same()
}

// A node that lacks the next key gives the current one all the same.
func TestCurrentKeyWithoutTheNext(t *testing.T) {
	t.Parallel()
	c := newTown(t, "n1", "n2", "n3")
	n1 := c.must("n1")
	c.must("n2")
	old := c.view().HostKeys().Current
	rotate(t, n1)
	c.same()
	c.stop("n2")
	if _, _, err := n1.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.stop("n1")
	c.must("n2")
	n3 := c.must("n3")
	if is := n3.Choice(); is.Current == old || is.Current != c.view().HostKeys().Current || is.Next != "" || n3.Ready() != nil {
		t.Errorf("it has %s, and %v: %v", is, n3.Ready(), c.view().HostKeys())
	}
	c.must("n1")
	c.same()
}

// While a node of an older version runs nothing is decided that it could not apply.
func TestOlderVersions(t *testing.T) {
	t.Parallel()
	c := newTown(t, "n1", "n2")
	c.must("n2")
	c.state, c.old["n2"] = chat.NewState(chat.Parts{}), true
	n1 := c.must("n1")
	if is := c.view().HostKeys(); is != (chat.HostKeys{}) {
		t.Errorf("decided is %+v", is)
	}
	if _, _, err := n1.Prepare(t.Context()); err == nil || !strings.Contains(err.Error(), "older version") {
		t.Errorf("prepared: %v", err)
	}
	c.mu.Lock()
	c.old["n2"] = false
	c.mu.Unlock()
	n1.Begin(t.Context())
	if c.view().HostKeys().Current == "" {
		t.Error("control: nothing is decided when all have this version")
	}
}

// A node serves the host key that the chat has, or nobody.
func TestAttackNodeWithTheOldHostKey(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Nodes, "start a node with the host key that the chat had before it was rotated, or with one that never was its")
	c := newTown(t, "n1", "n2", "n3")
	n1, n2 := c.must("n1"), c.must("n2")
	old, before := n2.Choice().Current, t.TempDir()
	copyDir(t, before, c.dirs["n3"])
	rotate(t, n1)
	now := c.view().HostKeys().Current
	c.stop("n1")
	c.stop("n2")
	refused := func(what string) {
		t.Helper()
		err := c.start("n3")
		if err == nil {
			t.Fatalf("%s: it starts", what)
		}
		for _, want := range []string{now, "ssh_host_ed25519_key*", "backup --with-host-keys"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: it does not say %s: %v", what, want, err)
			}
		}
	}
	refused("alone, with the old key")
	c.must("n2")
	strange := t.TempDir()
	if _, _, err := hostkeys.Open(strange); err != nil {
		t.Fatal(err)
	}
	c.dirs["n3"] = strange
	refused("with a key that never was the chat's")
	if keys, _, err := hostkeys.Open(strange); err != nil || keys.Choice().Current == now {
		t.Errorf("that key was replaced: %v", err)
	}
	c.dirs["n3"] = before
	n3 := c.must("n3")
	if got := n3.Choice().Current; got != now || got == old {
		t.Errorf("control: it serves %s", got)
	}
	c.same()
	// One that runs, and whose next key was taken away, serves nobody from the moment of the rotation on.
	if _, _, err := n3.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	to := chat.HostKeys{Current: "SHA256:" + strings.Repeat("x", 43)}
	if err := c.nodes["n3"].Decide(t.Context(), chat.TheServer, chat.SetHostKeys{From: c.view().HostKeys(), To: to}, nil); err != nil {
		t.Fatal(err)
	}
	if n3.Signers() != nil || n3.Ready() == nil {
		t.Error("it serves a key that is not the chat's any more")
	}
	row.Tried("3 nodes: the old key while no other node runs; a key that signatures do not lead from; one that runs while the key is changed to one that no node has")
	row.Held("the node serves nobody, says which key the chat has and how to get it, and keeps the key that it had")
	row.Control("with a node that has the key it takes that, which its own has signed for, and serves it")
}
