//go:build unix

package handover

import (
	"fmt"
	"os"

	"sshchat/sshchat/systemd"

	"golang.org/x/sys/unix"
)

func closeOnExec(fd int) { unix.CloseOnExec(fd) }

// Exec executes a program in place of this one, in the same process. It finds the files by Passed. It returns only if that
// cannot be done.
func Exec(path string, args, environ []string, files map[string]*os.File) error {
	numbers := make(map[string]int, len(files))
	for name, file := range files {
		err := systemd.Descriptor(file, func(fd int) error {
			numbers[name] = fd
			_, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, 0)
			return err
		})
		if err != nil {
			return fmt.Errorf("pass on %s: %w", name, err)
		}
	}
	return unix.Exec(path, args, append(environ, passing(numbers)))
}
