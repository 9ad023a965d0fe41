// Package journald writes a log into the systemd journal by its native protocol: each line with its priority, and with its
// attributes as fields that journalctl can look for. It knows nothing of what is logged.
package journald

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
)

// Socket is where the journal takes lines.
const Socket = "/run/systemd/journal/socket"

// Stream reports whether what is written to the file goes to the journal: systemd says in JOURNAL_STREAM which file does.
func Stream(f *os.File) bool {
	want := os.Getenv("JOURNAL_STREAM")
	return want != "" && want == identityOf(f)
}

// Handler is a slog.Handler. Its methods may be called from any goroutine.
type Handler struct {
	to       *net.UnixConn
	name     string
	fallback io.Writer
	clean    func(string) string
	text     slog.Handler // writes into shared.line
	attrs    []slog.Attr
	group    string
	shared   *shared
}

// shared is what all handlers made from one write with.
type shared struct {
	mu   sync.Mutex
	line bytes.Buffer // guarded by mu
	data bytes.Buffer // guarded by mu
}

// New returns a handler that writes to the journal at socket, under the name. text makes the handler that formats the message of a
// line, with its level and attributes and without a time, which the journal has; clean makes of the value of an attribute what may be
// shown of it. What the journal does not take goes to fallback, which it reads line by line. Errors: there is no journal.
func New(socket, name string, fallback io.Writer, clean func(string) string, text func(io.Writer) slog.Handler) (*Handler, error) {
	to, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		return nil, fmt.Errorf("open the journal: %w", err)
	}
	h := &Handler{to: to, name: name, fallback: fallback, clean: clean, shared: &shared{}}
	h.text = text(&h.shared.line)
	return h, nil
}

// Enabled implements slog.Handler.
func (h *Handler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.text.Enabled(ctx, level)
}

// WithAttrs implements slog.Handler.
func (h *Handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := *h
	with.text = h.text.WithAttrs(attrs)
	with.attrs = append(with.attrs[:len(with.attrs):len(with.attrs)], grouped(h.group, attrs)...)
	return &with
}

// WithGroup implements slog.Handler.
func (h *Handler) WithGroup(name string) slog.Handler {
	with := *h
	with.text = h.text.WithGroup(name)
	with.group += name + "_"
	return &with
}

func grouped(group string, attrs []slog.Attr) []slog.Attr {
	named := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		named[i] = slog.Attr{Key: group + a.Key, Value: a.Value}
	}
	return named
}

// Handle implements slog.Handler.
func (h *Handler) Handle(ctx context.Context, r slog.Record) error {
	s := h.shared
	s.mu.Lock()
	defer s.mu.Unlock()
	s.line.Reset()
	if err := h.text.Handle(ctx, r); err != nil {
		return err
	}
	message := bytes.TrimRight(s.line.Bytes(), "\n")
	s.data.Reset()
	field(&s.data, "PRIORITY", strconv.Itoa(priority(r.Level)))
	field(&s.data, "SYSLOG_IDENTIFIER", h.name)
	field(&s.data, "MESSAGE", string(message))
	for _, a := range h.attrs {
		h.attr(a)
	}
	r.Attrs(func(a slog.Attr) bool {
		h.attr(slog.Attr{Key: h.group + a.Key, Value: a.Value})
		return true
	})
	if _, err := h.to.Write(s.data.Bytes()); err == nil {
		return nil
	}
	// It is gone, or the line is larger than a datagram. The prefix is that of sd-daemon(3).
	for line := range bytes.Lines(message) {
		if _, err := fmt.Fprintf(h.fallback, "<%d>%s\n", priority(r.Level), bytes.TrimRight(line, "\n")); err != nil {
			return err
		}
	}
	return nil
}

// attr adds a field: account becomes SSHCHAT_ACCOUNT if the name is sshchat. Called with shared.mu held.
func (h *Handler) attr(a slog.Attr) {
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			return r
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		}
		return '_'
	}, h.name+"_"+a.Key)
	field(&h.shared.data, name[:min(len(name), maxName)], h.clean(a.Value.Resolve().String()))
}

// maxName is how long the name of a field may be, in bytes.
const maxName = 64

// field writes one field. A value with a line break is preceded by its length.
func field(to *bytes.Buffer, name, value string) {
	to.WriteString(name)
	if strings.Contains(value, "\n") {
		to.WriteByte('\n')
		to.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(value))))
	} else {
		to.WriteByte('=')
	}
	to.WriteString(value)
	to.WriteByte('\n')
}

// priority is a level as syslog(3) counts them.
func priority(level slog.Level) int {
	switch {
	case level >= slog.LevelError:
		return 3
	case level >= slog.LevelWarn:
		return 4
	case level >= slog.LevelInfo:
		return 6
	}
	return 7
}
