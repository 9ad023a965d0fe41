package command

import (
	"context"
	"strings"
	"testing"

	"sshchat/sshchat/chat"
)

// nobodyElse is Live where no session ends.
type nobodyElse struct{ Live }

func (nobodyElse) Settle(context.Context, uint64, uint64) (int, []string) { return 0, nil }

// What cannot be undone is asked for once more: an account and a room that others are in by their name, as anything else by
// yes or no. A wrong answer changes nothing.
func TestWhatCannotBeUndoneAsks(t *testing.T) {
	r := newRig(t, "alice", "bob", "carol")
	r.change("alice", func(a *chat.Account) { a.Role = chat.Admin })
	r.services.Live = nobodyElse{}
	r.must("room create lab")
	r.as("bob")
	r.must("join lab")
	r.as("alice")
	for _, face := range []UI{Chat, Exec} {
		r.face = face
		for _, line := range []string{"user delete bob", "room delete lab", "allowlist on"} {
			r.session.answer = ""
			r.refuses(line, chat.Usage, "or --yes")
			for _, no := range []string{"n", "no", "dora"} {
				r.session.answer = no
				r.refuses(line, chat.Failed, "nothing was changed")
			}
			r.session.answer = "y"
			if line != "allowlist on" { // a name is to be typed
				r.refuses(line, chat.Failed, "nothing was changed")
			}
		}
	}
	if _, there := r.hub.View().ByName(name(t, "bob")); !there || len(r.hub.AllRooms()) != 2 || r.hub.View().Allowlist().On {
		t.Fatal("a wrong answer changed something")
	}
	r.session.answer = "y"
	r.must("allowlist on")
	r.must("allowlist off")
	r.must("allowlist add carol")
	r.session.answer = ""
	r.must("allowlist on") // there is somebody on it
	r.session.answer = "#Lab"
	r.must("room delete lab")
	if !strings.Contains(r.session.asked, "Close #lab and remove 1 other member?") {
		t.Errorf("it asks %q", r.session.asked)
	}
	r.session.answer = "BOB"
	r.must("user delete bob")
	r.must("user delete carol --yes")
	r.must("room create empty")
	r.session.answer = ""
	r.must("room delete empty") // nobody is in it
}

// A key that is restricted to something that is no command, or that the command cannot do, could do nothing. It is refused
// when it is added, with the nearest name.
func TestARestrictedKeyCanDoSomething(t *testing.T) {
	call := &Call{Services: newRig(t, "alice").services, UI: Exec}
	for only, words := range map[string]string{
		"sya":                    "unknown command sya; did you mean say?",
		"say:#ci,sya:#ci":        "unknown command sya",
		"key":                    "key needs one of: ",
		"say general":            "say:#general",
		"whoami:#ci":             "acts on no room or person",
		"whoami:@bob":            "acts on no room or person",
		"everything:at:once":     "restrict a key to commands",
		"zzzzzzzz":               "unknown command zzzzzzzz",
		"user:@bob,user delete:": "restrict a key to commands",
	} {
		if got, err := parseOnly(call, only); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v, %v, not %q", only, got, err, words)
		}
	}
	for only, want := range map[string]string{
		"say:#ci,msg:@bob,follow:#ci": "say:#ci,msg:@bob,follow:#ci",
		"whoami":                      "whoami",
		"me":                          "me", // in the chat
		"names:#ci,tell:@bob":         "who:#ci,msg:@bob",
		"key list,history":            "key list,history",
	} {
		if got, err := parseOnly(call, only); err != nil || got.String() != want {
			t.Errorf("%s: %v, %v", only, got, err)
		}
	}
}
