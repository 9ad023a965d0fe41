package command

import (
	"fmt"
	"strings"

	"sshchat/sshchat/chat"
)

// ExitDone is the exit code of a command that did what it was asked. The others are the chat.Codes.
const ExitDone = 0

func refuse(code chat.Code, format string, args []any) error {
	return &chat.Refusal{Code: code, Text: fmt.Sprintf(format, args...)}
}

func failed(format string, args ...any) error   { return refuse(chat.Failed, format, args) }
func denied(format string, args ...any) error   { return refuse(chat.Denied, format, args) }
func notFound(format string, args ...any) error { return refuse(chat.NotFound, format, args) }

// usage refuses arguments, and shows how the command is used in the face it was called from.
func (c *Call) usage(format string, args ...any) error {
	said := fmt.Sprintf(format, args...)
	if strings.HasPrefix(said, c.Command.Name) {
		said = c.Face.Type(said)
	}
	return refuse(chat.Usage, "%s\nusage: %s", []any{said, c.Command.usage(c.Face)})
}

// ErrNobodyToAsk is returned by Session.Ask where there is no terminal.
var ErrNobodyToAsk = &chat.Refusal{Code: chat.Usage, Text: "this needs a terminal to ask on; add -t to ssh"}

// ErrInterrupted is the cause of the end of a command's context when the person at its terminal pressed Ctrl+C.
var ErrInterrupted = &chat.Refusal{Code: chat.Failed, Text: "interrupted"}

// ExitCode is the code an error ends with.
func ExitCode(err error) int {
	if err == nil {
		return ExitDone
	}
	if r, ok := chat.Refused(err); ok {
		return int(r.Code)
	}
	return int(chat.Failed)
}

// Text is what a person reads of an error. An error that is not about what they asked for is not shown to them:
// it goes to the log, and ok is false.
func Text(err error) (text string, ok bool) {
	if r, ok := chat.Refused(err); ok {
		return r.Text, true
	}
	return "something went wrong on the server; its log has the details", false
}
