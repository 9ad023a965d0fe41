package command

import (
	"slices"
	"strings"
	"testing"

	"sshchat/sshchat/chat"
)

// What Tab offers follows from the registry and the settings: each command, subcommand, flag, setting and value is completed.
func TestCompletionIsWhole(t *testing.T) {
	r := NewRegistry()
	s := &Services{Commands: r, Themes: []string{"dark", "light"}}
	admin := chat.Account{Role: chat.Admin}
	offers := func(line, want string) {
		t.Helper()
		if c := r.Complete(s, admin, line); !slices.Contains(c.Words, want) {
			t.Errorf("%q can be %q, without %q", line, c.Words, want)
		}
	}
	for name, cmd := range r.byName[Chat] {
		first, second, two := strings.Cut(name, " ")
		offers("/", "/"+first)
		offers("/help ", first)
		if two {
			offers("/"+first+" ", second)
			offers("/help "+first+" ", second)
		}
		if cmd.Flags != nil {
			for _, flag := range cmd.flagNames() {
				offers("/"+name+" -", flag)
			}
		}
	}
	for _, one := range settings {
		offers("/set ", one.name)
		for _, value := range one.choices(s) {
			offers("/set "+one.name+" ", value)
			for name, cmd := range r.byName[Chat] {
				if name == one.name || settingAliases[name] == one.name {
					if cmd.Choices != nil {
						offers("/"+name+" ", value)
					}
				}
			}
		}
	}
	for _, about := range topics {
		first, _, _ := strings.Cut(about.words, " ")
		offers("/help ", first)
	}
}

func TestCompletionOfArguments(t *testing.T) {
	r := NewRegistry()
	s := &Services{Commands: r}
	for _, c := range []struct {
		line          string
		start         int
		words         string
		rooms, people bool
	}{
		{"hello b", 6, "", false, true},
		{"", 0, "", false, true},
		{"//ba", 0, "", false, true},
		{"one\ntwo", 4, "", false, true},
		{"/msg ", 5, "", false, true},
		{"/msg bob hello c", 15, "", false, true},
		{"/join ", 6, "", true, false},
		{"/join #dev ", 11, "", false, false},
		{"/kick ", 6, "", false, true},
		{"/kick bob ", 10, "", true, true}, // a reason may name somebody
		{"/topic ", 7, "", true, true},
		{"/quiet ", 7, "off on", false, false},
		{"/QUIET o", 7, "off on", false, false},
		{"/quiet on ", 10, "", false, false},
		{"/slow dev ", 10, "off", false, false},
		{"/go ", 4, "", true, true},
		{"/nonsense x", 10, "", false, false},
		{"/who --json x", 12, "", true, false},
		{"/quit x", 6, "", false, false},
	} {
		got := r.Complete(s, chat.Account{Role: chat.User}, c.line)
		if got.Start != c.start || strings.Join(got.Words, " ") != c.words || got.Rooms != c.rooms || got.People != c.people {
			t.Errorf("%q: %+v, want %+v", c.line, got, c)
		}
	}
	user, admin := r.firstWords(chat.Account{Role: chat.User}), r.firstWords(chat.Account{Role: chat.Admin})
	if slices.Contains(user, "reload") || !slices.Contains(admin, "reload") || !slices.Contains(user, "kick") {
		t.Errorf("a user is offered %q", user)
	}
}

func FuzzComplete(f *testing.F) {
	for _, line := range []string{"/", "/set theme d", "/help key ", "/go x y z", "/key add --", "/ \n/\xff ", "/ban ip=1 2 3"} {
		f.Add(line)
	}
	r := NewRegistry()
	s := &Services{Commands: r}
	f.Fuzz(func(t *testing.T, line string) {
		if c := r.Complete(s, chat.Account{Role: chat.Admin}, line); c.Start < 0 || c.Start > len(line) {
			t.Errorf("%q: %+v", line, c)
		}
	})
}
