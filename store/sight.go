package store

import (
	"fmt"
	"path/filepath"
	"slices"

	"sshchat/sshchat/chat"
)

// sight is a room's history as it stood at one moment, and the files it was in then: a rotation does not move them.
type sight struct {
	windows []span   // the oldest first
	tail    [][]byte // the last lines said since the server started
	live    diskFile // the file that was written to
	old     map[*archive]diskFile
}

// look returns the room as it stands. The caller closes it.
func (h *History) look(room chat.RoomName) (*sight, error) {
	h.mu.RLock()
	live, err := h.disk.Open(h.path)
	if err != nil {
		h.mu.RUnlock()
		return nil, err
	}
	v := &sight{live: live, old: make(map[*archive]diskFile)}
	archives := h.archives
	var windows []span
	if s := h.index[room]; s != nil {
		windows, v.tail = slices.Clone(s.windows), slices.Clone(s.tail)
	}
	h.mu.RUnlock()
	if v.windows, err = withArchived(archives, room, windows); err != nil {
		v.close()
		return nil, err
	}
	return v, nil
}

// spans are the room's windows, the oldest first.
func (h *History) spans(room chat.RoomName) ([]span, error) {
	h.mu.RLock()
	archives := h.archives
	var windows []span
	if s := h.index[room]; s != nil {
		windows = slices.Clone(s.windows)
	}
	h.mu.RUnlock()
	return withArchived(archives, room, windows)
}

// withArchived puts the room's windows in the archives before the others.
func withArchived(archives []*archive, room chat.RoomName, windows []span) ([]span, error) {
	var all []span
	for _, a := range archives {
		spans, err := a.spans(room)
		if err != nil {
			return nil, err
		}
		all = append(all, spans...)
	}
	return append(all, windows...), nil
}

// file is the one that the window is in. Where its archive has been deleted meanwhile the error wraps fs.ErrNotExist.
func (v *sight) file(s *span) (diskFile, error) {
	if s.in == nil {
		return v.live, nil
	}
	if f := v.old[s.in]; f != nil {
		return f, nil
	}
	f, err := s.in.disk.Open(s.in.path)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", filepath.Base(s.in.path), err)
	}
	v.old[s.in] = f
	return f, nil
}

// close lets go of the files. They were read only, so there is nothing to lose.
func (v *sight) close() {
	v.live.Close()
	for _, f := range v.old {
		f.Close()
	}
}
