package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"
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

// What is decoded without encoding/json is what that makes of it, and so is what is refused.
func TestShortWayDecodesTheSame(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		`""`, `"a"`, `"ä \u007f"`, `"a\nb"`, `"\ud800"`, `"2026-11-23T21:38:56Z"`, `"2026-11-23T21:38:56.123+02:00"`, `"2026-11-23"`, `"192.0.2.0/24"`,
		`"192.0.2.0"`, `1`, `-1`, `1.5`, `true`, `[]`, `["a"]`, `{}`,
	} {
		v, err := Parse([]byte(s))
		if err != nil {
			t.Fatal(err)
		}
		for _, dst := range [][2]any{{new(string), new(string)}, {new(time.Time), new(time.Time)}, {new(netip.Prefix), new(netip.Prefix)}, {new(uint64), new(uint64)}, {new([]string), new([]string)}} {
			got, want := v.Into(dst[0]), json.Unmarshal([]byte(s), dst[1])
			if (got == nil) != (want == nil) || want == nil && !reflect.DeepEqual(dst[0], dst[1]) {
				t.Errorf("%s as %T: %v, %v; want %v, %v", s, dst[0], reflect.ValueOf(dst[0]).Elem(), got, reflect.ValueOf(dst[1]).Elem(), want)
			}
		}
	}
}

// Switch refuses what Fields does.
func TestSwitch(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		`{}`, `{"a":1}`, `{"a":1,"b":2}`, `{"b":2,` + "\n" + `"a":1,"b":3}`, "{\"a\":1,\n\"c\":1}", `{"a":"x"}`, `[]`, `null`, `{"A":1}`, `{"\u0061":1}`,
	} {
		v, err := Parse([]byte(s))
		if err != nil {
			t.Fatal(err)
		}
		var x, y [2]int
		got := v.Switch(func(key string, v Value) (bool, error) {
			switch key {
			case "a":
				return true, v.Into(&x[0])
			case "b":
				return true, v.Into(&x[1])
			}
			return false, nil
		})
		want := v.Fields(map[string]func(Value) error{"a": To(&y[0]), "b": To(&y[1])})
		if fmt.Sprint(got) != fmt.Sprint(want) || x != y {
			t.Errorf("%s: %v, %v; want %v, %v", s, x, got, y, want)
		}
	}
}
