package command

import (
	"strings"
	"testing"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
)

// A word before a text that looks like a flag is none of the text, also where the command has no flags: -- makes it text.
// Messages are as they were typed.
func TestFlagsAreNoText(t *testing.T) {
	for _, ui := range []UI{Chat, Exec} {
		r := newRig(t, "alice", "bob")
		r.change("alice", func(a *chat.Account) { a.Role = chat.Admin })
		r.face = ui
		r.must("join #lab")
		for _, cmd := range all {
			if !cmd.Text || cmd.Free || cmd.UIs&ui == 0 {
				continue
			}
			line := cmd.Name + " "
			switch {
			case cmd.RoomAt == 1:
				line += "#lab "
			case cmd.Words == 1:
				line += "bob "
			}
			hint := "; to send it as text, put -- before it"
			if cmd.AsIs {
				hint = "" // the word is a name, and no name begins so
			}
			r.refuses(line+"--nonsense", chat.Usage, "unknown flag --nonsense"+hint)
			r.refuses(line+"--nonsense text", chat.Usage, "usage: ")
			if help := r.must(line + "--help"); !strings.Contains(help, cmd.usage(ui)) {
				t.Errorf("%s--help: %s", line, help)
			}
		}
		r.must("topic #lab -- --json")
		r.sees("topic #lab", "--json")
		r.must("topic #lab --- closed ---")
		r.sees("topic #lab", "--- closed ---")
		r.must("msg bob --json")
		if m, ok := r.hub.Last(name(t, "alice"), text.Direct(name(t, "alice"), name(t, "bob"))); !ok || m.Text.String() != "--json" {
			t.Errorf("a message: %q", m.Text)
		}
	}
}

// The errors of flags are worded for people.
func TestFlagErrorsOfCommands(t *testing.T) {
	r := newRig(t, "alice")
	r.face = Exec
	for line, want := range map[string]string{
		"follow --count x": `--count: "x" is not a whole number`, "follow --count": "--count needs a value", "rooms --nonsense": "unknown flag --nonsense",
		"rooms -x": "unknown flag -x", "rooms --json=maybe": `--json: "maybe" is not true or false`, "search --json=maybe x": "is not true or false",
		"follow --count 99999999999999999999": "is too large",
	} {
		r.refuses(line, chat.Usage, want)
		if _, err := r.run(line); strings.Contains(err.Error(), "strconv") || strings.Contains(err.Error(), "invalid argument") {
			t.Errorf("%s: %v", line, err)
		}
	}
}

func TestIgnoredAndVersionAsJSON(t *testing.T) {
	r := newRig(t, "alice", "bob")
	r.face = Exec
	if seen := r.must("ignore --json"); seen != "" {
		t.Errorf("nobody is ignored: %q", seen)
	}
	r.must("ignore bob")
	r.sees("ignore --json", `{"name":"bob"}`)
	r.services.Version = "v1"
	r.sees("version --json", `{"version":"v1"}`)
}
