package main

import (
	"cmp"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The command that CONTRIBUTING.md shows is all there is to it: built into the server it runs in both UIs, is in the help
// and the manual, and refuses wrong words.
func TestContributingExampleIsWhole(t *testing.T) {
	t.Parallel()
	noRaces(t)
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

// sleepers is how many calls of time.Sleep a test file may have that are neither on the clock of testing/synctest nor the pause of a
// loop that looks again, and why.
var sleepers = map[string]struct {
	calls int
	why   string
}{
	"cmd/sshchat/attack_reading_test.go": {1, "it waits for something to stand still"},
	"cmd/sshchat/attack_hand_test.go":    {1, "it looks again, but not for ever"},
	"cmd/sshchat/attack_flood_test.go":   {1, "an attacker sends a byte at a time"},
	"cmd/sshchat/durable_test.go":        {1, "a slow disk"},
}

// Tests wait for what they want, and do not sleep until it has probably come.
func TestTestsDoNotSleep(t *testing.T) {
	t.Parallel()
	sleep := func(path string) int { return sleepsIn(t, path) }
	for name := range sleepers {
		if sleep("../../"+name) == 0 {
			t.Errorf("%s does not sleep any more", name)
		}
	}
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && (d.Name() == "bench" || d.Name() == ".git") {
			return cmp.Or(err, fs.SkipDir)
		}
		if d.IsDir() || !strings.HasSuffix(path, "_test.go") || strings.HasSuffix(path, "bench_test.go") {
			return nil
		}
		name := strings.TrimPrefix(filepath.ToSlash(path), "../../")
		if calls := sleep(path); calls > sleepers[name].calls {
			t.Errorf("%s sleeps in %d places; it may in %d: wait for something, or use testing/synctest", name, calls, sleepers[name].calls)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// sleepsIn counts the calls of time.Sleep in a file that are not in a loop, which looks for something each time.
func sleepsIn(t *testing.T, path string) (calls int) {
	t.Helper()
	text := readText(t, path)
	if !strings.Contains(text, "time."+"Sleep(") || strings.Contains(text, "synctest.Test(") {
		return 0
	}
	file, err := parser.ParseFile(token.NewFileSet(), path, text, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ForStmt:
			return false
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && x.Name == "time" && n.Sel.Name == "Sleep" {
				calls++
			}
		}
		return true
	})
	return calls
}
