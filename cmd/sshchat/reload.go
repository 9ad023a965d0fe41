package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"sshchat/hostkeys"
	"sshchat/sshchat/chat"
	"sshchat/sshchat/command"
)

// reload takes what was changed by hand in the data folder: each part of it or nothing.
func reload(ctx context.Context, st *stores, keys *hostkeys.Ring) (done []string, err error) {
	if failed := st.motd.Reload(); failed != nil {
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
	done = append(done, fmt.Sprintf("users.json: read; accounts that log in or read otherwise than before: %d", changed))
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
				if done, err := services.Reload(ctx); err != nil {
					logger.Error("reload failed; what is named in done was read", "done", done, "err", err)
				} else {
					logger.Info("reload", "done", done)
				}
				then()
			case <-ctx.Done():
				return
			}
		}
	}()
	return func() { signal.Stop(hangup); cancel() }
}
