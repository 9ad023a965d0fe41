package peer

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"sshchat/sshchat/attack"
)

// tap is an attacker who may publish and subscribe as every node does, and keeps what there was.
type tap struct {
	t  testing.TB
	nc *nats.Conn

	mu      sync.Mutex
	packets []*nats.Msg // guarded by mu
}

func (r *rig) tap() *tap {
	r.t.Helper()
	tap := &tap{t: r.t, nc: r.connect()}
	_, err := tap.nc.Subscribe("sshchat.node.>", func(m *nats.Msg) {
		tap.mu.Lock()
		defer tap.mu.Unlock()
		tap.packets = append(tap.packets, m)
	})
	if err != nil {
		r.t.Fatal(err)
	}
	tap.flush()
	return tap
}

// taken returns what was recorded since the last time. All that was sent before is in it.
func (t *tap) taken() (packets []*nats.Msg) {
	t.t.Helper()
	const marker = "sshchat.node.marker"
	t.send(marker, nil)
	waitFor(t.t, func() bool {
		t.mu.Lock()
		defer t.mu.Unlock()
		at := slices.IndexFunc(t.packets, func(m *nats.Msg) bool { return m.Subject == marker })
		if at >= 0 {
			packets, t.packets = slices.Clone(t.packets[:at]), slices.Delete(t.packets, 0, at+1)
		}
		return at >= 0
	})
	return packets
}

// send publishes, and returns when the server has passed it on: what others send from now on comes after it.
func (t *tap) send(subject string, packets ...[]byte) {
	t.t.Helper()
	for _, b := range packets {
		if err := t.nc.Publish(subject, b); err != nil {
			t.t.Fatal(err)
		}
	}
	t.flush()
}

func (t *tap) flush() {
	t.t.Helper()
	if err := t.nc.FlushTimeout(time.Minute); err != nil {
		t.t.Fatal(err)
	}
}

// counted is a process that counts what it does for others.
func (r *rig) counted(name string) (*Peers, *atomic.Int64) {
	r.t.Helper()
	p, did := r.silent(name), new(atomic.Int64)
	p.Handle("post", func(_ context.Context, _ string, request []byte) ([]byte, error) {
		did.Add(1)
		return request, nil
	})
	r.listen(p)
	return p, did
}

func mustPost(t testing.TB, p *Peers, to string) {
	t.Helper()
	text := make([]byte, 200)
	rand.Read(text)
	if got, err := p.Call(wait(t), to, "post", text); err != nil || !bytes.Equal(got, text) {
		t.Fatalf("another reply, %v", err)
	}
}

func TestAttackRepeatedPacketsOfANode(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Nodes, "record what nodes send each other, and send it again")
	const calls, times = 20, 3
	r := newRig(t)
	a := r.process("a")
	b, did := r.counted("b")
	hold, held := make(chan struct{}), make(chan struct{}, 10)
	var holds atomic.Int64
	b.mu.Lock()
	b.handlers["hold"] = handler{f: func(context.Context, string, []byte) ([]byte, error) {
		holds.Add(1)
		held <- struct{}{}
		<-hold
		return []byte("held"), nil
	}}
	b.mu.Unlock()
	tap := r.tap()
	for range calls {
		mustPost(t, a, "b")
	}
	packets := tap.taken()
	for range times {
		for _, m := range packets {
			if err := tap.nc.PublishMsg(m); err != nil {
				t.Fatal(err)
			}
		}
	}
	tap.flush()
	mustPost(t, a, "b") // comes after them, and finds the same session
	if n := did.Load(); n != calls+1 {
		t.Errorf("%d calls are done %d times", calls+1, n)
	}

	// The other node is said to have lost the session while it does a call: the same is sent again in another.
	l := a.linkTo("b", false)
	result := make(chan error, 1)
	go func() {
		got, err := a.Call(context.Background(), "b", "hold", nil)
		if err == nil && string(got) != "held" {
			err = errors.New("another reply")
		}
		result <- err
	}()
	<-held
	l.mu.Lock()
	old := l.session.id
	l.mu.Unlock()
	tap.send(subject("a"), header{typeNoSession, old, 0, "b"}.append(nil))
	waitFor(t, func() bool { l.mu.Lock(); defer l.mu.Unlock(); return l.session != nil && l.session.id != old })
	mustPost(t, a, "b")
	close(hold)
	if err := <-result; err != nil {
		t.Errorf("a call that was sent twice: %v", err)
	}
	if n := holds.Load(); n != 1 {
		t.Errorf("a call that was sent twice is done %d times", n)
	}
	row.Tried("every packet of %d calls %d times; \"no session\" forged while a call is done", calls, times)
	row.Held("a packet's key is erased when it is opened, and calls are counted across sessions: %d are done of %d", did.Load()+holds.Load(), calls+3)

	// Control: a node that goes back to keys that were used.
	g := b.guestOf("a", false)
	g.mu.Lock()
	before := g.current.receive
	g.mu.Unlock()
	tap.taken()
	mustPost(t, a, "b")
	var again []byte
	for _, m := range tap.taken() {
		if m.Data[1] == typeRequest {
			again = m.Data
		}
	}
	g.mu.Lock()
	g.current.receive, g.seen = before, seen{}
	g.mu.Unlock()
	n := did.Load()
	tap.send(subject("b"), again)
	waitFor(t, func() bool { return did.Load() == n+1 })
	row.Control("with the keys and the count set back, a repeated call is done again")
}

