package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"sshchat/sshchat/chat/journaltest"
	"sshchat/sshchat/cluster/natstest"
	"sshchat/sshchat/cluster/peer"
)

// seen is what a watch was told, in order.
type seen struct {
	mu  sync.Mutex
	all []string // guarded by mu
}

func (s *seen) note(node string, alive bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, fmt.Sprint(node, " ", alive))
}

// await waits until it was told of that last.
func (s *seen) await(t *testing.T, last string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		s.mu.Lock()
		all := slices.Clone(s.all)
		s.mu.Unlock()
		if len(all) > 0 && all[len(all)-1] == last {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the watch was told of %q, and not at last of %q", all, last)
		}
	}
}

func (s *seen) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.all)
}

// Other nodes answer what they have learnt to answer since they listen, and each in its place, also if one does not answer or is none. A
// watch is told at once who is there, then who is gone, who comes back, and who was started again before that was noticed.
func TestOthers(t *testing.T) {
	t.Parallel()
	r := newRig(t, natstest.StartOne(t), 3, journaltest.Options{})
	others := func(i int) *Others { return r.sites[i].node.Others }
	first := others(0)
	eventually(t, "both other nodes", func() bool { return len(first.Alive()) == 2 })
	if listed := first.Listed(); !slices.Equal(listed, []string{"n2", "n3"}) {
		t.Errorf("listed: %v", listed)
	}
	if _, err := first.Call(t.Context(), "n2", "name", nil); !errors.Is(err, peer.ErrUnknownKind) {
		t.Errorf("a kind that it does not know: %v", err)
	}
	hold := make(chan struct{})
	for i := 1; i < 3; i++ {
		others(i).Handle("name", func(ctx context.Context, from string, request []byte) ([]byte, error) {
			if string(request) == "slow" && i == 2 {
				select {
				case <-hold:
				case <-ctx.Done(): // up to a millisecond before the caller's
					return nil, ctx.Err()
				}
			}
			return fmt.Appendf(nil, "n%d to %s", i+1, from), nil
		})
	}
	answers := first.Ask(t.Context(), []string{"n3", "n9", "n2"}, "name", nil)
	if len(answers) != 3 || string(answers[0].Reply) != "n3 to n1" || !errors.Is(answers[1].Err, peer.ErrNotListed) || string(answers[2].Reply) != "n2 to n1" ||
		answers[0].Node != "n3" || answers[1].Node != "n9" || answers[2].Node != "n2" {
		t.Errorf("the answers: %q", answers)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	answers = first.Ask(ctx, []string{"n3", "n2"}, "name", []byte("slow"))
	if !errors.Is(answers[0].Err, context.DeadlineExceeded) || string(answers[1].Reply) != "n2 to n1" {
		t.Errorf("with one that does not answer: %q", answers)
	}
	close(hold)

	watched := &seen{}
	first.Watch(watched.note)
	if watched.count() != 2 {
		t.Errorf("at once the watch was told of %d nodes", watched.count())
	}
	r.sites[2].crash()
	watched.await(t, "n3 false")
	if silence := first.Silence("n3"); silence < aliveFor || first.Silence("n2") > aliveFor {
		t.Errorf("n3 was not heard for %v, n2 for %v", silence, first.Silence("n2"))
	}
	if alive := first.Alive(); !slices.Equal(alive, []string{"n2"}) {
		t.Errorf("alive: %v", alive)
	}
	if err := r.sites[2].start(); err != nil {
		t.Fatal(err)
	}
	watched.await(t, "n3 true")
	before := watched.count()
	if err := r.Restart(2); err != nil { // sooner than it is missed
		t.Fatal(err)
	}
	eventually(t, "the watch to be told that a node was started again", func() bool { return watched.count() > before })
	watched.await(t, "n3 true")
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}
