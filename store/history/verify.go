package history

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"sshchat/sshchat/chat"
)

// verifyAgain is how often a file is read anew that seems damaged: a server may be writing to it, and a reader see one
// page of what was written and not the other.
const verifyAgain = 5

// Report tells of a history that was followed from its first record to its last.
type Report struct {
	Files   []string // names, the oldest first
	Records uint64   // lines of records up to here, those in archives deleted by now among them
	First   uint64   // the first line that is there
	Rooms   []Head   // how far each room goes, by name
}

// OpenFiles opens the history's files in dir, the oldest first. Which they are message_history.json tells, so they fit
// together also while a server rotates it or deletes old ones. The caller closes them, also after an error.
func OpenFiles(dir string) (files []*os.File, err error) {
	live, err := os.Open(filepath.Join(dir, "message_history.json"))
	if err != nil {
		return nil, fmt.Errorf("open the history: %w", err)
	}
	files = []*os.File{live}
	for f := live; ; f = files[0] {
		number, err := before(f)
		if err != nil {
			return files, fmt.Errorf("%s: %w: how it begins: %w", filepath.Base(f.Name()), ErrDamaged, err)
		}
		if number == 0 {
			return files, nil
		}
		older, err := os.Open(filepath.Join(dir, archiveName(number)))
		if errors.Is(err, fs.ErrNotExist) {
			return files, noneOlder(dir, number)
		}
		if err != nil {
			return files, fmt.Errorf("open the history: %w", err)
		}
		files = append([]*os.File{older}, files...)
	}
}

// before is the number of the archive that f goes on from; 0: none. Files that are no history have none.
func before(f *os.File) (int, error) {
	s, err := scanSegment(io.NewSectionReader(f, 0, 1<<62))
	if errors.Is(err, errNotSegment) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	r, err := s.next()
	if errors.Is(err, io.EOF) {
		return 0, nil
	}
	if err != nil || r.predecessor == nil {
		return 0, err
	}
	return r.predecessor.archive, nil
}

// noneOlder sees that with the archive all older ones are gone: what deletes archives takes the oldest first.
func noneOlder(dir string, number int) error {
	for n := number - 1; n > 0; n-- {
		if _, err := os.Lstat(filepath.Join(dir, archiveName(n))); err == nil {
			return fmt.Errorf("%w: %s is missing, and the older %s is there", ErrDamaged, archiveName(number), archiveName(n))
		}
	}
	return nil
}

// Verify follows the history in dir through all its files: each record to be as it was written and to follow from those
// before it, each archive to have the SHA-256 that the next file tells, and each of the heads to be met. It needs no
// keys, changes nothing, and may run while a server writes there. Errors: ErrDamaged, ErrFormat, ErrRolledBack and
// those of the disk.
func Verify(dir string, heads []Head) (report Report, err error) {
	for try := 0; ; try++ {
		report, err = verify(dir, heads)
		if err == nil || try == verifyAgain || !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrRolledBack) {
			return report, err
		}
	}
}

func verify(dir string, heads []Head) (report Report, err error) {
	files, err := OpenFiles(dir)
	defer func() {
		for _, f := range files {
			err = errors.Join(err, f.Close())
		}
	}()
	if err != nil {
		return report, err
	}
	t := newVerifier(heads...)
	for _, f := range files {
		name := filepath.Base(f.Name())
		report.Files = append(report.Files, name)
		err := t.file(f, func(*record) error { return nil })
		if errors.Is(err, ErrFormat) && len(files) == 1 && isSeed(f) {
			err = nil
		}
		if err != nil {
			return report, fmt.Errorf("%s: %w", name, err)
		}
	}
	report.Records, report.First = t.last, t.from
	for room, l := range t.rooms {
		report.Rooms = append(report.Rooms, l.head(room))
	}
	slices.SortFunc(report.Rooms, func(a, b Head) int { return chat.RoomName.Compare(a.Room, b.Room) })
	return report, t.end()
}

// isSeed reports whether the file is the `{}` that a data folder may be delivered with.
func isSeed(f *os.File) bool {
	b, err := io.ReadAll(io.NewSectionReader(f, 0, pageSize))
	var fields map[string]json.RawMessage
	return err == nil && json.Unmarshal(b, &fields) == nil && fields != nil && len(fields) == 0
}
