package history

import (
	"errors"
	"fmt"
	"io/fs"
)

// Report tells of a history that was followed from its first record to its last.
type Report struct {
	Files   []string // names, the oldest first
	Records uint64   // lines of records up to here, those in archives deleted by now among them
	First   uint64   // the first line that is there
	Rooms   []Head   // how far each room goes, by name
}

// Verify follows the history in dir through all its files: each record to be as it was written and to follow from those
// before it, each archive to have the SHA-256 that the next file tells, and each of the heads to be met. It needs no
// keys, changes nothing, and may run while a server writes there. It has two files open at most. Errors: ErrDamaged,
// ErrFormat, ErrRolledBack and those of the disk.
func Verify(dir string, heads []Head) (report Report, err error) {
	files, err := FilesIn(dir)
	if err != nil {
		return report, err
	}
	defer func() {
		for _, f := range files {
			err = errors.Join(err, f.Close())
		}
	}()
	t := newVerifier(heads...)
	for _, f := range files {
		err := t.file(f, func(*record) error { return nil })
		if errors.Is(err, fs.ErrNotExist) { // an old one was deleted meanwhile, and with it all that are older
			if err = olderThere(dir, parseArchiveName(f.Name)); err == nil {
				t, report.Files = newVerifier(heads...), nil
				continue
			}
		}
		if report.Files = append(report.Files, f.Name); err != nil {
			return report, fmt.Errorf("%s: %w", f.Name, err)
		}
	}
	report.Records, report.First = t.last, t.from
	for room, l := range t.rooms {
		report.Rooms = append(report.Rooms, l.head(room))
	}
	sortHeads(report.Rooms)
	return report, t.end()
}
