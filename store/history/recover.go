package history

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"path/filepath"
	"strings"

	"sshchat/store/durable"
)

var (
	// ErrDamaged is wrapped where records that were acknowledged as stored are not as they were written.
	ErrDamaged = errors.New("the history is damaged")
	// ErrFormat is wrapped if the file is not a history that this version knows.
	ErrFormat = errors.New("not a history in a known format")
	// ErrOlder is wrapped if a history is to be written to that has to be upgraded first.
	ErrOlder = errors.New("the history has an older format and is read-only")
)

// recovery reads a segment at start-up and repairs what a crash may leave: a tail that was never acknowledged.
type recovery struct {
	disk durable.FS
	path string
	file durable.File
	log  *slog.Logger
	live chain  // the rooms as far as they are followed
	dry  bool   // read-only: an older format is accepted
	ok   uint64 // the highest n that a record declares durable

	check func(last uint64) error // called before anything is changed
}

// openSegment opens the history at path, or makes it, hands its records to take in order, and has rooms follow them. Before it changes anything it
// asks check, with the number of the last line that is whole. If it refuses, errors wrap ErrDamaged or ErrFormat and the
// file is as it was.
func openSegment(d durable.FS, path string, log *slog.Logger, take func(*record), rooms chain, check func(last uint64) error) (*segment, error) {
	f, err := d.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := check(0); err != nil {
			return nil, err
		}
		return createSegment(d, path)
	}
	if err != nil {
		return nil, fmt.Errorf("open the history: %w", err)
	}
	r := &recovery{disk: d, path: path, file: f, log: log, live: rooms, check: check}
	t, err := r.segment(take)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if t.file != f {
		return t, f.Close()
	}
	return t, nil
}

