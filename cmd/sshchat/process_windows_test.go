package main

import (
	"errors"
	"syscall"
)

// Windows has no such groups, sessions and signals: tests that need them fail there.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{} }

func signalGroup(int, syscall.Signal) error { return errors.ErrUnsupported }

func ownSession() *syscall.SysProcAttr { return &syscall.SysProcAttr{} }

const freezeSignal, thawSignal = syscall.Signal(-1), syscall.Signal(-2)
