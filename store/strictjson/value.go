// Package strictjson reads and writes JSON files that people edit. It knows nothing of their meaning: the caller names
// the fields and reads their values, and every error names the line.
package strictjson

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"
)

// Value is one JSON value of a file that people edit, and the line it begins on: every refusal names a line.
//
// It is stricter than encoding/json where leniency would lose an edit without a word: a field that is not known,
// named twice or in another case is refused, and so are null and text that is not UTF-8.
type Value struct {
	raw  json.RawMessage
	line int // from 1
}

// Parse checks that b is one well-formed JSON document.
func Parse(b []byte) (Value, error) {
	b = bytes.TrimPrefix(b, []byte("\ufeff"))
	if bytes.HasPrefix(b, []byte("\xff\xfe")) || bytes.HasPrefix(b, []byte("\xfe\xff")) {
		return Value{}, LineError{1, errors.New("is UTF-16: save the file as UTF-8")}
	}
	if !utf8.Valid(b) {
		good := 0
		for rest := b; ; {
			r, n := utf8.DecodeRune(rest)
			if r == utf8.RuneError && n <= 1 {
				break
			}
			good, rest = good+n, rest[n:]
		}
		return Value{}, LineError{lineAt(b, good), errors.New("is not UTF-8")}
	}
	var raw json.RawMessage
	if err := json.Unmarshal(b, &raw); err != nil { // raw has no blanks around it
		line := 1
		if syntax := (*json.SyntaxError)(nil); errors.As(err, &syntax) {
			line = lineAt(b, int(syntax.Offset))
		}
		return Value{}, LineError{line, err}
	}
	start := bytes.IndexFunc(b, func(r rune) bool { return r != ' ' && r != '\t' && r != '\r' && r != '\n' })
	return Value{raw, lineAt(b, start)}, nil
}

// lineAt is the number of the line that b[at] is on.
func lineAt(b []byte, at int) int { return 1 + bytes.Count(b[:min(at, len(b))], []byte("\n")) }

// LineError is a refusal of what stands on a line, counted from 1.
type LineError struct {
	Line int
	Err  error
}

func (e LineError) Error() string { return fmt.Sprintf("line %d: %v", e.Line, e.Err) }
func (e LineError) Unwrap() error { return e.Err }

// Refuse returns err with the value's line, unless err names a line already.
func (v Value) Refuse(err error) error {
	if at := (LineError{}); err == nil || errors.As(err, &at) {
		return err
	}
	return LineError{v.line, err}
}

// Fields hands each field of an object to its reader.
func (v Value) Fields(known map[string]func(Value) error) error {
	return v.fields(known, func(refusal error) error { return refusal })
}

// Known is Fields for a file that other versions write as well: what is not known, or there twice, is skipped, with a call
// of skipped.
func (v Value) Known(known map[string]func(Value) error, skipped func(refusal error)) error {
	return v.fields(known, func(refusal error) error { skipped(refusal); return nil })
}

func (v Value) fields(known map[string]func(Value) error, other func(refusal error) error) error {
	if err := v.Object(); err != nil {
		return err
	}
	seen := make(map[string]bool, len(known))
	return v.Walk(func(key string, field Value) error {
		read := known[key]
		if read == nil {
			return other(field.Refuse(fmt.Errorf("unknown field %q", key)))
		}
		if seen[key] {
			return other(field.Refuse(fmt.Errorf("field %q is given twice", key)))
		}
		seen[key] = true
		if err := read(field); err != nil {
			return field.Refuse(fmt.Errorf("%s: %w", key, err))
		}
		return nil
	})
}

// Switch is Fields for objects that a file has very many of: read returns false for a field that it does not know. An object
// has at most 32 fields then.
func (v Value) Switch(read func(key string, field Value) (known bool, err error)) error {
	if err := v.Object(); err != nil {
		return err
	}
	var room [32]string
	seen := room[:0]
	return v.Walk(func(key string, field Value) error {
		for _, k := range seen {
			if k == key {
				return field.Refuse(fmt.Errorf("field %q is given twice", key))
			}
		}
		known, err := read(key, field)
		switch {
		case !known || len(seen) == cap(seen):
			return field.Refuse(fmt.Errorf("unknown field %q", key))
		case err != nil:
			return field.Refuse(fmt.Errorf("%s: %w", key, err))
		}
		seen = append(seen, key)
		return nil
	})
}

