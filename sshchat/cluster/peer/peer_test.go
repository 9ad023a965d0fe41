package peer

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"sshchat/sshchat/cluster/natstest"
)

// list is the nodes that State lists.
type list struct {
	mu   sync.Mutex
	keys map[string]string // guarded by mu
}

func (l *list) known(name string) (string, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	key, ok := l.keys[name]
	return key, ok
}

func (l *list) add(name, key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.keys[name] = key
}

func (l *list) remove(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.keys, name)
}

// rig is nodes on one server.
type rig struct {
	t       testing.TB
	servers *natstest.Cluster
	list    *list
	keys    map[string]*Key
}

func newRig(t testing.TB, options ...natstest.Option) *rig {
	t.Helper()
	return &rig{t, natstest.StartOne(t, options...), &list{keys: make(map[string]string)}, make(map[string]*Key)}
}

func newKey(t testing.TB) *Key {
	t.Helper()
	k, err := LoadOrCreate(filepath.Join(t.TempDir(), KeyFile))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// connect is a connection that comes back soon.
func (r *rig) connect() *nats.Conn {
	r.t.Helper()
	return r.servers.Connect(r.t, 0, nats.ReconnectWait(20*time.Millisecond), nats.MaxReconnects(-1))
}

// process starts a process of a node, which is listed with its key.
func (r *rig) process(name string) *Peers { return r.processOf(name, "genesis", r.list.known) }

func (r *rig) processOf(name, genesis string, known func(string) (string, bool)) *Peers {
	r.t.Helper()
	p := New(r.connect(), genesis, name, r.key(name), known, testLog(r.t))
	p.Handle("echo", func(_ context.Context, from string, request []byte) ([]byte, error) {
		return fmt.Appendf(nil, "%s>%s: %s", from, name, request), nil
	})
	r.listen(p)
	return p
}

// silent is a process of a node that is listed, with no handlers and not listening.
func (r *rig) silent(name string) *Peers {
	r.t.Helper()
	return New(r.connect(), "genesis", name, r.key(name), r.list.known, testLog(r.t))
}

func (r *rig) listen(p *Peers) {
	r.t.Helper()
	if err := p.Listen(); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(p.Close)
}

// key is that of a node, which is listed with it when it is first asked for.
func (r *rig) key(name string) *Key {
	r.t.Helper()
	if r.keys[name] == nil {
		r.keys[name] = newKey(r.t)
		r.list.add(name, r.keys[name].Public())
	}
	return r.keys[name]
}

// wait is longer than anything takes here.
func wait(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func mustEcho(t testing.TB, p *Peers, to, text string) {
	t.Helper()
	got, err := p.Call(wait(t), to, "echo", []byte(text))
	if want := fmt.Sprintf("%s>%s: %s", p.name, to, text); err != nil || string(got) != want {
		t.Fatalf("got %q, %v; want %q", got, err, want)
	}
}

func TestCall(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a, b := r.process("a"), r.process("b")
	mustEcho(t, a, "b", "one")
	mustEcho(t, b, "a", "two")
	mustEcho(t, a, "b", "three")
	mustEcho(t, a, "b", "")
}

func TestCallsAtOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a, b := r.process("a"), r.process("b")
	var wg sync.WaitGroup
	for i := range 300 {
		wg.Go(func() {
			for j := range 10 {
				mustEchoIn(t, a, "b", fmt.Sprint(i, j))
				mustEchoIn(t, b, "a", fmt.Sprint(i, j))
			}
		})
	}
	wg.Wait()
}

// mustEchoIn is mustEcho in a goroutine of the test.
func mustEchoIn(t *testing.T, p *Peers, to, text string) {
	got, err := p.Call(context.Background(), to, "echo", []byte(text))
	if want := fmt.Sprintf("%s>%s: %s", p.name, to, text); err != nil || string(got) != want {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
}

func TestLongRequestsAndReplies(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name           string
		options        []natstest.Option
		calls          int
		request, reply int
	}{
		{"usual", nil, 1, 0, 2 * flowBytes}, // ends with a full part
		{"both", nil, 2, 2 << 20, 2*flowBytes + 1},
		{"small parts", []natstest.Option{natstest.MaxPayload(4 << 10)}, 2, 100_000, flowBytes + 200_000},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, c.options...)
			reply, request := make([]byte, c.reply), make([]byte, c.request)
			rand.Read(reply[:1<<20])
			rand.Read(request)
			a, b := r.process("a"), r.silent("b")
			b.Handle("long", func(_ context.Context, _ string, got []byte) ([]byte, error) {
				if !bytes.Equal(got, request) {
					t.Errorf("a request of %d bytes arrives as another, of %d", len(request), len(got))
				}
				return reply, nil
			})
			r.listen(b)
			var wg sync.WaitGroup
			for range c.calls {
				wg.Go(func() {
					if got, err := a.Call(context.Background(), "b", "long", request); err != nil || !bytes.Equal(got, reply) {
						t.Errorf("%d bytes, %v", len(got), err)
					}
				})
			}
			wg.Wait()
		})
	}
}

