package store

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"sshchat/store/durable"
)

// Snapshots are the history as it is committed now, its archives before the file that goes on from them: what is before
// the end of the last record never changes, and a file that was opened stays whole when another takes its name or it is
// deleted. Who takes them closes each.
func (h *History) Snapshots() (all []durable.Snapshot, err error) {
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
		all = append(all, durable.Snapshot{Name: filepath.Base(a.path), Size: a.size, Reader: io.NewSectionReader(f, 0, a.size), Release: f.Close})
	}
	f, err := h.disk.Open(h.path)
	if err != nil {
		return all, fmt.Errorf("snapshot of the history: %w", err)
	}
	end, rest := h.tape.end, tapeOutro
	if left := pageSize - end%pageSize; left < int64(len(tapeOutro)) {
		rest = string(blanks(left)) + tapeOutro // the end of a file too crosses no page
	}
	return append(all, durable.Snapshot{
		Name: filepath.Base(h.path), Size: end + int64(len(rest)),
		Reader: io.MultiReader(io.NewSectionReader(f, 0, end), strings.NewReader(rest)), Release: f.Close,
	}), nil
}

// Snapshot is the accounts as they are on the disk.
func (u *Users) Snapshot() (durable.Snapshot, error) {
	b, err := u.durable.Load().encode()
	return durable.InMemory(filepath.Base(u.path), b), err
}

// Snapshot is the message of the day; empty where there is none.
func (m *Motd) Snapshot() durable.Snapshot {
	return durable.InMemory(filepath.Base(m.path), []byte(m.Get().String()+"\n"))
}