// Object refuses anything but an object.
func (v Value) Object() error {
	if v.raw[0] != '{' {
		return v.Refuse(errors.New("an object {…} is expected"))
	}
	return nil
}

// IsList reports whether it is an array.
func (v Value) IsList() bool { return v.raw[0] == '[' }

// IsText reports whether it is a string.
func (v Value) IsText() bool { return v.raw[0] == '"' }

// Items hands each item of an array to read.
func (v Value) Items(read func(Value) error) error {
	if !v.IsList() {
		return v.Refuse(errors.New("a list […] is expected"))
	}
	return v.Walk(func(_ string, item Value) error { return item.Refuse(read(item)) })
}

// Walk visits what is in an object or array, in order. The document was found well-formed before, so this only finds where
// each value ends.
func (v Value) Walk(visit func(key string, inner Value) error) error {
	line, counted := v.line, 0 // line is that of v.raw[counted]
	for at := blanksEnd(v.raw, 1); v.raw[at] != '}' && v.raw[at] != ']'; {
		var key string
		if v.raw[0] == '{' {
			end := stringEnd(v.raw, at)
			if err := (Value{v.raw[at:end], line}).Into(&key); err != nil {
				return v.Refuse(err)
			}
			at = blanksEnd(v.raw, blanksEnd(v.raw, end)+1) // the colon
		}
		end := valueEnd(v.raw, at)
		line += bytes.Count(v.raw[counted:at], []byte("\n"))
		counted = at
		if err := visit(key, Value{v.raw[at:end:end], line}); err != nil {
			return err
		}
		if at = blanksEnd(v.raw, end); v.raw[at] == ',' {
			at = blanksEnd(v.raw, at+1)
		}
	}
	return nil
}

// blanksEnd is where the blanks at i end.
func blanksEnd(b []byte, i int) int {
	for b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r' {
		i++
	}
	return i
}

// stringEnd is where the string at i ends.
func stringEnd(b []byte, i int) int {
	for i++; b[i] != '"'; i++ {
		if b[i] == '\\' {
			i++
		}
	}
	return i + 1
}

// valueEnd is where the value at i ends.
func valueEnd(b []byte, i int) int {
	depth := 0
	for {
		switch b[i] {
		case '"':
			i = stringEnd(b, i) - 1
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		case ',', ' ', '\n', '\t', '\r', ':':
			i++
			continue
		default: // a number or a word
			for i+1 < len(b) && bytes.IndexByte([]byte(",]} \n\t\r"), b[i+1]) < 0 {
				i++
			}
		}
		i++
		if depth == 0 {
			return i
		}
	}
}

// Into decodes a plain value: a string, number, flag, or a list of them.
func (v Value) Into(dst any) error {
	if bytes.Equal(v.raw, []byte("null")) {
		return v.Refuse(errors.New("null is not a value"))
	}
	if word, ok := v.word(); ok { // as most are: encoding/json does the same with them, and takes ten times as long
		switch dst := dst.(type) {
		case *string:
			*dst = string(word)
			return nil
		case *time.Time:
			return v.Refuse(dst.UnmarshalJSON(v.raw))
		case encoding.TextUnmarshaler:
			return v.Refuse(dst.UnmarshalText(word))
		}
	}
	return v.Refuse(json.Unmarshal(v.raw, dst))
}

// word is what stands between the quotes of a string without escapes. ok is false for other values.
func (v Value) word() (word []byte, ok bool) {
	if !v.IsText() || bytes.IndexByte(v.raw, '\\') >= 0 {
		return nil, false
	}
	return v.raw[1 : len(v.raw)-1], true
}

// To returns a reader of a field that decodes it to dst, as Into does.
func To(dst any) func(Value) error {
	return func(v Value) error { return v.Into(dst) }
}
