package view

import (
	"sync"
	"unicode/utf8"

	"sshchat/sshchat/text"
)

// wire gathers what goes to a client. It is the one place where output bytes are appended: text can put nothing
// but printable characters on it, and each control byte has a method of its own. There is none for escape.
//
// A session at rest has no buffer. One is taken from a pool by open, lent to the caller by take, and goes back by done.
// So nothing that the caller still has is ever written over: a buffer that was lent and is not given back is the
// garbage collector's.
type wire struct {
	b    []byte
	from *buffer // whose b is; nil: not from the pool
	lent *buffer // what take returned last; nil: given back, or not from the pool
}

// buffer is room for output.
type buffer struct{ b []byte }

var buffers = sync.Pool{New: func() any { return &buffer{make([]byte, 0, 1<<10)} }}

// maxPooled is how many bytes a buffer may have that goes back to the pool: those of most screens that are drawn anew.
const maxPooled = 16 << 10

// open takes a buffer from the pool, if there is none yet. All methods do without; they then make one.
func (w *wire) open() {
	if w.b == nil {
		w.from = buffers.Get().(*buffer)
		w.b = w.from.b[:0]
	}
}

// take returns everything and forgets it. The bytes are good until done.
func (w *wire) take() []byte {
	b := w.b
	if w.from != nil {
		w.from.b = b
	}
	w.b, w.from, w.lent = nil, nil, w.from
	if len(b) == 0 {
		w.done()
		return nil
	}
	return b
}

// done gives back what take returned.
func (w *wire) done() {
	if w.lent != nil && cap(w.lent.b) <= maxPooled {
		buffers.Put(w.lent)
	}
	w.lent = nil
}

// text appends the printable part of b, whatever b holds.
func (w *wire) text(b []byte) {
	if text.IsPrintableASCII(b) {
		w.b = append(w.b, b...)
		return
	}
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if text.Printable(r) {
			w.b = utf8.AppendRune(w.b, r)
		}
		b = b[n:]
	}
}

// encoded appends what another wire has gathered.
func (w *wire) encoded(e *encoded) { w.b = append(w.b, e.bytes...) }

func (w *wire) spaces(n int) { w.repeat(' ', n) }

// back moves the cursor n columns to the left.
func (w *wire) back(n int) { w.repeat('\b', n) }

// home moves the cursor to the first column.
func (w *wire) home() { w.b = append(w.b, '\r') }

// newline begins a row on a terminal.
func (w *wire) newline() { w.b = append(w.b, '\r', '\n') }

// endLine ends a line of a pipe.
func (w *wire) endLine() { w.b = append(w.b, '\n') }

func (w *wire) bell() { w.b = append(w.b, '\a') }

func (w *wire) repeat(c byte, n int) {
	for range n {
		w.b = append(w.b, c)
	}
}
