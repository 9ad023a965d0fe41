// Package durable keeps what was written: the file system as a seam for tests, and files that are replaced as a whole,
// such that a crash or a power cut leaves the old content or the new. It knows nothing of what the files hold.
package durable

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// FS is what writers that promise something ask of a file system: the seam for tests that lose what was not synced
// (package powercut). Names are paths as the operating system has them.
type FS interface {
	// Open opens a file for reading and writing. If there is none the error wraps fs.ErrNotExist.
	Open(name string) (File, error)
	// Create makes a file for its owner alone; one that is there is an error that wraps fs.ErrExist.
	Create(name string) (File, error)
	// MakeDir makes a folder that only its owner can use; if the name exists the error wraps fs.ErrExist.
	MakeDir(name string) error
	Rename(from, to string) error
	// Link gives what is at from a second name, which must be free. Where there is nothing the error wraps fs.ErrNotExist.
	Link(from, to string) error
	Remove(name string) error
	// Names returns the names of what is in a folder, without the folder's. Folders in it are among them; to open one is an
	// error.
	Names(dir string) ([]string, error)
	// SyncDir returns once the folder's names survive a power cut.
	SyncDir(name string) error
}

// File is a file that is open for reading and writing.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Size() (int64, error)
	Stat() (fs.FileInfo, error)
	Truncate(size int64) error
	// Reserve checks at once whether there is room for that many bytes, and reserves it if the file system can.
	Reserve(size int64) error
	// Sync returns once what was written, and the file's size, survive a power cut.
	Sync() error
}

// ReadFile reads the whole file at path.
func ReadFile(d FS, path string) ([]byte, error) {
	f, err := d.Open(path)
	if err != nil {
		return nil, err
	}
	b, err := ReadAll(f)
	return b, errors.Join(err, f.Close())
}

// ReadAll reads the whole of f, whatever was read of it before.
func ReadAll(f File) ([]byte, error) {
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.NewSectionReader(f, 0, size))
}

// OS is the machine's own file system.
type OS struct{}

func (OS) Open(name string) (File, error) {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return nil, err // not in the interface: a nil *os.File would not be nil there
	}
	return osFile{f}, nil
}

func (OS) Create(name string) (File, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

func (OS) MakeDir(name string) error    { return os.Mkdir(name, 0o700) }
func (OS) Rename(from, to string) error { return os.Rename(from, to) }
func (OS) Link(from, to string) error   { return os.Link(from, to) }
func (OS) Remove(name string) error     { return os.Remove(name) }

func (OS) Names(dir string) ([]string, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.Readdirnames(-1)
}

func (OS) SyncDir(name string) error {
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
