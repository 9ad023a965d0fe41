package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
)

// value is one JSON value of a file that people edit, and the line it begins on: every refusal names a line.
//
// It is stricter than encoding/json where leniency would lose an edit without a word: a field that is not known,
// named twice or in another case is refused, and so are null and text that is not UTF-8.
type value struct {
	raw  json.RawMessage
	line int // from 1
}

// parseDocument checks that b is one well-formed JSON document.
func parseDocument(b []byte) (value, error) {
	if !utf8.Valid(b) {
		good := 0
		for rest := b; ; {
			r, n := utf8.DecodeRune(rest)
			if r == utf8.RuneError && n <= 1 {
				break
			}
			good, rest = good+n, rest[n:]
		}
		return value{}, lineError{lineAt(b, good), errors.New("is not UTF-8")}
	}
	var raw json.RawMessage
	if err := json.Unmarshal(b, &raw); err != nil {
		line := 1
		if syntax := (*json.SyntaxError)(nil); errors.As(err, &syntax) {
			line = lineAt(b, int(syntax.Offset))
		}
		return value{}, lineError{line, err}
	}
	start := bytes.IndexFunc(b, func(r rune) bool { return r != ' ' && r != '\t' && r != '\r' && r != '\n' })
	return value{raw, lineAt(b, start)}, nil
}

// lineAt is the number of the line that b[at] is on.
func lineAt(b []byte, at int) int { return 1 + bytes.Count(b[:min(at, len(b))], []byte("\n")) }

// lineError is a refusal of what stands on a line.
type lineError struct {
	line int
	err  error
}

func (e lineError) Error() string { return fmt.Sprintf("line %d: %v", e.line, e.err) }
func (e lineError) Unwrap() error { return e.err }

// refuse returns err with the value's line, unless err names a line already.
func (v value) refuse(err error) error {
	if at := (lineError{}); err == nil || errors.As(err, &at) {
		return err
	}
	return lineError{v.line, err}
}

// fields hands each field of an object to its reader.
func (v value) fields(known map[string]func(value) error) error {
	if err := v.object(); err != nil {
		return err
	}
	seen := make(map[string]bool, len(known))
	return v.walk(func(key string, field value) error {
		read := known[key]
		if read == nil {
			return field.refuse(fmt.Errorf("unknown field %q", key))
		}
		if seen[key] {
			return field.refuse(fmt.Errorf("field %q is there twice", key))
		}
		seen[key] = true
		if err := read(field); err != nil {
			return field.refuse(fmt.Errorf("%s: %w", key, err))
		}
		return nil
	})
}

// object refuses what is none.
func (v value) object() error {
	if v.raw[0] != '{' {
		return v.refuse(errors.New("an object {…} is expected"))
	}
	return nil
}

// items hands each item of an array to read.
func (v value) items(read func(value) error) error {
	if v.raw[0] != '[' {
		return v.refuse(errors.New("a list […] is expected"))
	}
	return v.walk(func(_ string, item value) error { return item.refuse(read(item)) })
}

// walk visits what is in an object or array, in order. The document was found well-formed before.
func (v value) walk(visit func(key string, inner value) error) error {
	dec := json.NewDecoder(bytes.NewReader(v.raw))
	if _, err := dec.Token(); err != nil {
		return v.refuse(err)
	}
	line, counted := v.line, 0 // line is that of v.raw[counted]
	for dec.More() {
		var key string
		if v.raw[0] == '{' {
			t, err := dec.Token()
			if err != nil {
				return v.refuse(err)
			}
			key = t.(string)
		}
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return v.refuse(err)
		}
		start := int(dec.InputOffset()) - len(raw)
		line += bytes.Count(v.raw[counted:start], []byte("\n"))
		counted = start
		if err := visit(key, value{raw, line}); err != nil {
			return err
		}
	}
	return nil
}

// into decodes a plain value: a string, number, flag, or a list of them.
func (v value) into(dst any) error {
	if bytes.Equal(v.raw, []byte("null")) {
		return v.refuse(errors.New("null is not a value"))
	}
	return v.refuse(json.Unmarshal(v.raw, dst))
}

// into returns a reader of a field that decodes it to dst.
func into(dst any) func(value) error {
	return func(v value) error { return v.into(dst) }
}
