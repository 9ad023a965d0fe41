package sshchat

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/command"
	"sshchat/sshchat/text"
)

// exec runs the one command of "ssh host COMMAND" and returns its exit code.
// What it prints goes out as it comes: data on standard output, words on the error stream.
func (s *session) exec(ctx context.Context, line string) int {
	call, err := s.call(command.Exec)
	if err != nil {
		return s.refuse(err)
	}
	if s.ui.Kind == "" {
		call.Out, call.Err, call.In = s.guard, text.NewWriter(s.guard.Stderr()), s.stdin(ctx)
	} else {
		// A terminal in raw mode: lines need their return, and its keys are not the command's input.
		call.Out, call.Err, call.In = returns{s.guard}, text.NewWriter(returns{s.guard.Stderr()}), noStdin{}
		var cancel context.CancelCauseFunc
		ctx, cancel = context.WithCancelCause(ctx)
		defer cancel(nil)
		go s.readInput(ctx, &keys{s.throttled(ctx, s.guard), &s.asking, func() { cancel(command.ErrInterrupted) }})
	}
	_, _, call.Terminal = s.guard.size()
	s.tellAbsence(call.Err)
	if err = text.Check(line); err != nil {
		err = &chat.Refusal{Code: chat.Usage, Text: err.Error()}
	} else {
		err = s.server.services.Commands.Run(ctx, line, call)
	}
	if err == nil {
		return command.ExitDone
	}
	if why := context.Cause(ctx); why != nil && errors.Is(err, context.Canceled) {
		err = why
	}
	if why := s.terminated.Load(); why != nil {
		fmt.Fprintf(call.Err, "%s\n", *why)
		return int(chat.Denied)
	}
	words, meant := command.Text(err)
	if !meant && !errors.Is(err, context.Canceled) && !errors.Is(err, io.ErrUnexpectedEOF) { // who hangs up has their reasons
		s.trouble(slog.LevelError, "command failed", "err", err)
	}
	fmt.Fprintf(call.Err, "%s\n", words)
	return command.ExitCode(err)
}

// keys reads a terminal while a command runs on it: Ctrl+C ends the command, and the rest is for Ask alone.
type keys struct {
	io.Reader
	asking    *atomic.Bool
	interrupt context.CancelFunc
}

func (k *keys) Read(p []byte) (int, error) {
	for {
		n, err := k.Reader.Read(p)
		if bytes.IndexByte(p[:n], 0x03) >= 0 {
			k.interrupt()
		}
		if err != nil || k.asking.Load() {
			return n, err
		}
	}
}

// returns puts a carriage return before each newline, for a terminal in raw mode.
type returns struct{ io.Writer }

func (r returns) Write(p []byte) (int, error) {
	if _, err := r.Writer.Write(bytes.ReplaceAll(p, []byte("\n"), []byte("\r\n"))); err != nil {
		return 0, err
	}
	return len(p), nil
}

// lines gathers what a command prints for a UI, to be shown as one answer.
type lines struct {
	print func(string)
	text  []byte
}

func (l *lines) Write(p []byte) (int, error) {
	l.text = append(l.text, p...)
	return len(p), nil
}

// end shows what was printed so far.
func (l *lines) end() {
	if len(l.text) > 0 {
		l.print(string(bytes.TrimSuffix(l.text, []byte("\n"))))
	}
	l.text = nil
}