// waitFor waits until something is so.
func waitFor(t testing.TB, so func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !so(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it does not come")
		}
	}
}

// settle returns when a node has taken all that was sent to it and to p before. Packets far ahead may have ended the session, and the
// reply to a call is lost with it.
func settle(t testing.TB, p *Peers, to string) {
	t.Helper()
	waitFor(t, func() bool {
		_, err := p.Call(wait(t), to, "none", nil)
		if err != nil && !errors.Is(err, ErrUnknownKind) && !errors.Is(err, ErrReplyLost) {
			t.Fatal(err)
		}
		return errors.Is(err, ErrUnknownKind)
	})
}

func TestAttackNodeWithoutItsKey(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Nodes, "take a node's place with another key")
	r := newRig(t)
	b, did := r.counted("b")
	r.key("a") // is listed, and does not run
	impostor := New(r.connect(), "genesis", "a", newKey(t), r.list.known, testLog(t))
	var asked atomic.Int64
	impostor.Handle("post", func(context.Context, string, []byte) ([]byte, error) { asked.Add(1); return nil, nil })
	r.listen(impostor)
	if _, err := impostor.Call(wait(t), "b", "post", nil); !errors.Is(err, ErrNotListed) {
		t.Errorf("call as a node without its key: %v", err)
	}
	if _, err := b.Call(wait(t), "a", "post", []byte("secret")); !errors.Is(err, ErrNotListed) {
		t.Errorf("answer as a node without its key: %v", err)
	}
	if did.Load() > 0 || asked.Load() > 0 {
		t.Errorf("%d calls done for it, %d reach it", did.Load(), asked.Load())
	}
	row.Tried("call as that node, and answer in its place while it is down")
	row.Held("a handshake needs the key that is listed for each side: both end with an error")
	impostor.Close()
	a := r.process("a")
	mustPost(t, a, "b")
	row.Control("the process with the node's key is answered")
}

func TestAttackRemovedNode(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Nodes, "go on as a node that is not listed any more")
	r := newRig(t)
	mine := &list{keys: make(map[string]string)} // the removed node goes on listing all
	a := r.processOf("a", "genesis", mine.known)
	b, did := r.counted("b")
	c := r.process("c")
	for name, key := range r.keys {
		mine.add(name, key.Public())
	}
	mustPost(t, a, "b")
	mustPost(t, c, "b")
	mustEcho(t, b, "a", "listed")
	for _, prune := range []bool{false, true} {
		r.list.remove("a")
		n := did.Load()
		if prune {
			b.Prune()
			g, l := b.guestOf("a", false), b.linkTo("a", false)
			if g.current != nil || l.session != nil || l.previous != nil {
				t.Error("its sessions are kept")
			}
		}
		for range 3 { // in its session, then in handshakes
			if _, err := a.Call(wait(t), "b", "post", nil); !errors.Is(err, ErrNotListed) {
				t.Errorf("call: %v", err)
			}
		}
		if _, err := b.Call(wait(t), "a", "echo", nil); !errors.Is(err, ErrNotListed) {
			t.Errorf("be called: %v", err)
		}
		mustPost(t, c, "b")
		if did.Load() != n+1 {
			t.Errorf("%d calls are done for it", did.Load()-n-1)
		}
		r.list.add("a", r.keys["a"].Public())
		mustPost(t, a, "b")
		mustEcho(t, b, "a", "listed")
	}
	r.list.add("a", newKey(t).Public())
	if _, err := a.Call(wait(t), "b", "post", nil); !errors.Is(err, ErrNotListed) {
		t.Errorf("call, listed with another key: %v", err)
	}
	row.Tried("7 calls in an open session and in new ones, removed or listed with another key; wait to be called")
	row.Held("the list is asked for each packet: all calls are refused, none is made to it")
	row.Control("before, and once it is listed again, its calls are done; those of another node at any time")
}

