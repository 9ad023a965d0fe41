package main

import (
	"bytes"
	"errors"
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
	} {
		l.At, l.Room, l.W, l.Seq, l.From = at, chat.General, 1, 2, alice
		if got := plainLine(l); got != "2026-11-23 21:38:56 general/2 "+want {
			t.Errorf("%q, want %q", got, want)
		}
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
