//go:build !linux

package natstest

import "syscall"

func endWithParent() *syscall.SysProcAttr { return nil }

func waitStopped(int) error { return nil }
