package sessions

import (
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sshchat/sshchat/cluster/peer"
	"sshchat/sshchat/command"
	"sshchat/sshchat/text"
)

// server is one whose sessions all end at once.
type server struct{ ended int }

func (s server) Sessions() []command.LiveSession {
	name, err := text.ParseName("bob")
	if err != nil {
		panic(err)
	}
	return []command.LiveSession{{Account: "1", Name: name, Addr: netip.MustParseAddr("192.0.2.1"), Since: time.Unix(0, 0).UTC(), Key: "SHA256:x", UI: "plain", Client: "SSH-2.0-x"}}
}
func (s server) Figures() []command.Figure                                   { return nil }
func (s server) End(string, string) int                                      { return s.ended }
func (s server) Settle(context.Context, uint64, uint64) (ended int, _ error) { return s.ended, nil }

// nodes are others that do what a test says.
type nodes struct {
	own    map[string]peer.Handler
	others map[string]func(ctx context.Context, kind string) ([]byte, error)
	silent map[string]time.Duration
}

func (n *nodes) Handle(kind string, f peer.Handler) { n.own[kind] = f }
func (n *nodes) Silence(node string) time.Duration  { return n.silent[node] }
func (n *nodes) Listed() (names []string) {
	for name := range n.others {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
func (n *nodes) Call(ctx context.Context, node, kind string, request []byte) ([]byte, error) {
	return n.others[node](ctx, kind)
}

// Settle returns once all nodes have answered, and asks one again whose answer does not come or that cannot be reached for a moment. It
// names one that does not answer in 5.5 s, and does not wait for one that was gone before, nor for one that is no longer listed.
func TestSettle(t *testing.T) {
	answers := func(context.Context, string) ([]byte, error) { return json.Marshal(endedReply{2}) }
	never := func(ctx context.Context, _ string) ([]byte, error) { <-ctx.Done(); return nil, ctx.Err() }
	gone := func(context.Context, string) ([]byte, error) { return nil, peer.ErrUnreachable }
	removed := func(context.Context, string) ([]byte, error) { return nil, peer.ErrNotListed }
	later := func(first func(context.Context, string) ([]byte, error)) func(context.Context, string) ([]byte, error) {
		var asked atomic.Bool
		return func(ctx context.Context, kind string) ([]byte, error) {
			if asked.CompareAndSwap(false, true) {
				return first(ctx, kind)
			}
			return answers(ctx, kind)
		}
	}
	for what, c := range map[string]struct {
		n2, n3 func(context.Context, string) ([]byte, error)
		silent time.Duration // of n3
		ended  int
		names  string
		took   time.Duration
	}{
		"all answer":                    {answers, answers, 0, 5, "", 0},
		"an answer is lost":             {answers, later(never), 0, 5, "", askAgain},
		"one starts":                    {answers, later(gone), 0, 5, "", retry},
		"one does not answer":           {answers, never, 0, 3, "n3", settleTime},
		"two do not":                    {never, never, 0, 1, "n2 n3", settleTime},
		"one has just gone":             {answers, gone, 0, 3, "n3", settleTime},
		"one has been gone":             {answers, gone, settleTime + 1, 3, "n3", 0},
		"one is cut off for long":       {answers, never, time.Hour, 3, "n3", settleTime},
		"one is not listed any more":    {answers, removed, 0, 3, "", 0},
		"one answers with what is none": {answers, func(context.Context, string) ([]byte, error) { return []byte("{"), nil }, 0, 3, "n3", 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			n := &nodes{make(map[string]peer.Handler), map[string]func(context.Context, string) ([]byte, error){"n2": c.n2, "n3": c.n3}, map[string]time.Duration{"n3": c.silent}}
			e := New(server{1}, n, "n1")
			began := time.Now()
			ended, silent := e.Settle(t.Context(), 3, 4)
			if took := time.Since(began); ended != c.ended || strings.Join(silent, " ") != c.names || took != c.took {
				t.Errorf("%s: %d sessions ended, no answer from %q, after %v", what, ended, silent, took)
			}
		})
	}
	if ended, silent := Alone(server{7}).Settle(t.Context(), 3, 4); ended != 7 || silent != nil {
		t.Errorf("a server that is alone: %d, %q", ended, silent)
	}
}

// What a node answers comes to be what was asked, and what another sends is refused or clean.
func FuzzCalls(f *testing.F) {
	n := &nodes{own: make(map[string]peer.Handler)}
	e := New(server{3}, n, "n1")
	list, err := n.own[callList](f.Context(), "n2", nil)
	if err != nil {
		f.Fatal(err)
	}
	got, err := parseList("n2", list)
	want := e.local.Sessions()
	want[0].Node = "n2"
	if err != nil || !slices.Equal(got, want) {
		f.Fatalf("the sessions: %+v, %v", got, err)
	}
	for kind, request := range map[string]any{callSettle: settleRequest{3, 4}, callEnd: endRequest{"1", "why"}} {
		b, err := json.Marshal(request)
		if err != nil {
			f.Fatal(err)
		}
		reply, err := n.own[kind](f.Context(), "n2", b)
		if n, bad := parseEnded(reply); err != nil || bad != nil || n != 3 {
			f.Fatalf("%s: %d, %v, %v", kind, n, err, bad)
		}
		f.Add(b)
		f.Add(reply)
	}
	f.Add(list)
	f.Add([]byte(`[{"name":"bob","client":"\u001b[2J\n","ui":"\u202e","addr":"fe80::1%eth0"}]`))
	f.Add([]byte(`{"ended":-1}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		all, err := parseList("n2", b)
		if err != nil && all != nil {
			t.Error("a list with an error")
		}
		for _, s := range all {
			for _, shown := range []string{s.Client, s.UI, s.Key, s.Account} {
				if shown != text.Clean(shown, maxWord) {
					t.Errorf("%q is not clean", shown)
				}
			}
			if s.Name.IsZero() || s.Node != "n2" || s.Addr.Zone() != "" {
				t.Errorf("%+v", s)
			}
		}
		if n, err := parseEnded(b); err == nil && n < 0 {
			t.Error(n)
		}
		if _, err := n.own[callEnd](t.Context(), "n2", b); err != nil && errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}
