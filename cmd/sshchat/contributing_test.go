package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The command that CONTRIBUTING.md shows is all there is to it: built into the server it runs in both faces, is in the
// help and the manual, and refuses wrong words.
func TestContributingExampleIsWhole(t *testing.T) {
	t.Parallel()
	text := readText(t, "../../CONTRIBUTING.md")
	_, after, found := strings.Cut(text, "```go\n")
	example, _, closed := strings.Cut(after, "```\n")
	if !found || !closed {
		t.Fatal("no example")
	}
	dir := t.TempDir()
	file, program := filepath.Join(dir, "roll.go"), filepath.Join(dir, "sshchat")
	place, err := filepath.Abs("../../sshchat/command/roll.go")
	if err != nil {
		t.Fatal(err)
	}
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{place: file}})
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{file: []byte(example), filepath.Join(dir, "overlay"): overlay} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	build := []string{"build", "-overlay", filepath.Join(dir, "overlay")}
	if !long {
		build = append(build, "../../sshchat/command") // it compiles; linking a server takes long
	} else {
		build = append(build, "-o", program, ".")
	}
	if out, err := exec.Command("go", build...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if !long {
		t.Skip("it compiles; a server with it is built and tried with SSHCHAT_LONG=1")
	}
	alice := startProgram(t, program, "").register("alice")
	for line, want := range map[string]string{
		"roll 2": `^[12]\n$`, "roll --json": `^{"rolled":[1-6],"sides":6}\n$`, "help": `roll \[SIDES\] +roll a die`, "roll -h": `six sides`,
	} {
		if out := alice.must(line); !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("%s: %q", line, out)
		}
	}
	if _, errs, code := alice.exec("roll none", ""); code != 2 || !strings.Contains(errs, "usage: roll [SIDES]") {
		t.Errorf("exit %d, %q", code, errs)
	}
	session := alice.plain(80, 24)
	session.typeln("/roll 2 2")
	session.sees("too many arguments")
	manual, err := exec.Command(program, "man").Output()
	if err != nil || !strings.Contains(string(manual), "roll [SIDES]") {
		t.Errorf("the manual has no roll: %v", err)
	}
}
