package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
	"sshchat/store/durable"
)

// Motd is the message of the day, in the file motd: plain text that is shown at each login. Its methods may be called
// from any goroutine.
type Motd struct {
	path string
	text atomic.Pointer[chat.Text]
}

// OpenMotd reads dir/motd, if there is one. Errors: chat.ErrTooLong, or the disk's.
func OpenMotd(dir string) (*Motd, error) {
	m := &Motd{path: filepath.Join(dir, "motd")}
	return m, m.Reload()
}

// Reload reads the file again. What it cannot take changes nothing.
func (m *Motd) Reload() error {
	var said chat.Text
	b, err := os.ReadFile(m.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	default:
		if said, err = text.ParseText(string(b)); err != nil && !errors.Is(err, text.ErrEmpty) {
			return fmt.Errorf("%s: %w", m.path, err)
		}
	}
	m.text.Store(&said)
	return nil
}

// Get is the text; empty if there is none.
func (m *Motd) Get() chat.Text { return *m.text.Load() }

// Set changes it, lastingly.
func (m *Motd) Set(text chat.Text) error {
	if _, err := durable.Replace(m.path, []byte(text.String()+"\n")); err != nil {
		return fmt.Errorf("write the message of the day: %w", err)
	}
	m.text.Store(&text)
	return nil
}

// Snapshot is the message of the day; empty if there is none.
func (m *Motd) Snapshot() durable.Snapshot {
	return durable.InMemory(filepath.Base(m.path), []byte(m.Get().String()+"\n"))
}
