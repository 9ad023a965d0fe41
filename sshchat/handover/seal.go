package handover

import (
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"io"

	"golang.org/x/crypto/chacha20poly1305"
)

// The sealed form is STREAM (Hoang, Reyhanitabar, Rogaway and Vizár, 2015) as age has it: chunks of 64 KiB, each sealed by
// ChaCha20-Poly1305. The nonce is the chunk's number and whether it is the last one, so that none can be left out, moved or
// cut off. The last chunk is shorter than the others, if need be empty. A key is drawn for one stream.

const (
	keySize   = chacha20poly1305.KeySize
	chunkSize = 64 << 10
)

var errSealed = errors.New("it is damaged, cut short, or sealed with another key")

// stream is what both directions share.
type stream struct {
	aead  cipher.AEAD
	n     uint64
	chunk []byte // plain; its capacity is chunkSize and a tag
}

func newStream(key []byte) (*stream, error) {
	aead, err := chacha20poly1305.New(key)
	if err != nil {
		return nil, err
	}
	return &stream{aead: aead, chunk: make([]byte, 0, chunkSize+chacha20poly1305.Overhead)}, nil
}

// nonce is that of the next chunk.
func (s *stream) nonce(last bool) []byte {
	nonce := make([]byte, chacha20poly1305.NonceSize)
	binary.BigEndian.PutUint64(nonce[3:], s.n)
	if last {
		nonce[11] = 1
	}
	s.n++
	return nonce
}

// sealer seals what is written to it. Close writes the last chunk.
type sealer struct {
	*stream
	to io.Writer
}

func newSealer(to io.Writer, key []byte) (*sealer, error) {
	s, err := newStream(key)
	return &sealer{s, to}, err
}

func (s *sealer) Write(p []byte) (written int, err error) {
	for len(p) > 0 {
		n := min(len(p), chunkSize-len(s.chunk))
		s.chunk = append(s.chunk, p[:n]...)
		written += n
		p = p[n:]
		if len(s.chunk) == chunkSize {
			if err := s.flush(false); err != nil {
				return written, err
			}
		}
	}
	return written, nil
}

func (s *sealer) flush(last bool) error {
	_, err := s.to.Write(s.aead.Seal(s.chunk[:0], s.nonce(last), s.chunk, nil))
	s.chunk = s.chunk[:0]
	return err
}

func (s *sealer) Close() error { return s.flush(true) }

// opener opens what a sealer wrote. It returns io.EOF only after the last chunk.
type opener struct {
	*stream
	from io.Reader
	left []byte // of chunk
	last bool
}

func newOpener(from io.Reader, key []byte) (*opener, error) {
	s, err := newStream(key)
	return &opener{stream: s, from: from}, err
}

func (o *opener) Read(p []byte) (int, error) {
	for len(o.left) == 0 {
		if o.last {
			return 0, io.EOF
		}
		if err := o.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, o.left)
	clear(o.left[:n])
	o.left = o.left[n:]
	return n, nil
}

// next opens a chunk.
func (o *opener) next() error {
	sealed := o.chunk[:cap(o.chunk)]
	n, err := io.ReadFull(o.from, sealed)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return errSealed
	}
	o.last = n < len(sealed)
	if o.left, err = o.aead.Open(sealed[:0], o.nonce(o.last), sealed[:n], nil); err != nil {
		return errSealed
	}
	return nil
}
