package history

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
	"sshchat/store/agesplit"
)

// share is a head that a reader got for a window after it had started.
type share struct {
	w    uint64
	name chat.Name
	tag  string
	off  int64    // of its record
	in   *archive // the file that is in; nil: the one that is written to
}

// shareBatch is how many heads are written at once: messages wait for no more.
const shareBatch = 128

// Share lets all present keys of me open those windows of the rooms that are sealed to me and that ids open: for each it
// stores another head, for all of the keys. It returns how many messages they can open now, including earlier ones, and
// how many stay closed because none of ids opens their window.
//
// Errors: ErrNoHead where me has no key that can be sealed to, ErrKeysChanged where that has changed since it began, and those
// of the disk; what was stored until then holds.
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
	g := sharing{h: h, me: me, room: room, ids: ids, to: h.opt.Recipients(nil, room, me)} // a history that replicates is not told of each State
	if g.tag, err = tagOf(g.to); err != nil {
		return 0, 0, err
	}
	if g.v, err = h.snapshot(room); err != nil {
		return 0, 0, err
	}
	defer g.v.close()
	for i := range g.v.windows {
		if err = g.window(&g.v.windows[i]); err != nil {
			break
		}
	}
	err = errors.Join(err, g.write())
	return g.opened, g.closed, err
}

// sharing is the sharing of one room.
type sharing struct {
	h    *History
	v    *snapshot
	me   chat.Name
	room chat.RoomName
	ids  []age.Identity  // that open what is shared
	to   []age.Recipient // that will, too
	tag  string          // of those

	batch  []*record // not written yet
	inside int       // messages in the batch's windows

	opened, closed int // messages
}

// window shares one window, or counts what it cannot.
func (g *sharing) window(s *windowEntry) error {
	switch {
	case s.count() == 0 || !s.readable(g.me):
		return nil
	case s.sharedWith(g.me, g.tag):
		g.opened += s.count()
		return nil
	}
	r, err := g.again(s)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case errors.Is(err, agesplit.ErrWrongKeys):
		g.closed += s.count()
		return nil
	case err != nil:
		return err
	}
	g.batch, g.inside = append(g.batch, r), g.inside+s.count()
	if len(g.batch) < shareBatch {
		return nil
	}
	return g.write()
}

// write stores the gathered heads.
func (g *sharing) write() error {
	if len(g.batch) == 0 {
		return nil
	}
	e := chat.Event{Room: g.room, Stored: &sharedHeads{g.batch}}
	err := error(nil)
	if g.h.opt.Submit != nil {
		err = g.h.opt.Submit(e)
	} else {
		err = g.h.Commit([]chat.Event{e})
	}
	if err == nil {
		g.opened += g.inside
	}
	g.batch, g.inside = nil, 0
	return err
}

// again makes another head of the window. The error wraps agesplit.ErrWrongKeys where the identities do not open the one there is.
func (g *sharing) again(s *windowEntry) (*record, error) {
	old, err := g.v.head(s, g.me)
	if err != nil {
		return nil, err
	}
	f, err := g.v.file(s.in)
	if err != nil {
		return nil, err
	}
	window, err := recordAt(f, s.off)
	if err != nil {
		return nil, err
	}
	key, err := agesplit.OpenHead(old, g.ids)
	if err != nil {
		return nil, err
	}
	defer key.Wipe()
	head, refused := key.Head(g.to)
	if head == "" {
		return nil, errors.Join(refused...)
	}
	return &record{kind: shareRecord, room: g.room, w: s.w, tag: g.tag, prev: window.sum, heads: []namedHead{{g.me, head}}}, nil
}

// sharedWith reports whether the newest head that me got later is for those keys.
func (s *windowEntry) sharedWith(me chat.Name, tag string) bool {
	for _, sh := range slices.Backward(s.shares) {
		if sh.name == me {
			return sh.tag == tag
		}
	}
	return false
}

// ErrKeysChanged refuses to go on sharing with keys that have changed since it began.
var ErrKeysChanged = &chat.Refusal{Code: chat.Failed, Text: "your keys or their restrictions have changed in the meantime; try again"}

// sharedHeads are what an event of the history's own has stored: share records of one room, for one reader and one set of
// keys, if those are the reader's at its place among all that is stored.
type sharedHeads struct{ records []*record }

