package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
	"sshchat/store/durable"
)

// Motd is the file motd: the message of the day as plain text, for people to see and to edit. What is shown is what was decided
// (chat.State.Motd); the file follows that, and an edit of the file is a decision. Its methods may be called from any goroutine.
type Motd struct {
	path      string
	inCluster bool

	mu   sync.Mutex
	text chat.Text // guarded by mu; in the file, as it was last read or written
}

// OpenMotd reads dir/motd, if there is one. Errors: text.ErrTooLong and the like, or the disk's.
func OpenMotd(dir string) (m *Motd, err error) {
	m = &Motd{path: filepath.Join(dir, "motd"), inCluster: InCluster(dir)}
	m.text, err = m.read()
	return m, err
}

// read is what is in the file; empty if there is none.
func (m *Motd) read() (said chat.Text, err error) {
	b, err := os.ReadFile(m.path)
	if errors.Is(err, fs.ErrNotExist) {
		return said, nil
	}
	if err != nil {
		return said, err
	}
	if said, err = text.ParseText(string(b)); err != nil && !errors.Is(err, text.ErrEmpty) {
		return chat.Text{}, fmt.Errorf("%s: %w", m.path, err)
	}
	return said, nil
}

// Begin has the file and what was decided agree, at a start. The file prevails: it was edited while the server was stopped, or is
// as a change left it that was never confirmed to anyone. But on a node of a cluster what was decided prevails, also if it is that
// there is none, since other nodes decide while this one is stopped: there, an edit is taken by Reload. replaced reports that; what was
// in the file is in motd.bak then.
func (m *Motd) Begin(decided chat.Text, decide func(chat.Text) error) (replaced bool, err error) {
	m.mu.Lock()
	said := m.text
	m.mu.Unlock()
	switch {
	case said == decided:
		return false, nil
	case m.inCluster:
		return !said.IsEmpty(), m.Write(decided)
	}
	return false, decide(said)
}

// Reload reads the file, and has decided what was edited in it. What cannot be taken changes nothing.
func (m *Motd) Reload(decide func(chat.Text) error) error {
	said, err := m.read()
	if err != nil {
		return err
	}
	m.mu.Lock()
	was := m.text
	m.text = said // else Write would write what is there
	m.mu.Unlock()
	if said == was {
		return nil
	}
	if err := decide(said); err != nil {
		m.mu.Lock()
		m.text = was
		m.mu.Unlock()
		return fmt.Errorf("%s: %w", m.path, err)
	}
	return nil
}

// Write puts what was decided into the file, lastingly, unless it is there.
func (m *Motd) Write(decided chat.Text) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if decided == m.text {
		return nil
	}
	if _, err := durable.Replace(m.path, []byte(decided.String()+"\n")); err != nil {
		return fmt.Errorf("write the message of the day: %w", err)
	}
	m.text = decided
	return nil
}

// Snapshot is the file, as it was last read or written.
func (m *Motd) Snapshot() durable.Snapshot {
	m.mu.Lock()
	defer m.mu.Unlock()
	return durable.InMemory(filepath.Base(m.path), []byte(m.text.String()+"\n"))
}
