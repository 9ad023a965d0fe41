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
	"sshchat/sshchat"
	"sshchat/sshchat/chat"
	"sshchat/sshchat/command"
)

// reload takes what was changed by hand in the data folder: each part of it or nothing. Who may not come in any more
// does not stay, and nothing more is sealed to keys that are gone.
func reload(ctx context.Context, st *stores, keys *hostkeys.Ring, hub *chat.Hub, server *sshchat.Server) (done []string, err error) {
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
	changed, failed := st.users.Reload()
	if failed != nil {
		return done, errors.Join(err, failed)
	}
	done = append(done, fmt.Sprintf("users.json: read; accounts that log in or read otherwise than before: %d", len(changed)))
	server.Review("Your account was changed; please reconnect.")
	for _, name := range changed {
		hub.Changed(name)
		if failed := hub.Rekey(ctx, name, chat.Revoke); failed != nil {
			err = errors.Join(err, failed)
		}
	}
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
