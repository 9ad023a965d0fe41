package main

import (
	"testing"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/store"
)

// What became of a message is a line that no message can pass for.
func TestPlainLine(t *testing.T) {
	alice, err := chat.ParseName("alice")
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 23, 21, 38, 56, 0, time.UTC)
	for want, l := range map[string]store.Line{
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
