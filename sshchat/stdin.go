package sshchat

import (
	"context"
	"io"
	"time"

	"sshchat/sshchat/chat"
)

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
	return &stdin{ctx: ctx, from: s.throttled(ctx, s.guard), read: s.readInput, in: s.in}
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
	return 0, &chat.Refusal{Code: chat.Usage, Text: "standard input is a terminal here, and - reads a file or a pipe: run ssh without -t"}
}

// Read reads what the client sends. io.EOF is the end of input that the client announced; that its channel was closed, or
// its connection lost, is io.ErrUnexpectedEOF: half a line that came before it is not what anybody meant to send.
func (g *guard) Read(p []byte) (int, error) {
	n, err := g.Channel.Read(p)
	if err == io.EOF && !g.answers() {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// answers reports whether the channel is open. x/crypto's Read ends alike with the client's input and with the channel, and
// learns of the second a moment later; a request is answered by the client, or fails once the channel is closed. Who
// does not answer at all has a channel that is open.
func (g *guard) answers() bool {
	answered := make(chan error, 1)
	go func() { // ends with the channel
		_, err := g.Channel.SendRequest("keepalive@openssh.com", true, nil)
		answered <- err
	}()
	select {
	case err := <-answered:
		return err == nil
	case <-time.After(g.conn.server.limits.FirstCommand):
		return true
	}
}
