package history

import (
	"archive/tar"
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"slices"

	"filippo.io/age"

	"sshchat/sshchat/chat"
	"sshchat/store/agesplit"
)

// ErrRolledBack is wrapped where a history does not lead up to the head that was remembered of it.
var ErrRolledBack = errors.New("the history does not match the saved head")

// Opener reads a history away from the server, as someone with keys to some of it.
type Opener struct {
	Identities []age.Identity
	Name       chat.Name // whose heads to try; the zero Name tries everybody's
	Head       *Head     // a head remembered of one room; nil for none. The caller has checked its signature

	// Passed is how many messages were passed over because none of the Identities opens them. Set by Lines.
	Passed int
}

const maxTarFile = 4 << 20 // bytes: beyond any close and its head

// Lines reads a message_history.json or a tar that Tar wrote, from old to new within each room. Every line is checked
// to be what its place in clear says, and in a message_history.json every record to follow from those before it.
// The sequence ends with the first error: one that wraps ErrDamaged if something was deleted, moved or changed,
// ErrRolledBack if the remembered head is not reached, ErrFormat for another kind of file, or the reader's.
//
// A tar has no chain: files may be missing between two others because the caller has no head for them, and a remembered
// head is only checked for being reached. A message_history.json is read into memory: see Files.
func (o *Opener) Lines(r io.Reader) iter.Seq2[Line, error] {
	return o.each(func(op *opening) error {
		b := bufio.NewReader(r)
		first, err := b.Peek(1)
		switch {
		case err != nil:
			return fmt.Errorf("%w: %w", ErrFormat, err)
		case first[0] != '{':
			return op.tar(b)
		}
		all, err := io.ReadAll(b)
		if err != nil {
			return err
		}
		return op.history([]File{InMemory(liveName, all)})
	})
}

// Files is Lines over the files of one history, its archives before message_history.json and the oldest first, as FilesIn
// returns them, or over a tar. Each archive's SHA-256 must be in the next file. If the oldest archives are missing, the
// history starts later. Files are read twice, first for the heads that were shared later; one is open at a time.
func (o *Opener) Files(files ...File) iter.Seq2[Line, error] {
	return o.each(func(op *opening) error {
		if len(files) > 1 || files[0].live {
			return op.history(files)
		}
		in, err := files[0].open()
		if err != nil {
			return err
		}
		defer in.Close()
		first := make([]byte, 1)
		if _, err := in.ReadAt(first, 0); err != nil {
			return fmt.Errorf("%w: %w", ErrFormat, err)
		}
		if first[0] == '{' {
			return op.history(files)
		}
		return op.tar(io.NewSectionReader(in, 0, 1<<62))
	})
}

// each runs read as a sequence of lines.
func (o *Opener) each(read func(*opening) error) iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		o.Passed = 0
		op := opening{Opener: o, rooms: make(map[chat.RoomName]*openRoom), yield: yield}
		if err := read(&op); err != nil && !errors.Is(err, errStopped) {
			yield(Line{}, err)
		}
	}
}

// errStopped ends a reading whose caller wants no more.
var errStopped = errors.New("stopped")

// opening is one run of Lines.
type opening struct {
	*Opener
	rooms  map[chat.RoomName]*openRoom
	shared map[windowName][]namedHead
	yield  func(Line, error) bool
}

// openRoom is how far one room has been read.
type openRoom struct {
	w       uint64
	head    string
	key     *agesplit.FileKey // nil if the window cannot be opened with our keys
	pending []*record         // messages that a close may yet come for
	passed  bool              // messages of it were counted as passed over; an archive has only their closes
	last    uint64            // newest message given out
}

func (o *opening) room(name chat.RoomName) *openRoom {
	r := o.rooms[name]
	if r == nil {
		r = new(openRoom)
		o.rooms[name] = r
	}
	return r
}

// history reads the files of a history.
func (o *opening) history(files []File) error {
	o.shared = make(map[windowName][]namedHead)
	for _, f := range files {
		sharedIn(f, o.shared)
	}
	var heads []Head
	if o.Head != nil {
		heads = []Head{*o.Head}
	}
	t := newVerifier(heads...)
	for _, f := range files {
		err := t.file(f, o.record)
		if errors.Is(err, fs.ErrNotExist) && f.old {
			return fmt.Errorf("%s has just been deleted because of its age; what was read before it is incomplete", f.Name)
		}
		if err != nil && len(files) > 1 && !errors.Is(err, errStopped) {
			return fmt.Errorf("%s: %w", f.Name, err)
		}
		if err != nil {
			return err
		}
	}
	for _, name := range slices.SortedFunc(maps.Keys(o.rooms), chat.RoomName.Compare) {
		if err := o.singles(o.rooms[name]); err != nil {
			return err
		}
	}
	return t.end()
}

