package history

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"

	"filippo.io/age"

	"sshchat/sshchat/chat"
	"sshchat/store/agesplit"
)

// What reading is refused with, for callers to word.
var (
	// ErrNothing is returned if the caller may read no stored message.
	ErrNothing = &chat.Refusal{Code: chat.Failed, Text: "no stored messages"}
	// ErrNoWindow is returned for a window that the room has not had.
	ErrNoWindow = &chat.Refusal{Code: chat.NotFound, Text: "no such window"}
	// ErrNoHead is returned for a window that was not sealed to the caller.
	ErrNoHead = &chat.Refusal{Code: chat.Failed, Text: "the window was not sealed to you"}
	// ErrNotClosed is returned for a window that is stored as single messages only: Tar has them.
	ErrNotClosed = &chat.Refusal{Code: chat.Failed, Text: "the window is stored as single messages only"}
	// ErrSeveral is returned for a window that was too long for one body: Tar has its parts.
	ErrSeveral = &chat.Refusal{Code: chat.Failed, Text: "the window is stored as several files"}
)

// WindowInfo describes one window of a room.
type WindowInfo struct {
	W        uint64 `json:"w"`
	From     uint64 `json:"from"` // the first message in it
	To       uint64 `json:"to"`   // the last; From-1 where there is none
	Closed   bool   `json:"closed"`
	Readable bool   `json:"readable"` // by the one who asked
}

// List describes the room's windows, oldest first; none if there is no such room.
func (h *History) List(me chat.Name, room chat.RoomName) ([]WindowInfo, error) {
	entries, err := h.entries(room)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", room, err)
	}
	infos := make([]WindowInfo, len(entries))
	for i, s := range entries {
		infos[i] = WindowInfo{s.w, s.from, s.to, s.closed(), s.readable(me)}
	}
	return infos, nil
}

// Head is how far the room's stored history goes.
func (h *History) Head(room chat.RoomName) (Head, error) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	s := h.index[room]
	if s == nil {
		return Head{Room: room}, nil
	}
	return s.head, nil
}

// Sealed is how many stored messages of the room me has a head for.
func (h *History) Sealed(me chat.Name, room chat.RoomName) int {
	entries, err := h.entries(room)
	if err != nil {
		h.opt.Log.Error("history: count what is sealed", "room", room, "err", err)
	}
	n := 0
	for i := range entries {
		if entries[i].readable(me) {
			n += entries[i].count()
		}
	}
	return n
}

// Export writes one age file with the last lines of the room, from the message since on, sealed again to the given keys
// while they are in memory. After a restart it is the last closed window that me has a head for, and later is how many
// messages after it are stored only one by one. A key that cannot be sealed to is left out. Errors: ErrNothing, ErrNoHead
// if no key can be sealed to, and those of w.
func (h *History) Export(w io.Writer, me chat.Name, room chat.RoomName, since uint64, to []age.Recipient) (later int, err error) {
	v, err := h.snapshot(room)
	if err != nil {
		return 0, fmt.Errorf("export %s: %w", room, err)
	}
	defer v.close()
	tail := v.tail
	for len(tail) > 0 {
		first, err := parseLine(tail[0])
		if err != nil {
			return 0, fmt.Errorf("export %s: %w", room, err)
		}
		if first.Seq >= since {
			return 0, sealAfresh(w, bytes.Join(tail, nil), to)
		}
		tail = tail[1:]
	}
	for _, s := range slices.Backward(v.windows) {
		switch {
		case !s.readable(me) || s.from < since:
		case s.closed():
			return later, v.export(w, me, s, s.closes[len(s.closes)-1].off)
		default:
			later += s.count()
		}
	}
	return later, ErrNothing
}

// sealAfresh writes plain as an age file of its own.
func sealAfresh(w io.Writer, plain []byte, to []age.Recipient) error {
	trial := agesplit.NewFileKey()
	defer trial.Wipe()
	to = slices.DeleteFunc(slices.Clone(to), func(r age.Recipient) bool {
		_, refused := trial.Head([]age.Recipient{r})
		return len(refused) > 0
	})
	if len(to) == 0 {
		return ErrNoHead
	}
	out, err := age.Encrypt(w, to[:min(len(to), agesplit.MaxRecipients)]...)
	if err != nil {
		return fmt.Errorf("seal the last lines: %w", err)
	}
	if _, err := out.Write(plain); err != nil {
		return fmt.Errorf("seal the last lines: %w", err)
	}
	if err := out.Close(); err != nil {
		return fmt.Errorf("seal the last lines: %w", err)
	}
	return nil
}

// ExportWindow writes one closed window as an age file that me's keys open.
// Errors: ErrNoWindow, ErrNoHead, ErrNotClosed, ErrSeveral, and those of w.
func (h *History) ExportWindow(w io.Writer, me chat.Name, room chat.RoomName, window uint64) error {
	v, err := h.snapshot(room)
	if err != nil {
		return fmt.Errorf("export window %d: %w", window, err)
	}
	defer v.close()
	at, found := entryOf(v.windows, window)
	if !found {
		return ErrNoWindow
	}
	s := v.windows[at]
	switch {
	case !s.readable(me):
		return ErrNoHead
	case !s.closed():
		return ErrNotClosed
	case len(s.closes) > 1:
		return ErrSeveral
	}
	return v.export(w, me, s, s.closes[0].off)
}

// export writes me's head of the window and the body of the record at off.
func (v *snapshot) export(w io.Writer, me chat.Name, s windowEntry, off int64) error {
	f, err := v.file(s.in)
	if errors.Is(err, fs.ErrNotExist) {
		return ErrNoWindow
	}
	if err != nil {
		return fmt.Errorf("export window %d: %w", s.w, err)
	}
	head, err := v.head(&s, me)
	if err != nil {
		return fmt.Errorf("export window %d: %w", s.w, err)
	}
	r, err := recordAt(f, off)
	if err != nil {
		return fmt.Errorf("export window %d: %w", s.w, err)
	}
	_, err = io.Copy(w, agesplit.Join(head, r.body))
	return err
}

func recordAt(f io.ReaderAt, off int64) (*record, error) {
	s, err := scanAt(f, off)
	if err != nil {
		return nil, err
	}
	return s.next()
}
