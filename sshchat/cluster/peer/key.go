package peer

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/flynn/noise"

	"sshchat/store/agesplit"
)

// KeyFile is the name of the key's file in the data folder.
const KeyFile = "node.key"

// maxKeyFile is more than any key's file has, in bytes.
const maxKeyFile = 4 << 10

const keyComment = `# The key of this node of the cluster. Keep it secret. No other node may have it: each creates its own.
# Public key: %s
`

// Key is what a node proves itself with to the others: a static X25519 key, which is never replaced while the node is listed.
type Key struct {
	pair noise.DHKey
}

// LoadOrCreate returns the key in the file at path, and creates it, mode 0600, if there is none. A file that is not as it
// would be created (readable by others, damaged, not a regular file) is refused with an error that says what to do.
func LoadOrCreate(path string) (*Key, error) {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return create(path)
	}
	if err != nil {
		return nil, fmt.Errorf("load the node key: %w", err)
	}
	switch {
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("node key %s is not a regular file", path)
	case info.Mode().Perm()&0o077 != 0:
		return nil, fmt.Errorf("node key %s can be read or written by other users (mode %04o): if nobody has copied it, run chmod 600; if somebody may have, remove it, start again and list the new key",
			path, info.Mode().Perm())
	case info.Size() > maxKeyFile:
		return nil, fmt.Errorf("node key %s is too large to be a key", path)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("load the node key: %w", err)
	}
	defer clear(data)
	k, err := parseKey(data)
	if err != nil {
		return nil, fmt.Errorf("node key %s is damaged (%w): remove it, start again and list the new key", path, err)
	}
	return k, nil
}

// parseKey reads a key's file: comments, and one line with the key.
func parseKey(data []byte) (k *Key, err error) {
	var line []byte
	for l := range bytes.Lines(data) {
		if l = bytes.TrimSpace(l); len(l) > 0 && l[0] != '#' {
			if line != nil {
				return nil, errors.New("it has more than one key")
			}
			line = l
		}
	}
	wrong := fmt.Errorf("its key is not %d bytes in base64", KeySize)
	if len(line) != base64.StdEncoding.EncodedLen(KeySize) { // Decode needs room for all of it
		return nil, wrong
	}
	agesplit.InSecret(func() {
		private := make([]byte, KeySize+2) // it decodes in steps of three bytes
		defer clear(private)
		n, damaged := base64.StdEncoding.Strict().Decode(private, line)
		if damaged != nil || n != KeySize {
			err = wrong
			return
		}
		k, err = keyOf(private[:n])
	})
	return k, err
}

// keyOf makes a key of a copy of private.
func keyOf(private []byte) (*Key, error) {
	p, err := ecdh.X25519().NewPrivateKey(private)
	if err != nil {
		return nil, err
	}
	return &Key{noise.DHKey{Private: bytes.Clone(private), Public: p.PublicKey().Bytes()}}, nil
}

// create draws a key and writes its file, which appears whole or not at all, and never in place of another.
func create(path string) (k *Key, err error) {
	var line []byte
	agesplit.InSecret(func() {
		private := make([]byte, KeySize)
		rand.Read(private) // never fails
		k, err = keyOf(private)
		line = base64.StdEncoding.AppendEncode(nil, private)
		clear(private)
	})
	if err != nil {
		return nil, fmt.Errorf("create a node key: %w", err)
	}
	defer clear(line)
	data := fmt.Appendf(make([]byte, 0, maxKeyFile), keyComment, k.Public())
	data = append(append(data, line...), '\n')
	defer clear(data)
	if err := publish(path, data); err != nil {
		return nil, fmt.Errorf("create a node key: %w", err)
	}
	return k, nil
}

// publish writes a new file. A link, unlike a rename, fails if the name exists.
func publish(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(data)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil {
		return err
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Public returns the public key, for the list of nodes: 32 bytes in base64.
func (k *Key) Public() string { return base64.StdEncoding.EncodeToString(k.pair.Public) }

// Fingerprint returns what people compare the public key by: SHA256:… as ssh-keygen prints it.
func (k *Key) Fingerprint() string { return fingerprint(k.pair.Public) }

// Wipe erases the private key. Nothing works with it any more.
func (k *Key) Wipe() { clear(k.pair.Private) }

// Fingerprint returns the fingerprint of a public key as Public returns it. It refuses what is not one, and the points with which
// anyone could share a secret.
func Fingerprint(public string) (string, error) {
	b, err := parsePublic(public)
	if err != nil {
		return "", err
	}
	return fingerprint(b), nil
}

func fingerprint(public []byte) string {
	sum := sha256.Sum256(public)
	return "SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:])
}

// parsePublic reads a public key in its one spelling.
func parsePublic(public string) ([]byte, error) {
	b, err := base64.StdEncoding.Strict().DecodeString(public)
	if err != nil || len(b) != KeySize || base64.StdEncoding.EncodeToString(b) != public {
		return nil, fmt.Errorf("the public key of a node is %d bytes in base64", KeySize)
	}
	point, err := ecdh.X25519().NewPublicKey(b)
	if err != nil {
		return nil, fmt.Errorf("the public key of a node: %w", err)
	}
	trial, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("the public key of a node: %w", err)
	}
	if _, err := trial.ECDH(point); err != nil { // all zero: a point of low order
		return nil, errors.New("the public key of a node is a point of low order")
	}
	return b, nil
}
