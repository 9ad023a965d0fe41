package main

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/command"
	"sshchat/sshchat/past"
	"sshchat/store"
	"sshchat/store/accounts"
	"sshchat/store/audit"
	"sshchat/store/clock"
	"sshchat/store/durable"
	"sshchat/store/history"
	"sshchat/store/journal"
	"sshchat/store/marks"

	"filippo.io/age"
)

// stores is what the data folder holds, opened.
type stores struct {
	clock   *clock.Clock
	users   *accounts.Store
	state   *marks.Store
	history *history.History
	audit   *audit.Log
	motd    *store.Motd
	syncs   *syncs
	journal *journal.Journal
	hub     *chat.Hub // over them, from openHub; set before anything is asked of them
}

// accountsFlush is UsersOptions.FlushEvery. Tests shorten it: most of them make accounts and wait for it.
var accountsFlush time.Duration

func openStores(s *settings, logger *slog.Logger) (*stores, error) {
	dormant := s.dormant
	if dormant == 0 {
		dormant = -1
	}
	if err := upgrade(s.data, logger); err != nil {
		return nil, err
	}
	clock := clock.Open(filepath.Join(s.data, "clock"), clock.Options{Log: logger})
	st := &stores{}
	users, err := accounts.Open(s.data, accounts.Options{
		WorkFactor: s.workFactor, Dormant: dormant, MinPassword: s.minPassword, Server: s.name, Log: logger,
		FlushEvery: accountsFlush, Clock: clock,
	})
	if err != nil {
		return nil, err
	}
	syncs := newSyncs()
	history, err := history.Open(s.data, history.Options{
		Recipients: users.Recipients, State: users.View().State, Rooms: users.View().Rooms(), Window: s.window, Log: logger, Clock: clock,
		Rotate: int64(s.rotate), KeepFor: s.keep.age, KeepBytes: int64(s.keep.bytes),
		Synced: syncs.done,
		Submit: func(e chat.Event) error { return st.hub.Store(e) },
	})
	if err != nil {
		users.Close() // nothing was changed in it
		return nil, err
	}
	state, err := marks.Open(s.data, marks.Options{Log: logger})
	if err != nil {
		users.Close()
		return nil, errors.Join(err, history.Close())
	}
	auditLog, err := audit.Open(s.data, time.Now, logger)
	if err != nil {
		users.Close()
		return nil, errors.Join(err, history.Close(), state.Close())
	}
	motd, err := store.OpenMotd(s.data)
	if err != nil {
		users.Close()
		return nil, errors.Join(err, history.Close(), state.Close(), auditLog.Close())
	}
	clock.Start()
	*st = stores{clock: clock, users: users, state: state, history: history, audit: auditLog, motd: motd, syncs: syncs}
	return st, nil
}

// openHub makes the hub over the stores, after they have taken what the cluster's log has, if there is one. It does not run yet.
func (st *stores) openHub(ctx context.Context, s *settings, logger *slog.Logger) (_ *chat.Hub, of *node, err error) {
	if st.journal, err = journal.New(st.users, st.history, st.audit, logger); err != nil {
		return nil, nil, err
	}
	st.journal.Tallies = st.state
	if of, err = openNode(ctx, s, st, logger); err != nil {
		return nil, nil, err
	}
	c := chat.Config{
		Journal: st.journal, State: st.users.View().State, Last: st.history.Last(), Clock: st.users.Moment, Marks: st.state, Log: logger,
	}
	if of != nil {
		of.HubConfig(&c)
	}
	st.hub = chat.NewHub(c)
	st.hub.Follow(func(before, after chat.View) {
		if is := after.Motd(); is != before.Motd() {
			if err := st.motd.Write(is); err != nil {
				logger.Error("the file motd could not be written; the message of the day is set all the same", "err", err)
			}
		}
	})
	if of != nil {
		of.Attach(st.hub)
	}
	return st.hub, of, nil
}

