package command

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"sshchat/sshchat/attack"
	"sshchat/sshchat/chat"
)

func TestFind(t *testing.T) {
	r := NewRegistry()
	for _, c := range []struct {
		ui         UI
		line       string
		name, rest string
	}{
		{Chat, "join #dev", "join", "#dev"},
		{Chat, "  JOIN   #dev  ", "join", "#dev  "},
		{Chat, "j #dev", "join", "#dev"},
		{Chat, "me -_- 'shrugs", "me", "-_- 'shrugs"},
		{Chat, "key list", "key list", ""},
		{Chat, "key  List --json", "key list", "--json"},
		{Chat, "keys", "key list", ""},
		{Exec, "say #dev two  spaces", "say", "#dev two  spaces"},
		{Exec, "key\tadd\nssh-ed25519 AAAA me@home", "key add", "ssh-ed25519 AAAA me@home"},
	} {
		cmd, rest, err := r.Find(c.ui, c.line)
		if err != nil || cmd.Name != c.name || rest != c.rest {
			t.Errorf("%q is %v, %q, %v", c.line, cmd, rest, err)
		}
	}
	for line, ui := range map[string]UI{
		"say general hi": Chat, "register": Chat, "claim x": Chat, "me waves": Exec, "quit": Exec, "bell off": Exec, "key": Exec, "": Chat, "list keys now": 0,
	} {
		if cmd, _, err := r.Find(ui, line); err == nil {
			t.Errorf("%q is %s in face %d", line, cmd.Name, ui)
		}
	}
}

// Whoever mistypes is shown what was meant, and never something far off.
func TestUnknownCommands(t *testing.T) {
	r := NewRegistry()
	for _, c := range []struct {
		ui         UI
		word, near string
	}{
		{Chat, "jion", "/join"}, {Chat, "joni", "/join"}, {Chat, "JION", "/join"}, {Chat, "jon", "/join"},
		{Chat, "quti", "/quit"}, {Chat, "qiut", "/quit"}, {Chat, "exti", "/exit"},
		{Chat, "nmaes", "/names"}, {Chat, "name", "/names"}, {Chat, "topci", "/topic"}, {Chat, "hlep", "/help"},
		{Chat, "themes", "/theme"}, {Chat, "timestmap", "/timestamp"}, {Chat, "passwrd", "/passwd"},
		{Exec, "regsiter", "register"}, {Exec, "histroy", "history"}, {Exec, "folow", "follow"}, {Exec, "identiy", "identity"},
		{Chat, "bel", "/bell"}, {Chat, "uio", "/ui"}, {Chat, "wo", "/who"},
		{Chat, "register", ""}, {Chat, "xyzzy", ""}, {Chat, "x", ""}, {Chat, "zz", "/tz"}, {Chat, "12", ""}, {Chat, "", ""},
		{Chat, "abracadabra", ""}, {Exec, "sudo", ""}, {Exec, "scp", ""},
	} {
		_, _, err := r.Find(c.ui, c.word)
		text, meant := Text(err)
		_, hint, hinted := strings.Cut(text, "did you mean ")
		near, _, _ := strings.Cut(hint, "?")
		if !meant || hinted != (c.near != "") || near != c.near {
			t.Errorf("%q is answered with %q, and %q was meant", c.word, text, c.near)
		}
		if ExitCode(err) != int(chat.Usage) {
			t.Errorf("%q ends with %d", c.word, ExitCode(err))
		}
	}
}

// Names that commands have in other programs, and the beginnings of names, are answered with the command; a word of a help topic
// with what it says. Nobody is shown a command that is not for them, and who types one of the other face learns where it works.
func TestUnknownCommandsOfOtherPrograms(t *testing.T) {
	r := newRig(t, "ann")
	for line, want := range map[string]string{
		"hist": "did you mean /history?", "man": "did you mean /help?", "dm bob hi": "did you mean /msg?", "logout": "did you mean /quit?",
		"nick al": "unknown command /nick. The name you log in with is the name of your account. It cannot be changed. For more: /help nick",
		"kik":     "For a list: /help", "unbam": "For a list: /help", "invit": "did you mean /invite?",
		"say general hi": "say works over ssh only: ssh ann@chat.host say ROOM TEXT|-",
		"head":           "head works over ssh only: ssh ann@chat.host head ROOM",
		"backup":         "did you mean /back?", // it is not for her
	} {
		r.refuses(line, chat.Usage, want)
	}
	if _, err := r.run("kik"); strings.Contains(err.Error(), "kick") {
		t.Errorf("a command for moderators is shown to others: %v", err)
	}
	r.sees("help lost", "ask an admin")
	r.sees("help rename", "It cannot be changed")
	r.sees("help export", "/history")
	r.face = Exec
	r.refuses("exit", chat.Usage, "unknown command quit: it works in the chat only: ssh -t ann@chat.host, then /quit")
	r.sees("help quit", "It works in the chat only: ssh -t ann@chat.host, then /quit")
	r.change("ann", func(a *chat.Account) { a.Role = chat.Admin })
	r.face = Chat
	r.refuses("kik", chat.Usage, "did you mean /kick?")
	r.refuses("backup", chat.Usage, "backup works over ssh only: ssh ann@chat.host backup")
	r.sees("help backup", "It works over ssh only: ssh ann@chat.host backup")
	for _, word := range []string{"moderate", "moderation"} {
		r.sees("help "+word, "/delete [ID]")
		r.sees("help "+word, "/invite create")
	}
}

