package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

// read reads {"name":…,"list":[…]} and nothing else.
func read(s string) (name string, list []int, err error) {
	doc, err := Parse([]byte(s))
	if err != nil {
		return "", nil, err
	}
	err = doc.Fields(map[string]func(Value) error{
		"name": To(&name),
		"list": func(v Value) error {
			return v.Items(func(v Value) error {
				var n int
				err := v.Into(&n)
				list = append(list, n)
				return err
			})
		},
	})
	return name, list, err
}

func TestRefusalsNameTheLine(t *testing.T) {
	t.Parallel()
	if name, list, err := read("{\"list\":[1,\n2],\n\"name\":\"x\"}"); err != nil || name != "x" || len(list) != 2 {
		t.Errorf("%q, %v, %v", name, list, err)
	}
	for _, c := range []struct {
		text, why string
		line      int
	}{
		{"", "unexpected end", 1},
		{"{\n\"name\":\"x\",\n}", "invalid character", 3},
		{"{\n\"name\":\"\xff\"}", "UTF-8", 2},
		{"\n[]", "object", 2},
		{"{\n\n\"nome\":1}", "unknown", 3},
		{"{\"name\":\"x\",\n\"name\":\"y\"}", "twice", 2},
		{"{\n\"Name\":\"x\"}", "unknown", 2},
		{"{\n\"name\":null}", "null", 2},
		{"{\n\"list\":{}}", "list", 2},
		{"{\"list\":[1,\n2,\n\"three\"]}", "string", 3},
	} {
		_, _, err := read(c.text)
		var at LineError
		if !errors.As(err, &at) || at.Line != c.line || !strings.Contains(err.Error(), c.why) || strings.Count(err.Error(), "line ") != 1 {
			t.Errorf("%q: want line %d and %q: %v", c.text, c.line, c.why, err)
		}
	}
}

func TestPage(t *testing.T) {
	t.Parallel()
	p := &Page{}
	p.Open(struct {
		Name string `json:"name"`
	}{"<b>"})
	p.Text(`,"list":[`)
	List(p, "\n ", []int{1, 2}, func(n int) { p.Value(n) })
	p.Text("]}\n")
	if b, err := p.Bytes(); err != nil || string(b) != "{\"name\":\"<b>\",\"list\":[\n 1,\n 2]}\n" {
		t.Errorf("%q, %v", b, err)
	}
	p.Value(func() {})
	if _, err := p.Bytes(); err == nil {
		t.Error("what is not JSON was written")
	}
}

// FuzzWalk compares what a walk finds with what encoding/json does.
func FuzzWalk(f *testing.F) {
	for _, s := range []string{
		`{}`, `[]`, ` [ 1 , -2.5e+3,"a\"]\\" ,null,true, [ ] ,{ } ] `, "{\"a\" :\n{\"b\":[1,{\"c\":\"}\"}]} ,\t\"\\u0061\":[\n\n2]\r\n}", `"x"`, `[[[[]]],"\\\\"]`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		doc, err := Parse([]byte(s))
		if err != nil || doc.raw[0] != '{' && doc.raw[0] != '[' {
			return
		}
		var compare func(v Value)
		compare = func(v Value) {
			dec := json.NewDecoder(bytes.NewReader(v.raw))
			if _, err := dec.Token(); err != nil {
				t.Fatal(err)
			}
			err := v.Walk(func(key string, inner Value) error {
				if v.raw[0] == '{' {
					if k, err := dec.Token(); err != nil || k != key {
						t.Fatalf("key %q, not %v: %v", key, k, err)
					}
				}
				var raw json.RawMessage
				if err := dec.Decode(&raw); err != nil || string(raw) != string(inner.raw) {
					t.Fatalf("%q, not %q: %v", inner.raw, raw, err)
				}
				start := int(dec.InputOffset()) - len(raw)
				if line := v.line + bytes.Count(v.raw[:start], []byte("\n")); line != inner.line {
					t.Fatalf("line %d, not %d", inner.line, line)
				}
				if inner.raw[0] == '{' || inner.raw[0] == '[' {
					compare(inner)
				}
				return nil
			})
			if err != nil || dec.More() {
				t.Fatalf("it ended early: %v", err)
			}
		}
		compare(doc)
	})
}
