package peer

import (
	"errors"
	"slices"

	"golang.org/x/crypto/chacha20"
	"golang.org/x/crypto/chacha20poly1305"

	"sshchat/store/agesplit"
)

// KeySize is the length of every key, in bytes.
const KeySize = chacha20poly1305.KeySize

// maxSkip is how many lost packets are passed over to reach the next. It also bounds what a forged position costs: about
// 0.4 µs for each.
const maxSkip = 4096

var (
	errPassed = errors.New("its key was used or passed over, and is erased")
	errTooFar = errors.New("too many packets before it are missing")
	errForged = errors.New("it was not sealed with this key")
	errWiped  = errors.New("the keys are erased")
)

// ratchet is one direction of a session, or a chain. It holds the key from which those of all packets from n on are made,
// and none that was used: a step replaces the key by one from which it cannot be computed.
//
// A step is one block of ChaCha20 under the key: its first half is the next key, its second half opens one packet. That is
// the "fast key erasure" of Bernstein (2017), and what Rekey of the Noise specification (11.3) computes, with the key of the
// packet beside it. HKDF would do as well; it was measured at 12 times the time, and 14 allocations instead of none. As each
// packet has its own key, the nonce is always zero.
type ratchet struct {
	key   [KeySize]byte
	n     uint64 // position of the next packet
	wiped bool
}

// step makes the key of packet n and moves on to n+1.
func (r *ratchet) step(once *[KeySize]byte) {
	var zero [chacha20.NonceSize]byte
	var block [2 * KeySize]byte
	c, err := chacha20.NewUnauthenticatedCipher(r.key[:], zero[:])
	if err != nil {
		panic("internal error: chacha20: " + err.Error()) // only for a key of another size
	}
	c.XORKeyStream(block[:], block[:])
	copy(r.key[:], block[:KeySize])
	copy(once[:], block[KeySize:])
	clear(block[:])
	r.n++
}

// seal appends plain, sealed as packet r.n, to dst. Plain may be what follows dst in the same array.
func (r *ratchet) seal(dst, ad, plain []byte) ([]byte, error) {
	if r.wiped {
		return nil, errWiped
	}
	dst = slices.Grow(dst, len(plain)+chacha20poly1305.Overhead)
	agesplit.InSecret(func() {
		var once [KeySize]byte
		r.step(&once)
		dst = cipherOf(&once).Seal(dst, zeroNonce[:], plain, ad)
		clear(once[:])
	})
	return dst, nil
}

// open opens packet n in place: what it returns is in the array of sealed, which is lost in any case. The ratchet moves past
// n when the packet is genuine and stays where it is when not.
func (r *ratchet) open(n uint64, ad, sealed []byte) (plain []byte, err error) {
	switch {
	case r.wiped:
		return nil, errWiped
	case n < r.n:
		return nil, errPassed
	case n-r.n > maxSkip:
		return nil, errTooFar
	}
	agesplit.InSecret(func() {
		ahead := ratchet{key: r.key, n: r.n}
		var once [KeySize]byte
		for ahead.n <= n {
			ahead.step(&once)
		}
		if plain, err = cipherOf(&once).Open(sealed[:0], zeroNonce[:], sealed, ad); err == nil {
			r.key, r.n = ahead.key, ahead.n
		} else {
			err = errForged
		}
		clear(once[:])
		clear(ahead.key[:])
	})
	return plain, err
}

// wipe forgets the key. Nothing is sealed or opened with it any more.
func (r *ratchet) wipe() {
	clear(r.key[:])
	r.wiped = true
}

var zeroNonce [chacha20poly1305.NonceSize]byte

// sealer is the part of cipher.AEAD that is used.
type sealer interface {
	Seal(dst, nonce, plaintext, additionalData []byte) []byte
	Open(dst, nonce, ciphertext, additionalData []byte) ([]byte, error)
}

// cipherOf returns the cipher of a key. The library copies the key and cannot erase its copy: in a build with runtimesecret
// that is done when the garbage collector finds it, in others when the memory is used again.
func cipherOf(once *[KeySize]byte) sealer {
	aead, err := chacha20poly1305.New(once[:])
	if err != nil {
		panic("internal error: chacha20poly1305: " + err.Error()) // only for a key of another size
	}
	return aead
}
