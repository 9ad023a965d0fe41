package text

import (
	"io"
	"strings"
	"sync"
)

// writer is what NewWriter returns.
type writer struct {
	w   io.Writer
	mu  sync.Mutex
	buf []byte // guarded by mu
}

// NewWriter returns a writer for words that people read on a terminal, and that may quote what nobody has checked: of
// each write the printable part goes to w, with its newlines. No write may end within a character. It may be written to
// from any goroutine, as a log is.
func NewWriter(w io.Writer) io.Writer { return &writer{w: w} }

// Unwrap returns what is written to.
func (w *writer) Unwrap() io.Writer { return w.w }

func (w *writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.buf = w.buf[:0]
	for i, line := range strings.Split(string(p), "\n") { // only newlines: nothing that is quoted begins a line by another sign
		if i > 0 {
			w.buf = append(w.buf, '\n')
		}
		w.buf = AppendPrintable(w.buf, line, false)
	}
	if _, err := w.w.Write(w.buf); err != nil {
		return 0, err
	}
	return len(p), nil
}
