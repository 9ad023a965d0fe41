package handover

import (
	"errors"
	"io"

	"filippo.io/age"
)

// The sealed form is an age file (C2SP, age). Its key is wrapped for nobody: it goes beside the file, in a pipe, and the head
// holds a stanza without content.

// keySize is the size of an age file key, in bytes.
const keySize = 16

var errSealed = errors.New("it is damaged, cut short, or sealed with another key")

// bareKey is the file key itself, as the one recipient and the one identity of a file.
type bareKey []byte

const bareStanza = "sshchat-handover"

// Wrap implements age.Recipient: it takes the key that age has drawn. age's own copy stays in this process, which ends now.
func (k bareKey) Wrap(fileKey []byte) ([]*age.Stanza, error) {
	copy(k, fileKey)
	return []*age.Stanza{{Type: bareStanza}}, nil
}

// Unwrap implements age.Identity.
func (k bareKey) Unwrap(stanzas []*age.Stanza) ([]byte, error) {
	if len(stanzas) != 1 || stanzas[0].Type != bareStanza {
		return nil, age.ErrIncorrectIdentity
	}
	return k, nil
}

// newSealer seals what is written to it, and puts the key that was drawn for it into key. Close writes the last chunk.
func newSealer(to io.Writer, key []byte) (io.WriteCloser, error) {
	return age.Encrypt(to, bareKey(key))
}

// newOpener opens what a sealer wrote. It returns io.EOF only after all of it, and otherwise errSealed.
func newOpener(from io.Reader, key []byte) (io.Reader, error) {
	r, err := age.Decrypt(from, bareKey(key))
	if err != nil {
		return nil, errSealed
	}
	return opener{r}, nil
}

type opener struct{ from io.Reader }

func (o opener) Read(p []byte) (int, error) {
	n, err := o.from.Read(p)
	if err != nil && err != io.EOF {
		err = errSealed
	}
	return n, err
}
