package natstest

import (
	"syscall"

	"golang.org/x/sys/unix"
)

func endWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }

// waitStopped waits until all threads of a child have stopped, which take a moment after the signal.
func waitStopped(pid int) error {
	for {
		if err := unix.Waitid(unix.P_PID, pid, nil, unix.WSTOPPED, nil); err != unix.EINTR {
			return err
		}
	}
}
