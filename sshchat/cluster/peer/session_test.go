package peer

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// sessionOf returns the session of a link, and its id.
func sessionOf(p *Peers, node string) (*session, uint64) {
	l := p.linkTo(node, true)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.session == nil {
		return nil, 0
	}
	return l.session, l.session.id
}

func TestCallsGoOnAfterARestart(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.process("a")
	b := r.silent("b")
	received := make(chan string, 4)
	b.Handle("hold", func(ctx context.Context, _ string, _ []byte) ([]byte, error) {
		received <- "first"
		<-ctx.Done()
		return nil, ctx.Err()
	})
	r.listen(b)
	result := make(chan string, 1)
	go func() {
		got, err := a.Call(context.Background(), "b", "hold", nil)
		if err != nil {
			got = []byte(err.Error())
		}
		result <- string(got)
	}()
	<-received
	b.nc.Close() // it crashes
	waitFor(t, func() bool {
		short, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer cancel()
		_, err := a.Call(short, "b", "echo", nil)
		return errors.Is(err, ErrUnreachable) && short.Err() == nil
	})
	again := r.silent("b")
	again.Handle("hold", func(context.Context, string, []byte) ([]byte, error) { return []byte("second"), nil })
	again.Handle("echo", func(context.Context, string, []byte) ([]byte, error) { return nil, nil })
	r.listen(again)
	if _, err := a.Call(wait(t), "b", "echo", nil); err != nil {
		t.Errorf("the first call after the restart: %v", err)
	}
	if got := <-result; got != "second" {
		t.Errorf("the call that was open at the restart: %s", got)
	}
}

func TestCallerRestarts(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a, b := r.process("a"), r.process("b")
	for range 3 {
		mustEcho(t, a, "b", "one")
		mustEcho(t, a, "b", "two")
		mustEcho(t, b, "a", "three")
		a.Close() // the numbers of its calls begin anew
		a = r.process("a")
	}
}

func TestLostPackets(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a, b := r.process("a"), r.process("b")
	mustEcho(t, a, "b", "one")
	lose := func(s *session, n int) {
		s.sending.Lock()
		defer s.sending.Unlock()
		for range n {
			var once [KeySize]byte
			s.send.step(&once)
		}
	}
	s, id := sessionOf(a, "b")
	lose(s, maxSkip)
	g := b.guestOf("a", false)
	lose(g.current, maxSkip)
	mustEcho(t, a, "b", "after losses")
	if _, now := sessionOf(a, "b"); now != id {
		t.Error("losses that can be passed over cost a session")
	}
	lose(s, maxSkip+1)
	mustEcho(t, a, "b", "after more losses")
	if _, now := sessionOf(a, "b"); now == id {
		t.Error("losses that cannot be passed over end no session")
	}
	s, id = sessionOf(a, "b")
	lose(g.current, maxSkip+1) // no reply can be opened: the call is sent again, and is not done again
	short, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	a.Call(short, "b", "echo", nil)
	mustEcho(t, a, "b", "in a new session")
	if _, now := sessionOf(a, "b"); now == id {
		t.Error("replies that cannot be opened end no session")
	}
	if !s.send.wiped || !s.receive.wiped || s.send.key != [KeySize]byte{} {
		t.Error("the keys of the session that was replaced are kept")
	}
}