func TestTooLong(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a, b := r.process("a"), r.silent("b")
	b.Handle("too long", func(context.Context, string, []byte) ([]byte, error) { return make([]byte, MaxReply+1), nil })
	r.listen(b)
	if _, err := a.Call(wait(t), "b", "too long", make([]byte, MaxRequest+1)); err == nil || !strings.Contains(err.Error(), "8388608") {
		t.Errorf("a request beyond the limit: %v", err)
	}
	if _, err := a.Call(wait(t), "b", "too long", nil); err == nil || !strings.Contains(err.Error(), "67108864") {
		t.Errorf("a reply beyond the limit: %v", err)
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.process("a")
	ctx := wait(t)
	r.key("nobody")
	begun := time.Now()
	if _, err := a.Call(ctx, "nobody", "echo", nil); !errors.Is(err, ErrUnreachable) {
		t.Errorf("nobody listens: %v", err)
	}
	if time.Since(begun) > 30*time.Second {
		t.Error("it waited for its context")
	}
	if _, err := a.Call(ctx, "stranger", "echo", nil); !errors.Is(err, ErrNotListed) {
		t.Errorf("not listed: %v", err)
	}
	if _, err := a.Call(ctx, "a", "echo", nil); err == nil {
		t.Error("it calls itself")
	}
	b := r.silent("b")
	b.Handle("wrong", func(context.Context, string, []byte) ([]byte, error) { return nil, errors.New("no such room") })
	b.Handle("panic", func(context.Context, string, []byte) ([]byte, error) { panic("poison") })
	b.Handle("wait", func(ctx context.Context, _ string, _ []byte) ([]byte, error) { <-ctx.Done(); return nil, ctx.Err() })
	r.listen(b)
	var remote *Error
	if _, err := a.Call(ctx, "b", "wrong", nil); !errors.As(err, &remote) || remote.Node != "b" || remote.Text != "no such room" {
		t.Errorf("a handler's error: %v", err)
	}
	if _, err := a.Call(ctx, "b", "panic", nil); !errors.As(err, &remote) || remote.Text != "internal error" {
		t.Errorf("a handler that panics: %v", err)
	}
	if _, err := a.Call(ctx, "b", "never", nil); !errors.Is(err, ErrUnknownKind) {
		t.Errorf("no handler: %v", err)
	}
	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	if _, err := a.Call(short, "b", "wait", nil); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrUnreachable) {
		t.Errorf("a handler that takes too long: %v", err)
	}
	a.Close()
	if _, err := a.Call(ctx, "b", "wrong", nil); !errors.Is(err, ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

// testLog shows what was logged if the test fails.
func testLog(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// offline is a connection to no server that keeps what is sent.
func offline(t testing.TB) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect("nats://127.0.0.1:1", nats.RetryOnFailedConnect(true), nats.ReconnectWait(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

func message(packet []byte) *nats.Msg { return &nats.Msg{Data: bytes.Clone(packet)} }
