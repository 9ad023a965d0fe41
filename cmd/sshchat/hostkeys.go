package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"sshchat/hostkeys"
	"sshchat/sshchat/chat"
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

// Prepare implements command.HostKeys.
func (r ring) Prepare() (made bool, err error) {
	made, err = r.Ring.Prepare()
	return made, elsewhere(err)
}

// Rotate implements command.HostKeys.
func (r ring) Rotate() error { return elsewhere(r.Ring.Rotate()) }

// elsewhere says what to do about a host key that is not the server's to change.
func elsewhere(err error) error {
	if errors.Is(err, hostkeys.ErrElsewhere) {
		return &chat.Refusal{Code: chat.Failed, Text: err.Error()}
	}
	return err
}

// hostKeyFile is the file that the setting host-key names, and whether systemd passes it: a name without a folder is a credential
// of the service (LoadCredential= in the unit).
func (s *settings) hostKeyFile() (path string, credential bool, err error) {
	if s.hostKey == "" || s.hostKeyIsPath() {
		return s.hostKey, false, nil
	}
	folder := os.Getenv("CREDENTIALS_DIRECTORY")
	if folder == "" {
		return "", false, s.bad("host-key", "%q without a folder must be a credential of the systemd service, which has no credentials; write ./%s for a file here", s.hostKey, s.hostKey)
	}
	return filepath.Join(folder, s.hostKey), true, nil
}

func (s *settings) hostKeyIsPath() bool { return strings.ContainsAny(s.hostKey, `/\`) }

// openNamedHostKey opens the host key that the setting names.
func openNamedHostKey(s *settings, stderr io.Writer) (*hostkeys.Ring, error) {
	path, credential, err := s.hostKeyFile()
	if err != nil {
		return nil, err
	}
	keys, err := hostkeys.OpenElsewhere(s.data, path, credential)
	if err == nil {
		fmt.Fprintf(stderr, "host key %s\n", ssh.FingerprintSHA256(keys.Signers()[0].PublicKey()))
	}
	return keys, err
}

// openHostKeys opens the host keys, or makes the first. Where the folder was in use before, everybody remembers another
// one: whoever restored a backup without host keys is to notice before their users do.
func openHostKeys(s *settings, used bool, stderr io.Writer, logger *slog.Logger) (*hostkeys.Ring, error) {
	if s.hostKey != "" {
		return openNamedHostKey(s, stderr)
	}
	data := s.data
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
