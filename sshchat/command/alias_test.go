package command

import (
	"slices"
	"testing"

	"sshchat/sshchat/chat"
)

// An alias is expanded once, and never in place of a command, however it came to be kept.
func TestExpandAlias(t *testing.T) {
	r := NewRegistry()
	a := chat.Account{Settings: map[string]string{"aliases": "hi=/me says hello to $*;loop=/loop $*;next=/hi $1;say=never;key=never;help=never;reload=never;gm=good morning"}}
	for typed, want := range map[string]string{
		"hi bob":        "/me says hello to bob",
		"HI bob":        "/me says hello to bob",
		"hi":            "/me says hello to ",
		"loop x":        "/loop x",
		"next bob":      "/hi bob",
		"gm all":        "good morning all",
		"say x":         "/say x",
		"key list":      "/key list",
		"help":          "/help",
		"reload":        "/reload",
		"me waves":      "/me waves",
		"nonsense":      "/nonsense",
		"":              "/",
		"hi\nsomething": "/me says hello to something",
	} {
		if line, err := r.ExpandAlias(a, typed); line != want || err != nil {
			t.Errorf("%q is %q, %v; want %q", typed, line, err, want)
		}
	}
	c := r.Complete(&Services{Commands: r}, a, "/")
	if !slices.Contains(c.Words, "/gm") || slices.Contains(c.Words, "/say") {
		t.Errorf("Tab offers %q", c.Words)
	}
}
