package hostkeys

import (
	"crypto/rand"
	"crypto/sha512"
	"encoding/pem"
	"errors"
	"fmt"

	"golang.org/x/crypto/ssh"
)

// What OpenSSH's PROTOCOL.sshsig has in each signature, and the hash that we use.
const magic, hash = "SSHSIG", "sha512"

// Sign returns an armored signature over message that "ssh-keygen -Y verify -n namespace" checks (OpenSSH's
// PROTOCOL.sshsig, version 1, SHA-512). The namespace keeps a signature for one purpose from serving another;
// an empty one is an error, as it is no purpose.
func Sign(signer ssh.Signer, namespace string, message []byte) ([]byte, error) {
	if namespace == "" {
		return nil, errors.New("sign with the host key: no namespace")
	}
	signature, err := signer.Sign(rand.Reader, signed(namespace, message))
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

// signed is what is really signed: the message's hash and what the signature is for.
func signed(namespace string, message []byte) []byte {
	digest := sha512.Sum512(message)
	return ssh.Marshal(struct {
		Magic                     [6]byte
		Namespace, Reserved, Hash string
		Digest                    []byte
	}{[6]byte([]byte(magic)), namespace, "", hash, digest[:]})
}

// Verify checks what Sign returned, and returns the key that signed. The caller decides whether to trust that key.
func Verify(namespace string, message, armored []byte) (ssh.PublicKey, error) {
	block, _ := pem.Decode(armored)
	if block == nil || block.Type != "SSH SIGNATURE" {
		return nil, errors.New("verify a signature: it is not an SSH signature")
	}
	var blob struct {
		Magic                     [6]byte
		Version                   uint32
		PublicKey                 []byte
		Namespace, Reserved, Hash string
		Signature                 []byte
	}
	if err := ssh.Unmarshal(block.Bytes, &blob); err != nil {
		return nil, fmt.Errorf("verify a signature: %w", err)
	}
	if string(blob.Magic[:]) != magic || blob.Version != 1 || blob.Namespace != namespace || blob.Hash != hash {
		return nil, errors.New("verify a signature: it has another format or namespace")
	}
	key, err := ssh.ParsePublicKey(blob.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("verify a signature: %w", err)
	}
	var signature ssh.Signature
	if err := ssh.Unmarshal(blob.Signature, &signature); err != nil {
		return nil, fmt.Errorf("verify a signature: %w", err)
	}
	if err := key.Verify(signed(namespace, message), &signature); err != nil {
		return nil, errors.New("verify a signature: it does not match the message")
	}
	return key, nil
}
