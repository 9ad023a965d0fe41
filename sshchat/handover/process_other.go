//go:build !unix

package handover

import (
	"errors"
	"os"
)

func closeOnExec(int) {}

// Exec says that it cannot be done.
func Exec(string, []string, []string, map[string]*os.File) error {
	return errors.New("this system cannot execute a program in place of another")
}
