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
	done = append(done, fmt.Sprintf("users.json: read; accounts that log in otherwise than before: %d", len(changed)))
	for _, name := range changed {
		if failed := hub.Rekey(ctx, name, chat.Revoke); failed != nil {
			err = errors.Join(err, failed)
		}
	}
	server.End(func(s command.LiveSession) bool {
		a, ok := st.users.ByID(s.Account)
		if !ok || a.Disabled {
			return true
		}
		_, banned := st.users.Banned(a.Name, s.Addr, s.Key)
		return banned || !st.users.Allowed(a, s.Addr, s.Key)
	}, "Your account was changed; please reconnect.")
	return done, err
}

// reloadOnHangup has SIGHUP do what the command reload does, until stop is called.
func reloadOnHangup(services *command.Services, logger *slog.Logger) (stop func()) {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		for {
			select {
			case <-hangup:
				done, err := services.Reload(ctx)
				logger.Info("reload", "done", done, "err", err)
			case <-ctx.Done():
				return
			}
		}
	}()
	return func() { signal.Stop(hangup); cancel() }
}
