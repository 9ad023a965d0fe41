// Package proxy reads the header that a load balancer sends before what its client sends, so that the server sees the client's
// address: version 2 of the PROXY protocol, for TCP over IPv4 and IPv6, and nothing else
// (https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt, section 2.2). Anybody can write such a header, so it must be read
// only from those who are trusted to: that is the caller's business. The package knows nothing of SSH.
package proxy

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
)

// Header is who connected to the balancer, and to which of its addresses. IPv4 addresses in IPv6 form are in IPv4 form.
type Header struct {
	Client, Server netip.AddrPort
	Local          bool // the balancer connected for itself, as for a health check: there is no client
}

// Why what comes first is no header that we take.
var (
	ErrMissing  = errors.New("no PROXY protocol header")
	ErrVersion1 = errors.New("a PROXY protocol header of version 1; only version 2 is supported")
	ErrInvalid  = errors.New("an invalid PROXY protocol header")
)

// Signature is how a header of version 2 begins, and Signature1 how one of version 1 does. SSH begins otherwise.
const (
	Signature  = "\r\n\r\n\x00\r\nQUIT\n"
	Signature1 = "PROXY "
)

// MaxSize is the largest header, in bytes. Senders are told to need no more (section 2.2); what follows the addresses, such as
// the balancer's certificates, is of no use to us.
const MaxSize = 536

const (
	fixedSize = 16 // the signature, then version and command, family, and the size of the rest in two bytes

	version2     = 2 << 4
	commandLocal = version2
	commandProxy = version2 | 1

	tcp4, tcp6 = 0x11, 0x21
)

// Read reads a header and not a byte more. It gives up at the first byte that no header has. Errors: those above, with details;
// the reader's, if it fails before anything comes, such as io.EOF.
func Read(r io.Reader) (Header, error) {
	var b [MaxSize]byte
	if err := readFixed(r, b[:fixedSize]); err != nil {
		return Header{}, err
	}
	command, family, size := b[12], b[13], int(binary.BigEndian.Uint16(b[14:]))
	switch {
	case command != commandLocal && command != commandProxy:
		return Header{}, fmt.Errorf("%w: version and command 0x%02x", ErrInvalid, command)
	case fixedSize+size > MaxSize:
		return Header{}, fmt.Errorf("%w: %d bytes; the limit is %d", ErrInvalid, fixedSize+size, MaxSize)
	}
	rest := b[fixedSize : fixedSize+size]
	if _, err := io.ReadFull(r, rest); err != nil {
		return Header{}, incomplete(err)
	}
	if command == commandLocal {
		return Header{Local: true}, nil // the rest is to be ignored, family and all
	}
	return parse(family, rest)
}

// readFixed reads the part that each header has. It waits for no more where what has come begins no header.
func readFixed(r io.Reader, b []byte) error {
	for n := 0; n < len(b); {
		read, err := r.Read(b[n:])
		n += read
		seen := b[:n]
		switch {
		case Begins(seen, Signature):
		case Begins(seen, Signature1) && n < len(Signature1):
		case Begins(seen, Signature1):
			return ErrVersion1
		default:
			return ErrMissing
		}
		if err != nil && n < len(b) {
			if n > 0 {
				err = incomplete(err)
			}
			return err
		}
	}
	return nil
}

// incomplete is why reading ended within a header.
func incomplete(err error) error {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("%w: incomplete: %w", ErrInvalid, err)
}

// Begins reports whether seen is the beginning of what, or goes on after it.
func Begins(seen []byte, what string) bool {
	n := min(len(seen), len(what))
	return string(seen[:n]) == what[:n]
}

// parse takes the addresses. What follows them, in types, lengths and values, is skipped.
func parse(family byte, rest []byte) (Header, error) {
	var size int // of an address
	switch family {
	case tcp4:
		size = 4
	case tcp6:
		size = 16
	default:
		return Header{}, fmt.Errorf("%w: family 0x%02x is not TCP over IPv4 or IPv6", ErrInvalid, family)
	}
	if len(rest) < 2*size+4 {
		return Header{}, fmt.Errorf("%w: %d bytes of addresses, not %d", ErrInvalid, len(rest), 2*size+4)
	}
	at := func(address, port int) netip.AddrPort {
		ip, _ := netip.AddrFromSlice(rest[address : address+size]) // of 4 or 16 bytes
		return netip.AddrPortFrom(ip.Unmap(), binary.BigEndian.Uint16(rest[port:]))
	}
	h := Header{Client: at(0, 2*size), Server: at(size, 2*size+2)}
	if ip := h.Client.Addr(); ip.IsUnspecified() || ip.IsMulticast() {
		return Header{}, fmt.Errorf("%w: nobody can connect from %s", ErrInvalid, ip)
	}
	return h, nil
}
