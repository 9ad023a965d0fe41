package command

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
)

// words are what a usage line stands for, but for the room.
var words = map[string]string{
	"USER": "bob", "[USER]": "bob", "[REASON]": "bye now", "TEXT": "hello there", "[TEXT]": "hello there", "TEXT|-": "hello there",
	"on|off": "on", "10s|off": "10s", "[--private]": "", "[--yes]": "", "[WINDOW]": "",
}

// example is a command as its usage says, with the room as given; none where it is empty.
func example(t *testing.T, cmd *Command, room string) (line string, rest string) {
	t.Helper()
	var said []string
	for i, word := range strings.Fields(cmd.Args) {
		if strings.Trim(word, "[]") == "ROOM" {
			if i+1 != cmd.RoomAt {
				t.Errorf("%s: the room is word %d, not %d", cmd.Name, i+1, cmd.RoomAt)
			}
			if room != "" {
				said = append(said, room)
			}
			continue
		}
		meant, known := words[word]
		if !known {
			t.Errorf("%s: nobody told the test what %s stands for", cmd.Name, word)
		}
		said = append(said, meant)
		if cmd.Text && i+1 > cmd.RoomAt {
			rest = meant
		}
	}
	return strings.TrimSpace(strings.Join(said, " ")), rest
}

// A room is named in one way in all commands: by exec it must be, and its # is optional; in the chat it may be left out
// where the usage says so, and # marks it where a text follows.
func TestRoomsAreNamedOneWay(t *testing.T) {
	lab, err := text.ParseRoomName("lab")
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, "alice", "bob")
	parsed := func(cmd *Command, ui UI, line string) (*Call, error) {
		c := &Call{Services: r.services, Command: cmd, UI: ui, Account: r.account(r.me), Name: r.me, Session: r.session, Caller: r.session}
		return c, parseLine(c, line)
	}
	seen := 0
	for _, cmd := range all {
		named := slices.ContainsFunc(strings.Fields(cmd.Args), func(w string) bool { return strings.Trim(w, "[]") == "ROOM" })
		if strings.Contains(strings.ToLower(cmd.Args), "#room") {
			t.Errorf("%s: %s is not how a room is written in Args", cmd.Name, cmd.Args)
		}
		if !named {
			if cmd.RoomAt > 0 {
				t.Errorf("%s has no room in %q", cmd.Name, cmd.Args)
			}
			continue
		}
		if cmd.Name == "history" { // its rooms may be several, and none with --tar
			continue
		}
		seen++
		for _, ui := range []UI{Chat, Exec} {
			if cmd.UIs&ui == 0 {
				continue
			}
			for _, room := range []string{"#lab", "lab", "LAB", "'#lab'", `"#lab"`} {
				line, rest := example(t, cmd, room)
				c, err := parsed(cmd, ui, line)
				want, wantText := lab, rest
				if cmd.mayOmitRoom(ui) && cmd.Text && room[0] != '#' { // it is the text's first word
					want, wantText = chat.General, room+" "+rest
				}
				if got, _ := c.target(); err != nil || got != want || cmd.Text && c.Text != wantText {
					t.Errorf("%s in face %d: %q is for %v with %q, %v; want %v with %q", cmd.Name, ui, line, got, c.Text, err, want, wantText)
				}
				if want == lab && c.Args[cmd.RoomAt-1] != "#lab" {
					t.Errorf("%s in face %d: %q is told in the audit log as %q", cmd.Name, ui, line, c.Args)
				}
			}
			usage := cmd.usage(ui)
			if exec := ui == Exec; strings.Contains(usage, "#") == exec || strings.Contains(usage, "[ROOM]") {
				t.Errorf("the usage in face %d: %s", ui, usage)
			}
			if !cmd.Text || cmd.Words >= cmd.RoomAt || ui == Chat {
				line, _ := example(t, cmd, "")
				if strings.Contains(cmd.Args, "ROOM on|off") || strings.Contains(cmd.Args, "ROOM 10s|off") || cmd.Text && !cmd.mayOmitRoom(ui) {
					line = "" // what follows would be taken for the room, and refused where that is none
				}
				c, err := parsed(cmd, ui, line)
				if cmd.mayOmitRoom(ui) {
					if got, _ := c.target(); err != nil || got != chat.General || c.Args[cmd.RoomAt-1] != "#general" {
						t.Errorf("%s in face %d: %q is for %v, %v", cmd.Name, ui, line, got, err)
					}
					continue
				}
				var refused *chat.Refusal
				if !errors.As(err, &refused) || refused.Code != chat.Usage || !strings.Contains(refused.Text, "usage: ") {
					t.Errorf("%s in face %d: %q without a room: %v", cmd.Name, ui, line, err)
				}
			}
		}
	}
	if seen < 14 {
		t.Errorf("only %d commands name a room", seen)
	}
}

// What is said is what was sent, byte by byte: quotes belong to the shell only where they enclose a word before it.
func TestQuotesOfTheShell(t *testing.T) {
	for line, want := range map[string]struct{ word, rest string }{
		`'#ops' hi`:             {"#ops", "hi"},
		`"#ops" "hi there"`:     {"#ops", `"hi there"`},
		`general it's fine`:     {"general", "it's fine"},
		`general 'quoted'`:      {"general", `'quoted'`},
		`  '#ops'`:              {"#ops", ""},
		`'#ops hi`:              {"'#ops", "hi"},
		`'#ops'hi there`:        {"'#ops'hi", "there"},
		`'two words' hi`:        {"'two", "words' hi"},
		`'' hi`:                 {"", "hi"},
		`"#ops'  hi  "there"  `: {`"#ops'`, `hi  "there"  `},
	} {
		if word, rest := cutQuoted(line); word != want.word || rest != want.rest {
			t.Errorf("%s is %q and %q, not %q and %q", line, word, rest, want.word, want.rest)
		}
	}
}
