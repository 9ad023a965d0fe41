package keyring

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
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

	state *chat.State       // guarded by mu
	nodes map[string]*node  // guarded by mu; those that run
	old   map[string]bool   // guarded by mu; those that run an older version
	dirs  map[string]string // of the data folders
	stops map[string]context.CancelFunc
}

// node is one of them, as Hub and Others.
type node struct {
	town    *town
	name    string
	ring    *Ring
	handler peer.Handler
	follow  []func(before, after chat.View)
	log     *logged
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

func (t *town) view() chat.View {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.viewLocked()
}

func (t *town) viewLocked() chat.View {
	now := time.Now().UTC()
	return chat.View{State: t.state, At: chat.Moment{Wall: now, Trusted: now, Latest: now, Stamp: now}}
}

func (n *node) View() chat.View { return n.town.view() }

func (n *node) Follow(f func(before, after chat.View)) { n.follow = append(n.follow, f) }

func (n *node) Decide(_ context.Context, who chat.Caller, in chat.Intent, _ *chat.AuditEntry) error {
	t := n.town
	t.mu.Lock()
	defer t.mu.Unlock()
	before := t.viewLocked()
	next, err := before.Check(who, in)
	if err != nil {
		return err
	}
	t.state = next
	after := t.viewLocked()
	for _, other := range t.nodes {
		for _, f := range other.follow {
			f(before, after)
		}
	}
	return nil
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
	return to.handler(ctx, n.name, request)
}

// newTown is nodes whose folders have the same host key. None runs.
func newTown(t testing.TB, names ...string) *town {
	t.Helper()
	first := t.TempDir()
	if _, _, err := hostkeys.Open(first); err != nil {
		t.Fatal(err)
	}
	c := &town{t: t, state: chat.NewState(chat.Parts{}), nodes: make(map[string]*node), old: make(map[string]bool), dirs: make(map[string]string), stops: make(map[string]context.CancelFunc)}
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
func (t *town) start(name string) error {
	keys, _, err := hostkeys.Open(t.dirs[name])
	if err != nil {
		return err
	}
	n := &node{town: t, name: name, log: &logged{}}
	ctx, stop := context.WithCancel(context.Background())
	if n.ring, err = New(ctx, keys, n, n, slog.New(slog.NewTextHandler(n.log, nil))); err != nil {
		stop()
		return err
	}
	t.mu.Lock()
	t.nodes[name], t.stops[name] = n, stop
	t.mu.Unlock()
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
	for name, n := range t.nodes {
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
		for _, n := range c.nodes { // who made another has it replaced
			for began := time.Now(); !n.ring.Choice().Is(choice(c.view().HostKeys())) && time.Since(began) < 20*time.Second; time.Sleep(time.Millisecond) {
			}
		}
		c.same()
		if _, err := rings[1].Rotate(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.same()
	}
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
