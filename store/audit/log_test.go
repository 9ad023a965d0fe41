package audit

import (
	"bytes"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/store/durable/powercut"
	"sshchat/store/durable/testdisk"
)

func TestMain(m *testing.M) { testdisk.Main(m) }

func openLog(t *testing.T, dir string) *Log {
	t.Helper()
	at := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	now := func() time.Time { at = at.Add(time.Minute); return at }
	a, err := Open(dir, now, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	return a
}

func fill(t testing.TB, a *Log, n int) {
	t.Helper()
	for i := range n {
		if err := a.Append(chat.AuditEntry{By: "alice", Do: "ban", On: fmt.Sprint("mallory", i), Text: "spam\nby=\"root\"", Result: "done"}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestLogGoesOnAcrossRestartsAndFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for range 4 {
		a := openLog(t, dir)
		a.max = 2000
		fill(t, a, 25)
		a.Close()
	}
	a := openLog(t, dir)
	if n, err := a.Verify(); n != 100 || err != nil {
		t.Fatalf("%d lines, %v", n, err)
	}
	if archives, err := a.archives(); len(archives) < 5 || err != nil {
		t.Errorf("%d archives; rotation was not tested, %v", len(archives), err)
	}
	all, err := a.Entries(time.Time{}, 1000)
	if err != nil || len(all) != 100 || all[99].N != 100 || all[0].Text != "spam\nby=\"root\"" {
		t.Fatalf("%d acts, %v", len(all), err)
	}
	if last, _ := a.Entries(time.Time{}, 7); !slices.Equal(last, all[93:]) {
		t.Errorf("the last seven: %v", last)
	}
	if none, _ := a.Entries(all[99].At.Add(time.Hour), 7); len(none) != 0 {
		t.Errorf("since later: %v", none)
	}
}

// I change the log behind the server's back, one byte (each seventh, unless all are asked for) or one line at a time; each must show.
func TestLogShowsEveryChange(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a := openLog(t, dir)
	fill(t, a, 6)
	path := filepath.Join(dir, "audit.jsonl")
	sound, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Verify(); err != nil {
		t.Fatalf("before any change: %v", err)
	}
	lines := bytes.SplitAfter(sound, []byte("\n"))
	step := powercut.Points(7, 1)
	changes := map[string][]byte{
		"a line left out":   bytes.Join(slices.Concat(lines[:2], lines[3:]), nil),
		"two in turn":       bytes.Join(slices.Concat(lines[:2], lines[3:4], lines[2:3], lines[4:]), nil),
		"one twice":         bytes.Join(slices.Concat(lines[:3], lines[2:]), nil),
		"the first cut off": bytes.Join(lines[1:], nil),
		"the last cut off":  bytes.Join(lines[:5], nil),
		"all":               {},
	}
	for i := rand.IntN(step); i < len(sound); i += step { // others in each run
		changes[fmt.Sprint("byte ", i)] = slices.Concat(sound[:i], []byte{sound[i] ^ 1}, sound[i+1:])
	}
	for what, changed := range changes {
		if err := os.WriteFile(path, changed, 0o600); err != nil {
			t.Fatal(err)
		}
		if n, err := a.Verify(); err == nil {
			t.Errorf("%s: %d lines, and nothing wrong", what, n)
		}
	}
}

func TestLogSetsATornLineAside(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a := openLog(t, dir)
	fill(t, a, 3)
	a.Close()
	path := filepath.Join(dir, "audit.jsonl")
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(`{"n":4,"at":"20`); err != nil {
		t.Fatal(err)
	}
	f.Close()
	a = openLog(t, dir)
	fill(t, a, 1)
	if n, err := a.Verify(); n != 4 || err != nil {
		t.Errorf("%d lines, %v", n, err)
	}
	if torn, err := os.ReadFile(path + ".torn"); string(torn) != `{"n":4,"at":"20` || err != nil {
		t.Errorf("kept %q, %v", torn, err)
	}
}

// A disk that fails once is not trusted again, and nothing is claimed to be written.
func TestLogStopsAtTheFirstFailure(t *testing.T) {
	t.Parallel()
	a := openLog(t, t.TempDir())
	fill(t, a, 1)
	a.file.Close() // every write fails from here on
	for range 2 {
		if err := a.Append(chat.AuditEntry{By: "alice", Do: "ban"}); err == nil {
			t.Fatal("appended to a closed file")
		}
	}
	if n, err := a.Verify(); n != 1 || err != nil {
		t.Errorf("%d lines, %v", n, err)
	}
}

func TestLogIsForItsOwnerAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a := openLog(t, dir)
	a.max = 1
	fill(t, a, 3)
	names, err := filepath.Glob(filepath.Join(dir, "audit.*"))
	if err != nil || len(names) != 3 {
		t.Fatalf("%v, %v", names, err)
	}
	for _, name := range names {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
		if b, _ := os.ReadFile(name); strings.Count(string(b), "\n") != 1 {
			t.Errorf("%s holds %q", name, b)
		}
	}
}
