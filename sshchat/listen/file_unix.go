//go:build unix

package listen

import (
	"errors"
	"os"

	"sshchat/sshchat/systemd"

	"golang.org/x/sys/unix"
)

// checkListens refuses a file that connections cannot be accepted from.
func checkListens(file *os.File) error {
	return systemd.Descriptor(file, func(fd int) error {
		if kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE); err != nil || kind != unix.SOCK_STREAM {
			return errors.New("it is not a stream socket; write ListenStream= in the socket unit")
		}
		if listens, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN); err != nil || listens == 0 {
			return errors.New("it does not listen; write Accept=no in the socket unit")
		}
		return nil
	})
}
