package wire

import (
	"cmp"
	"fmt"
	"net/netip"
	"reflect"
	"sync"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/lists"
)

// What follows encodes values by their types: a struct as those of its fields that are not zero, each with its name, so that
// nodes of different versions understand each other as long as they use what both know. A field that is not known is refused.

// codec encodes and decodes values of one type. They are addressable.
type codec struct {
	encode func(*encoder, reflect.Value)
	decode func(*decoder, reflect.Value)
}

// codecs are those of the types that were met.
var codecs sync.Map // reflect.Type to *codec

func codecOf(t reflect.Type) *codec {
	if c, ok := codecs.Load(t); ok {
		return c.(*codec)
	}
	c := ownCodec(t)
	if c == nil {
		c = codecOfKind(t)
	}
	codecs.Store(t, c)
	return c
}

// ownCodec is that of a type that is more than its fields; nil for others.
func ownCodec(t reflect.Type) *codec {
	switch t {
	case reflect.TypeFor[chat.Name]():
		return asText(chat.Name.String)
	case reflect.TypeFor[chat.RoomName]():
		return asText(chat.RoomName.String)
	case reflect.TypeFor[chat.Text]():
		return codecFor(func(e *encoder, t *chat.Text) { e.string(t.String()) }, func(d *decoder, t *chat.Text) { *t = d.text() })
	case reflect.TypeFor[chat.Opaque]():
		return codecFor(func(e *encoder, o *chat.Opaque) { e.string(o.Sealed()) }, func(d *decoder, o *chat.Opaque) { *o = chat.NewOpaque(d.string()) })
	case reflect.TypeFor[time.Time]():
		return codecFor(func(e *encoder, t *time.Time) { e.time(*t) }, func(d *decoder, t *time.Time) { *t = d.time() })
	case reflect.TypeFor[netip.Addr]():
		return asText(netip.Addr.String)
	case reflect.TypeFor[netip.Prefix]():
		return asText(netip.Prefix.String)
	}
	return nil
}

func codecFor[T any](encode func(*encoder, *T), decode func(*decoder, *T)) *codec {
	return &codec{
		func(e *encoder, v reflect.Value) { encode(e, v.Addr().Interface().(*T)) },
		func(d *decoder, v reflect.Value) { decode(d, v.Addr().Interface().(*T)) },
	}
}

// asText is the codec of a type that is written as text, its zero value as an empty one.
func asText[T comparable, P interface {
	*T
	UnmarshalText([]byte) error
}](text func(T) string) *codec {
	var zero T
	return codecFor(
		func(e *encoder, v *T) {
			if *v == zero {
				e.uint(0)
				return
			}
			e.string(text(*v))
		},
		func(d *decoder, v *T) {
			b := d.bytes()
			if len(b) == 0 {
				return
			}
			if err := P(v).UnmarshalText(b); err != nil {
				d.fail(err)
			}
		})
}

func codecOfKind(t reflect.Type) *codec {
	switch t.Kind() {
	case reflect.Bool:
		return &codec{func(*encoder, reflect.Value) {}, func(_ *decoder, v reflect.Value) { v.SetBool(true) }} // false is not written
	case reflect.String:
		return &codec{func(e *encoder, v reflect.Value) { e.string(v.String()) }, func(d *decoder, v reflect.Value) { v.SetString(d.string()) }}
	case reflect.Int, reflect.Int64:
		return &codec{func(e *encoder, v reflect.Value) { e.int(v.Int()) }, func(d *decoder, v reflect.Value) { v.SetInt(d.int()) }}
	case reflect.Uint64:
		return &codec{func(e *encoder, v reflect.Value) { e.uint(v.Uint()) }, func(d *decoder, v reflect.Value) { v.SetUint(d.uint()) }}
	case reflect.Pointer:
		to := codecOf(t.Elem())
		return &codec{
			func(e *encoder, v reflect.Value) { to.encode(e, v.Elem()) }, // nil is not written
			func(d *decoder, v reflect.Value) { v.Set(reflect.New(t.Elem())); to.decode(d, v.Elem()) },
		}
	case reflect.Slice:
		return codecOfSlice(t)
	case reflect.Map:
		return codecOfMap(t)
	case reflect.Struct:
		return codecOfStruct(t)
	}
	panic(fmt.Sprintf("internal error: nothing encodes a %s", t))
}

