package handover

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/coreos/go-systemd/v22/daemon"
)

// What follows speaks sd_notify(3), with systemd or what is like it. Without it, NOTIFY_SOCKET is not set, and nothing happens.

// InSystemd reports whether a service manager may keep files while the server is restarted. It gives them back if it starts
// the server again, and closes them if not. Since systemd 254, FDSTORE says how many it keeps.
func InSystemd() bool {
	if os.Getenv("NOTIFY_SOCKET") == "" {
		return false
	}
	n, err := strconv.Atoi(os.Getenv("FDSTORE"))
	return err != nil || n >= 2
}

// Ready tells the service manager that the server listens.
func Ready() error { return notify(daemon.SdNotifyReady) }

// Stopping tells it that the server stops.
func Stopping() error { return notify(daemon.SdNotifyStopping) }

func notify(state string) error {
	if _, err := daemon.SdNotify(false, state); err != nil {
		return fmt.Errorf("notify the service manager: %w", err)
	}
	return nil
}

// barrierTime is how long the service manager has to take what it is given.
const barrierTime = 3 * time.Second

// Give has the service manager keep what is handed over. It returns when that has it: it takes nothing from a process that has ended.
func Give(s *Sealed) error {
	// A pipe whose other end is closed looks to it like one that is of no use any more: FDPOLL=0 has it not look.
	return errors.Join(
		send("FDSTORE=1\nFDPOLL=0\nFDNAME="+MemoryFile, s.Memory),
		send("FDSTORE=1\nFDPOLL=0\nFDNAME="+KeyFile, s.Key),
		barrier())
}

// Given returns what the service manager has kept; nil: nothing. The variables by which it is found are taken out of the
// environment. The service manager keeps it until Forget, so that another start can have it if this one fails.
func Given() *Sealed {
	files := make(map[string]*os.File)
	for _, file := range activation.Files(true) {
		files[file.Name()] = file
	}
	return SealedOf(files)
}

// Forget has the service manager close what it has kept.
func Forget() error {
	return errors.Join(notify("FDSTOREREMOVE=1\nFDNAME="+MemoryFile), notify("FDSTOREREMOVE=1\nFDNAME="+KeyFile))
}

// SealedOf returns what is handed over among the files, and takes it out; nil: nothing.
func SealedOf(files map[string]*os.File) *Sealed {
	s := &Sealed{files[MemoryFile], files[KeyFile]}
	delete(files, MemoryFile)
	delete(files, KeyFile)
	if s.Memory == nil || s.Key == nil {
		s.Close()
		return nil
	}
	return s
}

// send sends a state with a file.
func send(state string, file *os.File) error {
	at := &net.UnixAddr{Name: os.Getenv("NOTIFY_SOCKET"), Net: "unixgram"}
	conn, err := net.DialUnix(at.Net, nil, at)
	if err != nil {
		return fmt.Errorf("notify the service manager: %w", err)
	}
	defer conn.Close()
	err = control(file, func(fd int) error {
		return control(conn, func(socket int) error { return sendFile(socket, state, fd) })
	})
	if err != nil {
		return fmt.Errorf("notify the service manager: %w", err)
	}
	return nil
}

// barrier waits until the service manager has taken all that was sent before (sd_notify_barrier(3)): it closes its end of a pipe
// then.
func barrier() error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	err = errors.Join(send("BARRIER=1", w), w.Close(), r.SetReadDeadline(time.Now().Add(barrierTime)))
	if err != nil {
		return err
	}
	if _, err := r.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
		return errors.New("the service manager does not answer")
	}
	return nil
}
