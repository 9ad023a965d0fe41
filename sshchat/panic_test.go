package sshchat_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"

	"sshchat/hostkeys"
	"sshchat/sshchat"
	"sshchat/sshchat/chat"
	"sshchat/sshchat/command"
	"sshchat/store"

	"golang.org/x/crypto/ssh"
)

// accounts is users.json, with a mistake in it.
type accounts struct{ *store.Users }

func (accounts) ParseKey(line string) (chat.Key, error) { return store.ParseKey(line) }
func (accounts) Refusal(err error) bool                 { return store.Refusal(err) }
func (accounts) Identity(string) ([]byte, error)        { panic("a mistake of ours") }
func (accounts) SetSetting(_, _, _ string) error        { panic("a mistake of ours") }

// history is what no command of this test asks for.
type history struct{ command.History }

// A mistake in a command ends the session it was made in, and nothing else: the connection and the server go on.
func TestPanicEndsItsSessionOnly(t *testing.T) {
	dir := t.TempDir()
	signer, _, err := hostkeys.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	folder, err := store.HoldFolder(t.TempDir() + "/data")
	if err != nil {
		t.Fatal(err)
	}
	users, err := store.OpenUsers(folder.Path, store.UsersOptions{WorkFactor: 4})
	if err != nil {
		t.Fatal(err)
	}
	key, err := store.ParseKey(string(ssh.MarshalAuthorizedKey(signer.PublicKey())))
	if err != nil {
		t.Fatal(err)
	}
	name, err := chat.ParseName("alice")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := users.Create(name, chat.User, []chat.Key{key}, nil, 1); err != nil {
		t.Fatal(err)
	}
	motd, err := store.OpenMotd(folder.Path)
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	server, err := sshchat.New(sshchat.Config{
		HostKey: signer, Passwords: users, Limits: sshchat.DefaultLimits, Log: log,
		Services: &command.Services{
			Hub: chat.NewHub(nil, users, nil, users.Rooms(), log), Accounts: accounts{users}, History: history{},
			Commands: command.NewRegistry(), Motd: motd, Log: log,
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	client, err := ssh.Dial("tcp", l.Addr().String(), &ssh.ClientConfig{
		User: "alice", Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)}, HostKeyCallback: ssh.FixedHostKey(signer.PublicKey()),
	})
	if err != nil {
		t.Fatal(err)
	}
	run := func(line string) (string, error) {
		sess, err := client.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		out, err := sess.Output(line)
		return string(out), err
	}
	if _, err := run("identity"); err == nil {
		t.Error("the mistake went unnoticed")
	}
	if n := server.Stats().Panics; n != 1 {
		t.Errorf("%d panics counted", n)
	}
	if screen := fullUntilEnd(t, client, "/bell all\r"); !strings.Contains(screen, "\x1b[?1049h") || !strings.Contains(screen, "\x1b[?1049l") {
		t.Errorf("the terminal is not given back: %q", screen)
	}
	if n := server.Stats().Panics; n != 2 {
		t.Errorf("%d panics counted", n)
	}
	if out, err := run("whoami"); err != nil || !strings.HasPrefix(out, "alice ") {
		t.Errorf("after it, in the same connection: %q, %v", out, err)
	}
	client.Close()
	server.Shutdown(context.Background())
	if err := <-served; err != nil {
		t.Error(err)
	}
	if err := users.Close(); err != nil {
		t.Error(err)
	}
}

// fullUntilEnd types into a full screen and returns all that was shown when the session has ended.
func fullUntilEnd(t *testing.T, client *ssh.Client, typed string) string {
	t.Helper()
	sess, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	sess.Stdout = &out
	in, err := sess.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := sess.RequestPty("xterm", 24, 80, ssh.TerminalModes{}); err != nil {
		t.Fatal(err)
	}
	if err := sess.Shell(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(in, typed); err != nil {
		t.Fatal(err)
	}
	sess.Wait() // fails: the session ends by a mistake
	return out.String()
}
