package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// version is the first byte of everything that is encoded here. Whoever changes what follows gives it another number: then
// nodes of different versions refuse each other's instead of reading it as something else.
const version = 1

var (
	errShort   = errors.New("it is cut short")
	errLong    = errors.New("there is more than there should be")
	errVersion = errors.New("it is from a newer version of sshchat: update this node")
)

// encoder appends to what it has encoded so far.
type encoder struct{ b []byte }

func newEncoder(size int) *encoder { return &encoder{append(make([]byte, 0, size), version)} }

func (e *encoder) byte(c byte)     { e.b = append(e.b, c) }
func (e *encoder) uint(n uint64)   { e.b = binary.AppendUvarint(e.b, n) }
func (e *encoder) int(n int64)     { e.b = binary.AppendVarint(e.b, n) }
func (e *encoder) fixed(n uint64)  { e.b = binary.BigEndian.AppendUint64(e.b, n) }
func (e *encoder) string(s string) { e.uint(uint64(len(s))); e.b = append(e.b, s...) }
func (e *encoder) bytes(b []byte)  { e.uint(uint64(len(b))); e.b = append(e.b, b...) }

// time writes a time to the nanosecond. Its location and its monotonic reading stay here.
func (e *encoder) time(t time.Time) {
	if t.IsZero() {
		e.byte(0)
		return
	}
	e.byte(1)
	e.int(t.Unix())
	e.uint(uint64(t.Nanosecond()))
}

// decoder reads what an encoder wrote. After the first error it reads zero values.
type decoder struct {
	b    []byte // that are left
	room int    // bytes of lists that may still be made
	err  error
}

// perByte is how much memory a byte of what is decoded may take in lists: their elements may be encoded in fewer bytes than they
// take, but not in many fewer.
const perByte = 64

// newDecoder reads the version.
func newDecoder(b []byte) *decoder {
	d := &decoder{b: b, room: perByte * len(b)}
	if v := d.byte(); d.err == nil && v != version {
		d.fail(errVersion)
	}
	return d
}

func (d *decoder) fail(err error) {
	if d.err == nil {
		d.err, d.b = err, nil
	}
}

func (d *decoder) failf(format string, args ...any) { d.fail(fmt.Errorf(format, args...)) }

// end returns the first error; it is one if anything is left.
func (d *decoder) end() error {
	if len(d.b) > 0 {
		d.fail(errLong)
	}
	return d.err
}

// take is the next n bytes, as they are in what is decoded.
func (d *decoder) take(n uint64) []byte {
	if n > uint64(len(d.b)) {
		d.fail(errShort)
		return nil
	}
	b := d.b[:n:n]
	d.b = d.b[n:]
	return b
}

func (d *decoder) byte() byte {
	if b := d.take(1); d.err == nil {
		return b[0]
	}
	return 0
}

func (d *decoder) uint() uint64 {
	n, size := binary.Uvarint(d.b)
	if size <= 0 {
		d.fail(errShort)
		return 0
	}
	d.b = d.b[size:]
	return n
}

func (d *decoder) int() int64 {
	n, size := binary.Varint(d.b)
	if size <= 0 {
		d.fail(errShort)
		return 0
	}
	d.b = d.b[size:]
	return n
}

func (d *decoder) fixed() uint64 {
	if b := d.take(8); d.err == nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func (d *decoder) bytes() []byte  { return d.take(d.uint()) }
func (d *decoder) string() string { return string(d.bytes()) }

func (d *decoder) bool() bool {
	switch c := d.byte(); c {
	case 0, 1:
		return c == 1
	default:
		d.failf("%d is neither true nor false", c)
		return false
	}
}

func (d *decoder) time() time.Time {
	if !d.bool() {
		return time.Time{}
	}
	seconds, nanos := d.int(), d.uint()
	if nanos >= uint64(time.Second) {
		d.failf("%d nanoseconds are a second or more", nanos)
		return time.Time{}
	}
	return time.Unix(seconds, int64(nanos)).UTC()
}

// count is how many items follow, of which each takes at least so many bytes: memory is made only for what is there.
func (d *decoder) count(least int) int {
	n := d.uint()
	if n > uint64(len(d.b)/least) {
		d.fail(errShort)
		return 0
	}
	return int(n)
}

// spend notes that a list is made of n elements of that many bytes each, and reports whether it may be.
func (d *decoder) spend(n, size int) bool {
	if n > d.room/max(size, 1) {
		d.fail(errShort)
	}
	d.room -= n * size
	return d.err == nil
}

// index is a place in a list of that length.
func (d *decoder) index(length int) int {
	i := d.uint()
	if d.err == nil && i >= uint64(length) {
		d.failf("entry %d of a list of %d", i, length)
	}
	if d.err != nil {
		return -1
	}
	return int(i)
}

// table numbers values in the order in which they are first met, so that each is written once.
type table[K comparable] struct {
	at   map[K]uint64
	list []K
}

func (t *table[K]) add(k K) uint64 {
	if n := len(t.list); n > 0 && t.list[n-1] == k { // mostly the same once more
		return uint64(n - 1)
	}
	if i, ok := t.at[k]; ok {
		return i
	}
	if t.at == nil {
		t.at = make(map[K]uint64)
	}
	i := uint64(len(t.list))
	t.at[k], t.list = i, append(t.list, k)
	return i
}

// text is a value that encodes itself as text: a name, a room's name.
type text interface {
	comparable
	String() string
}

func encodeTable[K text](e *encoder, t *table[K]) {
	e.uint(uint64(len(t.list)))
	for _, k := range t.list {
		e.string(k.String())
	}
}

// decodeTable reads a table of names, which are checked.
func decodeTable[K text, P interface {
	*K
	UnmarshalText([]byte) error
}](d *decoder) []K {
	list := make([]K, d.count(2))
	for i := range list {
		if b := d.bytes(); d.err == nil {
			if err := P(&list[i]).UnmarshalText(b); err != nil {
				d.fail(err)
			}
		}
	}
	return list
}
