package peer

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
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
	if r.keys[name] == nil {
		r.keys[name] = newKey(r.t)
		r.list.add(name, r.keys[name].Public())
	}
	p := New(r.connect(), genesis, name, r.keys[name], known, testLog(r.t))
	p.Handle("echo", func(_ context.Context, from string, request []byte) ([]byte, error) {
		return fmt.Appendf(nil, "%s>%s: %s", from, name, request), nil
	})
	if err := p.Listen(); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(p.Close)
	return p
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
	for _, payload := range []int{0, 4 << 10} {
		r := newRig(t, func() (o []natstest.Option) {
			if payload > 0 {
				o = append(o, natstest.MaxPayload(payload))
			}
			return o
		}()...)
		reply := make([]byte, MaxReply>>(payload>>10)) // 64 MiB, and 4 in small parts
		rand.Read(reply)
		r.process("a")
		b := New(r.connect(), "genesis", "b", newKey(t), r.list.known, testLog(r.t))
		r.list.add("b", b.key.Public())
		b.Handle("more", func(_ context.Context, _ string, request []byte) ([]byte, error) {
			return append(request, reply...), nil
		})
		b.Handle("long", func(_ context.Context, _ string, request []byte) ([]byte, error) { return reply, nil })
		b.Handle("most", func(_ context.Context, _ string, request []byte) ([]byte, error) { return append(reply, 1), nil })
		if err := b.Listen(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(b.Close)
		a := r.process("c")
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				got, err := a.Call(context.Background(), "b", "long", nil)
				if err != nil || !bytes.Equal(got, reply) {
					t.Errorf("%d bytes, %v", len(got), err)
				}
			})
			wg.Go(func() {
				request := bytes.Repeat([]byte("x"), MaxRequest)
				got, err := a.Call(context.Background(), "b", "more", request)
				if len(reply)+MaxRequest > MaxReply {
					if err == nil {
						t.Error("a reply beyond the limit arrives")
					}
				} else if err != nil || !bytes.Equal(got, append(request, reply...)) {
					t.Errorf("%d bytes, %v", len(got), err)
				}
			})
		}
		wg.Wait()
		if _, err := a.Call(wait(t), "b", "more", make([]byte, MaxRequest+1)); err == nil {
			t.Error("a request beyond the limit is sent")
		}
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.process("a")
	ctx := wait(t)
	r.list.add("nobody", newKey(t).Public())
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
	b := New(r.connect(), "genesis", "b", newKey(t), r.list.known, testLog(r.t))
	r.list.add("b", b.key.Public())
	b.Handle("wrong", func(context.Context, string, []byte) ([]byte, error) { return nil, errors.New("no such room") })
	b.Handle("panic", func(context.Context, string, []byte) ([]byte, error) { panic("poison") })
	b.Handle("wait", func(ctx context.Context, _ string, _ []byte) ([]byte, error) { <-ctx.Done(); return nil, ctx.Err() })
	if err := b.Listen(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
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