// Help shows a restricted key the commands that it may run, and no others.
func TestHelpForARestrictedKey(t *testing.T) {
	r := newRig(t, "ann")
	r.face = Exec
	r.only = chat.Only{"say:#ci", "key list"}
	r.change("ann", func(a *chat.Account) {
		key := rigKey
		key.Only = r.only
		a.Keys = []chat.Key{key}
	})
	help := r.must("help")
	for name, want := range map[string]bool{"say ROOM": true, "key list": true, "help [TOPIC]": true, "msg USER": false, "key add": false, "join ROOM": false} {
		if strings.Contains(help, "  "+name) != want {
			t.Errorf("%s: in the list is not %v:\n%s", name, want, help)
		}
	}
	r.sees("help", "This key may only be used for say:#ci,key list.")
	if help := r.must("help key"); strings.Contains(help, "key add") || !strings.Contains(help, "key list") {
		t.Errorf("help key:\n%s", help)
	}
}

// The first word of commands of two words is none itself. It is answered with the words that may follow.
func TestFirstWordAlone(t *testing.T) {
	r := newRig(t, "ann")
	r.face = Exec
	r.refuses("user", chat.Usage, "user needs one of: add-key, create, delete")
	r.refuses("USER nosuch ann", chat.Usage, "user needs one of: add-key, ")
	r.refuses("totp", chat.Usage, "totp needs one of: disable, enable")
	r.sees("help totp", "totp disable\n    remove the second factor\n")
	r.sees("totp -h", "totp enable\n")
	r.sees("TOTP --help", "totp enable\n")
	r.sees("help delete", "delete ID\n")
	r.face = Chat
	r.refuses("totp", chat.Usage, "/totp needs one of: disable, enable")
}

// What somebody typed is shown to them, and to nobody's harm.
func TestUnknownCommandsShowNoEscapes(t *testing.T) {
	_, _, err := NewRegistry().Find(Chat, "\x1b]0;pwned\x07\u202e"+strings.Repeat("x", 5000))
	if text, _ := Text(err); strings.ContainsAny(text, "\x1b\x07\u202e") || len(text) > 200 {
		t.Errorf("shown: %q", text)
	}
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"join", "join", 0}, {"join", "", 4}, {"", "me", 2}, {"jion", "join", 1}, {"joni", "join", 1}, {"jin", "join", 1}, {"joins", "join", 1},
		{"kitten", "sitting", 3}, {"ca", "abc", 3}, {"abcd", "badc", 2}, {strings.Repeat("a", 33), "a", 32},
	} {
		if got := distance(c.a, c.b); got != c.want {
			t.Errorf("%q and %q: %d, not %d", c.a, c.b, got, c.want)
		}
		if got := distance(c.b, c.a); got != c.want {
			t.Errorf("%q and %q: %d, not %d", c.b, c.a, got, c.want)
		}
	}
}

