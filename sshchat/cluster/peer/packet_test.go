package peer

import (
	"bytes"
	"testing"
	"time"
)

func TestPackets(t *testing.T) {
	t.Parallel()
	h := header{typeRequest, 1 << 63, 7, "node-1"}
	got, ad, sealed, err := parsePacket(append(h.append(nil), "sealed"...))
	if err != nil || got != h || !bytes.Equal(ad, h.append(nil)) || string(sealed) != "sealed" {
		t.Errorf("%+v, %q, %v", got, sealed, err)
	}
	request := part{call: 9, wait: 1500 * time.Millisecond, kind: "post", total: 3, data: []byte("abc")}
	if got, err := parseRequest(append(request.appendRequest(nil), "abc"...)); err != nil || got.kind != "post" || got.wait != request.wait || got.total != 3 || string(got.data) != "abc" || got.call != 9 {
		t.Errorf("%+v, %v", got, err)
	}
	reply := part{call: 9, status: statusError, total: 3, data: []byte("abc")}
	if got, err := parseReply(append(reply.appendReply(nil), "abc"...)); err != nil || got.status != statusError || got.total != 3 || string(got.data) != "abc" || got.call != 9 {
		t.Errorf("%+v, %v", got, err)
	}
	if call, parts, err := parseCredit(appendCredit(nil, 9, 4)); err != nil || call != 9 || parts != 4 {
		t.Errorf("%d, %d, %v", call, parts, err)
	}
	for _, total := range []int{MaxReply, MaxReply + 1} {
		if _, err := parseReply(part{total: total}.appendReply(nil)); (err == nil) != (total <= MaxReply) {
			t.Errorf("a reply of %d bytes: %v", total, err)
		}
	}
	for _, total := range []int{MaxRequest, MaxRequest + 1} {
		if _, err := parseRequest(part{kind: "post", total: total}.appendRequest(nil)); (err == nil) != (total <= MaxRequest) {
			t.Errorf("a request of %d bytes: %v", total, err)
		}
	}
	for name, valid := range map[string]bool{"a": true, "node-1": true, "": false, "A": false, "a.b": false, "a b": false, "*": false, "123456789012345678901234567890123": false} {
		if validName(name) != valid {
			t.Errorf("%q is a name: %v", name, !valid)
		}
	}
}

func TestParts(t *testing.T) {
	t.Parallel()
	first := part{total: 5, data: []byte("ab")}
	for name, c := range map[string]struct {
		parts []part
		whole bool
		bad   bool
	}{
		"one":           {[]part{{total: 2, data: []byte("ab")}}, true, false},
		"empty":         {[]part{{}}, true, false},
		"two":           {[]part{first, {index: 1, data: []byte("cde")}}, true, false},
		"unfinished":    {[]part{first, {index: 1, data: []byte("cd")}}, false, false},
		"lost":          {[]part{first, {index: 2, data: []byte("cde")}}, false, true},
		"no first":      {[]part{{index: 1, data: []byte("cde")}}, false, true},
		"too long":      {[]part{first, {index: 1, data: []byte("cdef")}}, false, true},
		"first again":   {[]part{first, first}, false, true},
		"empty first":   {[]part{{total: 5}}, false, true},
		"nothing in it": {[]part{first, {index: 1}}, false, true},
	} {
		var a assembly
		var whole bool
		var err error
		for _, p := range c.parts {
			if whole, err = a.add(p); err != nil {
				break
			}
		}
		if whole != c.whole || (err != nil) != c.bad {
			t.Errorf("%s: whole %v, %v", name, whole, err)
		}
	}
}

func FuzzPacket(f *testing.F) {
	f.Add(header{typeHello, 1, 2, "a"}.append(nil))
	f.Add(part{call: 1, kind: "post", total: 3}.appendRequest(nil))
	f.Add(append(part{call: 1, total: 3}.appendReply(nil), "abc"...))
	f.Add(part{call: 1, index: 2}.appendReply([]byte("x")))
	f.Add(appendCredit(nil, 1, 2))
	f.Fuzz(func(t *testing.T, b []byte) {
		if h, ad, sealed, err := parsePacket(b); err == nil {
			if !bytes.Equal(h.append(nil), ad) || !bytes.Equal(append(ad, sealed...), b) {
				t.Errorf("%q is read as %+v", b, h)
			}
		}
		var a assembly
		if p, err := parseRequest(b); err == nil {
			if again := append(p.appendRequest(nil), p.data...); !bytes.Equal(again, b) {
				t.Errorf("%q is read as %q", b, again)
			}
			a.add(p)
		}
		if p, err := parseReply(b); err == nil {
			if again := append(p.appendReply(nil), p.data...); !bytes.Equal(again, b) {
				t.Errorf("%q is read as %q", b, again)
			}
			a.add(p)
			if a.next > 0 {
				a.due()
			}
		}
		if call, parts, err := parseCredit(b); err == nil && !bytes.Equal(appendCredit(nil, call, parts), b) {
			t.Errorf("%q is read as %d, %d", b, call, parts)
		}
	})
}

// FuzzReceive is packets of somebody who has no key, and of a node that has.
func FuzzReceive(f *testing.F) {
	f.Add(header{typeHello, 1, 2, "b"}.append(nil), []byte{})
	for kind := byte(0); kind < 9; kind++ {
		f.Add(header{kind, 7, 0, "b"}.append(nil), part{call: 1, kind: "post", total: 3}.appendRequest(nil))
	}
	f.Add([]byte{}, append(part{call: 1, total: 900_000}.appendReply(nil), make([]byte, 100)...))
	key, err := keyOf(bytes.Repeat([]byte{1}, KeySize))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, packet, plain []byte) {
		p := New(offline(t), "g", "a", key, func(string) (string, bool) { return key.Public(), true }, testLog(t))
		defer p.Close()
		l := p.linkTo("b", true)
		l.session = &session{id: 7, public: key.Public()}
		l.dial = &dial{id: 7, answers: make(chan answer, 1)}
		c := l.begin()
		g := p.guestOf("b", true)
		g.current = &session{id: 7, public: key.Public()}
		p.receive(message(packet))
		for _, kind := range []byte{typeRequest, typeReply, typeCredit} {
			var r ratchet
			h := header{kind, 7, 0, "b"}.append(nil)
			sealed, err := r.seal(h, h, plain)
			if err != nil {
				t.Fatal(err)
			}
			p.receive(message(sealed))
		}
		if g.open < 0 || g.open > maxOpen {
			t.Errorf("%d bytes are open", g.open)
		}
		l.leave(c)
		if len(l.calls) > 0 {
			t.Error("calls are left")
		}
	})
}
