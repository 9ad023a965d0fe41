package main

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/creack/pty"
)

// ageWithPassphrase opens sealed with an identity that a passphrase opens.
func ageWithPassphrase(t *testing.T, sealed, identity, passphrase string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "sealed.age")
	if err := os.WriteFile(file, []byte(sealed), 0o600); err != nil {
		t.Fatal(err)
	}
	return ageOnTerminal(t, passphrase, "-i", identity, file)
}

// ageOnTerminal runs the stock age, which asks for the passphrase on its terminal, types it, and returns what it opened.
func ageOnTerminal(t *testing.T, passphrase string, args ...string) string {
	t.Helper()
	plain := filepath.Join(t.TempDir(), "plain")
	cmd := exec.Command(client(t, "age"), append([]string{"-d", "-o", plain}, args...)...)
	tty, err := pty.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	defer tty.Close()
	shown := &logBuffer{}
	go io.Copy(shown, tty) // ends when the terminal closes
	waitFor(t, "age to ask", func() bool { return strings.Contains(strings.ToLower(shown.String()), "passphrase") })
	if _, err := io.WriteString(tty, passphrase+"\n"); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("age: %v\n%s", err, shown)
	}
	data, err := os.ReadFile(plain)
	if err != nil {
		t.Fatal(err)
	}
	return string(bytes.TrimSpace(data))
}