func TestSplit(t *testing.T) {
	for _, c := range []struct {
		line  string
		words []string // nil: refused
	}{
		{"", []string{}}, {"  \t\n ", []string{}}, {"a b", []string{"a", "b"}}, {" a  b ", []string{"a", "b"}},
		{`'a b' "c d"`, []string{"a b", "c d"}}, {`a' 'b`, []string{"a b"}}, {`''`, []string{""}}, {`a "" b`, []string{"a", "", "b"}},
		{`a\ b`, []string{"a b"}}, {`'a\b'`, []string{`a\b`}}, {`"a\"b"`, []string{`a"b`}}, {`\`, []string{`\`}}, {`"it's"`, []string{"it's"}},
		{"it's", nil}, {`"`, nil}, {`a 'b`, nil},
	} {
		words, err := split(c.line)
		if (err != nil) != (c.words == nil) || !slices.Equal(words, c.words) {
			t.Errorf("%q is %q, %v", c.line, words, err)
		}
	}
}

// Nobody gets at what is not theirs by the way they write it.
func TestAttackRightsAreCheckedHoweverItIsTyped(t *testing.T) {
	row := attack.On(t, attack.Identity, "admin commands in odd spellings")
	secret := &Command{Name: "launch codes", Aliases: []string{"codes"}, UIs: Both, Effect: Reads, Role: chat.Admin, Account: true, Words: -1}
	all = append(all, secret)
	t.Cleanup(func() { all = all[:len(all)-1] })
	r := newRig(t, "mallory")
	spellings := []string{"launch codes", "LAUNCH\tCODES", "codes", " codes -h", "codes --help", "codes 'unclosed"}
	for _, line := range spellings {
		r.refuses(line, chat.Denied, "only admins can use /launch codes")
	}
	if seen := r.must("help"); strings.Contains(seen, "codes") {
		t.Errorf("help lists what is not mallory's:\n%s", seen)
	}
	r.change("mallory", func(a *chat.Account) { a.Role = chat.Admin }) // the control
	r.sees("codes -h", "launch codes")
	r.sees("help", "launch codes")
	row.Tried("%d: letter case, aliases, flags, -h, quotes", len(spellings))
	row.Held("one dispatcher refuses them before parsing, and help does not list them")
	row.Control("an admin runs them")
}

// Help fits a terminal of 80 and leaves nothing out.
func TestHelpLists(t *testing.T) {
	r := newRig(t, "alice")
	r.change("alice", func(a *chat.Account) { a.Role = chat.Admin })
	for _, ui := range []UI{Chat, Exec} {
		r.face = ui
		list := r.must("help")
		for line := range strings.Lines(list) {
			if n := utf8.RuneCountInString(line) - 1; n > 76 {
				t.Errorf("%d cells: %s", n, line)
			}
		}
		at := -1
		for _, heading := range []string{string(Talking) + "\n", string(Rooms) + "\n", string(People) + "\n", string(Reading) + "\n", string(Looks) + "\n", string(Yours) + "\n", string(others) + "\n"} {
			next := strings.Index(list, heading)
			if next <= at && !(ui == Exec && next < 0) {
				t.Errorf("%q is not where it should be in\n%s", heading, list)
			}
			at = max(at, next)
		}
		for _, cmd := range all {
			if n := strings.Count(list, "  "+cmd.usage(ui)+" ") + strings.Count(list, "  "+cmd.usage(ui)+"\n"); (n > 0) != (cmd.UIs&ui != 0) {
				t.Errorf("%s is listed %d times in face %d", cmd.Name, n, ui)
			}
			for line := range strings.Lines(cmd.help(ui)) {
				if n := utf8.RuneCountInString(line) - 1; n > 120 {
					t.Errorf("%d cells: %s", n, line)
				}
			}
		}
	}
}

func FuzzFind(f *testing.F) {
	for _, seed := range []string{"join #dev", "key  add x", "/", " ", "say - \x00", "jion", "K\u212aey", strings.Repeat("a", 40)} {
		f.Add(seed)
	}
	r := NewRegistry()
	f.Fuzz(func(t *testing.T, line string) {
		for _, ui := range []UI{Chat, Exec} {
			cmd, rest, err := r.Find(ui, line)
			if err != nil {
				e, ok := chat.Refused(err)
				if !ok || e.Code != chat.Usage || cmd != nil || len(e.Text) > 400 || !utf8.ValidString(e.Text) {
					t.Errorf("%q: %v", line, err)
				}
				continue
			}
			if cmd.UIs&ui == 0 || !strings.HasSuffix(line, rest) || strings.TrimLeft(rest, " \t\n") != rest {
				t.Errorf("%q is %s with %q", line, cmd.Name, rest)
			}
		}
	})
}

// Whatever follows a command's name, reading it ends in arguments or in words for the person.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"", "#dev", "-- -x", "--json=", "'a b' \"", "-h", "--since general/1 --tar", "\\", "\xff", "a b c d e"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, rest string) {
		for _, cmd := range all {
			c := Call{Services: &Services{}, Command: cmd, UI: Exec}
			err := parseLine(&c, rest)
			if _, meant := Text(err); err != nil && !meant && err.Error() != "pflag: help requested" {
				t.Errorf("%s %q: %v", cmd.Name, rest, err)
			}
			if err == nil && cmd.Words >= 0 && len(c.Args) > max(cmd.Words, cmd.RoomAt) {
				t.Errorf("%s %q: %d words", cmd.Name, rest, len(c.Args))
			}
		}
	})
}

