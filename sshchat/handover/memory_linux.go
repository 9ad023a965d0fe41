package handover

import (
	"errors"
	"fmt"
	"os"
	"time"

	"sshchat/sshchat/systemd"

	"golang.org/x/sys/unix"
)

// Clock is the time since the machine was started, including the time that it slept. No process can set it.
func Clock() time.Duration {
	var at unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &at); err != nil {
		panic("internal error: " + err.Error()) // it is there since Linux 2.6.39
	}
	return time.Duration(at.Nano())
}

// newMemory returns an empty memory file, which is not passed on to other programs.
func newMemory() (*os.File, error) {
	const name = "sshchat-rooms" // in /proc/PID/fd
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING|unix.MFD_NOEXEC_SEAL)
	if errors.Is(err, unix.EINVAL) { // before Linux 6.3
		fd, err = unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	}
	switch {
	case errors.Is(err, unix.ENOSYS):
		return nil, ErrUnsupported
	case err != nil:
		return nil, fmt.Errorf("make a memory file: %w", err)
	}
	return os.NewFile(uintptr(fd), name), nil
}

// written are the seals of a complete memory file: no process that has it open can write to it. It may still shrink: that is
// how it is wiped while systemd has it open too, and a file that was cut short does not open.
const written = unix.F_SEAL_WRITE | unix.F_SEAL_GROW | unix.F_SEAL_SEAL

func protect(memory *os.File) error {
	return systemd.Descriptor(memory, func(fd int) error {
		_, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, written)
		return err
	})
}

// check refuses a file that is not a memory file, can be written to, or is larger than any that is made.
func check(memory *os.File) error {
	return systemd.Descriptor(memory, func(fd int) error {
		seals, err := unix.FcntlInt(uintptr(fd), unix.F_GET_SEALS, 0)
		if err != nil || seals&written != written {
			return ErrUnprotected
		}
		var is unix.Stat_t
		if err := unix.Fstat(fd, &is); err != nil || is.Size > MaxBytes+MaxBytes/100 {
			return ErrForeign
		}
		return nil
	})
}

// wipe gives the memory back, also if others have the file open. The key is gone before.
func wipe(memory *os.File) { memory.Truncate(0) } // fails only for what check refuses

// keep returns the read end of a pipe that holds the key. Nothing more can be written to it.
func keep(key []byte) (*os.File, error) {
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return nil, fmt.Errorf("make a pipe: %w", err)
	}
	_, err := unix.Write(ends[1], key)
	if err = errors.Join(err, unix.Close(ends[1])); err != nil {
		return nil, errors.Join(fmt.Errorf("write the key: %w", err), unix.Close(ends[0]))
	}
	return os.NewFile(uintptr(ends[0]), "sshchat-key"), nil
}

// take reads the key: whoever has the pipe open as well finds it empty then. It does not wait for anything.
func take(pipe *os.File, key []byte) error {
	return systemd.Descriptor(pipe, func(fd int) error {
		var is unix.Stat_t
		if err := unix.Fstat(fd, &is); err != nil || is.Mode&unix.S_IFMT != unix.S_IFIFO {
			return ErrForeign
		}
		if err := unix.SetNonblock(fd, true); err != nil {
			return err
		}
		if n, err := unix.Read(fd, key); err != nil || n != len(key) {
			return ErrTaken
		}
		return nil
	})
}
