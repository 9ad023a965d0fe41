package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/gofrs/flock"
)

// ErrFolderInUse is wrapped when another process holds the data folder.
var ErrFolderInUse = errors.New("another sshchat is using this folder")

// Folder is the data folder, held by this process alone until Release.
type Folder struct {
	Path string
	lock *flock.Flock
}

// HoldFolder creates the folder if it is missing, ensures that only its owner can read it, and locks it. Everything else
// in this package expects the folder to be locked, and does not check.
//
// The lock is the kernel's (flock on the file "lock"): it ends with the process, so a crash leaves none behind.
// Errors: ErrFolderInUse, with the other's process id, or what the file system says.
func HoldFolder(dir string) (*Folder, error) {
	if err := closeFolder(dir); err != nil {
		return nil, fmt.Errorf("data folder %s: %w", dir, err)
	}
	path := filepath.Join(dir, "lock")
	lock := flock.New(path, flock.SetPermissions(0o600))
	held, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("lock data folder %s: %w", dir, err)
	}
	if !held {
		return nil, fmt.Errorf("data folder %s: %w%s", dir, ErrFolderInUse, holder(path))
	}
	// It is for the error of a second server. The lock does not depend on it.
	if err := os.WriteFile(path, []byte(strconv.Itoa(os.Getpid())+"\n"), 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("lock data folder %s: %w", dir, err), lock.Unlock())
	}
	return &Folder{Path: dir, lock: lock}, nil
}

// Release lets another process have the folder.
func (f *Folder) Release() error {
	if err := f.lock.Unlock(); err != nil {
		return fmt.Errorf("release data folder %s: %w", f.Path, err)
	}
	return nil
}

// closeFolder makes the folder 0700. A checkout leaves it readable by all, and then it is closed; but a folder with
// strangers' files in it is not ours to close (think of --data /etc), so that is refused.
func closeFolder(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return errors.New("it is not a folder")
	}
	if info.Mode().Perm()&0o077 == 0 {
		return nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !ours(e.Name()) {
			return fmt.Errorf("other users can read it, and it contains %q, which does not belong to sshchat: "+
				"choose another folder, or run chmod 700 on it", e.Name())
		}
	}
	return os.Chmod(dir, 0o700)
}

// ours reports whether a file of that name belongs in a data folder.
func ours(name string) bool {
	switch name {
	case "README.md", ".gitignore", "lock", "motd", "clock", "clock.tmp":
		return true
	}
	for _, prefix := range []string{"users.json", "changes.jsonl", "state.json", "message_history.", "ssh_host_", "audit.", backupPrefix, "cluster.", NodeKeyFile} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// holder says which process wrote the lock file, if that is known.
func holder(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return ""
	}
	return fmt.Sprintf(" (process %d)", pid)
}
