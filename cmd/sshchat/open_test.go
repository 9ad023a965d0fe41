package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sshchat/sshchat/attack"
	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
	"sshchat/store/history"

	"filippo.io/age"
	"filippo.io/age/agessh"
	"github.com/creack/pty"
)

// What became of a message is a line that no message can pass for.
func TestPlainLine(t *testing.T) {
	t.Parallel()
	alice, err := text.ParseName("alice")
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 23, 21, 38, 56, 0, time.UTC)
	for want, l := range map[string]history.Line{
		"alice: hello\n  bob: forged":      {Kind: chat.Say, Text: "hello\nbob: forged"},
		"* alice waves":                    {Kind: chat.Me, Text: "waves"},
		"alice edits 1: hello\n  bob":      {Kind: chat.Edit, Of: 1, Text: "hello\nbob"},
		"alice deletes 1":                  {Kind: chat.Delete, Of: 1},
		"alice replies to 1: hello":        {Kind: chat.Say, Of: 1, Text: "hello"},
		"alice reacts to 1: 👍":             {Kind: chat.React, Of: 1, Text: "👍"},
		"alice reacts to 1: (deleted)":     {Kind: chat.React, Of: 1},
		"alice removes a reaction to 1: 👍": {Kind: chat.Unreact, Of: 1, Text: "👍"},
		"alice: (deleted)":                 {Kind: chat.Say},
		"alice edits 1: (deleted)":         {Kind: chat.Edit, Of: 1},
		"alice: (nothing to show)":         {Kind: chat.Say, Text: "\u200b"},
		"alice (dance, a kind this version does not know): hello\n  bob: forged": {Kind: "dance\x1b\n", Text: "hello\nbob: forged"},
	} {
		l.At, l.Room, l.W, l.Seq, l.From = at, chat.General, 1, 2, alice
		if got := plainLine(l); got != "2026-11-23 21:38:56 general/2 "+want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// I have alice's public key, as everybody has, and seal to it what takes over the terminal that shows it: a title, a
// cleared screen, a line over the one before, words turned round. None of it arrives, as text or as JSON. The control: the
// same line as it was sealed.
func TestAttackSealedEscapesStayOffTheTerminal(t *testing.T) {
	row := attack.On(t, attack.Room, "seal escape sequences to somebody's public key")
	alice, err := text.ParseName("alice")
	if err != nil {
		t.Fatal(err)
	}
	l := history.Line{At: time.Unix(0, 0), Room: chat.General, W: 1, Seq: 2, From: alice, Kind: "say\x1b[2J",
		Text: "\x1b]0;title\ahello\x1b[2J\u009b31m\rroot: forged\u202egnp.exe \U000E0041\x7f"}
	sealed, err := l.JSON()
	if err != nil {
		t.Fatal(err)
	}
	for what, shown := range map[string]string{"text": plainLine(l), "JSON": string(text.EscapeJSON(sealed))} {
		if !text.IsPrintable(strings.ReplaceAll(shown, "\n  ", "")) {
			t.Errorf("%s: %q", what, shown)
		}
	}
	var read struct{ Kind, Text string }
	if err := json.Unmarshal(text.EscapeJSON(sealed), &read); err != nil || read.Kind != string(l.Kind) || read.Text != l.Text {
		t.Errorf("another value: %+q, %v", read, err)
	}
	row.Tried("window title, clear screen, C1, overwritten lines, bidi and tags, in the text and in the kind")
	row.Held("sshchat open prints only printable characters, as text and as JSON, and the JSON has the same value")
	if text.IsPrintable(string(sealed)) {
		t.Error("the control: it was sealed without them")
	}
	row.Control("the sealed line contains them")
}

// A command refuses what it does not understand with the words of it, which a link or a script chose.
func TestAttackErrorsQuoteNoEscapes(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Room, "escape sequences in quoted parts of errors")
	s := startServer(t, "")
	alice := s.register("alice")
	for _, line := range []string{"who --\u009b31m", "whoami \x1b]0;t\a", "\x1b[31mwho", "history '\x1b[2J", "user info \u202e", "set theme \x1b[1m", "ban \x1b[1m", "follow \x1b[1m"} {
		_, errs, code := alice.exec(line, "")
		if code == 0 || errs == "" || !text.IsPrintable(strings.ReplaceAll(errs, "\n", "")) {
			t.Errorf("%q: exit %d, %q", line, code, errs)
		}
	}
	if _, errs, _ := alice.exec("who --coloured", ""); !strings.Contains(errs, "--coloured") { // the control: they are quoted
		t.Errorf("%q", errs)
	}
	var stderr bytes.Buffer
	if code := run(t.Context(), []string{"open", "-i", "no\x1b[2J"}, nil, io.Discard, &stderr); code == 0 || !text.IsPrintable(strings.TrimSpace(stderr.String())) {
		t.Errorf("sshchat open: exit %d, %q", code, &stderr)
	}
	row.Tried("flags, words and file names")
	row.Held("only printable characters reach standard error")
	row.Control("printable words are quoted unchanged")
}

