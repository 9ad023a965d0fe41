package history

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"

	"sshchat/sshchat/chat"
	"sshchat/store/durable"
)

// snapshot is a room's history as it stood at one moment, and the files it was in then: a rotation does not move them.
type snapshot struct {
	windows []windowEntry // the oldest first
	tail    [][]byte      // the last lines said since the server started
	live    durable.File  // the file that was written to
	old     []openArchive // the archives that were read last, the newest use last
}

// archivesOpen is how many archives a snapshot has open at a time: a window and its head may be in two.
const archivesOpen = 2

// openArchive is an archive that is being read.
type openArchive struct {
	of   *archive
	file durable.File
}

// snapshot returns the room as it stands. The caller closes it.
func (h *History) snapshot(room chat.RoomName) (*snapshot, error) {
	h.mu.RLock()
	live, err := h.disk.Open(h.path)
	if err != nil {
		h.mu.RUnlock()
		return nil, err
	}
	v := &snapshot{live: live}
	archives := h.archives
	var now roomIndex
	now, v.tail = h.liveIndex(room)
	h.mu.RUnlock()
	if v.windows, err = now.entries(archives, room); err != nil {
		v.close()
		return nil, err
	}
	return v, nil
}

// liveIndex is what the file that is written to has of the room, and the room's tail. Called with mu held.
func (h *History) liveIndex(room chat.RoomName) (now roomIndex, tail [][]byte) {
	s := h.index[room]
	if s == nil {
		return roomIndex{}, nil
	}
	return roomIndex{windows: slices.Clone(s.windows), shares: s.shares}, slices.Clone(s.tail)
}

// entries are the room's windows, the oldest first.
func (h *History) entries(room chat.RoomName) ([]windowEntry, error) {
	h.mu.RLock()
	archives := h.archives
	now, _ := h.liveIndex(room)
	h.mu.RUnlock()
	return now.entries(archives, room)
}

// entries are the room's windows in the archives and then in now, with all heads they have.
func (now *roomIndex) entries(archives []*archive, room chat.RoomName) (all []windowEntry, err error) {
	var shares []share
	for _, a := range archives {
		s, err := a.room(room)
		if err != nil {
			return nil, err
		}
		all, shares = append(all, s.windows...), append(shares, s.shares...)
	}
	all, shares = append(all, now.windows...), append(shares, now.shares...)
	for _, sh := range shares {
		if i, found := entryOf(all, sh.w); found {
			all[i].shares = append(all[i].shares, sh)
		}
	}
	return all, nil
}

// entryOf finds a window.
func entryOf(entries []windowEntry, w uint64) (i int, found bool) {
	return slices.BinarySearchFunc(entries, w, func(s windowEntry, w uint64) int { return cmp.Compare(s.w, w) })
}

// head is me's head of the window: the newest of several, which is for all keys that me had then.
func (v *snapshot) head(s *windowEntry, me chat.Name) (string, error) {
	in, off := s.in, s.off
	for _, sh := range s.shares {
		if sh.name == me {
			in, off = sh.in, sh.off
		}
	}
	f, err := v.file(in)
	if err != nil {
		return "", err
	}
	r, err := recordAt(f, off)
	if err != nil {
		return "", err
	}
	for _, h := range r.heads {
		if h.name == me {
			return h.head, nil
		}
	}
	return "", ErrNoHead
}

// file returns the archive's file, or the live one. It stays open until archivesOpen others were opened. If the archive
// has been deleted meanwhile the error wraps fs.ErrNotExist.
func (v *snapshot) file(in *archive) (durable.File, error) {
	if in == nil {
		return v.live, nil
	}
	if i := slices.IndexFunc(v.old, func(o openArchive) bool { return o.of == in }); i >= 0 {
		o := v.old[i]
		v.old = append(slices.Delete(v.old, i, i+1), o)
		return o.file, nil
	}
	if len(v.old) == archivesOpen {
		v.old[0].file.Close() // it was read only
		v.old = slices.Delete(v.old, 0, 1)
	}
	f, err := in.disk.Open(in.path)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", filepath.Base(in.path), err)
	}
	v.old = append(v.old, openArchive{in, f})
	return f, nil
}

// close closes the files. They were only read, so errors do not matter.
func (v *snapshot) close() {
	v.live.Close()
	for _, o := range v.old {
		o.file.Close()
	}
}
