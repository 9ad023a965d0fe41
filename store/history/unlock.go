package history

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"filippo.io/age"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
	"sshchat/store/agesplit"
)

// Read opens, for somebody who has unlocked their identities, the last n messages of the room before the Seq before, as
// far as they are sealed to me and ids open them; the newest last. Edits and deletions among them are applied. It holds
// at most n messages, no more than a log does, and one body at a time; it stores nothing.
//
// Errors: those of the disk, and ErrDamaged where what is sealed is not what its place in clear says.
func (h *History) Read(me chat.Name, room chat.RoomName, before uint64, n int, ids []age.Identity) ([]chat.Message, error) {
	v, err := h.snapshot(room)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", room, err)
	}
	defer v.close()
	n = min(n, chat.LogLines)
	var lines []Line // the newest first
	for _, s := range slices.Backward(v.windows) {
		if len(lines) >= n {
			break
		}
		if s.from >= before || s.count() == 0 || !s.readable(me) {
			continue
		}
		lines, err = v.readWindow(&s, me, before, n, ids, lines)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read window %d of %s: %w", s.w, room, err)
		}
	}
	return messages(lines)
}

// readWindow appends what the window holds before the Seq before, the newest first, until there are n.
func (v *snapshot) readWindow(s *windowEntry, me chat.Name, before uint64, n int, ids []age.Identity, lines []Line) ([]Line, error) {
	f, err := v.file(s.in)
	if err != nil {
		return lines, err
	}
	head, err := v.head(s, me)
	if err != nil {
		return lines, err
	}
	key, err := agesplit.OpenHead(head, ids)
	if err != nil {
		return lines, nil // sealed to a key of theirs that is not among these
	}
	defer key.Wipe()
	for _, c := range slices.Backward(s.files(0)) {
		if len(lines) >= n {
			break
		}
		if c.from >= before {
			continue
		}
		r, err := recordAt(f, c.off)
		if err != nil {
			return nil, err
		}
		plain, err := key.OpenBody(head, r.body)
		if err != nil {
			return nil, fmt.Errorf("record %d: %w", r.n, misplaced(err))
		}
		opened, err := linesAt(plain, tarName{r.room, s.w, c.from, c.to})
		clear(plain)
		if err != nil {
			return nil, fmt.Errorf("record %d: %w", r.n, misplaced(err))
		}
		for _, l := range slices.Backward(opened) {
			if l.Seq < before && len(lines) < n {
				lines = append(lines, l)
			}
		}
	}
	return lines, nil
}

// messages makes of lines, the newest first, messages, the newest last, and has edits and deletions take effect.
func messages(lines []Line) ([]chat.Message, error) {
	said := make([]chat.Message, 0, len(lines))
	for _, l := range slices.Backward(lines) {
		if !l.Kind.Stored() {
			continue // of a later version
		}
		m := chat.Message{Room: l.Room, Seq: l.Seq, At: l.At, From: l.From, Kind: l.Kind, Of: l.Of}
		if l.Text != "" {
			cleaned, err := text.ParseText(l.Text) // it was cleaned when it came in, by this law or by an older one
			if err != nil {
				return nil, fmt.Errorf("%w: message %d of %s: %w", ErrDamaged, l.Seq, l.Room, err)
			}
			m.Text = cleaned
		}
		m.Deleted = l.Text == "" && l.Kind != chat.Delete
		said = append(said, m)
	}
	applyEdits(said)
	return said, nil
}

// applyEdits has the edits, deletions and reactions among the messages, oldest first, take effect on the others.
func applyEdits(said []chat.Message) {
	last, reacted := make(map[uint64]*chat.Message), make(map[uint64]*chat.Reactions) // by what they mean
	for i := range said {
		switch m := &said[i]; {
		case m.Kind.Amends():
			last[m.Of] = m
		case m.Kind.Reacts() && !m.Deleted:
			reacted[m.Of] = reacted[m.Of].After(m)
		}
	}
	for i := range said {
		m := &said[i]
		by := last[m.Subject()]
		switch {
		case by != nil && by.Kind == chat.Delete:
			if m.Kind != chat.Delete {
				m.Text, m.Deleted = chat.Text{}, true
			}
		case m.Deleted || m.Kind != chat.Say && m.Kind != chat.Me:
		default:
			if by != nil {
				m.Text, m.Edited = by.Text, true
			}
			m.Reactions = reacted[m.Seq]
		}
	}
}
