//go:build unix

package owner

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Of is the user and group that a file belongs to, as far as the system knows such.
func Of(info fs.FileInfo) (uid, gid int, known bool) {
	s, known := info.Sys().(*syscall.Stat_t)
	if !known {
		return 0, 0, false
	}
	return int(s.Uid), int(s.Gid), true
}

// Become switches a process of root to the user who owns the folder, and returns the path by which that user can reach the folder:
// systemd keeps the folders of its services below one that is closed to their users. There is no way
// back. Nothing is done if the folder is this user's. Errors: ErrOther, or the system's.
func Become(dir string) (reached string, err error) {
	info, err := os.Stat(dir)
	if err != nil {
		return "", err
	}
	uid, gid, known := Of(info)
	switch me := os.Geteuid(); {
	case !known || uid == me:
		return dir, nil
	case me != 0:
		return "", fmt.Errorf("%w: %s belongs to %s; run the command as that user, or as root", ErrOther, dir, Name(uid))
	}
	path, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if err := os.Chdir(dir); err != nil {
		return "", err
	}
	for _, step := range []func() error{
		func() error { return syscall.Setgroups([]int{gid}) }, func() error { return syscall.Setgid(gid) }, func() error { return syscall.Setuid(uid) },
	} {
		if err := step(); err != nil {
			return "", fmt.Errorf("become %s, to whom %s belongs: %w", Name(uid), dir, err)
		}
	}
	if there, err := os.Stat(path); err == nil && os.SameFile(there, info) { // it is in what the user is shown
		return path, nil
	}
	return ".", nil
}