// elements is the codec of what a list or a map consists of. What is written only if it is not zero cannot be an element.
func elements(t reflect.Type) *codec {
	if k := t.Elem().Kind(); k == reflect.Bool || k == reflect.Pointer {
		panic(fmt.Sprintf("internal error: nothing encodes a %s", t))
	}
	return codecOf(t.Elem())
}

// codecOfSlice has a list as its length and its elements.
func codecOfSlice(t reflect.Type) *codec {
	of := elements(t)
	size := int(t.Elem().Size())
	return &codec{
		func(e *encoder, v reflect.Value) {
			e.uint(uint64(v.Len()))
			for i := range v.Len() {
				of.encode(e, v.Index(i))
			}
		},
		func(d *decoder, v reflect.Value) {
			n := d.count(1)
			if !d.spend(n, size) {
				return
			}
			v.Set(reflect.MakeSlice(t, n, n))
			for i := range n {
				of.decode(d, v.Index(i))
			}
		},
	}
}

// codecOfMap has it as a list, by its keys, which are strings.
func codecOfMap(t reflect.Type) *codec {
	of := elements(t)
	size := int(t.Key().Size() + t.Elem().Size())
	return &codec{
		func(e *encoder, v reflect.Value) {
			e.uint(uint64(v.Len()))
			keys := v.MapKeys()
			lists.Sort(keys, func(a, b reflect.Value) int { return cmp.Compare(a.String(), b.String()) })
			for _, k := range keys {
				value := reflect.New(t.Elem()).Elem()
				value.Set(v.MapIndex(k))
				e.string(k.String())
				of.encode(e, value)
			}
		},
		func(d *decoder, v reflect.Value) {
			n := d.count(2)
			if !d.spend(n, size) {
				return
			}
			v.Set(reflect.MakeMap(t))
			for range n {
				key, value := reflect.ValueOf(d.string()).Convert(t.Key()), reflect.New(t.Elem()).Elem()
				of.decode(d, value)
				v.SetMapIndex(key, value)
			}
		},
	}
}

// field is one of a struct.
type field struct {
	name string
	at   int
	of   *codec
}

func codecOfStruct(t reflect.Type) *codec {
	var fields []field
	byName := make(map[string]field)
	for i := range t.NumField() {
		if f := t.Field(i); f.IsExported() { // others are the leader's own
			one := field{f.Name, i, codecOf(f.Type)}
			fields, byName[f.Name] = append(fields, one), one
		}
	}
	return &codec{
		func(e *encoder, v reflect.Value) {
			at, n := len(e.b), byte(0)
			e.byte(0) // n; a struct has few fields
			for _, f := range fields {
				if value := v.Field(f.at); !value.IsZero() {
					e.string(f.name)
					f.of.encode(e, value)
					n++
				}
			}
			e.b[at] = n
		},
		func(d *decoder, v reflect.Value) {
			for range d.byte() {
				name := d.bytes()
				f, known := byName[string(name)]
				if !known && d.err == nil {
					d.failf("%s has a field %q: %w", t, name, errVersion)
				}
				if d.err != nil {
					return
				}
				f.of.decode(d, v.Field(f.at))
			}
		},
	}
}

// encodeValue writes any value whose type has a codec.
func encodeValue[T any](e *encoder, v *T) {
	codecOf(reflect.TypeFor[T]()).encode(e, reflect.ValueOf(v).Elem())
}

// decodeValue reads what encodeValue wrote.
func decodeValue[T any](d *decoder, v *T) {
	codecOf(reflect.TypeFor[T]()).decode(d, reflect.ValueOf(v).Elem())
}
