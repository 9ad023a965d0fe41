// Package systemd talks to the service manager that started the server, such as systemd: it reports what the server is doing
// (sd_notify(3)), and takes the open files that are passed to the server (sd_listen_fds(3)) or kept for it. Without a service
// manager the variables NOTIFY_SOCKET and LISTEN_FDS are not set, and nothing happens.
package systemd

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/coreos/go-systemd/v22/daemon"
)

// Present reports whether a service manager listens to what the functions below say.
func Present() bool { return os.Getenv("NOTIFY_SOCKET") != "" }

// KeepsFiles reports whether the service manager may keep files while the server is restarted. It passes them back if it
// starts the server again, and closes them if not. Since systemd 254, FDSTORE says how many it keeps.
func KeepsFiles() bool {
	if !Present() {
		return false
	}
	n, err := strconv.Atoi(os.Getenv("FDSTORE"))
	return err != nil || n >= 2
}

// Ready reports that the server listens, or that it has read its settings again.
func Ready() error { return Notify(daemon.SdNotifyReady) }

// Stopping reports that the server stops.
func Stopping() error { return Notify(daemon.SdNotifyStopping) }

// Reloading reports that the server reads its settings again, or is about to be executed anew. Ready reports the end of it.
func Reloading() error {
	return Notify(daemon.SdNotifyReloading + "\n" + daemon.SdNotifyMonotonicUsec())
}

// Notify sends lines of sd_notify(3).
func Notify(state string) error {
	if _, err := daemon.SdNotify(false, state); err != nil {
		return fmt.Errorf("notify the service manager: %w", err)
	}
	return nil
}

// Files returns the open files that the service manager has passed, in its order, each with the name that it has there. They
// are closed when another program is executed, and the variables by which they are found are removed from the environment.
func Files() []*os.File { return activation.Files(true) }

// SendFile sends lines of sd_notify(3) with an open file.
func SendFile(state string, file *os.File) error {
	at := &net.UnixAddr{Name: os.Getenv("NOTIFY_SOCKET"), Net: "unixgram"}
	conn, err := net.DialUnix(at.Net, nil, at)
	if err != nil {
		return fmt.Errorf("notify the service manager: %w", err)
	}
	defer conn.Close()
	err = Descriptor(file, func(fd int) error {
		return Descriptor(conn, func(socket int) error { return sendFile(socket, state, fd) })
	})
	if err != nil {
		return fmt.Errorf("notify the service manager: %w", err)
	}
	return nil
}

// barrierTime is how long the service manager has to take what it is sent.
const barrierTime = 3 * time.Second

// Barrier waits until the service manager has taken all that was sent before (sd_notify_barrier(3)): it closes its end of
// a pipe then. It takes nothing from a process that has ended.
func Barrier() error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	err = errors.Join(SendFile("BARRIER=1", w), w.Close(), r.SetReadDeadline(time.Now().Add(barrierTime)))
	if err != nil {
		return err
	}
	if _, err := r.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
		return errors.New("the service manager does not answer")
	}
	return nil
}

// Descriptor calls f with the descriptor of a file or a socket, which is open as long as f runs.
func Descriptor(file syscall.Conn, f func(fd int) error) error {
	raw, err := file.SyscallConn()
	if err != nil {
		return err
	}
	if failed := raw.Control(func(fd uintptr) { err = f(int(fd)) }); failed != nil {
		return failed
	}
	return err
}
