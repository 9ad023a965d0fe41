package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"filippo.io/age"

	"sshchat/sshchat/chat"
)

// share tells of a head that a reader got for a window after it had begun.
type share struct {
	w    uint64
	name chat.Name
	tag  string
	off  int64    // of its record
	in   *archive // the file that is in; nil: the one that is written to
}

// shareBatch is how many heads are written at once: messages wait for no more.
const shareBatch = 128

// Share has all keys that me has now open what was sealed to me in the rooms and is opened by ids: of each such window
// another head is stored, for all of them. It returns how many messages they open now, those that they did before among
// them, and how many stay closed, because none of ids opens their window.
//
// Errors: ErrNoHead where me has no key that can be sealed to, and those of the disk; what was stored until then holds.
func (h *History) Share(me chat.Name, rooms []chat.RoomName, ids []age.Identity) (opened, closed int, err error) {
	for _, room := range rooms {
		n, left, err := h.shareRoom(me, room, ids)
		opened, closed = opened+n, closed+left
		if err != nil {
			return opened, closed, fmt.Errorf("share %s: %w", room, err)
		}
	}
	return opened, closed, nil
}

func (h *History) shareRoom(me chat.Name, room chat.RoomName, ids []age.Identity) (opened, closed int, err error) {
	to := h.opt.Recipients(room, me)
	tag, err := tagOf(to)
	if err != nil {
		return 0, 0, err
	}
	v, err := h.look(room)
	if err != nil {
		return 0, 0, err
	}
	defer v.close()
	var batch []*record
	ready := 0 // messages in batch
	write := func() error {
		if len(batch) == 0 {
			return nil
		}
		err := h.commitShares(batch)
		if err == nil {
			opened += ready
		}
		batch, ready = nil, 0
		return err
	}
	for i := range v.windows {
		s := &v.windows[i]
		switch {
		case s.count() == 0 || !s.readable(me):
			continue
		case s.sharedWith(me, tag):
			opened += s.count()
			continue
		}
		r, err := v.share(s, room, namedHead{name: me}, ids, to)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case errors.Is(err, errClosed):
			closed += s.count()
			continue
		case err != nil:
			return opened, closed, err
		}
		r.tag = tag
		batch, ready = append(batch, r), ready+s.count()
		if len(batch) == shareBatch {
			if err := write(); err != nil {
				return opened, closed, err
			}
		}
	}
	return opened, closed, write()
}

// sharedWith reports whether the newest head that me got later is for those keys.
func (s *span) sharedWith(me chat.Name, tag string) bool {
	for _, sh := range slices.Backward(s.shares) {
		if sh.name == me {
			return sh.tag == tag
		}
	}
	return false
}

// share makes another head of the window. The error wraps errClosed where ids do not open the one there is.
func (v *sight) share(s *span, room chat.RoomName, head namedHead, ids []age.Identity, to []age.Recipient) (*record, error) {
	old, err := v.head(s, head.name)
	if err != nil {
		return nil, err
	}
	f, err := v.file(s.in)
	if err != nil {
		return nil, err
	}
	window, err := recordAt(f, s.off)
	if err != nil {
		return nil, err
	}
	key, err := openHead(old, ids)
	if err != nil {
		return nil, err
	}
	defer key.wipe()
	var refused []error
	if head.head, refused = key.head(to); head.head == "" {
		return nil, errors.Join(refused...)
	}
	return &record{kind: shareRecord, room: room, w: s.w, prev: window.sum, heads: []namedHead{head}}, nil
}

func (h *History) commitShares(batch []*record) error {
	h.committing.Lock()
	defer h.committing.Unlock()
	if h.closed {
		return errHistoryClosed
	}
	d := newDraft(h)
	for _, r := range batch {
		d.put(r)
	}
	defer h.note()
	return d.commit()
}

// tagOf tells sets of recipients apart, so that nothing is shared twice: half of the SHA-256 of what a head shows of
// each. The error is ErrNoHead where there are none.
func tagOf(to []age.Recipient) (string, error) {
	if len(to) == 0 {
		return "", ErrNoHead
	}
	var words []string
	for _, r := range to {
		if named, ok := r.(fmt.Stringer); ok { // age1…
			words = append(words, named.String())
			continue
		}
		stanzas, err := r.Wrap(make([]byte, fileKeySize)) // an SSH key's stanza names it
		if err != nil || len(stanzas) != 1 || len(stanzas[0].Args) == 0 {
			continue // it cannot be sealed to
		}
		words = append(words, stanzas[0].Type+" "+stanzas[0].Args[0])
	}
	sum := sha256.Sum256([]byte(strings.Join(words, "\n")))
	return hex.EncodeToString(sum[:sha256.Size/2]), nil
}

// sharedIn looks for shared heads in a file. What is damaged there is for who reads it in order to say.
func sharedIn(file io.Reader, into map[windowName][]namedHead) {
	s, err := scanTape(file)
	for err == nil {
		var line []byte
		if line, _, err = s.line(); err != nil {
			return
		}
		b, bannerErr := readBanner(line)
		if bannerErr != nil {
			return
		}
		if b.kind != shareRecord {
			continue
		}
		j, lineErr := parseRecordLine(line)
		if lineErr != nil {
			return
		}
		var r *record
		if r, err = s.whole(&j, line); err == nil {
			of := windowName{r.room, r.w}
			into[of] = append(into[of], r.heads...)
		}
	}
}

// rewind makes file one that can be read again from here on; begun is file after something was read ahead from it.
func rewind(file, begun io.Reader) (io.ReadSeeker, error) {
	if f, ok := file.(io.ReadSeeker); ok {
		if _, err := f.Seek(0, io.SeekStart); err == nil {
			return f, nil
		}
	}
	b, err := io.ReadAll(begun)
	return bytes.NewReader(b), err
}
