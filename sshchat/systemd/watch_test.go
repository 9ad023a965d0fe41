package systemd

import (
	"bytes"
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// notified is what a service manager is sent. It belongs to one synctest bubble.
type notified struct {
	mu    sync.Mutex
	lines []string
}

func (n *notified) notify(state string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lines = append(n.lines, state)
	return nil
}

// taken is what was sent since the last call, without repetitions, and how many lines were signs of life.
func (n *notified) taken() (lines []string, alive int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, l := range n.lines {
		if l == "WATCHDOG=1" {
			alive++
		} else {
			lines = append(lines, l)
		}
	}
	n.lines = nil
	return lines, alive
}

// The watchdog is served by what answers, and by nothing else: a server that hangs is reported to be alive no more, though the
// goroutine that reports runs. The control: it is, as long as it answers, and again when it does.
func TestHungServerMissesTheWatchdog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var n notified
		var hung atomic.Bool
		var log bytes.Buffer
		alive := func(ctx context.Context) error {
			if hung.Load() {
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		}
		stop := watch(2*time.Minute, statusEvery, func() string { return "3 sessions, 1 room" }, alive, n.notify, slog.New(slog.NewTextHandler(&log, nil)))
		for _, c := range []struct {
			hung  bool
			lines []string
		}{{false, []string{"STATUS=3 sessions, 1 room"}}, {true, []string{"STATUS=the chat does not answer"}}, {false, []string{"STATUS=3 sessions, 1 room"}}} {
			hung.Store(c.hung)
			time.Sleep(10 * time.Minute)
			synctest.Wait()
			lines, pings := n.taken()
			if !slices.Equal(lines, c.lines) || (pings > 0) == c.hung || !c.hung && pings < 10 {
				t.Errorf("hung %v: %q, and %d signs of life", c.hung, lines, pings)
			}
		}
		stop()
		if strings.Count(log.String(), "does not answer") != 1 {
			t.Errorf("the log:\n%s", &log)
		}
	})
}

// The status is sent when it changes, at most once in five seconds, and nothing when it does not.
func TestStatusIsSentWhenItChanges(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var n notified
		var sessions atomic.Int64
		stop := watch(0, statusEvery, func() string { return strings.Repeat("x", int(sessions.Load())) }, nil, n.notify, slog.Default())
		for want := range 3 {
			for range 10 {
				time.Sleep(statusEvery / 3)
			}
			synctest.Wait()
			if lines, alive := n.taken(); alive != 0 || len(lines) != min(want, 1) {
				t.Errorf("sent %q", lines)
			}
			sessions.Add(1)
		}
		for range 100 { // changes all the time
			sessions.Add(1)
			time.Sleep(statusEvery / 10)
		}
		if lines, _ := n.taken(); len(lines) > 11 {
			t.Errorf("sent %d times in 10 periods", len(lines))
		}
		stop()
	})
}

// Without a service manager nothing runs.
func TestWithoutServiceManager(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	Watch(func() string { t.Error("asked"); return "" }, nil, slog.Default())()
	if Present() || KeepsFiles() {
		t.Error("there is none")
	}
}
