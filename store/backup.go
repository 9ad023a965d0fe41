package store

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
)

// Snapshot is a file as it stood at one moment, to be copied while the server goes on.
type Snapshot struct {
	Name string // in the data folder
	Size int64  // bytes
	io.Reader
	close func() error
}

// Close lets go of the file.
func (s Snapshot) Close() error {
	if s.close == nil {
		return nil
	}
	return s.close()
}

// inMemory is a snapshot of what is at hand.
func inMemory(name string, b []byte) Snapshot {
	return Snapshot{Name: name, Size: int64(len(b)), Reader: bytes.NewReader(b)}
}

// Snapshots are the history as it is committed now, its archives before the file that goes on from them: what is before
// the end of the last record never changes, and a file that was opened stays whole when another takes its name or it is
// deleted. Who takes them closes each.
func (h *History) Snapshots() (all []Snapshot, err error) {
	h.committing.Lock()
	defer h.committing.Unlock()
	defer func() {
		if err != nil {
			for _, s := range all {
				err = errors.Join(err, s.Close())
			}
			all = nil
		}
	}()
	for _, a := range h.archives {
		f, err := h.disk.Open(a.path)
		if err != nil {
			return all, fmt.Errorf("snapshot of the history: %w", err)
		}
		all = append(all, Snapshot{Name: filepath.Base(a.path), Size: a.size, Reader: io.NewSectionReader(f, 0, a.size), close: f.Close})
	}
	f, err := h.disk.Open(h.path)
	if err != nil {
		return all, fmt.Errorf("snapshot of the history: %w", err)
	}
	end, rest := h.tape.end, tapeOutro
	if left := pageSize - end%pageSize; left < int64(len(tapeOutro)) {
		rest = string(blanks(left)) + tapeOutro // the end of a file too crosses no page
	}
	return append(all, Snapshot{
		Name: filepath.Base(h.path), Size: end + int64(len(rest)),
		Reader: io.MultiReader(io.NewSectionReader(f, 0, end), strings.NewReader(rest)), close: f.Close,
	}), nil
}

// Snapshot is the accounts as they are on the disk.
func (u *Users) Snapshot() (Snapshot, error) {
	b, err := u.durable.Load().encode()
	return inMemory(filepath.Base(u.path), b), err
}

// Snapshot is the state as it is now.
func (s *State) Snapshot() (Snapshot, error) {
	b, err := s.encode()
	return inMemory(filepath.Base(s.path), b), err
}

// Snapshots are the audit log's files, the oldest first: lines are only ever added.
func (a *Audit) Snapshots() ([]Snapshot, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	var all []Snapshot
	for i := range a.archives() {
		b, err := readFile(a.disk, a.archive(i+1))
		if err != nil {
			return nil, fmt.Errorf("snapshot of the audit log: %w", err)
		}
		all = append(all, inMemory(filepath.Base(a.archive(i+1)), b))
	}
	b, err := readFile(a.disk, a.path())
	if err != nil {
		return nil, fmt.Errorf("snapshot of the audit log: %w", err)
	}
	return append(all, inMemory(filepath.Base(a.path()), b[:min(int64(len(b)), a.size)])), nil
}

// Snapshot is the message of the day; empty where there is none.
func (m *Motd) Snapshot() Snapshot {
	return inMemory(filepath.Base(m.path), []byte(m.Get().String()+"\n"))
}
