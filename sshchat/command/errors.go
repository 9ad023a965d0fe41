package command

import (
	"errors"
	"fmt"
)

// Exit codes, the same for every command.
const (
	ExitDone     = 0
	ExitFailed   = 1
	ExitUsage    = 2
	ExitDenied   = 3
	ExitNotFound = 4
)

// Error is a refusal: what a person reads, and the code that a script switches on.
type Error struct {
	Code int
	Text string
}

func (e *Error) Error() string { return e.Text }

func failed(format string, args ...any) error {
	return &Error{ExitFailed, fmt.Sprintf(format, args...)}
}

func denied(format string, args ...any) error {
	return &Error{ExitDenied, fmt.Sprintf(format, args...)}
}

func notFound(format string, args ...any) error {
	return &Error{ExitNotFound, fmt.Sprintf(format, args...)}
}

// usage refuses arguments, and shows how the command is used in the face it was called from.
func (c *Call) usage(format string, args ...any) error {
	return &Error{ExitUsage, fmt.Sprintf(format, args...) + "\nusage: " + c.Command.usage(c.Face)}
}

// ErrNobodyToAsk is returned by Session.Ask where there is no terminal.
var ErrNobodyToAsk = errors.New("this needs a terminal to ask on; add -t to ssh")

// ExitCode is the code an error ends with.
func ExitCode(err error) int {
	var e *Error
	switch {
	case err == nil:
		return ExitDone
	case errors.As(err, &e):
		return e.Code
	case errors.Is(err, ErrNobodyToAsk):
		return ExitUsage
	}
	return ExitFailed
}

// Text is what a person is told of an error. An error that was not written for people is not shown to them:
// it goes to the log, and ok is false.
func Text(err error) (text string, ok bool) {
	var e *Error
	switch {
	case errors.As(err, &e):
		return e.Text, true
	case errors.Is(err, ErrNobodyToAsk):
		return err.Error(), true
	}
	return "something went wrong on the server; its log has the details", false
}