func TestAttackOtherChat(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Nodes, "carry packets from one chat into another with the same nodes and keys")
	r := newRig(t)
	b, did := r.counted("b")
	a := r.processOf("a", "another genesis", r.list.known)
	if _, err := a.Call(wait(t), "b", "post", nil); !errors.Is(err, ErrNotListed) {
		t.Errorf("call: %v", err)
	}
	if _, err := b.Call(wait(t), "a", "echo", nil); !errors.Is(err, ErrNotListed) {
		t.Errorf("be called: %v", err)
	}
	if did.Load() > 0 {
		t.Error("it is done")
	}
	row.Tried("a call in each direction")
	row.Held("the genesis is part of the handshake: both are refused")
	a.Close()
	mustPost(t, r.process("a"), "b")
	row.Control("with the same genesis the call is done")
}

func TestAttackForgedAndReflectedPackets(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Nodes, "alter packets of nodes, invent them, send them back to where they came from")
	r := newRig(t)
	a, didA := r.counted("a")
	b, didB := r.counted("b")
	tap := r.tap()
	mustPost(t, a, "b")
	mustPost(t, b, "a")
	send := func(to string, packet []byte) {
		if err := tap.nc.Publish(subject(to), packet); err != nil {
			t.Fatal(err)
		}
	}
	other := map[string]string{"a": "b", "b": "a"}
	for _, m := range tap.taken() {
		h, ad, sealed, err := parsePacket(m.Data)
		if err != nil {
			t.Fatalf("%q: %v", m.Data, err)
		}
		to := other[h.from]
		send(h.from, m.Data) // reflected as it is
		for kind := byte(0); kind <= typeRefused+1; kind++ {
			if kind == typeNoSession || kind == typeRefused {
				continue // they end waits; nothing waits here
			}
			next := header{kind, h.session, h.position + 1, h.from}
			send(to, append(next.append(nil), sealed...)) // as the next packet, of any type
			back := header{kind, h.session, h.position, to}
			send(h.from, append(back.append(nil), sealed...)) // reflected, with the other's name
			far := header{kind, h.session, 1 << 62, h.from}
			send(to, append(far.append(nil), sealed...))
		}
		for i := range m.Data {
			altered := bytes.Clone(m.Data)
			altered[i] ^= 1
			send(to, altered)
		}
		send(to, ad)
		send(to, m.Data[:len(m.Data)-1])
		send(to, m.Data[:5])
		send(to, nil)
	}
	tap.flush()
	settle(t, a, "b")
	settle(t, b, "a")
	mustPost(t, a, "b")
	mustPost(t, b, "a")
	if didA.Load() != 2 || didB.Load() != 2 {
		t.Errorf("%d and %d calls are done, 2 and 2 were made", didA.Load(), didB.Load())
	}
	row.Tried("each packet of two calls and their handshakes: each byte altered, other types and positions, reflected under both names, cut short")
	row.Held("a packet is bound to session, direction, position, type and sender: none is done, and the sessions go on")

	// Control: both directions under one key.
	s := &session{}
	rand.Read(s.send.key[:])
	s.receive = s.send
	packet, err := s.send.seal(nil, []byte("ad"), []byte("text"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.receive.open(0, []byte("ad"), packet); err != nil {
		t.Errorf("the control does not open: %v", err)
	}
	row.Control("if both directions had one key, a reflected packet would open")
}

// taking is what an attacker finds in a node's sessions: each string of 32 bytes.
func taking(v reflect.Value, found map[[KeySize]byte]bool, visited map[uintptr]bool) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() && !visited[v.Pointer()] {
			visited[v.Pointer()] = true
			taking(v.Elem(), found, visited)
		}
	case reflect.Interface:
		taking(v.Elem(), found, visited)
	case reflect.Struct:
		for i := range v.NumField() {
			taking(v.Field(i), found, visited)
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			taking(v.MapIndex(k), found, visited)
		}
	case reflect.Slice, reflect.Array:
		if v.Type().Elem().Kind() != reflect.Uint8 {
			for i := range v.Len() {
				taking(v.Index(i), found, visited)
			}
			return
		}
		n := v.Len()
		if v.Kind() == reflect.Slice {
			n = v.Cap()
			v = v.Slice3(0, n, n)
		}
		b := make([]byte, n)
		for i := range n {
			b[i] = byte(v.Index(i).Uint())
		}
		for i := 0; i+KeySize <= n; i++ {
			found[[KeySize]byte(b[i:])] = true
		}
	}
}

