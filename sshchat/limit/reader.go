package limit

import (
	"context"
	"io"
	"time"
)

// Reader reads at the rate of an allowance, in bytes: it delays reading, so that the writer has to wait and nothing is
// lost. It belongs to one goroutine.
type Reader struct {
	io.Reader
	ctx   context.Context
	allow Allowance
	chunk int
	left  TokenBucket
	debt  time.Duration // how long what was read last was too much
}

// NewReader returns a reader of r that passes on as many bytes as are allowed, and at most chunk at once. A read that
// waits ends with ctx, and its error.
func NewReader(ctx context.Context, r io.Reader, bytes Allowance, chunk int) *Reader {
	return &Reader{Reader: r, ctx: ctx, allow: bytes, chunk: chunk}
}

func (t *Reader) Read(p []byte) (int, error) {
	if t.debt > 0 {
		if err := pause(t.ctx, t.debt); err != nil {
			return 0, err
		}
	}
	n, err := t.Reader.Read(p[:min(len(p), t.chunk)])
	t.debt = t.left.Spend(t.allow, n, time.Now())
	return n, err
}

// forgiven is the fraction that dropped bytes cost, such as those of a paste that is too long: somebody who pastes a
// whole file by accident does not have to wait, but endless input is still limited.
const forgiven = 1.0 / 64

// Forgive gives back most of what n bytes cost that were read and went nowhere. It must not run beside Read.
func (t *Reader) Forgive(n int) {
	if n > 0 {
		t.debt = t.left.Spend(t.allow, -int(float64(n)*(1-forgiven)), time.Now())
	}
}
