package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
	"sshchat/store/history"
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
		"alice: hello\n  bob: forged": {Kind: chat.Say, Text: "hello\nbob: forged"},
		"* alice waves":               {Kind: chat.Me, Text: "waves"},
		"alice edits 1: hello\n  bob": {Kind: chat.Edit, Of: 1, Text: "hello\nbob"},
		"alice deletes 1":             {Kind: chat.Delete, Of: 1},
		"alice: (deleted)":            {Kind: chat.Say},
		"alice edits 1: (deleted)":    {Kind: chat.Edit, Of: 1},
		"alice: (nothing to show)":    {Kind: chat.Say, Text: "\u200b"},
		"alice (dance; this version does not know that kind): hello\n  bob: forged": {Kind: "dance\x1b\n", Text: "hello\nbob: forged"},
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
	if text.IsPrintable(string(sealed)) {
		t.Error("the control: it was sealed without them")
	}
}

// A command refuses what it does not understand with the words of it, which a link or a script chose.
func TestAttackErrorsQuoteNoEscapes(t *testing.T) {
	t.Parallel()
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
}

// What looks damaged because a server was writing to it is told from damage.
func TestOpenTellsDamageFromWriting(t *testing.T) {
	t.Parallel()
	s, _, _, _ := archived(t, 3)
	if err := meanwhile([]string{s.data}, history.ErrDamaged); errors.Is(err, history.ErrDamaged) || !strings.Contains(err.Error(), "do it again") {
		t.Errorf("of a folder that is whole: %v", err)
	}
	s.kill()
	path := filepath.Join(s.data, "message_history.json")
	content := []byte(readText(t, path))
	content[bytes.Index(content, []byte(`"body":"`))+20] ^= 1
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := meanwhile([]string{s.data}, history.ErrDamaged); !errors.Is(err, history.ErrDamaged) {
		t.Errorf("of a damaged one: %v", err)
	}
}