// takeStored drafts what only the history understands.
func (tx *Transaction) takeStored(what any) error {
	s, ok := what.(*sharedHeads)
	if !ok || len(s.records) == 0 {
		return fmt.Errorf("store a %T: the history did not create it", what)
	}
	first := s.records[0]
	to := tx.h.opt.Recipients(tx.state, first.room, first.heads[0].name)
	if tag, err := tagOf(to); err != nil || tag != first.tag {
		return ErrKeysChanged
	}
	for _, r := range s.records {
		again := *r // it may be drafted more than once
		tx.put(&again)
	}
	return nil
}

// EncodeStored encodes what an event of a history's own has stored, chat.Event.Stored, for another folder's history that
// drafts it.
func EncodeStored(what any) ([]byte, error) {
	s, ok := what.(*sharedHeads)
	if !ok {
		return nil, fmt.Errorf("encode a %T: the history did not create it", what)
	}
	var lines [][]byte
	for n, r := uint64(1), 0; r < len(s.records); r++ {
		one := *s.records[r]
		one.n, one.lines = n, nil
		one.encode()
		lines, n = append(lines, one.lines...), one.last()+1
	}
	return bytes.Join(lines, []byte("\n")), nil
}

// DecodeStored decodes what EncodeStored encoded. That the heads open anything is not known.
func DecodeStored(b []byte) (any, error) {
	s := &sharedHeads{}
	for lines := bytes.Split(b, []byte("\n")); len(lines) > 0; {
		r, err := leadingRecord(lines)
		if err != nil {
			return nil, fmt.Errorf("decode a shared head: %w", err)
		}
		lines = lines[len(r.lines):]
		if r.kind != shareRecord || r.prev == (sum{}) || len(s.records) == shareBatch {
			return nil, fmt.Errorf("decode a shared head: a record of kind %q, after %d others", r.kind, len(s.records))
		}
		if len(s.records) > 0 {
			if f := s.records[0]; r.room != f.room || r.tag != f.tag || r.heads[0].name != f.heads[0].name {
				return nil, errors.New("decode a shared head: it is for others than the one before it")
			}
		}
		r.lines = nil
		s.records = append(s.records, r)
	}
	return s, nil
}

// tagOf identifies a set of recipients, so that nothing is shared twice: half of the SHA-256 of what a head shows of
// each. The error is ErrNoHead if there are none.
func tagOf(to []age.Recipient) (string, error) {
	if len(to) == 0 {
		return "", ErrNoHead
	}
	var words []string
	for _, r := range to {
		if x, ok := r.(*age.X25519Recipient); ok {
			words = append(words, x.String())
			continue
		}
		stanzas, err := r.Wrap(make([]byte, agesplit.FileKeySize)) // an SSH key's stanza names it
		if err != nil || len(stanzas) != 1 || len(stanzas[0].Args) == 0 {
			continue // it cannot be sealed to
		}
		words = append(words, stanzas[0].Type+" "+stanzas[0].Args[0])
	}
	sum := sha256.Sum256([]byte(strings.Join(words, "\n")))
	return hex.EncodeToString(sum[:sha256.Size/2]), nil
}

// sharedIn collects shared heads in a file. Damage is reported by the later pass that reads it in order.
func sharedIn(f File, into map[windowName][]namedHead) {
	in, err := f.open()
	if err != nil {
		return
	}
	defer in.Close()
	s, err := scanSegment(io.NewSectionReader(in, 0, 1<<62))
	if err != nil {
		return
	}
	if s.number == 0 {
		s.live = in
	}
	for err == nil {
		var r *record
		err = s.retry(func() (err error) { r, err = s.share(); return err })
		if r != nil {
			of := windowName{r.room, r.w}
			into[of] = append(into[of], r.heads...)
		}
	}
}

// share reads the next line, and returns the record that it begins if that is a share.
func (s *scanner) share() (*record, error) {
	line, _, err := s.line()
	if err != nil {
		return nil, err
	}
	h, err := parseLineHeader(line)
	if err != nil {
		return nil, s.unread(err)
	}
	if h.kind != shareRecord {
		s.good = s.off
		return nil, nil
	}
	j, err := parseRecordLine(line)
	if err != nil {
		return nil, s.unread(err)
	}
	r, err := s.record(&j, line)
	if err != nil {
		return nil, err
	}
	s.good = s.off
	return r, nil
}
