package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// sshchatHere runs a command of the program, with its output in one.
func sshchatHere(t *testing.T, args ...string) (said string, code int) {
	t.Helper()
	var out bytes.Buffer
	code = run(context.Background(), args, strings.NewReader(""), &out, &out)
	return out.String(), code
}

// A wrong flag is refused with code 2. The message says what is accepted, and none of it is a library's.
func TestFlagsAreRefusedInPlainWords(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		line, want string
	}{
		{"--window x", `--window: "x" is not a whole number`}, {"--window 9999999999999999999", "is too large"}, {"--window", "--window needs a value"},
		{"--message-rate fast", `"fast" is not a number, such as`}, {"--login-grace-time 10x", `"10x" is not a time, such as`}, {"--per-source-penalties=maybe", "is not yes, no, or times"}, {"--dumpable=maybe", "is not yes or no"},
		{"--login-grace-time 0", "no limit in OpenSSH, and must be more than 0"}, {"--client-alive-interval 0", "must be more than 0"}, {"--max-startups 5:6", "is not start:rate:full"},
		{"--history-rotate 5Q", `"5Q" is not a size, such as`}, {"--history-keep soon", `"soon" is not a time, such as`}, {"--dormant soon", `"soon" is not a time, such as`},
		{"--per-source-penalty-exempt-list all", `"all" is not an address, such as`}, {"--nonsense", "unknown flag --nonsense (see sshchat --help)"}, {"-x", "unknown flag -x"},
		{"--port 22", "unknown flag --port; write --listen :2222"}, {"-p 22", "unknown flag -p; write --listen :2222"},
		{"--=x", "--=x is not a flag"}, {"verfy", `unexpected command "verfy"`}, {"version x", `unexpected argument "x" (see sshchat version --help)`},
		{"verify a b", `unexpected argument "b"`}, {"verify --data a b", "give the folder only once"}, {"verify --nonsense", "unknown flag --nonsense (see sshchat verify --help)"},
		{"open", "open needs a key: -i FILE"}, {"open .", "open needs a key: -i FILE"}, {"open -i", "needs a value"}, {"man x", "unexpected argument"},
	} {
		said, code := sshchatHere(t, strings.Fields(c.line)...)
		if code != 2 || !strings.Contains(said, c.want) || strings.Contains(said, "strconv") || strings.Contains(said, "invalid") {
			t.Errorf("%s: exit %d, %q, want %q", c.line, code, said, c.want)
		}
	}
}

// Whatever flag there is, a value that it does not take is refused in words of this project.
func TestEveryFlagRefusesInPlainWords(t *testing.T) {
	t.Parallel()
	serveCommand().Flags().VisitAll(func(f *pflag.Flag) {
		g, ok := f.Value.(*given)
		if !ok {
			return
		}
		switch g.value.(type) {
		case *textual, *list, *choice, *addresses: // which say what they are, and what they must be
			return
		}
		said, code := sshchatHere(t, "--"+f.Name+"=[nonsense]")
		if code != 2 || !strings.Contains(said, `"[nonsense]" is not `) || strings.Contains(said, "strconv") {
			t.Errorf("--%s: exit %d, %q", f.Name, code, said)
		}
	})
}

// A variable that looks like a setting and is none is in the log, with the one that may have been meant.
func TestUnknownVariablesAreReported(t *testing.T) {
	t.Parallel()
	s := newSettings()
	s.given.environ = []string{
		"SSHCHAT_LISTN=:22", "SSHCHAT_LISTEN=:22", "SSHCHAT_SPAM=", "SSHCHAT_LONG=1", "SSHCHAT_TEST_MAIN=1", "HOME=/", "XSSHCHAT_LISTN=",
		"SSHCHAT_max_rooms=1", "SSHCHAT_SESSIONS=1",
	}
	var log bytes.Buffer
	s.warn(slog.New(slog.NewTextHandler(&log, nil)).Warn)
	for _, want := range []string{`name=SSHCHAT_LISTN "did you mean"=SSHCHAT_LISTEN`, "name=SSHCHAT_SPAM", "name=SSHCHAT_max_rooms"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("without %s:\n%s", want, &log)
		}
	}
	if n := strings.Count(log.String(), "level=WARN"); n != 3 {
		t.Errorf("%d lines:\n%s", n, &log)
	}
}

// The folder of verify and of open is given in the same way.
func TestVerifyTakesAFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := startServer(t, filepath.Join(dir, "data"))
	s.register("alice").must("say general hello")
	s.stop()
	for _, args := range [][]string{{"verify", s.data}, {"verify", "--data", s.data}, {"verify", "--json", s.data}, {"verify", s.data, "--json"}} {
		if said, code := sshchatHere(t, args...); code != 0 || !strings.Contains(said, "general") && !strings.Contains(said, "ok: 1 file") {
			t.Errorf("%q: exit %d, %s", args, code, said)
		}
	}
	if said, code := sshchatHere(t, "verify", filepath.Join(dir, "nothing")); code != 1 {
		t.Errorf("a folder that is not there: exit %d, %s", code, said)
	}
}

func TestVersionAsJSON(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if code := run(context.Background(), []string{"version", "--json"}, strings.NewReader(""), &out, io.Discard); code != 0 {
		t.Fatalf("exit %d", code)
	}
	var v map[string]any
	if err := json.Unmarshal(out.Bytes(), &v); err != nil {
		t.Fatalf("%s: %v", &out, err)
	}
	for _, name := range []string{"version", "go", "os", "arch"} {
		if s, ok := v[name].(string); !ok || s == "" {
			t.Errorf("%s: no %s", &out, name)
		}
	}
	for _, name := range []string{"revision", "time", "modified", "erases"} { // tests are built without git
		if _, ok := v[name]; !ok {
			t.Errorf("%s: no %s", &out, name)
		}
	}
}

// The version is what the compiler has put into the program, in every way that it is built.
func TestVersionIsOfTheBuild(t *testing.T) {
	t.Parallel()
	git := []debug.BuildSetting{
		{Key: "vcs.revision", Value: "0123456789abcdef0123"}, {Key: "vcs.time", Value: "2026-01-02T03:04:05Z"}, {Key: "vcs.modified", Value: "true"},
	}
	module := func(version string) debug.Module { return debug.Module{Path: "sshchat", Version: version} }
	for _, c := range []struct {
		info     *debug.BuildInfo
		version  string
		revision bool
	}{
		{nil, "unknown", false},
		{&debug.BuildInfo{}, "devel", false},
		{&debug.BuildInfo{Main: module("(devel)")}, "devel", false},
		{&debug.BuildInfo{Main: module("(devel)"), Settings: git}, "devel-0123456789ab", true},
		{&debug.BuildInfo{Main: module("v1.2.0"), Settings: git}, "v1.2.0", true},
		{&debug.BuildInfo{Main: module("v1.2.0")}, "v1.2.0", false},
	} {
		b := buildOf(c.info)
		if b.Version != c.version || c.revision != (b.Revision == "0123456789abcdef0123" && b.Time == "2026-01-02T03:04:05Z" && b.Modified) {
			t.Errorf("%v: %+v", c.info, b)
		}
	}
}
