package view

import "sshchat/sshchat/text"

import "unicode/utf8"

// wire gathers what goes to a client. It is the one place where output bytes are appended: text can put nothing
// but printable characters on it, and each control byte has a method of its own. There is none for escape.
type wire struct{ b []byte }

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

// take returns everything and forgets it.
func (w *wire) take() []byte {
	b := w.b
	w.b = nil
	return b
}
