//go:build !unix

package handover

import (
	"errors"
	"os"
)

func closeOnExec(int) {}

func sendFile(int, string, int) error { return errors.New("this system cannot send open files") }

// Exec says that it cannot be done.
func Exec(string, []string, []string, map[string]*os.File) error {
	return errors.New("this system cannot execute a program in place of another")
}