// begin decides what the settings and the file motd say, and which host keys a cluster has. The hub must run.
func (st *stores) begin(ctx context.Context, s *settings, keys ring, logger *slog.Logger) error {
	keys.begin(ctx)
	if err := makeAdmins(ctx, s, st.hub, st.users, logger); err != nil {
		return err
	}
	replaced, err := st.motd.Begin(st.hub.View().Motd(), st.setMotd(ctx))
	if replaced && err == nil {
		logger.Info("the file motd was not the message of the day that the cluster has now; it is kept as motd.bak")
	}
	return err
}

// setMotd decides what was edited in the file motd.
func (st *stores) setMotd(ctx context.Context) func(chat.Text) error {
	return func(said chat.Text) error {
		return st.hub.Decide(ctx, chat.TheServer, chat.SetMotd{Text: said}, nil)
	}
}

// upgrade gives a data folder of an older format the present one.
func upgrade(data string, logger *slog.Logger) error {
	d := durable.OS{}
	done, err := store.Upgrade(d, data,
		store.Versioned{
			Name:    "users.json",
			Format:  func() (int, error) { return accounts.Format(d, data) },
			Check:   func() error { return accounts.Check(d, data) },
			Upgrade: func() error { return accounts.Upgrade(d, data) },
		},
		store.Versioned{
			Name:    "message_history.json",
			Format:  func() (int, error) { return history.Format(d, data) },
			Check:   func() error { return history.Check(d, data) },
			Upgrade: func() error { return history.Upgrade(d, data) },
		})
	if err == nil && done.From > 0 {
		logger.Info("data folder upgraded", "from", done.From, "to", store.Format, "files", strings.Join(done.Files, ", "), "backup", done.Backup)
	}
	return err
}

// close closes all windows and writes what is not written yet.
func (st *stores) close(logger *slog.Logger) {
	if st.hub != nil {
		if err := st.motd.Write(st.hub.View().Motd()); err != nil {
			logger.Error("close the message of the day", "err", err)
		}
	}
	if err := st.history.Close(); err != nil {
		logger.Error("close the history", "err", err)
	}
	if err := st.state.Close(); err != nil {
		logger.Error("close the state", "err", err)
	}
	if err := st.users.Close(); err != nil { // which wants the audit log synced
		logger.Error("close the accounts", "err", err)
	}
	if err := st.audit.Close(); err != nil {
		logger.Error("close the audit log", "err", err)
	}
	if err := st.clock.Close(); err != nil {
		logger.Error("save the time", "err", err)
	}
}

func release(folder *store.Folder, logger *slog.Logger) {
	if err := folder.Release(); err != nil {
		logger.Error("release the data folder", "err", err)
	}
}

// userAccounts is users.json as the commands see it.
type userAccounts struct{ *accounts.Store }

func (userAccounts) ParseKey(line string) (chat.Key, error) { return accounts.ParseKey(line) }
func (userAccounts) InviteHash(code string) string          { return accounts.InviteHash(code) }
func (userAccounts) CleanSetting(name, value string) (string, error) {
	return accounts.CleanSetting(name, value)
}

// sealed is the history as the commands see it.
type sealed struct{ *history.History }

func (s sealed) List(me chat.Name, room chat.RoomName) ([]command.Window, error) {
	infos, err := s.History.List(me, room)
	windows := make([]command.Window, len(infos))
	for i, w := range infos {
		windows[i] = command.Window(w)
	}
	return windows, err
}

func (s sealed) Unlock(me chat.Name, room chat.RoomName, ids []age.Identity) (past.Source, error) {
	u, err := s.History.Unlock(me, room, ids)
	if err != nil {
		return nil, err
	}
	return u, nil
}

func (s sealed) Head(room chat.RoomName) ([]byte, error) {
	h, err := s.History.Head(room)
	return h.Line(), err
}
