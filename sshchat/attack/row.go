// Package attack makes the table of attacks in SECURITY.md of what the tests of attacks did. Each such test has a row: what
// it tried, what held, and its control, which is the same attack where the defence is off. A row says what was counted in
// this run; when the test has passed, the row must be the one in SECURITY.md. Only tests import it.
package attack

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// Group is where in the table a row stands.
type Group string

const (
	Guessing    Group = "Guessing"
	Identity    Group = "Identity"
	Connections Group = "Connections"
	Room        Group = "In the room"
	Files       Group = "Files"
	Nodes       Group = "Between nodes"
)

// Row is the row of one test. Its methods may be called from any goroutine of the test, and the last call of each counts.
type Row struct {
	t    testing.TB
	on   Group
	what string // the attack

	mu                   sync.Mutex
	tried, held, control string // guarded by mu
}

// On begins the row of the test's attack. When the test ends without a failure, all of the row must have been said, and it
// must be in SECURITY.md; with SSHCHAT_UPDATE=1 it is written there.
func On(t testing.TB, on Group, format string, args ...any) *Row {
	t.Helper()
	r := &Row{t: t, on: on, what: fmt.Sprintf(format, args...)}
	t.Cleanup(r.end)
	return r
}

// Tried says how the attack was tried.
func (r *Row) Tried(format string, args ...any) { r.say(&r.tried, format, args) }

// Held says what came of it. It is called where that was seen.
func (r *Row) Held(format string, args ...any) { r.say(&r.held, format, args) }

// Control says what came of the same attack where the defence was off, or of what looks like it and is none. It is called
// after that was tried.
func (r *Row) Control(format string, args ...any) { r.say(&r.control, format, args) }

// NoControl says why the defence cannot be off.
func (r *Row) NoControl(reason string) { r.say(&r.control, "none: %s", []any{reason}) }

func (r *Row) say(cell *string, format string, args []any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	*cell = fmt.Sprintf(format, args...)
}

// end compares the row with the table.
func (r *Row) end() {
	r.t.Helper()
	if r.t.Failed() || r.t.Skipped() {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, cell := range map[string]string{"Tried": r.tried, "Held": r.held, "Control": r.control} {
		if cell == "" || cell == "-" {
			r.t.Errorf("the attack ends without %s", name)
			return
		}
	}
	root, folder := place(r.t)
	test, _, _ := strings.Cut(r.t.Name(), "/")
	line := Line(r.what, r.tried, r.held, r.control, test, folder)
	r.t.Log(line)
	if err := r.keep(filepath.Join(root, "SECURITY.md"), test, line); err != nil {
		r.t.Error(err)
	}
}

// keep writes the row into the table, or compares it with the one there.
func (r *Row) keep(path, test, line string) error {
	if os.Getenv("SSHCHAT_UPDATE") == "1" {
		return Put(path, r.on, test, line)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if now := Rows(string(text))[test]; !same(now, line) {
		return fmt.Errorf("SECURITY.md has\n%s\nbut the test did\n%s\nto update it: SSHCHAT_UPDATE=1 go test -run %s", now, line, test)
	}
	return nil
}

var number = regexp.MustCompile(`[0-9][0-9 .]*`)

// same compares rows. Tests that take their time (SSHCHAT_LONG=1) try more, so their numbers may be others.
func same(a, b string) bool {
	if os.Getenv("SSHCHAT_LONG") == "1" {
		a, b = number.ReplaceAllString(a, "n "), number.ReplaceAllString(b, "n ")
	}
	return a == b
}

// place is the folder of go.mod, and that of the test's package below it, in which it runs.
func place(t testing.TB) (root, folder string) {
	t.Helper()
	here, err := os.Getwd()
	for dir := here; err == nil; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			folder, err = filepath.Rel(dir, here)
			if err != nil {
				t.Fatal(err)
			}
			return dir, folder
		}
		if dir == filepath.Dir(dir) {
			break
		}
	}
	t.Fatalf("no go.mod above the test: %v", err)
	return "", ""
}