// sealedFolder is a data folder with one message for each of the keys' people, who are told apart by their order.
func sealedFolder(t *testing.T, keys ...string) string {
	t.Helper()
	general := chat.RoomState{Name: chat.General}
	to := make(map[chat.Name][]age.Recipient)
	for i, key := range keys {
		name, err := text.ParseName(fmt.Sprint("user", i))
		if err != nil {
			t.Fatal(err)
		}
		general.Members = append(general.Members, chat.Member{Name: name, Since: 1})
		recipient, err := agessh.ParseRecipient(key)
		if err != nil {
			t.Fatal(err)
		}
		to[name] = []age.Recipient{recipient}
	}
	dir := t.TempDir()
	h, err := history.Open(dir, history.Options{
		Rooms: []chat.RoomState{general}, Recipients: func(_ *chat.State, _ chat.RoomName, name chat.Name) []age.Recipient { return to[name] },
	})
	if err != nil {
		t.Fatal(err)
	}
	said, err := text.ParseText("sealed to all of them")
	if err != nil {
		t.Fatal(err)
	}
	m := chat.Message{Room: chat.General, Seq: 1, At: time.Now(), From: general.Members[0].Name, Kind: chat.Say, Text: said}
	if err := errors.Join(h.Commit([]chat.Event{{Room: chat.General, Message: m}}), h.Close()); err != nil {
		t.Fatal(err)
	}
	return dir
}

// A locked key opens with its passphrase, in every form that age takes; what does not open it is an error, and never
// passes for messages that are sealed to others.
func TestOpenWithALockedKey(t *testing.T) {
	t.Parallel()
	const phrase = "quite a secret"
	keys := []string{keyFile(t, "-t", "ed25519", "-a", "4", "-N", phrase), rsaFile(t, "-a", "1", "-N", phrase), rsaFile(t, "-m", "PEM", "-N", phrase)}
	var public []string
	for _, key := range keys {
		public = append(public, readText(t, key+".pub"))
		if err := os.Remove(key + ".pub"); err != nil {
			t.Fatal(err)
		}
	}
	if !strings.Contains(readText(t, keys[2]), "BEGIN RSA PRIVATE KEY") {
		t.Fatal("the last key is not of the old form")
	}
	data := sealedFolder(t, public...)
	for i, key := range keys {
		if said, code := openTyping(t, phrase, "-i", key, data); code != 0 || !strings.Contains(said, "sealed to all of them") {
			t.Errorf("key %d: exit %d, %q", i, code, said)
		}
		if said, code := openTyping(t, "another", "-i", key, data); code != 1 || !strings.Contains(said, "does not open it") {
			t.Errorf("key %d with a wrong passphrase: exit %d, %q", i, code, said)
		}
		out, errs, code := openAlone(t, "-i", key, data)
		if code != 1 || out != "" || !strings.Contains(errs, "no terminal") {
			t.Errorf("key %d without a terminal: exit %d, %q%q", i, code, out, errs)
		}
	}
	stranger := keyFile(t, "-t", "ed25519")
	if out, errs, code := runHere(t, "open", "-i", stranger, data); code != 1 || out != "" || !strings.Contains(errs, "1 message is not sealed to these keys") {
		t.Errorf("somebody else's key: exit %d, %q%q", code, out, errs)
	}
}

