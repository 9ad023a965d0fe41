package peer

import (
	"crypto/rand"
	"errors"
	"fmt"
	"sync"

	"sshchat/store/agesplit"
)

// ChainOverhead is how much longer a packet of a Chain is than what it holds, in bytes.
const ChainOverhead = 16

// Chain seals packets that one node sends to all others, each under its own key, which is erased when it was used. Who is
// handed its key at one position can open the packets from there on, and none before. Its methods may be called from any
// goroutine; a caller that needs the packets sent in order holds a lock around Seal and the sending.
type Chain struct {
	mu sync.Mutex
	r  ratchet // guarded by mu
}

// NewChain draws a key.
func NewChain() *Chain {
	c := new(Chain)
	agesplit.InSecret(func() { rand.Read(c.r.key[:]) }) // never fails
	return c
}

// Seal seals plain as the packet of position n, bound to ad: a Receiver opens it with both. It panics after Wipe.
func (c *Chain) Seal(ad, plain []byte) (n uint64, packet []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n = c.r.n
	packet, err := c.r.seal(make([]byte, 0, len(plain)+ChainOverhead), ad, plain)
	if err != nil {
		panic("internal error: seal with a chain that was wiped")
	}
	return n, packet
}

// Key returns the position of the next packet and the key that opens it and all that follow, to be handed to a node over a
// sealed call. The caller clears it afterwards.
func (c *Chain) Key() (n uint64, key []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	key = make([]byte, KeySize)
	copy(key, c.r.key[:])
	return c.r.n, key
}

// Wipe erases the key.
func (c *Chain) Wipe() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.r.wipe()
}

// Errors of Receiver.Open.
var (
	ErrPassed = errors.New("the packet comes after one that was sent later, or a second time: its key is erased")
	ErrTooFar = errors.New("too many packets before this one are missing: ask for the key again")
	ErrForged = errors.New("the packet was not sealed with this key")
)

// Receiver opens what a Chain sealed, forward only. Its methods may be called from any goroutine.
type Receiver struct {
	mu sync.Mutex
	r  ratchet // guarded by mu
}

// NewReceiver opens packets from position n on with the key that Chain.Key returned. It copies the key; the caller clears it.
func NewReceiver(n uint64, key []byte) (*Receiver, error) {
	if len(key) != KeySize {
		return nil, fmt.Errorf("a key of %d bytes, not %d", len(key), KeySize)
	}
	r := &Receiver{r: ratchet{n: n}}
	copy(r.r.key[:], key)
	return r, nil
}

// Open opens the packet of position n. Packets before it that have not come are passed over (4 096 at most) and can no longer
// be opened. A packet that is not genuine changes nothing. Errors: ErrPassed, ErrTooFar, ErrForged.
func (r *Receiver) Open(ad []byte, n uint64, packet []byte) ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	plain, err := r.r.open(n, ad, append(make([]byte, 0, len(packet)), packet...))
	switch {
	case err == nil:
		return plain, nil
	case errors.Is(err, errTooFar):
		return nil, ErrTooFar
	case errors.Is(err, errForged):
		return nil, ErrForged
	}
	return nil, ErrPassed
}

// Next is the lowest position that can still be opened.
func (r *Receiver) Next() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.r.n
}

// Wipe erases the key.
func (r *Receiver) Wipe() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.r.wipe()
}
