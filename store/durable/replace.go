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
	info, err := stage(d, path, data)
	if err != nil {
		return nil, err
	}
	if err := publish(d, path); err != nil {
		return nil, err
	}
	return info, nil
}

// Swap gives the file at path new content, mode 0600, for content that is rewritten all the time and promises nothing: a
// crash leaves the whole old content or the whole new. Unlike Replace it keeps no backup and does not sync the folder, so
// that a power cut may take back what was written last.
func Swap(d FS, path string, data []byte) error {
	if _, err := stage(d, path, data); err != nil {
		return err
	}
	return d.Rename(path+stagedSuffix, path)
}

// stage writes data beside path and makes it durable there. Until publish nothing has changed.
func stage(d FS, path string, data []byte) (_ fs.FileInfo, err error) {
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
	if _, err := f.WriteAt(data, 0); err != nil {
		return nil, err
	}
	// Without it the rename could reach the disk before the content, and a power cut leave an empty file.
	if err := f.Sync(); err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	return info, f.Close()
}

// publish puts what stage wrote in the place of path.
func publish(d FS, path string) error {
	if err := keepBackup(d, path); err != nil {
		return fmt.Errorf("keep the previous generation: %w", err)
	}
	if err := d.Rename(path+stagedSuffix, path); err != nil {
		return err
	}
	return d.SyncDir(filepath.Dir(path))
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
