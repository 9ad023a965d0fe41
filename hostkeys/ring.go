package hostkeys

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// State is what a host key is for.
type State string

const (
	Current State = "current" // the server proves itself with it
	Next    State = "next"    // announced to clients, so that they know it before it becomes the current one
	Former  State = "former"  // was current; only its public half and the record of its end are left
)

// Key is one host key, as it is listed.
type Key struct {
	State  State
	Public ssh.PublicKey
	At     time.Time // when it came to be so
}

// SSHFP is what DNS says of the key (RFC 4255, RFC 7479; SHA-256 as of RFC 6594), without the owner name.
func (k Key) SSHFP() string {
	const ed25519, sha256Digest = 4, 2
	return fmt.Sprintf("IN SSHFP %d %d %x", ed25519, sha256Digest, sha256.Sum256(k.Public.Marshal()))
}

// Ring is a folder's host keys: the current one, perhaps the next, perhaps one that is proposed as the next, and what is left of former ones.
// Its methods may be called at the same time.
type Ring struct {
	path    string // the current key's in the folder; those of other files begin with it
	own     string // the current key's, if it is elsewhere and somebody else's to change; "" if it is at path
	guarded bool   // whoever passes own keeps others from reading it
	now     func() time.Time

	mu      sync.Mutex
	keys    keys       // guarded by mu
	records []rotation // guarded by mu; the oldest first
}

// keys is what the files hold that can be changed by hand.
type keys struct {
	current, next ssh.Signer       // next is nil if there is none
	proposed      ssh.Signer       // may become the next; nil if there is none
	certificate   *ssh.Certificate // of current; nil if there is none
}

const (
	nextSuffix        = ".next"
	certificateSuffix = "-cert.pub" // as ssh-keygen -s names it
)

// Open loads the host keys of a folder. It creates the current one if there is none, and reports that. An interrupted
// rotation is undone if the new key had not become the current one, else finished; so is an interrupted removal.
func Open(dir string) (r *Ring, made bool, err error) {
	r = &Ring{path: filepath.Join(dir, File), now: time.Now}
	current, made, err := Load(dir)
	if err != nil {
		return nil, false, err
	}
	if err := errors.Join(erase(r.path+nextSuffix), erase(r.proposedPath())); err != nil {
		return nil, false, fmt.Errorf("complete the removal of a host key: %w", err)
	}
	if err := r.mend(current.PublicKey()); err != nil {
		return nil, false, fmt.Errorf("complete an interrupted host key rotation: %w", err)
	}
	if r.keys, err = r.read(); err != nil {
		return nil, false, err
	}
	return r, made, r.readRecords()
}

// OpenElsewhere opens the host keys of a folder whose current key is in another file, such as a credential that systemd passes: it
// is read and never changed, and so cannot be rotated here. guarded says that whoever passes the file keeps other users from reading
// it, whatever its mode. The public half is written into the folder, for those who check what the key has signed.
// Errors: the folder has another key of its own.
func OpenElsewhere(dir, file string, guarded bool) (*Ring, error) {
	r := &Ring{path: filepath.Join(dir, File), own: file, guarded: guarded, now: time.Now}
	keys, err := r.read()
	if err != nil {
		return nil, err
	}
	switch has, err := read(r.path, check); {
	case err == nil && !bytes.Equal(has.PublicKey().Marshal(), keys.current.PublicKey().Marshal()):
		return nil, fmt.Errorf("%s is another host key than %s: move it away, or do not name the other one", r.path, file)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	r.keys = keys
	public, err := os.ReadFile(r.path + ".pub")
	if want := ssh.MarshalAuthorizedKey(keys.current.PublicKey()); err != nil || !bytes.Equal(public, want) {
		if err := writePublic(r.path, keys.current.PublicKey()); err != nil {
			return nil, fmt.Errorf("write the public half of the host key: %w", err)
		}
	}
	return r, r.readRecords()
}

// ErrElsewhere means that the current key is not in the folder, and has to be changed where it is.
var ErrElsewhere = errors.New("the host key is not in the data folder: replace the file that the setting host-key names, and restart the server")

// currentPath is where the current key is.
func (r *Ring) currentPath() string { return cmp.Or(r.own, r.path) }

// Reload reads the keys again after they were changed by hand; on an error nothing changes.
func (r *Ring) Reload() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	keys, err := r.read()
	if err == nil {
		r.keys = keys
	}
	return err
}

