package accounts

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"sshchat/sshchat/chat"
)

func TestLabelWithEscapes(t *testing.T) {
	t.Parallel()
	k, err := ParseKey(keyA + " \x1b]0;owned\x07\u202eevil\u009b31m" + strings.Repeat("é", 100))
	if err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(k.Label, "\x1b\x07\u202e\u009b") || utf8.RuneCountInString(k.Label) > 64 || !utf8.ValidString(k.Label) {
		t.Errorf("label %q", k.Label)
	}
	if _, err := ParseKey(keyA + " caf\xe9"); err == nil {
		t.Error("a comment that is not UTF-8 was taken")
	}
}

// FuzzLabel holds labels to one short line that is clean already.
func FuzzLabel(f *testing.F) {
	for _, s := range []string{"alice@laptop", "a\tb", "\x1b[31mred", "\u202e", strings.Repeat("e\u0301", 100), "\xff", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, comment string) {
		label := cleanLabel(comment)
		if utf8.RuneCountInString(label) > maxLabel || strings.ContainsAny(label, "\r\n") || cleanLabel(label) != label {
			t.Fatalf("label %q", label)
		}
	})
}

const (
	ecdsaKey    = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBEmKSENjQEezOmxkZMy7opKgwFB9nkt5YRrYMjNuG5N87uRgg6CLrbo5wAdT/y6v0mKV0U2w0WZ2YB/++Tpockg="
	lowOrderKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
)

func TestKeysOfAnAccount(t *testing.T) {
	t.Parallel()
	u := open(t, t.TempDir())
	alice := create(t, u, "alice", "")
	laptop := alice.Keys[0]
	add := func(k chat.Key) {
		t.Helper()
		if err := u.AddKey(alice.ID, k); err != nil {
			t.Fatal(err)
		}
	}
	wantErr(t, u.AddKey(alice.ID, laptop), chat.ErrKeyTaken)
	wantErr(t, u.AddKey("nobody", newKey(t)), chat.ErrNoAccount)
	wantErr(t, u.AddKey(alice.ID, chat.Key{Line: lowOrderKey, Reads: true}), ErrKey)

	wantErr(t, u.RemoveKey(alice.ID, laptop.Fingerprint), chat.ErrLastLogin)
	reader, err := ParseKey(someRecipient + " safe")
	if err != nil {
		t.Fatal(err)
	}
	add(reader)
	wantErr(t, u.RemoveKey(alice.ID, laptop.Fingerprint), chat.ErrLastLogin) // age keys do not log in
	if n := len(u.Recipients(nil, chat.General, alice.Name)); n != 2 {
		t.Errorf("%d recipients", n)
	}
	token, err := ParseKey(ecdsaKey)
	if err != nil {
		t.Fatal(err)
	}
	add(token)
	if n := len(u.Recipients(nil, chat.General, alice.Name)); n != 2 {
		t.Errorf("%d recipients with one that cannot be sealed to", n)
	}
	if err := u.RemoveKey(alice.ID, laptop.Fingerprint); err != nil {
		t.Fatal(err)
	}
	wantErr(t, u.RemoveKey(alice.ID, laptop.Fingerprint), chat.ErrNoKey)
	wantErr(t, u.RemoveKey("nobody", laptop.Fingerprint), chat.ErrNoAccount)
	if to := u.Recipients(nil, chat.General, alice.Name); len(to) != 1 || fmt.Sprint(to[0]) != someRecipient {
		t.Errorf("recipients %v", to)
	}
	a, _ := u.ByID(alice.ID)
	if len(a.Keys) != 2 || a.Keys[0].Label != "safe" || a.Keys[0].Added.IsZero() || !a.Reads() {
		t.Errorf("keys %+v", a.Keys)
	}
	for len(a.Keys) < chat.MaxKeys {
		add(newKey(t))
		a, _ = u.ByID(alice.ID)
	}
	wantErr(t, u.AddKey(alice.ID, newKey(t)), chat.ErrTooManyKeys)
	if u.Recipients(nil, chat.General, name("nobody")) != nil {
		t.Error("nobody can read")
	}
}

func TestRecipientsAreACopy(t *testing.T) {
	t.Parallel()
	u := open(t, t.TempDir())
	alice := create(t, u, "alice", "")
	u.Recipients(nil, chat.General, alice.Name)[0] = nil
	if u.Recipients(nil, chat.General, alice.Name)[0] == nil {
		t.Error("a caller reaches into the store")
	}
}
