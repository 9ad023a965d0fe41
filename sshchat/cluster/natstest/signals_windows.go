package natstest

import "syscall"

// Windows has no such signals: sending one fails.
const (
	freezeSignal   = syscall.Signal(-1)
	thawSignal     = syscall.Signal(-2)
	lameDuckSignal = syscall.Signal(-3)
)
