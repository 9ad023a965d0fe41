package changes

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/store/durable"
	"sshchat/store/durable/powercut"
)

const path = "data/changes.jsonl"

var someTime = time.Date(2026, 11, 26, 1, 2, 3, 0, time.UTC)

// change is a line whose length depends on its number, and which names the try that it is of.
func change(b uint64, try int) Line {
	text := fmt.Sprintf("%d.%d %s", b, try, strings.Repeat("x", int(b*977%1500)))
	return Line{B: b, N: 100 + b, At: someTime, Change: json.RawMessage(`{"topic":"` + text + `"}`), Acts: []chat.AuditEntry{{N: b, At: someTime, Do: "topic"}}}
}

func sum(n uint64) string { return fmt.Sprintf("%064x", n) }

func made(t *testing.T, d durable.FS, upto uint64) *Log {
	t.Helper()
	l, err := Create(d, path, Checkpoint{upto, sum(upto)})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func opened(t *testing.T, d durable.FS) (*Log, *Content) {
	t.Helper()
	l, c, err := Open(d, path)
	if err != nil {
		t.Fatal(err)
	}
	return l, c
}

// What is appended is there after the log is opened again, and after it was rewritten, but for what was dropped.
func TestLogHoldsWhatWasAppended(t *testing.T) {
	t.Parallel()
	d := powercut.New()
	if _, _, err := Open(d, path); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("no file: %v", err)
	}
	l := made(t, d, 7)
	for b := uint64(8); b < 200; b++ { // it grows
		if err := l.Append(change(b, 0)); err != nil {
			t.Fatal(err)
		}
		if b == 50 || b == 150 {
			if err := l.Announce(Checkpoint{b, sum(b)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	check := func(start uint64) {
		t.Helper()
		again, c := opened(t, d)
		read, err := l.Read()
		if err != nil || fmt.Sprint(read) != fmt.Sprint(c) || again.Size() != l.Size() || l.Start() != again.Start() {
			t.Fatalf("read as %v: %v", read, err)
		}
		if c.Start != (Checkpoint{start, sum(start)}) || c.Last() != 199 || c.Torn != 0 || len(c.Lines) != int(199-start) {
			t.Fatalf("%v to %d, %d torn", c.Start, c.Last(), c.Torn)
		}
		for i, line := range c.Lines {
			if want := change(start+uint64(i)+1, 0); fmt.Sprint(line) != fmt.Sprint(want) {
				t.Fatalf("%v, not %v", line, want)
			}
		}
		if p, ok := c.Named(sum(150)); !ok || p.Upto != 150 {
			t.Error("no checkpoint")
		}
		if _, ok := c.Named(sum(51)); ok {
			t.Error("a checkpoint that was not announced")
		}
	}
	check(7)
	size := l.Size()
	if err := l.Rewrite(Checkpoint{50, sum(50)}); err != nil || l.Size() >= size {
		t.Fatal(err)
	}
	check(50)
	if err := l.Rewrite(Checkpoint{49, sum(49)}); err == nil {
		t.Error("it goes on from what it has dropped")
	}
	if err := l.Append(change(201, 0)); err == nil {
		t.Error("a gap")
	}
	edit := change(200, 0)
	edit.Edit = sum(4711)
	if err := l.Append(edit); err != nil {
		t.Fatal(err)
	}
	l, c := opened(t, d)
	if !c.Taken(sum(4711)) || c.Taken(sum(150)) {
		t.Error("edits that were taken")
	}
	if err := l.Rewrite(Checkpoint{200, sum(200)}); err != nil || l.last() != 200 {
		t.Fatal(err)
	}
	if _, c := opened(t, d); len(c.Lines) != 0 || c.Last() != 200 {
		t.Errorf("%d lines", len(c.Lines))
	}
	if err := l.Close(); err != nil || l.Append(change(201, 0)) == nil || l.Close() == nil || l.Rewrite(Checkpoint{200, ""}) == nil {
		t.Errorf("a closed log: %v", err)
	}
}

// Jq and tail must be able to read it: each line is one JSON object, and behind them are blanks.
func TestLogIsLinesOfJSON(t *testing.T) {
	t.Parallel()
	d := powercut.New()
	l := made(t, d, 0)
	if err := l.Append(Line{B: 1, Change: json.RawMessage("{\n \"text\": \"<&>\"\n}")}); err != nil {
		t.Fatal(err)
	}
	if err := l.Append(Line{B: 2, Change: json.RawMessage("{")}); err == nil {
		t.Error("a change that is no JSON")
	}
	b := d.Content(path)
	if len(b) != firstSize {
		t.Errorf("%d bytes", len(b))
	}
	lines := strings.Split(strings.TrimRight(string(b), " "), "\n")
	if len(lines) != 3 || lines[2] != "" || !strings.HasPrefix(lines[0], `{"format":"sshchat-changes/1","upto":0,"sha256":"000`) ||
		!strings.HasPrefix(lines[1], `{"b":1,"change":{"text":"<&>"},"crc":"`) {
		t.Errorf("%q", lines)
	}
}

// A last line that is not whole is dropped and kept aside. What is damaged before the last whole line is refused, and so is
// what a newer version wrote; the file stays as it is then.
func TestDamagedLog(t *testing.T) {
	t.Parallel()
	d := powercut.New()
	l := made(t, d, 3)
	for b := uint64(4); b < 7; b++ {
		if err := l.Append(change(b, 0)); err != nil {
			t.Fatal(err)
		}
	}
	good := string(bytes.TrimRight(d.Content(path), blanks)) + "\n"
	line := func(s stored) string {
		b, err := s.encode()
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	resummed := func(old, new string) string { // in the last line
		at := strings.LastIndex(good[:len(good)-1], "\n") + 1
		l := strings.Replace(good[at:len(good)-crcSize-1], old, new, 1)
		return good[:at] + fmt.Sprintf("%s,\"crc\":\"%08x\"}\n", l, crc32.Checksum([]byte(l), castagnoli))
	}
	next := change(7, 0).stored()
	for name, c := range map[string]struct {
		content string
		last    uint64 // 0: refused
		words   string
	}{
		"whole":                       {good, 6, ""},
		"without blanks or newline":   {good[:len(good)-1], 5, ""},
		"cut":                         {good[:len(good)-100], 5, ""},
		"begun":                       {good + `{"b":7,"n"`, 6, ""},
		"with zeros":                  {good + "\x00\x00\x00", 6, ""},
		"with zeros in the last":      {good[:len(good)-60] + strings.Repeat("\x00", 30) + good[len(good)-30:], 5, ""},
		"torn in the middle":          {good[:len(good)-60] + strings.Repeat(" ", 30) + good[len(good)-30:], 5, ""},
		"damaged in the first":        {strings.Replace(good, `"upto"`, `"opto"`, 1), 0, "line 1"},
		"damaged in the second":       {strings.Replace(good, `"b":4`, `"b":5`, 1), 0, "line 2"},
		"damaged in the third":        {strings.Replace(good, `"b":5`, `"b":6`, 1), 0, "line 3"},
		"without a newline":           {strings.Replace(good, "}\n{\"b\":6", "} {\"b\":6", 1), 0, "line 3"},
		"a blank line":                {strings.Replace(good, "\n{\"b\":5", "\n\n{\"b\":5", 1), 0, "line 3"},
		"damaged before a checkpoint": {strings.Replace(good, `"b":6`, `"b":7`, 1) + line(Checkpoint{5, sum(5)}.stored()), 0, "line 4"},
		"a gap":                       {good + line(change(8, 0).stored()), 0, "line 5"},
		"a change twice":              {good + line(change(6, 0).stored()), 0, "line 5"},
		"a checkpoint of later":       {good + line(Checkpoint{7, sum(7)}.stored()), 0, "line 5"},
		"a checkpoint of before":      {good + line(Checkpoint{2, sum(2)}.stored()), 0, "line 5"},
		"two first lines":             {good + line(Checkpoint{5, sum(5)}.first()), 0, "line 5"},
		"no first line":               {line(next), 0, "line 1"},
		"empty":                       {"", 0, "line 1"},
		"something else":              {"hello\n", 0, "line 1"},
		"another field":               {resummed(`"n":`, `"m":`), 0, "newer"},
		"of a newer format":           {strings.Replace(good, "changes/1", "changes/2", 1), 0, "newer"},
		"neither this nor that":       {good + line(stored{}), 0, "newer"},
		"both":                        {good + line(stored{B: 7, Upto: new(uint64)}), 0, "newer"},
		"two objects":                 {resummed(`{"b":6`, `{} {"b":6`), 0, "newer"},
	} {
		t.Run(name, func(t *testing.T) {
			d := powercut.New()
			f, err := d.Create(path)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.WriteAt([]byte(c.content), 0); err != nil {
				t.Fatal(err)
			}
			l, got, err := Open(d, path)
			if c.last == 0 {
				if err == nil || !strings.Contains(err.Error(), c.words) || errors.Is(err, ErrNewer) != (c.words == "newer") {
					t.Errorf("%v", err)
				}
				if string(d.Content(path)) != c.content {
					t.Error("it was changed")
				}
				return
			}
			if err != nil || got.Last() != c.last {
				t.Fatalf("up to %d, %v", got.Last(), err)
			}
			if torn := got.Torn > 0; torn != d.Has(path+tornSuffix) || torn != (c.last < 6 || name == "begun") {
				t.Errorf("%d bytes torn", got.Torn)
			}
			if err := l.Append(change(c.last+1, 1)); err != nil {
				t.Fatal(err)
			}
			if _, again := opened(t, d); again.Last() != c.last+1 || again.Torn > 0 {
				t.Errorf("up to %d, %d torn", again.Last(), again.Torn)
			}
		})
	}
}

// What somebody sets or writes cannot be taken for a line.
func TestWordsInALineAreNoLine(t *testing.T) {
	t.Parallel()
	d := powercut.New()
	l := made(t, d, 0)
	inner, err := change(1, 0).stored().encode()
	if err != nil {
		t.Fatal(err)
	}
	quoted, err := json.Marshal(map[string]string{"topic": string(inner)})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Append(Line{B: 1, Change: quoted}); err != nil {
		t.Fatal(err)
	}
	b := bytes.TrimRight(d.Content(path), blanks)
	if c, err := Parse(b[:len(b)-1]); err != nil || c.Last() != 0 || c.Torn == 0 {
		t.Errorf("%v", err)
	}
}

// A real file system does what the simulated one does.
func TestLogOnDisk(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "changes.jsonl")
	l, err := Create(durable.OS{}, file, Checkpoint{0, sum(0)})
	if err != nil {
		t.Fatal(err)
	}
	for b := uint64(1); b < 150; b++ {
		if err := l.Append(change(b, 0)); err != nil {
			t.Fatal(err)
		}
		if b == 100 {
			if err := l.Rewrite(Checkpoint{90, sum(90)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, c, err := Open(durable.OS{}, file); err != nil || c.Last() != 149 || len(c.Lines) != 59 {
		t.Errorf("%v", err)
	}
}

// While a log is rewritten others append to it, and nothing is lost.
func TestRewriteBesideAppends(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "changes.jsonl")
	l, err := Create(durable.OS{}, file, Checkpoint{0, sum(0)})
	if err != nil {
		t.Fatal(err)
	}
	stop, done := make(chan struct{}), make(chan error)
	go func() {
		for {
			select {
			case <-stop:
				done <- nil
				return
			default:
			}
			l.mu.Lock()
			last := l.last()
			l.mu.Unlock()
			if err := l.Rewrite(Checkpoint{last, sum(last)}); err != nil {
				done <- err
				return
			}
		}
	}()
	for b := uint64(1); b < 200; b++ {
		if err := l.Append(change(b, 0)); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if c, err := l.Read(); err != nil || c.Last() != 199 {
		t.Errorf("%v", err)
	}
}
