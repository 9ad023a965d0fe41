package sshchat_test

import (
	"io"
	"strings"
	"testing"

	"sshchat/sshchat"
	"sshchat/sshchat/attack"

	"golang.org/x/crypto/ssh"
)

// A mistake in a command ends the session it was made in, and nothing else: the connection and the server go on.
func TestAttackPanicEndsItsSessionOnly(t *testing.T) {
	row := attack.On(t, attack.Room, "a panic in the server")
	server := startInside(t, sshchat.DefaultLimits)
	client := server.dial()
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
	server.end()
	row.Tried("%d panics, in a command and in a full screen", server.Stats().Panics)
	row.Held("only that session ends, and its terminal is restored")
	row.NoControl("a panic that is not recovered ends the process, and this test; whoami runs in the same connection afterwards")
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
