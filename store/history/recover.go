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
	// ErrFormat is wrapped where the file is not a history that this version knows.
	ErrFormat = errors.New("not a history in a known format")
)

// recovery reads a segment at start-up and repairs what a crash may leave: a tail that was never acknowledged.
type recovery struct {
	disk durable.FS
	path string
	file durable.File
	log  *slog.Logger
	ok   uint64 // the highest n that some record tells was durable
}

// openSegment opens the history at path, or makes it, and hands its records to take in order.
// Where it refuses, errors wrap ErrDamaged or ErrFormat and the file is as it was.
func openSegment(d durable.FS, path string, log *slog.Logger, take func(*record)) (*segment, error) {
	f, err := d.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return createSegment(d, path)
	}
	if err != nil {
		return nil, fmt.Errorf("open the history: %w", err)
	}
	r := &recovery{disk: d, path: path, file: f, log: log}
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
	if errors.Is(err, errNotSegment) {
		return r.seed()
	}
	if err != nil {
		return nil, err
	}
	if s.number > 0 {
		return nil, fmt.Errorf("%s: %w: it is archive %d; nothing was changed", r.path, ErrFormat, s.number)
	}
	last, err := r.read(s, take)
	t := &segment{disk: r.disk, path: r.path, file: r.file, size: size, end: s.good, n: last, synced: last}
	var torn *damage
	if errors.As(err, &torn) {
		t.end = torn.off
		t.size, err = r.repair(torn, size)
	}
	if err != nil {
		return nil, err
	}
	return t, nil
}

// read hands over the records up to the file's end or the first damage.
func (r *recovery) read(s *scanner, take func(*record)) (last uint64, err error) {
	rooms := make(chain)
	for {
		good := s.good
		rec, err := s.next()
		if errors.Is(err, io.EOF) {
			return last, nil
		}
		if err != nil {
			return last, err
		}
		if err := rooms.follow(rec); err != nil {
			return last, &damage{rec.n, good, err.Error(), false}
		}
		if rec.hasOK {
			r.ok = max(r.ok, rec.ok)
		}
		last = rec.last()
		take(rec)
	}
}

// seed takes the `{}` that a data folder may be delivered with for an empty history.
func (r *recovery) seed() (*segment, error) {
	start := make([]byte, pageSize)
	n, err := r.file.ReadAt(start, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read the history: %w", err)
	}
	start = start[:n]
	var fields map[string]json.RawMessage
	if json.Unmarshal(start, &fields) == nil && len(fields) == 0 && fields != nil {
		return createSegment(r.disk, r.path)
	}
	const name = `{"format":"sshchat-history/`
	if rest, ok := strings.CutPrefix(string(start), name); ok {
		version, _, _ := strings.Cut(rest, `"`)
		return nil, fmt.Errorf("%s: %w: it says version %q, this is 1; nothing was changed", r.path, ErrFormat, version)
	}
	return nil, fmt.Errorf("%s: %w; nothing was changed", r.path, ErrFormat)
}

// repair saves what follows the last good record aside and blanks it, unless it had been acknowledged.
func (r *recovery) repair(torn *damage, size int64) (newSize int64, err error) {
	if err := r.findOK(torn.off, size); err != nil {
		return 0, err
	}
	if torn.n <= r.ok || torn.first {
		return 0, fmt.Errorf("%s: %w: %w; records up to %d were stored for good; nothing was changed", r.path, ErrDamaged, torn, max(r.ok, torn.n))
	}
	rest := make([]byte, max(0, size-torn.off))
	if _, err := r.file.ReadAt(rest, torn.off); err != nil && !errors.Is(err, io.EOF) {
		return 0, fmt.Errorf("read the torn tail: %w", err)
	}
	rest = bytes.TrimRight(bytes.TrimSuffix(rest, []byte(segmentOutro)), " ")
	aside, err := r.save(torn.n, rest)
	if err != nil {
		return 0, fmt.Errorf("save the torn tail: %w", err)
	}
	newSize = max(size, torn.off+int64(len(segmentOutro)))
	blank := append(blanks(newSize-torn.off-int64(len(segmentOutro))), segmentOutro...)
	if _, err := r.file.WriteAt(blank, torn.off); err != nil {
		return 0, fmt.Errorf("blank the torn tail: %w", err)
	}
	if err := r.file.Sync(); err != nil {
		return 0, fmt.Errorf("blank the torn tail: %w", err)
	}
	r.log.Warn("history: repaired a torn tail: what the last crash interrupted was never shown to anyone",
		"record", torn.n, "byte", torn.off, "why", torn.why, "saved", aside)
	return newSize, nil
}

// findOK looks through what follows the damage for records that are whole and tell what was durable.
func (r *recovery) findOK(off, size int64) error {
	page := make([]byte, pageSize)
	for at := off - off%pageSize; at < size; at += pageSize {
		n, err := r.file.ReadAt(page, at)
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("read the history: %w", err)
		}
		for line := range bytes.Lines(page[:n]) {
			j, err := parseRecordLine(bytes.TrimRight(bytes.TrimLeft(line, " ,"), "\n"))
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
