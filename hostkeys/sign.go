package hostkeys

import (
	"crypto/rand"
	"crypto/sha512"
	"encoding/pem"
	"errors"
	"fmt"

	"golang.org/x/crypto/ssh"
)

// Sign returns an armored signature over message that "ssh-keygen -Y verify -n namespace" checks (OpenSSH's
// PROTOCOL.sshsig, version 1, SHA-512). The namespace keeps a signature for one purpose from serving another;
// an empty one is an error, as it is no purpose.
func Sign(signer ssh.Signer, namespace string, message []byte) ([]byte, error) {
	if namespace == "" {
		return nil, errors.New("sign with the host key: no namespace")
	}
	digest := sha512.Sum512(message)
	const magic, hash = "SSHSIG", "sha512"
	signed := ssh.Marshal(struct {
		Magic                     [6]byte
		Namespace, Reserved, Hash string
		Digest                    []byte
	}{[6]byte([]byte(magic)), namespace, "", hash, digest[:]})
	signature, err := signer.Sign(rand.Reader, signed)
	if err != nil {
		return nil, fmt.Errorf("sign with the host key: %w", err)
	}
	blob := ssh.Marshal(struct {
		Magic                     [6]byte
		Version                   uint32
		PublicKey                 []byte
		Namespace, Reserved, Hash string
		Signature                 []byte
	}{[6]byte([]byte(magic)), 1, signer.PublicKey().Marshal(), namespace, "", hash, ssh.Marshal(signature)})
	return pem.EncodeToMemory(&pem.Block{Type: "SSH SIGNATURE", Bytes: blob}), nil
}
