package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"sshchat/store/durable"
)

// A chain of hashes needs no secret: anyone who can write the file while no server runs can make another valid one. So
// the server signs its tip at each start and stop, in audit.tip, and checks at the start that the log continues from the
// signed tip. This detects changes by anyone who does not also have the host key. An old log with the audit.tip of its
// time is detected only by somebody who remembers a later tip.

// Signer signs with the server's host key.
type Signer interface {
	Sign(message []byte) (signature []byte, err error)
	// Signed is the fingerprint of the key that signed the message. It fails unless that key is or was the server's.
	Signed(message, signature []byte) (fingerprint string, err error)
}

// Tip is a point of the log, as it is signed: a line of JSON, without the signature.
type Tip struct {
	Format string    `json:"format"`
	N      uint64    `json:"n"`    // counts the log's lines
	Hash   string    `json:"hash"` // SHA-256 of the last of them; empty for a log without lines
	At     time.Time `json:"at"`
	When   string    `json:"when"` // Start or Stop

	By string `json:"-"` // fingerprint of the key that signed it
}

// When a tip is signed.
const (
	Start = "start"
	Stop  = "stop"
)

const tipFormat = "sshchat-audit-tip/1"

// maxTip is more than a tip with its signature takes, in bytes.
const maxTip = 4 << 10

func (a *Log) tipPath() string { return filepath.Join(a.dir, "audit.tip") }

// SignTip has the log's tip signed and writes it to audit.tip. When it returns nil the tip survives a power cut; a crash
// before leaves the one before, which is as true.
func (a *Log) SignTip(s Signer, when string) (Tip, error) {
	if err := a.Sync(); err != nil {
		return Tip{}, err
	}
	tip := Tip{Format: tipFormat, At: a.now().UTC().Truncate(time.Second), When: when}
	tip.N, tip.Hash = a.Tip()
	line, err := json.Marshal(tip)
	if err != nil {
		return Tip{}, fmt.Errorf("sign the audit log's last line: %w", err)
	}
	line = append(line, '\n')
	signature, err := s.Sign(line)
	if err != nil {
		return Tip{}, fmt.Errorf("sign the audit log's last line: %w", err)
	}
	err = durable.Swap(a.disk, a.tipPath(), append(line, signature...))
	if err == nil {
		err = a.disk.SyncDir(a.dir)
	}
	if err != nil {
		return Tip{}, fmt.Errorf("sign the audit log's last line: %w", err)
	}
	return tip, nil
}

// CheckTip returns the tip that was signed last, and how many lines came after it. It fails if the log does not continue
// from it, if the tip was not signed by the server, or if there is no tip although the log has lines. The error is for
// admins.
func (a *Log) CheckTip(s Signer) (tip Tip, later uint64, err error) {
	b, err := durable.ReadFile(a.disk, a.tipPath()) // before the log is read, so that the tip is of no later line
	v, broken := a.view()
	if broken != nil {
		return Tip{}, 0, broken
	}
	defer v.close()
	n, hash := v.n, v.tip
	switch {
	case errors.Is(err, fs.ErrNotExist) && n == 0:
		return Tip{}, 0, nil
	case errors.Is(err, fs.ErrNotExist):
		return Tip{}, 0, errors.New("audit.tip is missing: the log is from a server that did not sign it, or somebody removed the file")
	case err != nil:
		return Tip{}, 0, fmt.Errorf("audit.tip: %w", err)
	}
	if tip, err = parseTip(b, s); err != nil {
		return Tip{}, 0, fmt.Errorf("audit.tip: %w", err)
	}
	if tip.N > n {
		return tip, 0, fmt.Errorf("%d lines were signed, and %d are left", tip.N, n)
	}
	if tip.N < n {
		if hash, err = v.hashOf(tip.N); err != nil {
			return tip, 0, err
		}
	}
	if hash != tip.Hash {
		return tip, 0, fmt.Errorf("line %d is not the one that was signed", tip.N)
	}
	return tip, n - tip.N, nil
}

func parseTip(b []byte, s Signer) (tip Tip, err error) {
	line, signature, ok := bytes.Cut(b, []byte("\n"))
	if !ok || len(b) > maxTip || json.Unmarshal(line, &tip) != nil || tip.Format != tipFormat {
		return Tip{}, errors.New("it is damaged")
	}
	if tip.By, err = s.Signed(append(line[:len(line):len(line)], '\n'), signature); err != nil {
		return Tip{}, err
	}
	return tip, nil
}
