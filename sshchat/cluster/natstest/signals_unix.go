//go:build !windows

package natstest

import "syscall"

const (
	freezeSignal   = syscall.SIGSTOP
	thawSignal     = syscall.SIGCONT
	lameDuckSignal = syscall.SIGUSR2
)