func (r *Ring) read() (k keys, err error) {
	checkCurrent := check
	if r.guarded {
		checkCurrent = checkForm
	}
	if k.current, err = read(r.currentPath(), checkCurrent); err != nil {
		return keys{}, err
	}
	if r.own != "" {
		k.certificate, err = readCertificate(r.path+certificateSuffix, k.current.PublicKey())
		return k, err
	}
	if k.next, err = read(r.path+nextSuffix, check); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return keys{}, err
	}
	if k.proposed, err = read(r.proposedPath(), check); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return keys{}, err
	}
	k.certificate, err = readCertificate(r.path+certificateSuffix, k.current.PublicKey())
	return k, err
}

// readCertificate returns nil if there is no file.
func readCertificate(path string, of ssh.PublicKey) (*ssh.Certificate, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("load the host certificate: %w", err)
	}
	key, _, _, _, err := ssh.ParseAuthorizedKey(data)
	if err != nil {
		return nil, fmt.Errorf("host certificate %s is damaged (%w): sign the key again, or remove it", path, err)
	}
	c, ok := key.(*ssh.Certificate)
	switch {
	case !ok || c.CertType != ssh.HostCert:
		return nil, fmt.Errorf("%s is not a host certificate: create one with ssh-keygen -s CA -h", path)
	case !bytes.Equal(c.Key.Marshal(), of.Marshal()):
		return nil, fmt.Errorf("host certificate %s is not for the current host key: sign that key, or remove the certificate", path)
	}
	return c, nil
}

// Signers are what the server proves itself with, for one connection: the current key, and by its certificate while
// that is valid.
func (r *Ring) Signers() []ssh.Signer {
	r.mu.Lock()
	defer r.mu.Unlock()
	signers := []ssh.Signer{r.keys.current}
	if c := r.keys.certificate; c != nil && valid(c, r.now()) {
		signer, err := ssh.NewCertSigner(c, r.keys.current)
		if err != nil {
			panic("internal error: a certificate of another key: " + err.Error())
		}
		signers = append(signers, signer)
	}
	return signers
}

func valid(c *ssh.Certificate, now time.Time) bool {
	t := uint64(now.Unix())
	return c.ValidAfter <= t && (c.ValidBefore == ssh.CertTimeInfinity || t < c.ValidBefore)
}

// Announced are the keys that clients are to remember: the current one, and the next.
func (r *Ring) Announced() []ssh.Signer {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.keys.next == nil {
		return []ssh.Signer{r.keys.current}
	}
	return []ssh.Signer{r.keys.current, r.keys.next}
}

// Sign signs with the current key, as the function Sign does.
func (r *Ring) Sign(namespace string, message []byte) ([]byte, error) {
	r.mu.Lock()
	signer := r.keys.current
	r.mu.Unlock()
	return Sign(signer, namespace, message)
}

// List lists all keys: the current one, the next, and former ones, the youngest first.
func (r *Ring) List() ([]Key, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	at, err := changed(r.currentPath())
	if err != nil {
		return nil, err
	}
	if n := len(r.records); n > 0 {
		at = r.records[n-1].At
	}
	list := []Key{{Current, r.keys.current.PublicKey(), at}}
	if r.keys.next != nil {
		if at, err = changed(r.path + nextSuffix); err != nil {
			return nil, err
		}
		list = append(list, Key{Next, r.keys.next.PublicKey(), at})
	}
	for _, old := range slices.Backward(r.records) {
		list = append(list, Key{Former, old.from, old.At})
	}
	return list, nil
}

func changed(path string) (time.Time, error) {
	info, err := os.Stat(path)
	if err != nil {
		return time.Time{}, fmt.Errorf("list the host keys: %w", err)
	}
	return info.ModTime(), nil
}

// Prepare creates the next key, unless there is one; made reports that.
func (r *Ring) Prepare() (made bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.keys.next != nil {
		return false, nil
	}
	if path := r.path + nextSuffix; exists(path) { // put there by hand: it is not replaced
		return false, fmt.Errorf("create a host key: %s: %w; load it with reload", path, fs.ErrExist)
	}
	if err := r.propose(); err != nil {
		return false, err
	}
	return true, r.accept()
}
