package peer

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/flynn/noise"
	"golang.org/x/crypto/chacha20poly1305"

	"sshchat/store/agesplit"
)

func TestChain(t *testing.T) {
	t.Parallel()
	c := NewChain()
	ad := []byte("epoch 7")
	_, before := c.Seal(ad, []byte("before anybody has the key"))
	n, key := c.Key()
	r, err := NewReceiver(n, key)
	if err != nil || n != 1 {
		t.Fatalf("at %d, %v", n, err)
	}
	clear(key) // the receiver has its own
	if _, err := r.Open(ad, 0, before); !errors.Is(err, ErrPassed) {
		t.Errorf("a packet from before: %v", err)
	}
	for range 3 {
		want := bytes.Repeat([]byte("text"), 100)
		n, packet := c.Seal(ad, want)
		if len(packet) != len(want)+ChainOverhead {
			t.Errorf("a packet of %d bytes", len(packet))
		}
		kept := bytes.Clone(packet)
		for name, bad := range map[string]func() ([]byte, error){
			"other ad": func() ([]byte, error) { return r.Open([]byte("epoch 8"), n, packet) },
			"as next":  func() ([]byte, error) { return r.Open(ad, n+1, packet) },
			"far":      func() ([]byte, error) { return r.Open(ad, n+maxSkip, packet) },
			"empty":    func() ([]byte, error) { return r.Open(ad, n, nil) },
		} {
			if _, err := bad(); !errors.Is(err, ErrForged) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, err := r.Open(ad, n+maxSkip+1, packet); !errors.Is(err, ErrTooFar) {
			t.Errorf("too far: %v", err)
		}
		got, err := r.Open(ad, n, packet)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%q, %v", got, err)
		}
		if !bytes.Equal(packet, kept) {
			t.Error("the packet is not the caller's any more")
		}
		if _, err := r.Open(ad, n, packet); !errors.Is(err, ErrPassed) || r.Next() != n+1 {
			t.Errorf("a second time: %v, next %d", err, r.Next())
		}
	}
	c.Seal(ad, nil) // lost
	lost, late := c.Seal(ad, nil)
	n, packet := c.Seal(ad, nil)
	if got, err := r.Open(ad, n, packet); err != nil || len(got) != 0 {
		t.Errorf("after losses: %v", err)
	}
	if _, err := r.Open(ad, lost, late); !errors.Is(err, ErrPassed) {
		t.Errorf("a packet that comes late: %v", err)
	}
	r.Wipe()
	if n, packet := c.Seal(ad, nil); r.r.key != [KeySize]byte{} {
		t.Error("the key is kept")
	} else if _, err := r.Open(ad, n, packet); err == nil {
		t.Error("it opens without a key")
	}
	if _, err := NewReceiver(0, key[:KeySize-1]); err == nil {
		t.Error("a short key is taken")
	}
	c.Wipe()
	defer func() {
		if recover() == nil || c.r.key != [KeySize]byte{} {
			t.Error("it seals without a key")
		}
	}()
	c.Seal(ad, nil)
}

// The first keys of a ratchet whose key is zero are the first block of ChaCha20 in RFC 8439, appendix A.1: the format is
// what two versions of the program must agree on.
func TestRatchetVectors(t *testing.T) {
	t.Parallel()
	block := []byte{
		0x76, 0xb8, 0xe0, 0xad, 0xa0, 0xf1, 0x3d, 0x90, 0x40, 0x5d, 0x6a, 0xe5, 0x53, 0x86, 0xbd, 0x28,
		0xbd, 0xd2, 0x19, 0xb8, 0xa0, 0x8d, 0xed, 0x1a, 0xa8, 0x36, 0xef, 0xcc, 0x8b, 0x77, 0x0d, 0xc7,
		0xda, 0x41, 0x59, 0x7c, 0x51, 0x57, 0x48, 0x8d, 0x77, 0x24, 0xe0, 0x3f, 0xb8, 0xd8, 0x4a, 0x37,
		0x6a, 0x43, 0xb8, 0xf4, 0x15, 0x18, 0xa1, 0x1c, 0xc3, 0x87, 0xb6, 0x69, 0xb2, 0xee, 0x65, 0x86,
	}
	var r ratchet
	var once [KeySize]byte
	r.step(&once)
	if !bytes.Equal(r.key[:], block[:KeySize]) || !bytes.Equal(once[:], block[KeySize:]) || r.n != 1 {
		t.Errorf("%x, %x", r.key, once)
	}
}

