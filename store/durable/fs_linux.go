package durable

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// fdatasync leaves out what nobody needs to read the file again, its times: with the size unchanged,
// that is a third less to wait for.
func fdatasync(f *os.File) error {
	for {
		err := unix.Fdatasync(int(f.Fd()))
		if !errors.Is(err, unix.EINTR) {
			return os.NewSyscallError("fdatasync", err)
		}
	}
}

// fallocate fails on a full disk as writing would, without filling it first.
func fallocate(f *os.File, size int64) error {
	for {
		switch err := unix.Fallocate(int(f.Fd()), 0, 0, size); {
		case errors.Is(err, unix.EOPNOTSUPP):
			return nil
		case !errors.Is(err, unix.EINTR):
			return os.NewSyscallError("fallocate", err)
		}
	}
}
