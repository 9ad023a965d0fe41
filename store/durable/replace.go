package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
)

// Beside a file that is replaced as a whole stand the file being written and the one before. Both names are fixed:
// each path has one writer, and what a crash leaves is overwritten by the next write.
const (
	stagedSuffix = ".tmp"
	BackupSuffix = ".bak" // the previous content
)

// Replace gives the file at path new content, mode 0600, such that a crash at any moment leaves the whole old
// content or the whole new. What was there before is kept as path.bak. It returns the new file's identity.
//
// After an error of the last step, the folder's fsync, the new content is there, but a power cut may take it back.
func Replace(path string, data []byte) (fs.FileInfo, error) { return ReplaceOn(OS{}, path, data) }

// ReplaceOn is Replace on a file system of the caller's.
func ReplaceOn(d FS, path string, data []byte) (fs.FileInfo, error) {
	s, err := Stage(d, path, data, len(data))
	if err != nil {
		return nil, err
	}
	return s.Info, s.Publish(true)
}

// Swap gives the file at path new content, mode 0600, for content that is rewritten often and need not be durable: a
// crash leaves all of the old content or all of the new. Unlike Replace it keeps no backup and does not sync the folder,
// so a power cut may undo the last write.
func Swap(d FS, path string, data []byte) error {
	if _, err := Stage(d, path, data, len(data)); err != nil {
		return err
	}
	return d.Rename(path+stagedSuffix, path)
}

// Staged is new content of a file, which is durable beside it.
type Staged struct {
	Info fs.FileInfo // the new file's identity
	disk FS
	path string
}

// Stage writes data beside the file at path and makes it durable there. Until Publish nothing has changed. It syncs after
// each step bytes: otherwise small writes by others would wait for a large file.
func Stage(d FS, path string, data []byte, step int) (_ *Staged, err error) {
	staged := path + stagedSuffix
	if err := removeIfThere(d, staged); err != nil {
		return nil, err
	}
	f, err := d.Create(staged)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close(), d.Remove(staged))
		}
	}()
	for at := 0; at == 0 || at < len(data); at += max(step, 1) {
		if _, err := f.WriteAt(data[at:min(at+step, len(data))], int64(at)); err != nil {
			return nil, err
		}
		// Without it the rename could reach the disk before the content, and a power cut leave an empty file.
		if err := f.Sync(); err != nil {
			return nil, err
		}
	}
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	return &Staged{info, d, path}, f.Close()
}

// Publish replaces the file, which is kept as path.bak if requested.
//
// After an error of the last step, the folder's fsync, the new content is there, but a power cut may take it back.
func (s *Staged) Publish(backup bool) error {
	if backup {
		if err := keepBackup(s.disk, s.path); err != nil {
			return fmt.Errorf("keep the previous generation: %w", err)
		}
	}
	if err := s.disk.Rename(s.path+stagedSuffix, s.path); err != nil {
		return err
	}
	return s.disk.SyncDir(filepath.Dir(s.path))
}

// keepBackup makes path.bak a second name of what is at path, if anything is. The file is never without content
// on the way, and nothing is copied; the rename to come leaves the backup as the only name of the old generation.
func keepBackup(d FS, path string) error {
	linked := path + BackupSuffix + stagedSuffix
	if err := removeIfThere(d, linked); err != nil {
		return err
	}
	err := d.Link(path, linked)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	return d.Rename(linked, path+BackupSuffix)
}

func removeIfThere(d FS, path string) error {
	if err := d.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
