package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"sshchat/hostkeys"
	"sshchat/sshchat/chat"
	"sshchat/sshchat/cluster/keyring"
	"sshchat/sshchat/command"

	"golang.org/x/crypto/ssh"
)

// ring is the host keys of a server, alone or on a node of a cluster.
type ring struct {
	*hostkeys.Ring
	shared *keyring.Ring // nil: the server is alone
}

// List implements command.HostKeys.
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
func (r ring) Prepare(ctx context.Context) (made bool, lack []string, err error) {
	if r.shared != nil {
		made, lack, err = r.shared.Prepare(ctx)
	} else {
		made, err = r.Ring.Prepare()
	}
	return made, lack, elsewhere(err)
}

// Rotate implements command.HostKeys.
func (r ring) Rotate(ctx context.Context) (lack []string, err error) {
	if r.shared != nil {
		lack, err = r.shared.Rotate(ctx)
	} else {
		err = r.Ring.Rotate()
	}
	return lack, elsewhere(err)
}

// Signers implements sshchat.HostKeys.
func (r ring) Signers() []ssh.Signer {
	if r.shared != nil {
		return r.shared.Signers()
	}
	return r.Ring.Signers()
}

// Reload takes what was changed by hand.
func (r ring) Reload() error {
	if r.shared != nil {
		return r.shared.Reload()
	}
	return r.Ring.Reload()
}

// ready returns nil if somebody can be served.
func (r ring) ready() error {
	if r.shared == nil {
		return nil
	}
	return r.shared.Ready()
}

// shareKeys has the keys be those of all nodes, if the server is one of them, until ctx ends. The node is ended if that cannot be, and nobody
// may be served.
func shareKeys(ctx context.Context, keys *hostkeys.Ring, n *node, hub *chat.Hub, logger *slog.Logger) (ring, error) {
	if n == nil {
		return ring{Ring: keys}, nil
	}
	shared, err := keyring.New(ctx, keys, hub, n.Others, logger)
	if err != nil {
		return ring{}, errors.Join(err, n.Close())
	}
	return ring{keys, shared}, nil
}

// begin has it decided that the chat's host keys are those of this node, unless that is decided. The hub runs.
func (r ring) begin(ctx context.Context) {
	if r.shared != nil {
		r.shared.Begin(ctx)
	}
}

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
