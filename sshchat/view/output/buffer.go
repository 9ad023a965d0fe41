// Package output is the bytes that go to a client: an output buffer that only printable text and known control sequences
// can be written to, and what a terminal is known to understand. It knows nothing of messages or of what is drawn.
package output

import (
	"slices"
	"sync"
	"unicode/utf8"

	"sshchat/sshchat/text"
)

// Buffer is an output buffer for one client. Nothing else writes output: Text appends printable characters only, and each
// control byte and control sequence has a method of its own.
//
// An idle session holds no memory for output. Open takes some from a pool, Take lends it to the caller, and Done returns it
// to the pool. So nothing that the caller still holds is overwritten: memory that is never returned is garbage collected.
type Buffer struct {
	bytes []byte
	from  *pooled // the owner of bytes; nil if they are not from the pool
	lent  *pooled // what Take returned last; nil if it was returned to the pool, or is not from it
}

// pooled is memory for output.
type pooled struct{ b []byte }

var buffers = sync.Pool{New: func() any { return &pooled{make([]byte, 0, 1<<10)} }}

// maxPooled is how many bytes may go back to the pool: enough to redraw most screens.
const maxPooled = 16 << 10

// Open takes memory from the pool if the buffer has none. It is optional: other methods allocate.
func (w *Buffer) Open() {
	if w.bytes == nil {
		w.from = buffers.Get().(*pooled)
		w.bytes = w.from.b[:0]
	}
}

// Take returns the content and empties the buffer. The bytes are valid until Done.
func (w *Buffer) Take() []byte {
	b := w.bytes
	if w.from != nil {
		w.from.b = b
	}
	w.bytes, w.from, w.lent = nil, nil, w.from
	if len(b) == 0 {
		w.Done()
		return nil
	}
	return b
}

// Done returns to the pool what Take returned.
func (w *Buffer) Done() {
	if w.lent != nil && cap(w.lent.b) <= maxPooled {
		buffers.Put(w.lent)
	}
	w.lent = nil
}

// Text appends the printable part of b, whatever b holds.
func (w *Buffer) Text(b []byte) {
	if text.IsPrintableASCII(b) {
		w.bytes = append(w.bytes, b...)
		return
	}
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if text.Printable(r) {
			w.bytes = utf8.AppendRune(w.bytes, r)
		}
		b = b[n:]
	}
}

// Encoded is the content of a buffer, to be appended to others as it is. It is never changed.
type Encoded struct{ bytes []byte }

// Len is how many bytes it has.
func (e Encoded) Len() int { return len(e.bytes) }

// Encode returns the content of a buffer that was not opened, and empties it.
func (w *Buffer) Encode() Encoded {
	e := slices.Clip(w.bytes)
	w.bytes = nil
	return Encoded{e}
}

// Append appends the content of another buffer.
func (w *Buffer) Append(e Encoded) { w.bytes = append(w.bytes, e.bytes...) }

// Len is how many bytes the buffer has.
func (w *Buffer) Len() int { return len(w.bytes) }

// Spaces appends n spaces.
func (w *Buffer) Spaces(n int) { w.repeat(' ', n) }

// Back moves the cursor n columns to the left.
func (w *Buffer) Back(n int) { w.repeat('\b', n) }

// Home moves the cursor to the first column.
func (w *Buffer) Home() { w.bytes = append(w.bytes, '\r') }

// Newline begins a new row on a terminal.
func (w *Buffer) Newline() { w.bytes = append(w.bytes, '\r', '\n') }

// EndLine ends a line of a pipe.
func (w *Buffer) EndLine() { w.bytes = append(w.bytes, '\n') }

// Bell rings.
func (w *Buffer) Bell() { w.bytes = append(w.bytes, '\a') }

// Copy has the terminal put text, in base64, into the clipboard (OSC 52).
func (w *Buffer) Copy(base64 string) {
	w.osc("52;c;")
	w.bytes = append(append(w.bytes, base64...), '\a')
}

func (w *Buffer) repeat(c byte, n int) {
	for range n {
		w.bytes = append(w.bytes, c)
	}
}
