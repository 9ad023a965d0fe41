package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// archived is a server whose history has gone on in several files, what was said, alice and her key.
func archived(t *testing.T, lines int, flags ...string) (s *testServer, alice *user, key string, want []string) {
	t.Helper()
	s = startProcess(t, "", append([]string{"--window", "5", "--history-rotate", "8KiB"}, flags...)...)
	key = keyFile(t, "-t", "ed25519")
	alice = s.registerWith(t, "alice", key)
	for i := range lines {
		text := fmt.Sprint("line ", i, strings.Repeat(" long", i%7*40))
		alice.must("say general " + text)
		want = append(want, text)
	}
	return s, alice, key, want
}

// archives are the paths of the history's files, the oldest first.
func archives(t *testing.T, data string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(data, "message_history.0*.json"))
	if err != nil {
		t.Fatal(err)
	}
	return append(files, filepath.Join(data, "message_history.json"))
}

// said are the texts of lines of JSON.
func said(t *testing.T, out string) (texts []string) {
	t.Helper()
	for line := range strings.Lines(out) {
		var l struct{ Text string }
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatal(err)
		}
		texts = append(texts, l.Text)
	}
	return texts
}

// runHere runs a subcommand in this process.
func runHere(t testing.TB, args ...string) (out, errs string, code int) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = run(t.Context(), args, nil, &stdout, &stderr)
	return stdout.String(), stderr.String(), code
}

