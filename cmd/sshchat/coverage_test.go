package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sshchat/sshchat/command"
)

// Commands that ask on a terminal, or are for clusters, succeed in tests of their own, and fail in the scripts.
var asking = map[string]string{
	"passwd": "TestPasswd", "totp enable": "TestSecondFactor", "totp disable": "TestSecondFactor", "account delete": "TestDeletingOnesAccount",
	"follow": "TestBotAnswersOnce", "identity": "TestPasswordUsersReadTheirHistory", "unlock": "TestUnlock", "key share": "TestLifeOfASharedPast", "passwd recover": "TestLifeOfAForgottenPassword", "claim": "claim in scripts", "register": "register in scripts", "quit": "TestQuit",
	"node list": "TestNodeCommands", "node add": "TestNodeCommands", "node remove": "TestNodeCommands",
}

// Each command has a script in testdata with all that can come of it: its success, its refusal to the wrong role, its
// bad arguments, its --json. What scripts have is read from their text, so that this fails for a command without.
func TestEveryCommandHasItsScript(t *testing.T) {
	t.Parallel()
	tried := scripted(t)
	registry := command.NewRegistry()
	for _, e := range registry.Manual() {
		cmd, _, err := registry.Find(e.UIs&-e.UIs, e.Name)
		if err != nil {
			t.Fatal(err)
		}
		var missing []string
		want := func(what string, needed bool) {
			if needed && !tried[cmd.Name][what] {
				missing = append(missing, what)
			}
		}
		want("done", asking[cmd.Name] == "")
		want("code 3", cmd.Role != "" && cmd.UIs&command.Exec != 0)
		want("code 2", !cmd.Text && cmd.UIs&command.Exec != 0 && asking[cmd.Name] == "")
		want("--json", cmd.Name != "follow" && cmd.Name != "node list" && e.Flags != nil && e.Flags.Lookup("json") != nil && cmd.UIs&command.Exec != 0)
		if len(missing) > 0 {
			t.Errorf("%s: no script has %s; there are %v", cmd.Name, strings.Join(missing, ", "), slices.Sorted(maps.Keys(tried[cmd.Name])))
		}
	}
}

// scripted is what the scripts try of each command.
func scripted(t *testing.T) map[string]map[string]bool {
	t.Helper()
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	registry, tried := command.NewRegistry(), make(map[string]map[string]bool)
	note := func(face command.UI, line, what string) {
		cmd, _, err := registry.Find(face, strings.ReplaceAll(line, "'", ""))
		if err != nil {
			return
		}
		if tried[cmd.Name] == nil {
			tried[cmd.Name] = make(map[string]bool)
		}
		tried[cmd.Name][what] = true
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		lines := append(strings.Split(string(text), "\n"), "")
		for i, line := range lines {
			words := strings.SplitN(line, " ", 4)
			switch {
			case strings.HasPrefix(line, "! ssh ") && strings.HasPrefix(lines[i+1], "code "):
				note(command.Exec, words[3], lines[i+1])
			case strings.HasPrefix(line, "! send ") && strings.HasPrefix(lines[i+1], "code "):
				_, rest, _ := strings.Cut(words[3], " ")
				note(command.Exec, rest, lines[i+1])
			case strings.HasPrefix(line, "ssh "):
				note(command.Exec, strings.Join(words[2:], " "), "done")
				if strings.Contains(line, " --json") {
					note(command.Exec, strings.Join(words[2:], " "), "--json")
				}
			case strings.HasPrefix(line, "send ") && len(words) == 4:
				note(command.Exec, words[3], "done")
				if strings.Contains(line, " --json") {
					note(command.Exec, words[3], "--json")
				}
			case strings.HasPrefix(line, "type ") && len(words) > 2:
				typed := strings.Trim(strings.Join(words[2:], " "), "'")
				if after, isCommand := strings.CutPrefix(typed, "/"); isCommand {
					note(command.Chat, after, "done")
				}
			}
		}
	}
	if len(tried) < 20 {
		t.Fatal(fmt.Sprint("the scripts are not understood: ", tried))
	}
	return tried
}
