package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// disk is what the history, the audit log, and files that are replaced as a whole ask of a file system: the seam for
// tests that lose what was not synced.
type disk interface {
	// Open opens a file for reading and writing. Where there is none the error wraps fs.ErrNotExist.
	Open(name string) (diskFile, error)
	// Create makes a file for its owner alone; one that is there is an error that wraps fs.ErrExist.
	Create(name string) (diskFile, error)
	Rename(from, to string) error
	// Link gives what is at from a second name, which must be free. Where there is nothing the error wraps fs.ErrNotExist.
	Link(from, to string) error
	Remove(name string) error
	// SyncDir returns once the folder's names survive a power cut.
	SyncDir(name string) error
}

type diskFile interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Size() (int64, error)
	Stat() (fs.FileInfo, error)
	Truncate(size int64) error
	// Reserve sees at once whether there is room for so many bytes, and keeps it, where the file system can.
	Reserve(size int64) error
	// Sync returns once what was written, and the file's size, survive a power cut.
	Sync() error
}

// readFile reads the whole file at path.
func readFile(d disk, path string) ([]byte, error) {
	f, err := d.Open(path)
	if err != nil {
		return nil, err
	}
	b, err := readAll(f)
	return b, errors.Join(err, f.Close())
}

func readAll(f diskFile) ([]byte, error) {
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.NewSectionReader(f, 0, size))
}

// osDisk is the machine's own.
type osDisk struct{}

func (osDisk) Open(name string) (diskFile, error) {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return nil, err // not in the interface: a nil *os.File would not be nil there
	}
	return osFile{f}, nil
}

func (osDisk) Create(name string) (diskFile, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

func (osDisk) Rename(from, to string) error { return os.Rename(from, to) }
func (osDisk) Link(from, to string) error   { return os.Link(from, to) }
func (osDisk) Remove(name string) error     { return os.Remove(name) }

func (osDisk) SyncDir(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

type osFile struct{ *os.File }

func (f osFile) Sync() error { return fdatasync(f.File) }

func (f osFile) Reserve(size int64) error { return fallocate(f.File, size) }

func (f osFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	if !info.Mode().IsRegular() {
		return 0, fmt.Errorf("%s: %w", f.Name(), fs.ErrInvalid)
	}
	return info.Size(), nil
}
