package main

import (
	"strings"

	"sshchat/hostkeys"
	"sshchat/sshchat/command"

	"golang.org/x/crypto/ssh"
)

// ring is the host keys as the commands see them.
type ring struct{ *hostkeys.Ring }

func (r ring) List() ([]command.HostKey, error) {
	keys, err := r.Ring.List()
	list := make([]command.HostKey, len(keys))
	for i, k := range keys {
		list[i] = command.HostKey{
			State: string(k.State), Fingerprint: ssh.FingerprintSHA256(k.Public),
			Key: strings.TrimSpace(string(ssh.MarshalAuthorizedKey(k.Public))), SSHFP: k.SSHFP(), At: k.At,
		}
	}
	return list, err
}

// sign signs a head of the history.
func (r ring) sign(message []byte) ([]byte, error) { return r.Sign("sshchat-history", message) }
