package sshchat_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"sync/atomic"
	"testing"

	"sshchat/hostkeys"
	"sshchat/sshchat"
	"sshchat/sshchat/chat"
	"sshchat/sshchat/chat/journaltest"
	"sshchat/sshchat/command"
	"sshchat/sshchat/text"
	"sshchat/store"
	"sshchat/store/accounts"

	"golang.org/x/crypto/ssh"
)

// userAccounts is users.json, with a mistake in it.
type userAccounts struct{ *accounts.Store }

func (userAccounts) ParseKey(line string) (chat.Key, error)   { return accounts.ParseKey(line) }
func (userAccounts) InviteHash(code string) string            { return accounts.InviteHash(code) }
func (userAccounts) CleanSetting(_, _ string) (string, error) { panic("a mistake of ours") }

// passwords are those of users.json, with a mistake.
type passwords struct{ *accounts.Store }

func (passwords) Identity(string) ([]byte, error) { panic("a mistake of ours") }

// history is what no command of this test asks for.
type history struct{ command.History }

// inside is a server in this process, with the account alice.
type inside struct {
	*sshchat.Server
	t      *testing.T
	signer ssh.Signer
	addr   string
	users  *accounts.Store
	hub    *chat.Hub
	stalls *atomic.Pointer[chan struct{}] // messages are stored once it is closed; nil: at once
	served chan error
	stop   func() error // the hub
}

func startInside(t *testing.T, limits sshchat.Limits) *inside {
	t.Helper()
	return startInsideWith(t, limits, func(a userAccounts) command.Accounts { return a })
}

// startInsideWith is startInside with other accounts over those there are, and with other services.
func startInsideWith(t *testing.T, limits sshchat.Limits, over func(userAccounts) command.Accounts, with ...func(*command.Services)) *inside {
	t.Helper()
	ring, _, err := hostkeys.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	signer := ring.Announced()[0]
	folder, err := store.HoldFolder(t.TempDir() + "/data")
	if err != nil {
		t.Fatal(err)
	}
	users, err := accounts.Open(folder.Path, accounts.Options{WorkFactor: 4})
	if err != nil {
		t.Fatal(err)
	}
	key, err := accounts.ParseKey(string(ssh.MarshalAuthorizedKey(signer.PublicKey())))
	if err != nil {
		t.Fatal(err)
	}
	name, err := text.ParseName("alice")
	if err != nil {
		t.Fatal(err)
	}
	alice, err := users.NewAccount(t.Context(), name, chat.User, []chat.Key{key}, nil)
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	node, state, applied := journaltest.NewMemory(users.View().State).Join()
	stalls := new(atomic.Pointer[chan struct{}])
	hub := chat.NewHub(chat.Config{Journal: stored{node, users, stalls}, State: state, Applied: applied, Clock: users.Moment, Log: log})
	services := &command.Services{
		Hub: hub, Accounts: over(userAccounts{users}), Passwords: passwords{users}, History: history{}, Commands: command.NewRegistry(), Log: log,
	}
	for _, change := range with {
		change(services)
	}
	server, err := sshchat.New(sshchat.Config{HostKeys: ring, Passwords: users, Limits: limits, Log: log, Services: services})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- hub.Run(ctx) }()
	if err := hub.Decide(ctx, chat.TheServer, chat.CreateAccount{Account: alice}, nil); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &inside{server, t, signer, l.Addr().String(), users, hub, stalls, make(chan error, 1), func() error { stop(); return <-ended }}
	go func() { s.served <- server.Serve(l) }()
	return s
}

// stored is a journal that stores what is decided, and nothing that is said.
type stored struct {
	*journaltest.Node
	users  *accounts.Store
	stalls *atomic.Pointer[chan struct{}]
}

func (s stored) Append(b chat.Batch) error {
	if until := s.stalls.Load(); until != nil && len(b.Events) > 0 {
		<-*until
	}
	if b.After != b.Before {
		if err := s.users.Append(accounts.Change{Before: b.Before, After: b.After, At: b.At.Stamp, Edit: b.Edit}); err != nil {
			return err
		}
	}
	return s.Node.Append(b)
}

func (s *inside) dial() *ssh.Client {
	s.t.Helper()
	client, err := ssh.Dial("tcp", s.addr, &ssh.ClientConfig{
		User: "alice", Auth: []ssh.AuthMethod{ssh.PublicKeys(s.signer)}, HostKeyCallback: ssh.FixedHostKey(s.signer.PublicKey()),
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return client
}

// end stops the server.
func (s *inside) end() {
	s.t.Helper()
	s.Shutdown(context.Background(), sshchat.Stops)
	if err := <-s.served; err != nil {
		s.t.Error(err)
	}
	if err := s.stop(); err != nil {
		s.t.Error(err)
	}
	if err := s.users.Close(); err != nil {
		s.t.Error(err)
	}
}
