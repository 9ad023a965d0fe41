package journald

import (
	"bytes"
	"encoding/binary"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// journal is what listens where the journal does. It returns the fields of the next line.
func journal(t *testing.T) (socket string, next func() map[string]string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "journald-") // the test's own folder may have too long a path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket = filepath.Join(dir, "socket")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return socket, func() map[string]string {
		t.Helper()
		b := make([]byte, 64<<10)
		n, err := conn.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		return parse(t, b[:n])
	}
}

// parse reads the native protocol as systemd.io describes it.
func parse(t *testing.T, b []byte) map[string]string {
	t.Helper()
	fields := make(map[string]string)
	for len(b) > 0 {
		line, rest, ok := bytes.Cut(b, []byte("\n"))
		if !ok {
			t.Fatalf("%q has no end", b)
		}
		name, value, simple := strings.Cut(string(line), "=")
		if !simple {
			n := binary.LittleEndian.Uint64(rest)
			value, rest = string(rest[8:8+n]), rest[8+n+1:]
		}
		if _, twice := fields[name]; twice {
			t.Errorf("%s is there twice", name)
		}
		fields[name], b = value, rest
	}
	return fields
}

// plain formats a line without its time.
func plain(w io.Writer) slog.Handler {
	return slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}})
}

func TestLinesHaveFields(t *testing.T) {
	t.Parallel()
	socket, next := journal(t)
	h, err := New(socket, "sshchat", io.Discard, strings.ToUpper, plain)
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(h)
	log.With("source", "192.0.2.1").Warn("login failed", "name", "bob\nMESSAGE=forged", "did you mean", "alice")
	got := next()
	for name, want := range map[string]string{
		"PRIORITY": "4", "SYSLOG_IDENTIFIER": "sshchat", "SSHCHAT_SOURCE": "192.0.2.1", "SSHCHAT_NAME": "BOB\nMESSAGE=FORGED", "SSHCHAT_DID_YOU_MEAN": "ALICE",
		"MESSAGE": `level=WARN msg="login failed" source=192.0.2.1 name="bob\nMESSAGE=forged" "did you mean"=alice`,
	} {
		if got[name] != want {
			t.Errorf("%s is %q; want %q", name, got[name], want)
		}
	}
	for want, write := range map[string]func(string, ...any){"3": log.Error, "6": log.Info, "7": log.Debug} {
		if write("x"); next()["PRIORITY"] != want {
			t.Errorf("not priority %s", want)
		}
	}
	log.WithGroup("disk").Info("x", "free", 1)
	if next()["SSHCHAT_DISK_FREE"] != "1" {
		t.Error("a group is not in the name")
	}
}

// What the journal does not take, as it is too large, goes where systemd reads it line by line, with its priority.
func TestLargeLinesGoToTheStream(t *testing.T) {
	t.Parallel()
	socket, _ := journal(t)
	var stream bytes.Buffer
	h, err := New(socket, "sshchat", &stream, strings.ToUpper, plain)
	if err != nil {
		t.Fatal(err)
	}
	slog.New(h).Error("panic", "stack", strings.Repeat("x", 8<<20))
	if got := stream.String(); !strings.HasPrefix(got, "<3>level=ERROR msg=panic stack=xxx") || strings.Count(got, "\n") != 1 {
		t.Errorf("%.80q", got)
	}
	if _, err := New(socket+"-none", "sshchat", &stream, strings.ToUpper, plain); err == nil {
		t.Error("there is no journal")
	}
}

func TestStream(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for value, want := range map[string]bool{"": false, "8:1": false, identityOf(f): true} {
		t.Setenv("JOURNAL_STREAM", value)
		if Stream(f) != want {
			t.Errorf("%q: %v", value, !want)
		}
	}
}
