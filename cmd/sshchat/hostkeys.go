package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
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

// inUse reports whether a data folder has been used by a server before.
func inUse(data string) bool {
	for _, name := range []string{"users.json", "message_history.json", "audit.jsonl"} {
		if _, err := os.Lstat(filepath.Join(data, name)); err == nil {
			return true
		}
	}
	return false
}

// openHostKeys opens the host keys, or makes the first. Where the folder was in use before, everybody remembers another
// one: whoever restored a backup without host keys is to notice before their users do.
func openHostKeys(data string, used bool, stderr io.Writer, logger *slog.Logger) (*hostkeys.Ring, error) {
	keys, made, err := hostkeys.Open(data)
	if err != nil {
		return nil, err
	}
	fingerprint := ssh.FingerprintSHA256(keys.Signers()[0].PublicKey())
	fmt.Fprintf(stderr, "host key %s\n", fingerprint)
	switch {
	case made && used:
		logger.Warn("the data folder has data but no host key; created a new one", "data", data, "key", fingerprint)
		fmt.Fprintf(stderr, `WARNING: %s was in use before, but its host key is missing. A new one was made.
The ssh of everybody who has connected before will report that the host key has changed, and refuse to connect.
If you have the old key, stop the server, put the key back as %s, and start it again.
A backup holds the host keys if it was made with: ssh ... backup --with-host-keys
`, data, filepath.Join(data, hostkeys.File))
	case made:
		logger.Info("created a host key", "data", data)
	}
	return keys, nil
}

// sign signs a head of the history.
func (r ring) sign(message []byte) ([]byte, error) { return r.Sign("sshchat-history", message) }
