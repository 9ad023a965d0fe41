package sshchat

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/command"
	"sshchat/sshchat/text"
)

// exec runs the one command of "ssh host COMMAND" and returns its exit code. On a terminal it may ask questions, which the
// session's goroutine takes the answers to.
func (s *session) exec(ctx context.Context, line string) (code int) {
	if s.ui.Kind == "" {
		return s.runOnce(ctx, &job{session: s, room: s.room, inline: true}, line)
	}
	s.start(ctx, func(ctx context.Context, j *job) error {
		code = s.runOnce(ctx, j, line)
		return nil
	}, func(err error) {
		if err != nil {
			code = int(chat.Failed)
		}
	})
	if s.loop(ctx, nil) != nil {
		s.await()
	}
	return code
}

// runOnce runs a command. What it prints goes out as it comes: data on standard output, words on the error stream.
func (s *session) runOnce(ctx context.Context, j *job, line string) int {
	call, err := j.call(command.Exec)
	if err != nil {
		return s.endRefused(err)
	}
	if s.ui.Kind == "" {
		call.Out, call.Err, call.In = s.channel, text.NewWriter(s.channel.Stderr()), s.stdin(ctx)
	} else {
		// A terminal in raw mode: lines need their return, and its keys are not the command's input.
		call.Out, call.Err, call.In = returns{onTurn{j, s.channel}}, text.NewWriter(returns{onTurn{j, s.channel.Stderr()}}), noStdin{}
		var cancel context.CancelCauseFunc
		ctx, cancel = context.WithCancelCause(ctx)
		defer cancel(nil)
		go s.readInput(ctx, &keys{s.throttled(ctx, s.channel), &s.asking, func() { cancel(command.ErrInterrupted) }})
	}
	_, _, call.Terminal = s.channel.size()
	s.writeAbsence(call.Err)
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
		fmt.Fprintf(call.Err, "%s\n", why.Text)
		return int(why.Code)
	}
	words, meant := command.Text(err)
	if !meant && !errors.Is(err, context.Canceled) && !errors.Is(err, io.ErrUnexpectedEOF) { // the client hung up
		s.logPaced(slog.LevelError, "command failed", "err", err)
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

// onTurn makes the session's goroutine write, after showing what was typed before.
type onTurn struct {
	job *job
	to  io.Writer
}

func (w onTurn) Write(p []byte) (n int, err error) {
	w.job.do(func() {
		if err = w.job.session.flush(); err == nil {
			n, err = w.to.Write(p)
		}
	})
	return n, err
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

// stdin is what a script sends to its command. It reads nothing before the command does. Its Read ends with the session:
// a server that stops, or an account that is banned, is an error to the command, and not the end of its input.
type stdin struct {
	ctx  context.Context
	from io.Reader
	read func(context.Context, io.Reader) // fills in, in a goroutine of its own that ends with the channel or with ctx
	in   *input

	begun bool
	rest  []byte // what is left of in's chunk
	err   error  // what follows rest
}

func (s *session) stdin(ctx context.Context) io.Reader {
	return &stdin{ctx: ctx, from: s.throttled(ctx, s.channel), read: s.readInput, in: s.in}
}

func (r *stdin) Read(p []byte) (int, error) {
	for len(r.rest) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		if r.begun {
			r.in.next()
		} else {
			r.begun = true
			go r.read(r.ctx, r.from)
		}
		select {
		case <-r.in.ready:
			r.rest, r.err = r.in.take()
		case <-r.ctx.Done():
			r.err = context.Cause(r.ctx)
		}
	}
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// noStdin is the standard input of a command on a terminal: what is typed there is for its questions.
type noStdin struct{}

func (noStdin) Read([]byte) (int, error) {
	return 0, &chat.Refusal{Code: chat.Usage, Text: "- reads from a file or a pipe, but standard input is a terminal: run ssh without -t"}
}

// Read reads what the client sends. io.EOF is the end of input that the client announced; that its channel was closed, or
// its connection lost, is io.ErrUnexpectedEOF: half a line that came before it is not what anybody meant to send.
func (g *channelFilter) Read(p []byte) (int, error) {
	n, err := g.Channel.Read(p)
	g.markUsed()
	if err == io.EOF && !g.answers() {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// answers reports whether the channel is open. x/crypto's Read ends alike with the client's input and with the channel, and
// learns of the second a moment later; a request is answered by the client, or fails once the channel is closed. Who
// does not answer at all has a channel that is open.
func (g *channelFilter) answers() bool {
	answered := make(chan error, 1)
	go func() { // ends with the channel
		_, err := g.Channel.SendRequest("keepalive@openssh.com", true, nil)
		answered <- err
	}()
	select {
	case err := <-answered:
		return err == nil
	case <-time.After(g.conn.server.limits().FirstCommand):
		return true
	}
}
