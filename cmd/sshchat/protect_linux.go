package main

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// protect keeps the process's memory from other programs of its user, and from core dumps: it holds keys of what is being
// said, and passwords for a moment (prctl(2), PR_SET_DUMPABLE).
func protect() error {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("protect the server's memory: %w", err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("disable core dumps: %w", err)
	}
	return nil
}

// writable returns why files of a folder cannot be written; nil if they can.
func writable(folder string) error { return unix.Access(folder, unix.W_OK) }
