package strictjson

import (
	"bytes"
	"cmp"
	"encoding/json"
)

// Page is JSON being written for people to read: the writer decides where lines begin. The first error stays.
type Page struct {
	buf bytes.Buffer
	enc *json.Encoder // writes to buf
	err error
}

// Bytes returns what was written, or the first error.
func (p *Page) Bytes() ([]byte, error) { return p.buf.Bytes(), p.err }

// Grow makes room for n more bytes.
func (p *Page) Grow(n int) { p.buf.Grow(n) }

// Text writes s as it is.
func (p *Page) Text(s string) { p.buf.WriteString(s) }

// Value writes v on the line that is begun. HTML is not escaped: a person reads this.
func (p *Page) Value(v any) {
	if p.enc == nil {
		p.enc = json.NewEncoder(&p.buf)
		p.enc.SetEscapeHTML(false)
	}
	if err := p.enc.Encode(v); err != nil {
		p.err = cmp.Or(p.err, err)
		return
	}
	p.buf.Truncate(p.buf.Len() - 1) // the newline
}

// Open writes v, an object, without its closing brace.
func (p *Page) Open(v any) {
	p.Value(v)
	if p.err == nil {
		p.buf.Truncate(p.buf.Len() - 1)
	}
}

// List writes items with a comma between them, each after before.
func List[T any](p *Page, before string, items []T, write func(T)) {
	for i, item := range items {
		if i > 0 {
			p.Text(",")
		}
		p.Text(before)
		write(item)
	}
}
