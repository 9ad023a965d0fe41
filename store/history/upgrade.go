package history

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"path/filepath"

	"sshchat/store/durable"
)

// Format returns the format of the history in dir, of the file that is written to: 1 or 2; 0 if there is no file, or one
// without a record that is of no format yet. Errors: ErrFormat, and those of the disk.
func Format(d durable.FS, dir string) (int, error) {
	f, err := d.Open(filepath.Join(dir, liveName))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("open the history: %w", err)
	}
	defer f.Close()
	s, err := scanSegment(io.NewSectionReader(f, 0, 1<<62))
	if errors.Is(err, ErrFormat) && isSeed(f) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("%s: %w", liveName, err)
	}
	return s.format, nil
}

// Check reads the history in dir as Open does, in whichever format it is, and returns what Open would refuse. It changes
// nothing.
func Check(d durable.FS, dir string) error {
	h := &History{disk: d, path: filepath.Join(dir, liveName), index: make(index)}
	names, err := d.Names(dir)
	if err != nil {
		return fmt.Errorf("open the history: %w", err)
	}
	numbers := archiveNumbers(names)
	check := func(last uint64) error { return checkArchives(h, dir, numbers, last) }
	f, err := d.Open(h.path)
	if errors.Is(err, fs.ErrNotExist) {
		return check(0)
	}
	if err != nil {
		return fmt.Errorf("open the history: %w", err)
	}
	defer f.Close()
	var from *predecessor
	r := &recovery{disk: d, path: h.path, file: f, log: slog.New(slog.DiscardHandler), live: make(chain), dry: true, check: check}
	if _, err := r.segment(func(r *record) {
		if r.predecessor != nil {
			from = r.predecessor
			h.archived = from.archive
		}
	}); err != nil {
		return err
	}
	_, err = openArchives(d, dir, from)
	return err
}

// Upgrade gives the history in dir the format that is written, if it has an older one: the file is copied with another
// first line, and the copy takes its name. A crash leaves the one or the other. Archives stay as they are. It must not be
// open. Errors: ErrFormat, and those of the disk; then the file is as it was.
func Upgrade(d durable.FS, dir string) error {
	format, err := Format(d, dir)
	if err != nil || format == 0 || format == newest {
		return err
	}
	path := filepath.Join(dir, liveName)
	f, err := d.Open(path)
	if err != nil {
		return fmt.Errorf("upgrade the history: %w", err)
	}
	name := path + ".new"
	err = errors.Join(copyUpgraded(d, f, name), f.Close())
	if err == nil {
		err = d.Rename(name, path)
	}
	if err == nil {
		err = d.SyncDir(dir)
	}
	if err != nil {
		return fmt.Errorf("upgrade the history: %w", err)
	}
	return nil
}

// copyUpgraded makes a durable copy of f under that name, with the first line of the format that is written, which is as
// long.
func copyUpgraded(d durable.FS, f durable.File, name string) (err error) {
	if err := d.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	size, err := f.Size()
	if err != nil {
		return err
	}
	out, err := d.Create(name)
	if err != nil {
		return err
	}
	defer func() {
		if err = errors.Join(err, out.Close()); err != nil {
			err = errors.Join(err, d.Remove(name))
		}
	}()
	if err := out.Reserve(size); err != nil {
		return err
	}
	from := int64(len(segmentIntro))
	if _, err := out.WriteAt([]byte(segmentIntro), 0); err != nil {
		return err
	}
	if _, err := io.Copy(io.NewOffsetWriter(out, from), io.NewSectionReader(f, from, size-from)); err != nil {
		return err
	}
	return out.Sync()
}
