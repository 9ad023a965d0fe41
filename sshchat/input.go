package sshchat

import (
	"context"
	"io"

	"sshchat/sshchat/limit"
)

// inputChunk is the most that is read at once: enough for a line, small enough to keep for each session.
const inputChunk = 1 << 10

// input hands what a client sends to its session, a chunk at a time: the next is read when the last was taken,
// so that a client which floods is slowed by its own channel's window.
type input struct {
	ready chan struct{} // holds a token while chunk and err are the session's; never closed
	taken chan struct{} // holds a token when they are the reader's again; never closed
	chunk []byte
	err   error // io.EOF at the end of input
}

func newInput() *input {
	return &input{ready: make(chan struct{}, 1), taken: make(chan struct{}, 1)}
}

// throttled reads what a client sends at the pace it may come.
func (s *session) throttled(ctx context.Context, r io.Reader) io.Reader {
	s.pacing = limit.NewReader(ctx, r, s.server.limits.Input, inputChunk)
	return s.pacing
}

// read runs in a goroutine of its own until r ends or, between chunks, ctx does.
func (in *input) read(ctx context.Context, r io.Reader) {
	buf := make([]byte, inputChunk)
	for in.err == nil {
		var n int
		n, in.err = r.Read(buf)
		in.chunk = buf[:n]
		in.ready <- struct{}{}
		select {
		case <-in.taken:
			clear(in.chunk) // it may have been a password
		case <-ctx.Done():
			return
		}
	}
}

// take returns what came, after ready was received. The chunk is valid until next.
func (in *input) take() ([]byte, error) { return in.chunk, in.err }

// next lets the reader go on.
func (in *input) next() { in.taken <- struct{}{} }