// opensOne reports whether a packet opens under the key, or one of those that follow from it.
func opensOne(key [KeySize]byte, ad, sealed []byte) bool {
	r := ratchet{key: key}
	for range 100 {
		var once [KeySize]byte
		r.step(&once)
		for _, k := range [][KeySize]byte{once, r.key} {
			if _, err := cipherOf(&k).Open(nil, zeroNonce[:], sealed, ad); err == nil {
				return true
			}
		}
	}
	_, err := cipherOf(&key).Open(nil, zeroNonce[:], sealed, ad)
	return err == nil
}

func TestAttackMemoryOfANodeTakenLater(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Nodes, "record what nodes send each other, and take the memory and files of all of them later")
	r := newRig(t)
	a := r.process("a")
	b, _ := r.counted("b")
	tap := r.tap()
	l := a.linkTo("b", true)
	s, err := a.sessionWith(wait(t), l, &call{})
	if err != nil {
		t.Fatal(err)
	}
	start := [][KeySize]byte{s.send.key, s.receive.key}
	const calls = 30
	for range calls {
		mustPost(t, a, "b")
	}
	found := make(map[[KeySize]byte]bool)
	g := b.guestOf("a", false)
	visited := make(map[uintptr]bool)
	func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		g.mu.Lock()
		defer g.mu.Unlock()
		taking(reflect.ValueOf(l), found, visited)
		taking(reflect.ValueOf(g), found, visited)
	}()
	for _, k := range []*Key{r.keys["a"], r.keys["b"]} {
		taking(reflect.ValueOf(k), found, visited)
	}
	for name, key := range map[string][KeySize]byte{"send": s.send.key, "receive": g.current.receive.key, "static": [KeySize]byte(a.key.pair.Private)} {
		if !found[key] {
			t.Errorf("the search does not find the %s key, which is there", name)
		}
	}

	var recorded, later, earlier int
	for _, m := range tap.taken() {
		h, ad, sealed, err := parsePacket(m.Data)
		if err != nil || h.kind != typeRequest && h.kind != typeReply {
			continue
		}
		recorded++
		for key := range found {
			if _, err := cipherOf(&key).Open(nil, zeroNonce[:], sealed, ad); err == nil {
				later++
			}
		}
		for _, key := range [][KeySize]byte{s.send.key, s.receive.key, g.current.receive.key, g.current.send.key} {
			if opensOne(key, ad, sealed) {
				later++
			}
		}
		if opensOne(start[0], ad, sealed) || opensOne(start[1], ad, sealed) {
			earlier++
		}
	}
	if recorded != 2*calls || later != 0 || earlier != recorded {
		t.Errorf("%d packets recorded: %d open with what is found later, %d with the first keys", recorded, later, earlier)
	}
	for i, r := range []ratchet{{key: start[0]}, {key: start[1]}} {
		for range calls {
			var once [KeySize]byte
			if found[r.key] {
				t.Errorf("direction %d: the key of position %d is still there", i, r.n)
			}
			if r.step(&once); found[once] {
				t.Errorf("direction %d: the key of packet %d is still there", i, r.n-1)
			}
		}
	}
	row.Tried("%d packets, and each 32 bytes of the sessions and keys of both nodes", recorded)
	row.Held("keys are one-time and erased when used: %d open", later)
	row.Control("with the keys from before the first packet all %d open", earlier)
}
