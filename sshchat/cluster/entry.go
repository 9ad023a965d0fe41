package cluster

import (
	"bytes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"golang.org/x/crypto/chacha20poly1305"
)

// kind is what a message of the stream is.
type kind string

const (
	genesis   kind = "genesis"   // the first: which folder the chat began with
	epoch     kind = "epoch"     // By leads from here on
	files     kind = "files"     // a part of the files of the folder that the log was made anew from, behind its genesis
	batch     kind = "batch"     // what the leader's journal has published, or a part of that
	heartbeat kind = "heartbeat" // the leader is there, and has nothing to say
	resign    kind = "resign"    // the leader stops: another may campaign at once
	left      kind = "left"      // the chat has left the cluster: no node follows this stream any more
)

const (
	magic      = "SC1"
	maxPart    = 512 << 10 // bytes of a batch in one message
	maxParts   = 256
	maxPayload = maxPart + 4096
)

// entry is one message of the stream.
type entry struct {
	Kind     kind      `json:"kind"`
	Epoch    uint64    `json:"epoch"`
	By       string    `json:"by"`              // the node
	Instance uint64    `json:"instance"`        // its process, by a random number
	At       time.Time `json:"at"`              // by its clock
	Prev     string    `json:"prev"`            // SHA-256 of the message before, as it is in the stream; in hexadecimal
	N        uint64    `json:"n"`               // the last batch, with this one
	Part     int       `json:"part,omitempty"`  // of a batch: from 1
	Parts    int       `json:"parts,omitempty"` // how many there are
	Version  string    `json:"version,omitempty"`
	Format   int       `json:"format,omitempty"` // of what follows, where an epoch begins; 0: as before, or 1

	Nonces map[string]uint64 `json:"nonces,omitzero"` // the last nonce of each node that By has heard since its message before: see watch. nil: By's version repeats none

	body []byte // of a batch
}

// errForeign is wrapped where a message cannot be opened with this cluster's key at its place.
var errForeign = errors.New("it cannot be opened with cluster.key")

// sealer seals the messages of one cluster, each for one place in the stream.
type sealer struct {
	aead    cipher.AEAD
	genesis string
}

func newSealer(key []byte, genesis string) (*sealer, error) {
	aead, err := chacha20poly1305.NewX(key)
	if err != nil {
		return nil, fmt.Errorf("cluster.key: %w", err)
	}
	return &sealer{aead, genesis}, nil
}

// place binds a sealed message to its purpose and place.
func (s *sealer) place(purpose string, n uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte("sshchat "+purpose+" "+s.genesis+" "), n)
}

// seal seals b for a purpose and place.
func (s *sealer) seal(purpose string, n uint64, b []byte) []byte {
	nonce := make([]byte, chacha20poly1305.NonceSizeX, len(magic)+chacha20poly1305.NonceSizeX+len(b)+chacha20poly1305.Overhead)
	rand.Read(nonce) // never fails
	out := append([]byte(magic), nonce...)
	return s.aead.Seal(out, nonce, b, s.place(purpose, n))
}

// open opens what seal has sealed for the same purpose and place.
func (s *sealer) open(purpose string, n uint64, sealed []byte) ([]byte, error) {
	rest, ok := bytes.CutPrefix(sealed, []byte(magic))
	if !ok || len(rest) < chacha20poly1305.NonceSizeX {
		return nil, errForeign
	}
	nonce, rest := rest[:chacha20poly1305.NonceSizeX], rest[chacha20poly1305.NonceSizeX:]
	b, err := s.aead.Open(nil, nonce, rest, s.place(purpose, n))
	if err != nil {
		return nil, errForeign
	}
	return b, nil
}

// encode is the message in the stream's place seq.
func (s *sealer) encode(e *entry, seq uint64) ([]byte, error) {
	head, err := json.Marshal(e)
	if err != nil {
		return nil, err
	}
	return s.seal("log", seq, append(append(head, '\n'), e.body...)), nil
}

// decode reads the message in the stream's place seq. Errors: errForeign, or what is wrong with it.
func (s *sealer) decode(payload []byte, seq uint64) (*entry, error) {
	plain, err := s.open("log", seq, payload)
	if err != nil {
		return nil, err
	}
	return parseEntry(plain)
}

// parseEntry reads what a message says.
func parseEntry(plain []byte) (*entry, error) {
	head, body, ok := bytes.Cut(plain, []byte{'\n'})
	if !ok {
		return nil, errors.New("its first line does not end")
	}
	e := &entry{body: body}
	if err := json.Unmarshal(head, e); err != nil {
		return nil, err
	}
	if e.Kind == batch && (e.Part < 1 || e.Part > e.Parts || e.Parts > maxParts) {
		return nil, fmt.Errorf("it is part %d of %d", e.Part, e.Parts)
	}
	return e, nil
}

// sumOf is how the next message names this one.
func sumOf(payload []byte) string {
	sum := sha256.Sum256(payload)
	return hex.EncodeToString(sum[:])
}

// partsOf cuts a batch so that each part fits into a message.
func partsOf(b []byte) (parts [][]byte) {
	for len(b) > maxPart {
		parts, b = append(parts, b[:maxPart]), b[maxPart:]
	}
	return append(parts, b)
}