// record gives out what can be with it: a window's lines come from its closes, or at its end one by one.
func (o *opening) record(r *record) error {
	room := o.room(r.room)
	switch r.kind {
	case windowRecord:
		if err := o.singles(room); err != nil {
			return err
		}
		o.unlock(room, r)
	case msgRecord:
		if room.key == nil {
			o.Passed++
			room.passed = true
			return nil
		}
		room.pending = append(room.pending, r)
	case closeRecord:
		if room.key == nil {
			if !room.passed {
				o.Passed += len(r.digest)
			}
			return nil
		}
		if err := o.body(room, r, r.from, r.to); err != nil {
			return err
		}
		room.pending = room.pending[min(len(r.digest), len(room.pending)):] // an archive has none
	}
	return nil
}

// unlock looks for the head of the window that the identities open.
func (o *opening) unlock(room *openRoom, r *record) {
	if room.key != nil {
		room.key.Wipe()
	}
	room.w, room.key, room.pending, room.passed = r.w, nil, nil, false
	for _, h := range append(r.heads, o.shared[windowName{r.room, r.w}]...) {
		if !o.Name.IsZero() && h.name != o.Name {
			continue
		}
		if key, err := agesplit.OpenHead(h.head, o.Identities); err == nil {
			room.key, room.head = key, h.head
			return
		}
	}
}

func (o *opening) singles(room *openRoom) error {
	for _, r := range room.pending {
		if err := o.body(room, r, r.seq, r.seq); err != nil {
			return err
		}
	}
	room.pending = nil
	return nil
}

// body opens a record's and gives out its lines.
func (o *opening) body(room *openRoom, r *record, from, to uint64) error {
	plain, err := room.key.OpenBody(room.head, r.body)
	if err == nil {
		err = o.lines(plain, tarName{r.room, r.w, from, to})
	}
	if err != nil && !errors.Is(err, errStopped) {
		return fmt.Errorf("record %d: %w", r.n, misplaced(err))
	}
	return err
}

// misplaced is err, about what was sealed, for callers: ErrDamaged, unless it is of a newer format.
func misplaced(err error) error {
	if errors.Is(err, ErrFormat) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrDamaged, err)
}

// lines returns the sealed lines, if they belong where they were found.
func (o *opening) lines(plain []byte, at tarName) error {
	lines, err := linesAt(plain, at)
	if err != nil {
		return err
	}
	for _, l := range lines {
		if !o.yield(l, nil) {
			return errStopped
		}
	}
	return nil
}

// linesAt parses sealed lines, and refuses them if they do not match their position in clear.
func linesAt(plain []byte, at tarName) ([]Line, error) {
	lines, err := parseLines(plain)
	if err != nil {
		return nil, err
	}
	if uint64(len(lines)) != at.to-at.from+1 {
		return nil, fmt.Errorf("%d lines are sealed, but there should be %d", len(lines), at.to-at.from+1)
	}
	for i, l := range lines {
		if l.Room != at.room || l.W != at.w || l.Seq != at.from+uint64(i) {
			return nil, fmt.Errorf("message %d of window %d of %s was sealed, not message %d of window %d of %s",
				l.Seq, l.W, l.Room, at.from+uint64(i), at.w, at.room)
		}
	}
	return lines, nil
}

func (o *opening) tar(b io.Reader) error {
	t := tar.NewReader(b)
	for files := 0; ; files++ {
		header, err := t.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			if files == 0 {
				return fmt.Errorf("%w: %w", ErrFormat, err)
			}
			return fmt.Errorf("%w: after file %d: %w", ErrDamaged, files, err)
		}
		if header.Typeflag == tar.TypeDir {
			continue // repacking the files may add them
		}
		if err := o.tarFile(t, header); err != nil {
			if errors.Is(err, errStopped) {
				return err
			}
			return fmt.Errorf("%q: %w", header.Name, misplaced(err))
		}
	}
	if o.Head != nil && o.room(o.Head.Room).last < o.Head.Seq {
		return fmt.Errorf("%w: message %d of %s is not in it", ErrRolledBack, o.Head.Seq, o.Head.Room)
	}
	return nil
}

func (o *opening) tarFile(t io.Reader, header *tar.Header) error {
	name, err := parseTarName(header.Name)
	if err != nil {
		return err
	}
	room := o.room(name.room)
	if name.from <= room.last || name.w < room.w {
		return fmt.Errorf("it comes after message %d of window %d", room.last, room.w)
	}
	if header.Size > maxTarFile {
		return errors.New("it is larger than any file of a history")
	}
	file, err := io.ReadAll(t)
	if err != nil {
		return fmt.Errorf("read it: %w", err)
	}
	head, body, err := agesplit.Split(file)
	if err != nil {
		return err
	}
	room.w, room.last = name.w, name.to
	if room.head != head || room.key == nil {
		if room.key, err = agesplit.OpenHead(head, o.Identities); err != nil {
			room.key = nil
			o.Passed += int(name.to - name.from + 1)
			return nil
		}
		room.head = head
	}
	plain, err := room.key.OpenBody(head, body)
	if err != nil {
		return err
	}
	return o.lines(plain, name)
}
