//go:build unix

package systemd

import "golang.org/x/sys/unix"

// sendFile sends a message with an open file over a connected socket.
func sendFile(socket int, message string, fd int) error {
	return unix.Sendmsg(socket, []byte(message), unix.UnixRights(fd), nil, 0)
}