func (r *recovery) segment(take func(*record)) (*segment, error) {
	size, err := r.file.Size()
	if err != nil {
		return nil, fmt.Errorf("open the history: %w", err)
	}
	s, err := scanSegment(io.NewSectionReader(r.file, 0, size))
	if errors.Is(err, ErrFormat) && isSeed(r.file) {
		if err := r.check(0); err != nil {
			return nil, err
		}
		if r.dry {
			return nil, nil
		}
		return createSegment(r.disk, r.path)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w; nothing was changed", r.path, err)
	}
	if s.number > 0 {
		return nil, fmt.Errorf("%s: %w; nothing was changed", r.path, isArchive(s.number))
	}
	if s.format < newest && !r.dry {
		return nil, fmt.Errorf("%s: %w: it has format %d; nothing was changed", r.path, ErrOlder, s.format)
	}
	last, err := r.read(s, take)
	t := &segment{disk: r.disk, path: r.path, file: r.file, size: size, end: s.good, n: last, synced: last}
	torn := (*damage)(nil)
	var rest []byte
	if errors.As(err, &torn) {
		t.end = torn.off
		rest, err = r.judge(torn, size)
	}
	if err != nil {
		return nil, err
	}
	if err := r.check(last); err != nil {
		return nil, err
	}
	if torn != nil && !r.dry {
		if err := r.repair(torn, rest); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// read hands over the records up to the file's end or the first damage.
func (r *recovery) read(s *scanner, take func(*record)) (last uint64, err error) {
	change := uint64(0)
	for {
		good := s.good
		rec, err := s.next()
		if errors.Is(err, io.EOF) {
			return last, nil
		}
		if err != nil {
			return last, err
		}
		if err := r.live.follow(rec); err != nil {
			return last, &damage{n: rec.n, off: good, why: err.Error()}
		}
		if rec.hasOK {
			r.ok = max(r.ok, rec.ok)
		}
		if rec.hasChange && rec.change < change {
			return last, &damage{n: rec.n, off: good, why: fallsBack(rec.change, change)}
		}
		change = max(change, rec.change)
		last = rec.last()
		take(rec)
	}
}

// fallsBack says why a batch cannot follow on one before it.
func fallsBack(change, before uint64) string {
	return fmt.Sprintf("it refers to change %d, but an earlier record to change %d", change, before)
}

// isSeed reports whether the file is the `{}` that a data folder may be delivered with, for an empty history.
func isSeed(f io.ReaderAt) bool {
	b, err := io.ReadAll(io.NewSectionReader(f, 0, pageSize))
	var fields map[string]json.RawMessage
	return err == nil && json.Unmarshal(b, &fields) == nil && fields != nil && len(fields) == 0
}

// judge returns what follows the last good record, to be blanked, and refuses what had been acknowledged, what is of a
// newer format and what is nothing that a crash leaves.
func (r *recovery) judge(torn *damage, size int64) (rest []byte, err error) {
	if torn.newer {
		return nil, fmt.Errorf("%s: %w: %w; nothing was changed", r.path, ErrFormat, torn)
	}
	if err := r.scanBeyond(torn.off, size); err != nil {
		return nil, fmt.Errorf("%s: %w; nothing was changed", r.path, err)
	}
	if torn.n <= r.ok || torn.noCrash {
		return nil, fmt.Errorf("%s: %w: %w; records up to %d were durable; nothing was changed", r.path, ErrDamaged, torn, max(r.ok, torn.n))
	}
	rest = make([]byte, max(0, size-torn.off))
	if _, err := r.file.ReadAt(rest, torn.off); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read the torn tail: %w", err)
	}
	rest, whole := bytes.CutSuffix(rest, []byte(segmentOutro))
	if !whole {
		return nil, fmt.Errorf("%s: %w: %w; the end of the file is missing, which no crash explains; nothing was changed", r.path, ErrDamaged, torn)
	}
	return bytes.TrimRight(rest, " "), nil
}

// repair saves the rest aside and blanks it.
func (r *recovery) repair(torn *damage, rest []byte) error {
	aside, err := r.save(torn.n, rest)
	if err != nil {
		return fmt.Errorf("save the torn tail: %w", err)
	}
	if _, err := r.file.WriteAt(blanks(int64(len(rest))), torn.off); err != nil {
		return fmt.Errorf("blank the torn tail: %w", err)
	}
	if err := r.file.Sync(); err != nil {
		return fmt.Errorf("blank the torn tail: %w", err)
	}
	r.log.Warn("history: removed an incomplete record at the end: the last crash interrupted it, and it was never shown to anyone",
		"record", torn.n, "byte", torn.off, "why", torn.why, "saved", aside)
	return nil
}

// scanBeyond looks through what follows the damage for lines that are whole: some say what was durable, and none may be
// of a newer format. Errors: ErrFormat, and those of the disk.
func (r *recovery) scanBeyond(off, size int64) error {
	page := make([]byte, pageSize)
	for at := off - off%pageSize; at < size; at += pageSize {
		n, err := r.file.ReadAt(page, at)
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("read the history: %w", err)
		}
		for line := range bytes.Lines(page[:n]) {
			j, err := parseRecordLine(bytes.TrimRight(bytes.TrimLeft(line, " ,"), "\n"))
			if errors.Is(err, errNewer) {
				return fmt.Errorf("%w: a record in the page at byte %d: %w", ErrFormat, at, err)
			}
			if err == nil && j.OK != nil {
				r.ok = max(r.ok, *j.OK)
			}
		}
	}
	return nil
}

// save writes b to a file of its own beside the history and returns its name.
func (r *recovery) save(n uint64, b []byte) (string, error) {
	base := strings.TrimSuffix(r.path, ".json") + fmt.Sprintf(".torn-%d", n)
	name := base
	f, err := r.disk.Create(name)
	for i := 2; errors.Is(err, fs.ErrExist); i++ {
		name = fmt.Sprintf("%s.%d", base, i)
		f, err = r.disk.Create(name)
	}
	if err != nil {
		return "", err
	}
	_, err = f.WriteAt(b, 0)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return "", err
	}
	return name, r.disk.SyncDir(filepath.Dir(r.path))
}
