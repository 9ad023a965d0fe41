package main

import (
	"cmp"
	"encoding/json"
	"io/fs"
	"maps"
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
	_, after, found := strings.Cut(text, "```go\npackage command")
	after = "package command" + after
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

// sleepers is how many calls of time.Sleep test files may have besides those on the clock of testing/synctest, and why.
var sleepers = map[string]struct {
	calls int
	why   string
}{
	"cmd/sshchat/server_test.go":         {1, "waitFor looks again after a pause"},
	"cmd/sshchat/attack_hand_test.go":    {1, "it looks again after a pause"},
	"cmd/sshchat/forget_test.go":         {1, "it looks again after a pause"},
	"sshchat/baseline_test.go":           {1, "it looks again after a pause"},
	"cmd/sshchat/attack_reading_test.go": {1, "it waits for something to stand still"},
	"cmd/sshchat/attack_flood_test.go":   {1, "an attacker sends a byte at a time"},
	"cmd/sshchat/durable_test.go":        {3, "a slow disk, and the pace of a benchmark"},
}

// Tests wait for what they want, and do not sleep until it has probably come.
func TestTestsDoNotSleep(t *testing.T) {
	t.Parallel()
	unused := maps.Clone(sleepers)
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && (d.Name() == "bench" || d.Name() == ".git") {
			return cmp.Or(err, fs.SkipDir)
		}
		if d.IsDir() || !strings.HasSuffix(path, "_test.go") || strings.HasSuffix(path, "bench_test.go") {
			return nil
		}
		name := filepath.ToSlash(strings.TrimPrefix(path, filepath.FromSlash("../../")))
		text := readText(t, path)
		calls := strings.Count(text, "time."+"Sleep(")
		if allowed := sleepers[name]; calls > allowed.calls && !strings.Contains(text, "synctest.Test(") {
			t.Errorf("%s sleeps in %d places; it may in %d: wait for something, or use testing/synctest", name, calls, allowed.calls)
		} else if calls > 0 {
			delete(unused, name)
		}
		return nil
	})
	if err != nil || len(unused) > 0 {
		t.Errorf("%v; these sleep no more: %v", err, unused)
	}
}
