package systemd

import (
	"context"
	"log/slog"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// statusEvery is the least time between two status lines.
const statusEvery = 5 * time.Second

// Watch reports to the service manager until stop is called: the status line when it has changed, and, if the unit has a
// WatchdogSec, that the server is alive. alive asks the part of the server that must not hang, and returns nil when that
// has answered. If it does not answer in time nothing is reported, and the service manager ends the server and starts it
// again. Without a service manager nothing runs.
func Watch(status func() string, alive func(context.Context) error, log *slog.Logger) (stop func()) {
	if !Present() {
		return func() {}
	}
	patience, err := daemon.SdWatchdogEnabled(false) // the next program that is executed in this process reads it, too
	if err != nil {
		log.Warn("the watchdog of the service manager cannot be used", "err", err)
	}
	return watch(patience, statusEvery, status, alive, Notify, log)
}

// watch is Watch with what it depends on. With a patience of 0 there is no watchdog.
func watch(patience, every time.Duration, status func() string, alive func(context.Context) error, notify func(string) error, log *slog.Logger) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	w := watcher{patience: patience, alive: alive, notify: notify, log: log}
	if patience > 0 {
		every = min(every, patience/4)
	}
	go func() {
		defer close(ended)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			w.report(ctx, status)
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	}()
	return func() { cancel(); <-ended }
}

// watcher is what was reported so far. It belongs to one goroutine.
type watcher struct {
	patience time.Duration
	alive    func(context.Context) error
	notify   func(string) error
	log      *slog.Logger

	reported time.Time // when the server was last reported to be alive
	status   string
	hung     bool // it did not answer when it was last asked
	deaf     bool // the service manager cannot be notified; it is in the log
}

func (w *watcher) report(ctx context.Context, status func() string) {
	now := status()
	if w.patience > 0 && time.Since(w.reported) >= w.patience/4 {
		answer, cancel := context.WithTimeout(ctx, w.patience/4)
		err := w.alive(answer)
		cancel()
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			w.reported, w.hung = time.Now(), false
			w.send(daemon.SdNotifyWatchdog)
		} else if !w.hung {
			w.hung = true
			w.log.Error("the chat does not answer; if that lasts, the service manager restarts the server", "after", w.patience, "err", err)
		}
	}
	if w.hung {
		now = "the chat does not answer"
	}
	if now != w.status {
		w.status = now
		w.send("STATUS=" + now)
	}
}

// send notifies the service manager. That it cannot be notified is logged once.
func (w *watcher) send(state string) {
	if err := w.notify(state); err != nil && !w.deaf {
		w.deaf = true
		w.log.Warn("the service manager cannot be notified", "err", err)
	}
}
