package main

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// pane is a terminal with a person at it: a program in tmux, which is typed into and looked at.
type pane struct {
	t      *testing.T
	socket string
}

// newPane runs a command line in a terminal of the given size.
func newPane(t *testing.T, width, height int, command string) *pane {
	t.Helper()
	client(t, "tmux")
	client(t, "ssh")
	p := &pane{t, filepath.Join(t.TempDir(), "tmux")}
	p.tmux("-f", "/dev/null", "new-session", "-d", "-x", fmt.Sprint(width), "-y", fmt.Sprint(height), command+"; echo exit $?; sleep 60")
	t.Cleanup(func() { p.run("kill-server") })
	return p
}

func (p *pane) run(args ...string) (string, error) {
	out, err := exec.Command("tmux", append([]string{"-S", p.socket}, args...)...).CombinedOutput()
	return string(out), err
}

func (p *pane) tmux(args ...string) string {
	p.t.Helper()
	out, err := p.run(args...)
	if err != nil {
		p.t.Fatalf("tmux %q: %v: %s", args, err, out)
	}
	return out
}

func (p *pane) screen() string {
	p.t.Helper()
	return p.tmux("capture-pane", "-p")
}

// sees waits until the text is on the screen.
func (p *pane) sees(text string) {
	p.t.Helper()
	var screen string
	defer func() {
		if p.t.Failed() {
			p.t.Logf("the screen, without %q:\n%s", text, screen)
		}
	}()
	waitFor(p.t, fmt.Sprintf("%q on the screen", text), func() bool {
		screen = p.screen()
		return strings.Contains(screen, text)
	})
}

// types presses the keys of a text.
func (p *pane) types(text string) {
	p.t.Helper()
	p.tmux("send-keys", "-l", text)
}

// presses presses keys by tmux's names.
func (p *pane) presses(keys ...string) {
	p.t.Helper()
	p.tmux(append([]string{"send-keys"}, keys...)...)
}

func (p *pane) enters(text string) {
	p.t.Helper()
	p.types(text)
	p.presses("Enter")
}

// ssh is the command line of stock OpenSSH as name; words are added to it.
func (s *testServer) ssh(name string, words ...string) string {
	return strings.Join(append([]string{"ssh", "-F", "none", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
		"-o", "LogLevel=ERROR", "-p", s.port()}, append(words[:len(words):len(words)], name+"@127.0.0.1")...), " ")
}

// Two people meet as the README says: one makes an account with a password, one has a key and becomes admin.
func TestTwoPeopleInTerminals(t *testing.T) {
	t.Parallel()
	s := startServer(t, "")
	bob := newPane(t, 80, 24, s.ssh("bob", "-o", "PubkeyAuthentication=no"))
	bob.sees("assword:")
	bob.enters("something to type")
	bob.sees("Create it? [y/N]")
	bob.enters("y")
	for _, prompt := range []string{"New password:", "Repeat the password:"} {
		bob.sees(prompt)
		bob.enters(goodPassword)
	}
	bob.sees("1:#general")
	bob.sees("Your password opens your history") // on the screen that covers where it was said

	key := keyFile(t, "-t", "ed25519")
	claim := newPane(t, 80, 24, s.ssh("alice", "-t", "-i", key, "-o", "IdentitiesOnly=yes")+" claim "+s.claimCode())
	claim.sees("exit 0")
	alice := newPane(t, 60, 16, s.ssh("alice", "-i", key, "-o", "IdentitiesOnly=yes"))
	alice.sees("#general")

	alice.enters("good evening, bob")
	bob.sees("alice │ good evening, bob")
	bob.enters("你好, alice")
	alice.sees("bob │ 你好, alice")
	alice.enters("/whoami")
	alice.sees("admin")
	if strings.Contains(bob.screen(), goodPassword) {
		t.Errorf("bob's password is on the screen:\n%s", bob.screen())
	}
	alice.enters("/quit")
	alice.sees("exit 0")
	bob.presses("C-d")
	bob.sees("exit 0")

	// Next time the password is all that bob needs.
	bob = newPane(t, 80, 24, s.ssh("bob", "-o", "PubkeyAuthentication=no"))
	bob.sees("assword:")
	bob.enters(goodPassword)
	bob.sees("#general")
}
