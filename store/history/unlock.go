package history

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"

	"filippo.io/age"

	"sshchat/sshchat/chat"
	"sshchat/store/agesplit"
)

// maxUnlocked is how many windows of a room are unlocked, the newest: a key takes 24 bytes.
const maxUnlocked = 8192

// Unlocked is what somebody has unlocked of a room: the keys of its windows, and not the identities that opened them. Its
// methods may be called from any goroutine.
type Unlocked struct {
	h    *History
	me   chat.Name
	room chat.RoomName
	from uint64 // the first message that the keys open; 0: none

	mu   sync.Mutex
	keys []windowKey // guarded by mu; by w
}

// windowKey is the key of a window.
type windowKey struct {
	w   uint64
	key agesplit.FileKey
}

// Unlock opens the heads of the room's windows, as far as they are sealed to me and ids open them. It keeps the windows'
// keys, until Wipe, and nothing of ids. Errors: those of the disk.
func (h *History) Unlock(me chat.Name, room chat.RoomName, ids []age.Identity) (*Unlocked, error) {
	v, err := h.snapshot(room)
	if err != nil {
		return nil, fmt.Errorf("unlock %s: %w", room, err)
	}
	defer v.close()
	u := &Unlocked{h: h, me: me, room: room}
	last := v.windows[max(0, len(v.windows)-maxUnlocked):]
	u.keys = make([]windowKey, 0, len(last)) // a slice that grew would leave keys behind
	for i := range last {
		s := &last[i]
		if s.count() == 0 || !s.readable(me) {
			continue
		}
		head, err := v.head(s, me)
		if errors.Is(err, fs.ErrNotExist) {
			continue // an archive that was just deleted because of its age
		}
		if err != nil {
			u.Wipe()
			return nil, fmt.Errorf("unlock window %d of %s: %w", s.w, room, err)
		}
		key, err := agesplit.OpenHead(head, ids)
		if err != nil {
			continue // sealed to a key of theirs that is not among these
		}
		u.keys = append(u.keys, windowKey{s.w, *key})
		key.Wipe()
		if u.from == 0 {
			u.from = s.from
		}
	}
	return u, nil
}

// First is the first message that the keys open; 0 if they open none.
func (u *Unlocked) First() uint64 { return u.from }

// Wipe forgets the keys. Nothing is opened any more.
func (u *Unlocked) Wipe() {
	u.mu.Lock()
	defer u.mu.Unlock()
	clear(u.keys[:cap(u.keys)])
	u.keys = nil
}

// key is a copy of the window's, which the caller wipes; nil if there is none.
func (u *Unlocked) key(w uint64) *agesplit.FileKey {
	u.mu.Lock()
	defer u.mu.Unlock()
	i, found := slices.BinarySearchFunc(u.keys, w, func(k windowKey, w uint64) int { return cmp.Compare(k.w, w) })
	if !found {
		return nil
	}
	key := u.keys[i].key
	return &key
}

// Read opens the messages from the Seq from to the Seq to, as far as the keys do; the newest last. What was edited or deleted
// later than its window ended is as it was sealed: see chat.Settle. It holds one body at a time, and keeps
// nothing; in a build that erases, what it returns is erased when nobody has it any more. last is the
// newest message that is stored, if that is less than to, and read how many bytes were.
//
// Errors: those of the disk, and ErrDamaged where what is sealed is not what its place in clear says.
func (u *Unlocked) Read(from, to uint64) (said []chat.Message, last uint64, read int, err error) {
	v, err := u.h.snapshot(u.room)
	if err != nil {
		return nil, 0, 0, fmt.Errorf("read %s: %w", u.room, err)
	}
	defer v.close()
	for i := range v.windows {
		s := &v.windows[i]
		last = max(last, min(s.to, to))
		if s.count() == 0 || s.to < from || s.from > to {
			continue
		}
		key := u.key(s.w)
		if key == nil {
			continue
		}
		agesplit.InSecret(func() {
			var lines []Line
			if lines, err = v.readWindow(s, u.me, key, from, to, &read); err == nil {
				said, err = appendMessages(said, lines)
			}
		})
		key.Wipe()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, 0, 0, fmt.Errorf("read window %d of %s: %w", s.w, u.room, err)
		}
	}
	return said, last, read, nil
}

// readWindow returns what the window holds from the one Seq to the other.
func (v *snapshot) readWindow(s *windowEntry, me chat.Name, key *agesplit.FileKey, from, to uint64, read *int) (lines []Line, err error) {
	f, err := v.file(s.in)
	if err != nil {
		return nil, err
	}
	head, err := v.head(s, me)
	if err != nil {
		return nil, err
	}
	for _, c := range s.files(from - 1) {
		if c.from > to {
			break
		}
		r, err := recordAt(f, c.off)
		if err != nil {
			return nil, err
		}
		*read += len(r.body)
		plain, err := key.OpenBody(head, r.body)
		if err != nil {
			return nil, fmt.Errorf("record %d: %w", r.n, misplaced(err))
		}
		opened, err := linesAt(plain, tarName{r.room, s.w, c.from, c.to})
		clear(plain)
		if err != nil {
			return nil, fmt.Errorf("record %d: %w", r.n, misplaced(err))
		}
		for _, l := range opened {
			if l.Seq >= from && l.Seq <= to {
				lines = append(lines, l)
			}
		}
	}
	return lines, nil
}

// appendMessages makes messages of lines.
func appendMessages(said []chat.Message, lines []Line) ([]chat.Message, error) {
	for _, l := range lines {
		if !l.Kind.Stored() {
			continue // of a later version
		}
		m, err := l.Message()
		if err != nil {
			return nil, fmt.Errorf("%w: message %d of %s: %w", ErrDamaged, l.Seq, l.Room, err)
		}
		said = append(said, m)
	}
	return said, nil
}