func TestSessionIsRenewed(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a, b := r.process("a"), r.silent("b")
	received, hold := make(chan struct{}), make(chan struct{})
	b.Handle("hold", func(context.Context, string, []byte) ([]byte, error) {
		received <- struct{}{}
		<-hold
		return []byte("held"), nil
	})
	b.Handle("echo", func(context.Context, string, []byte) ([]byte, error) { return nil, nil })
	r.listen(b)
	result := make(chan error, 1)
	go func() {
		got, err := a.Call(context.Background(), "b", "hold", nil)
		if err == nil && string(got) != "held" {
			err = errors.New("another reply")
		}
		result <- err
	}()
	<-received
	old, _ := sessionOf(a, "b")
	l := a.linkTo("b", false)
	l.mu.Lock()
	old.made = old.made.Add(-renewAfter)
	l.mu.Unlock()
	if _, err := a.Call(wait(t), "b", "echo", nil); err != nil {
		t.Error(err)
	}
	if now, _ := sessionOf(a, "b"); now == old {
		t.Error("a session of an hour is used")
	}
	close(hold)
	if err := <-result; err != nil {
		t.Errorf("a call that was made before: %v", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.previous != nil || !old.send.wiped || old.receive.key != [KeySize]byte{} {
		t.Error("the keys of the session before are kept")
	}
}

func TestConnectionComesBack(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a, b := r.process("a"), r.process("b")
	mustEcho(t, a, "b", "one")
	_, id := sessionOf(a, "b")
	r.servers.Kill(0)
	waitFor(t, func() bool { return !a.nc.IsConnected() && !b.nc.IsConnected() })
	short, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if _, err := a.Call(short, "b", "echo", nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("without a server: %v", err)
	}
	r.servers.Restart(0)
	waitFor(t, func() bool { return a.nc.IsConnected() && b.nc.IsConnected() })
	if err := b.nc.FlushTimeout(time.Minute); err != nil { // it has subscribed again
		t.Fatal(err)
	}
	mustEcho(t, a, "b", "two")
	if _, now := sessionOf(a, "b"); now != id {
		t.Error("another session, though both processes are the same")
	}
	a.nc.Close()
	if _, err := a.Call(wait(t), "b", "echo", nil); !errors.Is(err, ErrUnreachable) || !errors.Is(err, nats.ErrConnectionClosed) {
		t.Errorf("on a closed connection: %v", err)
	}
}

func TestOneReplayedHandshakeChangesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	tap := r.tap()
	a, b := r.process("a"), r.process("b")
	mustEcho(t, a, "b", "one")
	var hello []byte
	for _, m := range tap.taken() {
		if m.Data[1] == typeHello {
			hello = m.Data
		}
	}
	a.Close()
	a = r.process("a")
	mustEcho(t, a, "b", "two")
	_, id := sessionOf(a, "b")
	g := b.guestOf("a", false)
	for range 3 * maxPending {
		hello[2]++ // another session: the id is not part of what the handshake proves
		tap.send(subject("b"), hello)
		waitFor(t, func() bool { return g.has(uint64(hello[2])<<56 | beyond(hello)) })
	}
	if n := len(g.pending); n > maxPending {
		t.Errorf("%d sessions wait", n)
	}
	mustEcho(t, a, "b", "three")
	if _, now := sessionOf(a, "b"); now != id {
		t.Error("the session is another")
	}
}

// beyond is the session's id in a packet without its first byte.
func beyond(packet []byte) (n uint64) {
	for _, c := range packet[3:10] {
		n = n<<8 | uint64(c)
	}
	return n
}

func TestCloseEndsCalls(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a, b := r.process("a"), r.silent("b")
	received, ended := make(chan struct{}, 1), make(chan struct{})
	b.Handle("hold", func(ctx context.Context, _ string, _ []byte) ([]byte, error) {
		received <- struct{}{}
		<-ctx.Done()
		close(ended)
		return nil, ctx.Err()
	})
	r.listen(b)
	result := make(chan error, 1)
	go func() {
		_, err := a.Call(context.Background(), "b", "hold", nil)
		result <- err
	}()
	<-received
	a.Close()
	if err := <-result; !errors.Is(err, ErrClosed) {
		t.Errorf("the call: %v", err)
	}
	if s, _ := sessionOf(a, "b"); s != nil {
		t.Error("a session is left")
	}
	b.Close()
	select {
	case <-ended:
	default:
		t.Error("the handler is not waited for")
	}
	if g := b.guestOf("a", false); g.current != nil || len(g.pending) > 0 {
		t.Error("a session is left")
	}
	if err := b.Listen(); !errors.Is(err, ErrClosed) {
		t.Errorf("it listens again: %v", err)
	}
}

func TestSecretRepliesAreErased(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a, b := r.process("a"), r.silent("b")
	replies := map[string][]byte{"secret": []byte("a key"), "other": []byte("words")}
	b.HandleSecret("secret", func(context.Context, string, []byte) ([]byte, error) { return replies["secret"], nil })
	b.Handle("other", func(context.Context, string, []byte) ([]byte, error) { return replies["other"], nil })
	r.listen(b)
	for kind, want := range map[string]string{"secret": "a key", "other": "words"} {
		if got, err := a.Call(wait(t), "b", kind, nil); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", kind, got, err)
		}
	}
	b.Close() // waits for the handlers
	if string(replies["secret"]) != "\x00\x00\x00\x00\x00" || string(replies["other"]) != "words" {
		t.Errorf("left are %q", replies)
	}
}

// A reply that was sent in a session, and comes when the caller has lost that, cannot be opened any more. The caller learns of it at once,
// and does not wait until its time is over.
func TestReplyLostWithItsSession(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.process("a")
	b, did := r.counted("b")
	mustPost(t, a, "b")
	l, g := a.linkTo("b", false), b.guestOf("a", false)
	result, hold := make(chan error, 1), make(chan struct{})
	ctx := wait(t)
	b.Handle("hold", func(context.Context, string, []byte) ([]byte, error) {
		did.Add(1)
		<-hold
		return nil, nil
	})
	go func() {
		_, err := a.Call(ctx, "b", "hold", nil)
		result <- err
	}()
	waitFor(t, func() bool { return did.Load() == 2 })
	l.mu.Lock() // the reply is not taken before the session is lost
	close(hold)
	waitFor(t, func() bool { g.mu.Lock(); defer g.mu.Unlock(); return len(g.running) == 0 })
	l.lose(l.session)
	l.mu.Unlock()
	if err := <-result; !errors.Is(err, ErrReplyLost) {
		t.Errorf("a call whose reply was lost: %v", err)
	}
	if did.Load() != 2 {
		t.Errorf("%d calls are done of 2", did.Load())
	}
	mustPost(t, a, "b")
}