// openTyping runs open on a terminal where somebody types the passphrase when asked.
func openTyping(t *testing.T, phrase string, args ...string) (said string, code int) {
	t.Helper()
	cmd := openProcess(t, args...)
	tty, err := pty.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	defer tty.Close()
	var all strings.Builder
	b := make([]byte, 4096)
	for asked := false; ; {
		n, err := tty.Read(b)
		all.Write(b[:n])
		if !asked && strings.Contains(all.String(), "Passphrase for ") {
			asked = true
			if _, err := io.WriteString(tty, phrase+"\n"); err != nil {
				t.Fatal(err)
			}
		}
		if err != nil { // EIO: the process has ended
			break
		}
	}
	cmd.Wait()
	return all.String(), cmd.ProcessState.ExitCode()
}

// openAlone runs open where there is no terminal.
func openAlone(t *testing.T, args ...string) (out, errs string, code int) {
	t.Helper()
	cmd := openProcess(t, args...)
	cmd.SysProcAttr = ownSession()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.Run()
	return stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()
}

func openProcess(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, append([]string{"open"}, args...)...)
	cmd.Env = append(os.Environ(), "SSHCHAT_TEST_MAIN=1")
	return cmd
}

// A head that is remembered is worth what its signature is.
func TestOpenChecksWhoSignedTheHead(t *testing.T) {
	t.Parallel()
	key := keyFile(t, "-t", "ed25519")
	s, other := startServer(t, ""), startServer(t, "")
	alice := s.registerWith(t, "alice", key)
	alice.must("say general one")
	bob := other.register("bob")
	bob.must("say general one")
	head := alice.must("head general")
	line, signature, _ := strings.Cut(head, "\n")
	copied := t.TempDir() // without host keys
	if err := os.WriteFile(filepath.Join(copied, "message_history.json"), []byte(readText(t, filepath.Join(s.data, "message_history.json"))), 0o600); err != nil {
		t.Fatal(err)
	}
	tar := filepath.Join(t.TempDir(), "tar")
	if err := os.WriteFile(tar, []byte(alice.must("history --tar general")), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		head, word string
		code       int
	}{
		"the server's":  {head, "", 0},
		"another line":  {strings.Replace(line, `"seq":1`, `"seq":0`, 1) + "\n" + signature, "signature", 1},
		"noise":         {line + "\nnot a signature\n", "signature", 1},
		"half of it":    {line + "\n" + signature[:len(signature)/2], "signature", 1},
		"not signed":    {line + "\n", "not signed", 0},
		"somebody else": {bob.must("head general"), "never a key of this server", 1},
	} {
		file := filepath.Join(t.TempDir(), "head")
		if err := os.WriteFile(file, []byte(c.head), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, from := range []string{s.data, filepath.Join(s.data, "message_history.json"), copied, tar} {
			word, code := c.word, c.code
			if elsewhere := from == copied || from == tar; elsewhere && name == "the server's" {
				word = "compare"
			} else if elsewhere && name == "somebody else" && from == copied {
				word = "compare" // and it is not led up to
			} else if elsewhere && name == "somebody else" {
				word, code = "compare", 0 // a tar has no chain
			}
			if _, errs, got := runHere(t, "open", "-i", key, "--head", file, from); got != code || !strings.Contains(errs, word) {
				t.Errorf("%s, from %s: exit %d, %q", name, filepath.Base(from), got, errs)
			}
		}
	}
}

// What a newer version seals is not printed as if somebody had said it.
func TestOpenPassesOverKindsItDoesNotKnow(t *testing.T) {
	t.Parallel()
	lines := func(yield func(history.Line, error) bool) {
		for _, kind := range []chat.Kind{chat.Say, "poll", "vote"} {
			if !yield(history.Line{Room: chat.General, W: 1, Seq: 1, Kind: kind, Text: "kind " + string(kind)}, nil) {
				return
			}
		}
	}
	var out, errs bytes.Buffer
	if err := open(&history.Opener{}, lines, &out, &errs, false); err != nil {
		t.Fatal(err)
	}
	if strings.Count(out.String(), "\n") != 1 || !strings.Contains(out.String(), "kind say") || !strings.Contains(errs.String(), "2 messages are of a kind") {
		t.Errorf("%q, %q", &out, &errs)
	}
}