func TestHistoryOverArchives(t *testing.T) {
	t.Parallel()
	client(t, "age")
	s, alice, key, want := archived(t, 40)
	paths := archives(t, s.data)
	if len(paths) < 3 {
		t.Fatalf("only %d files", len(paths))
	}
	check := func(when string) {
		t.Helper()
		tar := filepath.Join(t.TempDir(), "tar")
		if err := os.WriteFile(tar, []byte(alice.must("history --tar general")), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, from := range [][]string{{s.data}, {tar}, paths} {
			out, errs, code := runHere(t, append([]string{"open", "--json", "-i", key}, from...)...)
			if got := said(t, out); code != 0 || !slices.Equal(got, want) {
				t.Errorf("%s, open of %d files: exit %d, %d lines, %s", when, len(from), code, len(got), errs)
			}
		}
		for _, after := range []int{0, 1, 7, 23, 39, 40} { // what follow --since could not give
			since := filepath.Join(t.TempDir(), "since")
			if err := os.WriteFile(since, []byte(alice.must(fmt.Sprintf("history --tar general --since general/%d", after))), 0o600); err != nil {
				t.Fatal(err)
			}
			out, errs, code := runHere(t, "open", "--json", "-i", key, since)
			got := said(t, out)
			if code != 0 || len(got) < 40-after || len(got) > 40-after+4 || !slices.Equal(got, want[40-len(got):]) {
				t.Errorf("%s, after %d: exit %d, %d lines, %s", when, after, code, len(got), errs)
			}
		}
		if list := alice.must("history --list general"); !strings.Contains(list, "1") {
			t.Errorf("%s: %q", when, list)
		}
		if plain, ok := decrypt(t, alice.must("history general 1"), key); !ok || !strings.Contains(plain, want[0]) {
			t.Errorf("%s: window 1 is %q", when, plain)
		}
	}
	check("while it runs")
	out, errs, code := otherReader(t, append(slices.Clone(paths), "alice", key)...)
	if got := said(t, out); code != 0 || !slices.Equal(got, want) {
		t.Errorf("another language: exit %d, %d lines, %s", code, len(got), errs)
	}
	s.kill()
	s = startServer(t, s.data, "--window", "5", "--history-rotate", "8KiB")
	alice = s.login("alice", signerOf(t, key))
	check("after a crash")
}

// The oldest archives go, and what is left is read by everybody, also in another language.
func TestOldArchivesAreDeleted(t *testing.T) {
	t.Parallel()
	client(t, "age")
	s, alice, key, want := archived(t, 60, "--history-keep", "12KiB")
	paths := archives(t, s.data)
	if filepath.Base(paths[0]) == "message_history.0001.json" || len(paths) < 2 {
		t.Fatalf("left are %q", paths)
	}
	if _, errs, code := runHere(t, "verify", "--data", s.data); code != 0 {
		t.Errorf("exit %d, %s", code, errs)
	}
	out, _, code := runHere(t, "open", "--json", "-i", key, s.data)
	got := said(t, out)
	if code != 0 || len(got) == 0 || !slices.Equal(got, want[len(want)-len(got):]) {
		t.Errorf("exit %d, %d lines", code, len(got))
	}
	out, errs, code := otherReader(t, append(slices.Clone(paths), "alice", key)...)
	if other := said(t, out); code != 0 || !slices.Equal(other, got) {
		t.Errorf("another language: exit %d, %d lines, %s", code, len(other), errs)
	}
	alice.must("say general on")
}

func TestVerify(t *testing.T) {
	t.Parallel()
	s, alice, _, _ := archived(t, 10)
	dir := t.TempDir()
	early := filepath.Join(dir, "early")
	if err := os.WriteFile(early, []byte(alice.must("head general")), 0o600); err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		alice.must(fmt.Sprintf("say general more %d %s", i, strings.Repeat("x", 900)))
		if _, errs, code := runHere(t, "verify", "--data", s.data, "--head", early); code != 0 {
			t.Fatalf("while it runs, after %d: exit %d, %s", i, code, errs)
		}
	}
	paths := archives(t, s.data)
	var v struct {
		OK    bool
		Files []string
		Rooms []struct {
			Room string
			Seq  int
		}
		Heads []struct{ By string }
	}
	out, errs, code := runHere(t, "verify", "--json", "--data", s.data, "--head", early)
	if err := json.Unmarshal([]byte(out), &v); err != nil {
		t.Fatal(err)
	}
	if code != 0 || !v.OK || len(v.Files) != len(paths) || len(v.Rooms) != 1 || v.Rooms[0].Seq != 30 || !strings.HasPrefix(v.Heads[0].By, "SHA256:") {
		t.Errorf("exit %d, %s, %s", code, out, errs)
	}

	// A head that somebody else signed, and one that nobody did for this line.
	other := startServer(t, "")
	bob := other.register("bob")
	bob.must("say general hello")
	foreign := filepath.Join(dir, "foreign")
	if err := os.WriteFile(foreign, []byte(bob.must("head general")), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, errs, code := runHere(t, "verify", "--data", s.data, "--head", foreign); code != 1 || !strings.Contains(errs, "never a key of this server") {
		t.Errorf("a foreign head: exit %d, %s", code, errs)
	}
	b, err := os.ReadFile(early)
	if err != nil {
		t.Fatal(err)
	}
	forged := filepath.Join(dir, "forged")
	if err := os.WriteFile(forged, bytes.Replace(b, []byte(`"seq":10`), []byte(`"seq":11`), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, errs, code := runHere(t, "verify", "--data", s.data, "--head", forged); code != 1 || !strings.Contains(errs, "signature") {
		t.Errorf("a forged head: exit %d, %s", code, errs)
	}

	f, err := os.OpenFile(paths[0], os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	one := make([]byte, 1)
	if _, err := f.ReadAt(one, 3000); err != nil && err != io.EOF {
		t.Fatal(err)
	}
	one[0] ^= 1
	if _, err := f.WriteAt(one, 3000); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if out, errs, code := runHere(t, "verify", "--json", "--data", s.data); code != 1 || !strings.Contains(out, `"ok":false`) || !strings.Contains(errs, "message_history.0001.json") {
		t.Errorf("a flipped bit: exit %d, %s%s", code, out, errs)
	}
}

// What verify passes the server starts with: an old copy of the accounts beside a history that stands on later changes is named.
func TestVerifyNamesAnOldCopyOfTheAccounts(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"format-1", "format-2"} {
		dir := t.TempDir()
		if err := os.CopyFS(dir, os.DirFS(filepath.Join("../../store/testdata", format, "data"))); err != nil {
			t.Fatal(err)
		}
		if _, errs, code := runHere(t, "verify", dir); code != 0 {
			t.Errorf("%s: exit %d, %s", format, code, errs)
		}
		if format == "format-1" { // its history names no changes
			continue
		}
		users := filepath.Join(dir, "users.json")
		b, err := os.ReadFile(users)
		if err != nil {
			t.Fatal(err)
		}
		old := regexp.MustCompile(`"upto":[0-9]+`).ReplaceAll(b, []byte(`"upto":1`))
		if err := errors.Join(os.WriteFile(users, old, 0o600), os.Remove(filepath.Join(dir, "changes.jsonl"))); err != nil {
			t.Fatal(err)
		}
		if _, errs, code := runHere(t, "verify", dir); code != 1 || !strings.Contains(errs, "old copy") {
			t.Errorf("an old users.json: exit %d, %s", code, errs)
		}
		if err := os.Remove(users); err != nil {
			t.Fatal(err)
		}
		if _, errs, code := runHere(t, "verify", dir); code != 0 {
			t.Errorf("a history alone: exit %d, %s", code, errs)
		}
	}
}
