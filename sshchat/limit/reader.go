package limit

import (
	"context"
	"io"
	"time"
)

// throttledReader reads at the pace of an allowance, in bytes: by reading later, so that whoever writes has to wait and
// nothing is lost. It belongs to one goroutine.
type throttledReader struct {
	io.Reader
	ctx   context.Context
	allow Allowance
	chunk int
	left  TokenBucket
	debt  time.Duration // how long what was read last was too much
}

// NewReader returns a reader of r that passes on as many bytes as are allowed, and at most chunk at once. A read that
// waits ends with ctx, and its error.
func NewReader(ctx context.Context, r io.Reader, bytes Allowance, chunk int) io.Reader {
	return &throttledReader{Reader: r, ctx: ctx, allow: bytes, chunk: chunk}
}

func (t *throttledReader) Read(p []byte) (int, error) {
	if t.debt > 0 {
		if err := pause(t.ctx, t.debt); err != nil {
			return 0, err
		}
	}
	n, err := t.Reader.Read(p[:min(len(p), t.chunk)])
	t.debt = t.left.Spend(t.allow, n, time.Now())
	return n, err
}
