package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"

	"sshchat/sshchat"
	"sshchat/sshchat/chat"
	"sshchat/sshchat/command"
	"sshchat/sshchat/systemd"
)

// runningSettings are the settings of a running server.
type runningSettings struct {
	server   *sshchat.Server
	services *command.Services
	warn     func(msg string, args ...any)

	mu  sync.Mutex
	now *settings // guarded by mu; those in effect
}

// reload loads the settings again, which differ if the configuration file does, and makes those take effect that can change
// while the server runs. It returns what has changed, and what takes a restart. On an error nothing changes.
func (r *runningSettings) reload() (done []string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	next, err := r.now.given.load()
	if err != nil {
		return nil, fmt.Errorf("settings stay as they are: %w", err)
	}
	for _, words := range next.warnings {
		if !slices.Contains(r.now.warnings, words) { // which were logged before
			r.warn(words)
		}
	}
	r.now.warnings = next.warnings
	var restart []string
	before := r.now.table()
	for i, row := range next.table() {
		was, is := before[i].value.String(), row.value.String()
		switch {
		case was == is || row.name == "config":
		case row.live:
			if err := setAll(before[i].value, before[i].value.Set, wordsIn(row.value), fromFlag); err != nil {
				return done, fmt.Errorf("%s: %w", row.name, err)
			}
			done = append(done, fmt.Sprintf("%s: %s, was %s", row.name, quoteEmpty(is), quoteEmpty(was)))
		default:
			restart = append(restart, row.name)
		}
	}
	r.server.SetLimits(r.now.limits)
	r.now.setLevel()
	r.services.SetEntrance(r.now.entrance())
	if is := r.services.Hub.View().Registration(); is != "" {
		done = append(done, fmt.Sprintf("registration is %s, as the command said; `registration default` ends that", is))
	}
	if len(restart) > 0 {
		done = append(done, "changed, but in effect only after a restart: "+strings.Join(restart, ", "))
	}
	return done, nil
}

// wordsIn is what a value is made of.
func wordsIn(v value) []string {
	if several, ok := v.(repeated); ok {
		return several.words()
	}
	return []string{v.String()}
}

func quoteEmpty(word string) string {
	if word == "" {
		return "empty"
	}
	return word
}

// reload takes what was changed by hand in the data folder: each part of it or nothing.
func reload(ctx context.Context, st *stores, keys ring) (done []string, err error) {
	if failed := st.motd.Reload(st.setMotd(ctx)); failed != nil {
		err = errors.Join(err, failed)
	} else {
		done = append(done, "motd: read")
	}
	if failed := keys.Reload(); failed != nil {
		err = errors.Join(err, failed)
	} else {
		done = append(done, "host keys: read")
	}
	changed, failed := st.users.Reload(func(edit chat.EditByHand) error { return st.hub.Decide(ctx, chat.TheServer, edit, nil) })
	if failed != nil {
		return done, errors.Join(err, failed)
	}
	done = append(done, fmt.Sprintf("users.json: read; accounts with changed logins or keys: %d", changed))
	return done, err
}

// reloadOnHangup has SIGHUP do what the command reload does, and then calls then, until stop is called.
func reloadOnHangup(services *command.Services, logger *slog.Logger, then func()) (stop func()) {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		for {
			select {
			case <-hangup:
				notify(systemd.Reloading, logger)
				if done, err := services.Reload(ctx); err != nil {
					logger.Error("reload failed; only what done lists was read", "done", strings.Join(done, "; "), "err", err)
				} else {
					logger.Info("reload", "done", strings.Join(done, "; "))
				}
				then()
				notify(systemd.Ready, logger)
			case <-ctx.Done():
				return
			}
		}
	}()
	return func() { signal.Stop(hangup); cancel() }
}

// notify reports something to systemd. Nothing depends on it.
func notify(what func() error, logger *slog.Logger) {
	if err := what(); err != nil {
		logger.Warn("cannot notify systemd", "err", err)
	}
}