func TestStepAllocatesNothing(t *testing.T) {
	var r ratchet
	var once [KeySize]byte
	if n := testing.AllocsPerRun(100, func() { r.step(&once) }); n > 0 && !agesplit.Erases {
		t.Errorf("%v allocations", n)
	}
}

// A packet in place: neither the plain text nor what is between stays in the buffer.
func TestSealInPlace(t *testing.T) {
	t.Parallel()
	var s, r ratchet
	b := make([]byte, 0, 1000)
	b = append(b, "header and plain text"...)
	sealed, err := s.seal(b[:6], b[:6], b[6:])
	if err != nil || &sealed[0] != &b[0] || bytes.Contains(sealed[:cap(sealed)], []byte("plain")) {
		t.Fatalf("%q, %v", sealed, err)
	}
	plain, err := r.open(0, sealed[:6], sealed[6:])
	if err != nil || string(plain) != " and plain text" {
		t.Fatalf("%q, %v", plain, err)
	}
	short := []byte("header and plain text")
	if again, err := s.seal(short[:6:6], short[:6], short[6:]); err != nil || len(again) != len(short)+chacha20poly1305.Overhead {
		t.Errorf("into a buffer without room: %q, %v", again, err)
	}
}

func TestHandshakeIsErased(t *testing.T) {
	t.Parallel()
	one, other := newKey(t), newKey(t)
	a := &self{"g", "a", one, 1}
	b := &self{"g", "b", other, 2}
	hs, message, err := a.hello("b", other.Public())
	if err != nil {
		t.Fatal(err)
	}
	to, from := &session{public: one.Public()}, &session{}
	welcome, _, err := b.welcome("a", message, to)
	if err != nil {
		t.Fatal(err)
	}
	if err := finish(hs, append([]byte("forged"), welcome...), from); err == nil {
		t.Error("a forged answer is taken")
	}
	if err := finish(hs, welcome, from); err != nil {
		t.Errorf("the genuine answer after it: %v", err)
	}
	if to.send.key != from.receive.key || to.receive.key != from.send.key || to.send.key == to.receive.key || to.send.key == [KeySize]byte{} {
		t.Error("the keys of both sides do not fit")
	}
	if n := forget(hs); n != 3 {
		t.Errorf("%d of 3 fields of the library are reached", n)
	}
	if !bytes.Equal(hs.LocalEphemeral().Private, make([]byte, KeySize)) {
		t.Error("the one-time key is kept")
	}
}

// The library's own state after the split is not the session's: Rekey takes it away.
func TestLibraryForgetsTheKeys(t *testing.T) {
	t.Parallel()
	var key [KeySize]byte
	key[0] = 1
	to, from := noise.UnsafeNewCipherState(suite, key, 0), noise.UnsafeNewCipherState(suite, key, 0)
	s := &session{}
	s.take(to, from)
	if s.send.key != key || to.UnsafeKey() == key || from.UnsafeKey() == key {
		t.Error("the library keeps the first key")
	}
}

func TestSeen(t *testing.T) {
	t.Parallel()
	var s seen
	model := make(map[uint64]bool)
	top := uint64(0)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 200_000 {
		call := uint64(1)
		switch random.IntN(20) {
		case 0:
			call = top + 1 + random.Uint64N(3*seenCalls)
		case 1, 2, 3, 4, 5:
			call = top - min(top, random.Uint64N(2*seenCalls))
		default:
			call = top + random.Uint64N(5)
		}
		want := !model[call] && (call > top || top-call < seenCalls)
		if got := s.take(call); got != want {
			t.Fatalf("step %d: call %d after %d is new: %v", i, call, top, got)
		}
		top = max(top, call)
		model[call] = true
	}
}