func FuzzSplit(f *testing.F) {
	for _, seed := range []string{"a b", `'a b' "c\"d"`, `\`, "it's", "\xff \x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		words, err := split(line)
		if err != nil {
			return
		}
		var quoted []string
		for _, w := range words {
			quoted = append(quoted, "'"+strings.ReplaceAll(w, "'", `'\''`)+"'")
		}
		again, err := split(strings.Join(quoted, " "))
		if err != nil || !slices.Equal(words, again) {
			t.Errorf("%q is %q, quoted and split again %q, %v", line, words, again, err)
		}
	})
}

func FuzzDistance(f *testing.F) {
	f.Add("jion", "join")
	f.Add("", "é")
	f.Fuzz(func(t *testing.T, a, b string) {
		d := distance(a, b)
		if d != distance(b, a) || (d == 0) != (a == b && len(a) <= 32) || d > 32 {
			t.Errorf("%q and %q: %d and %d", a, b, d, distance(b, a))
		}
	})
}

// A person may ask for help with any word of what they want to do. Each topic names commands that there are, and none that
// the caller may not use.
func TestHelpTopics(t *testing.T) {
	r := newRig(t, "alice")
	for _, ui := range []UI{Chat, Exec} {
		r.face = ui
		for _, word := range strings.Fields("user key room totp invite keys format users account password history dm mute emoji time colour /join /user 2fa bot admin search topic") {
			help := r.must("help " + word)
			if strings.Contains(help, "`") != (word == "format") {
				t.Errorf("help %s: a backquote is left in\n%s", word, help)
			}
			if word != "history" && strings.Contains(help, "user create") {
				t.Errorf("help %s lists what is not for alice:\n%s", word, help)
			}
		}
		r.refuses("help xyzzy", chat.NotFound, "unknown command")
	}
	r.face = Chat
	r.sees("help keys", "PgUp, PgDn")
	r.sees("help", "F1, or ? on an empty line")
	r.sees("help format", "*bold*")
	r.sees("help key", "/key add")
	r.sees("help colours", "/theme")
	r.change("alice", func(a *chat.Account) { a.Role = chat.Admin })
	r.sees("help user", "/user create")

	words := make(map[string]bool)
	for _, topic := range topics {
		for word := range strings.FieldsSeq(topic.words) {
			if words[word] {
				t.Errorf("two topics are asked for by %s", word)
			}
			words[word] = true
		}
		for name := range strings.SplitSeq(topic.commands, ", ") {
			if r.services.Commands.byName[Chat][name] == nil && r.services.Commands.byName[Exec][name] == nil && name != "" {
				t.Errorf("no command %s, which a topic lists", name)
			}
		}
		for line := range strings.Lines(topic.text) {
			if n := utf8.RuneCountInString(line) - 1; n > 120 {
				t.Errorf("%d cells: %s", n, line)
			}
		}
	}
}

// A usage error names what is missing.
func TestMissingArgumentsAreNamed(t *testing.T) {
	r := newRig(t, "alice")
	r.change("alice", func(a *chat.Account) { a.Role = chat.Admin })
	r.refuses("msg", chat.Usage, "/msg needs a name and a message\n")
	r.refuses("join", chat.Usage, "/join needs a room\n")
	r.refuses("mute", chat.Usage, "/mute needs a name\n")
	r.face = Exec
	r.refuses("user set-role bob", chat.Usage, "user set-role needs a name and a role\n")
	r.refuses("slow", chat.Usage, "slow needs a room")
	for _, cmd := range all { // every word that can be missing has a name
		for word := range strings.FieldsSeq(cmd.Args) {
			if upper := strings.ToUpper(word); word == upper && !strings.ContainsAny(word, "[]") && argNames[word] == "" && !strings.ContainsAny(word, "0123456789") {
				t.Errorf("%s: %s has no name", cmd.Name, word)
			}
		}
	}
}

// A list with nothing in it says so to people, and nothing to programs.
func TestEmptyListsSayThatTheyAre(t *testing.T) {
	r := newRig(t, "alice")
	r.change("alice", func(a *chat.Account) { a.Role = chat.Admin })
	r.face = Exec
	for line, want := range map[string]string{
		"banned": "No bans or mutes.", "invite list": "No invites.", "allowlist list": "No entries.", "ignore": "You are not ignoring anyone.",
		"inbox": "No unread messages.", "search nothing": "nothing found", "mentions": "nothing found",
	} {
		r.sees(line, want)
		if seen := r.must(line + " --json"); strings.Contains(seen, "No ") || strings.Contains(seen, "nothing") {
			t.Errorf("%s --json prints %q", line, seen)
		}
	}
}
