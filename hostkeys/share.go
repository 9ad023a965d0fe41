package hostkeys

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/crypto/ssh"
)

// Several servers that are one chat have the same host keys. Which these are is decided elsewhere, as a Choice; a server that has them gives
// them to one that has not, as a copy. A server that wants another next key makes one (Propose), and keeps it until it is chosen (Follow), or
// it is known that it never will be (Withdraw): until then no other server has it.

// Choice is which host keys a chat has, by their SHA-256 fingerprints as OpenSSH prints them.
type Choice struct {
	Current string
	Next    string    // empty: none
	At      time.Time // when the current one came to be so by a rotation; the records of all servers say it
}

// Choice is which keys the ring has. Its At is zero.
func (r *Ring) Choice() Choice {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.keys.choice()
}

func (k keys) choice() Choice {
	c := Choice{Current: ssh.FingerprintSHA256(k.current.PublicKey())}
	if k.next != nil {
		c.Next = ssh.FingerprintSHA256(k.next.PublicKey())
	}
	return c
}

// Elsewhere reports whether the current key is in a file that is not the ring's to change.
func (r *Ring) Elsewhere() bool { return r.own != "" }

// Is reports whether both are the same keys.
func (c Choice) Is(other Choice) bool { return c.Current == other.Current && c.Next == other.Next }

// ErrLacks is wrapped by Follow's error if the ring lacks a key of the choice: it needs a copy (Take).
var ErrLacks = errors.New("a host key of the chat is not here")

// Propose makes a key that may be chosen as the next, unless there is one, and returns its fingerprint. It is kept, over restarts too, until
// Follow is called with a choice that has it, or Withdraw; before that it is neither announced nor copied, and is not part of Choice.
func (r *Ring) Propose() (fingerprint string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.propose(); err != nil {
		return "", err
	}
	return ssh.FingerprintSHA256(r.keys.proposed.PublicKey()), nil
}

// proposedPath is the proposed key's. Its name is not like those of the other keys, so that nobody copies it to another server, nor to a
// backup, with them.
func (r *Ring) proposedPath() string {
	return filepath.Join(filepath.Dir(r.path), "proposed_"+filepath.Base(r.path))
}

// propose is Propose. Called with mu held.
func (r *Ring) propose() (err error) {
	if r.own != "" {
		return ErrElsewhere
	}
	if r.keys.proposed == nil {
		r.keys.proposed, err = createPrivate(r.proposedPath())
	}
	return err
}

// Withdraw removes the key that Propose made, if there is one: it is known that it will never be chosen.
func (r *Ring) Withdraw() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.keys.proposed == nil {
		return nil
	}
	if err := shred(r.proposedPath()); err != nil {
		return fmt.Errorf("remove a host key that was not chosen: %w", err)
	}
	r.keys.proposed = nil
	return nil
}

// accept makes the proposed key the next one, instead of any other. If it is cut off it can be done again. Called with mu held.
func (r *Ring) accept() error {
	if err := r.drop(); err != nil {
		return err
	}
	path := r.path + nextSuffix
	if err := os.Rename(r.proposedPath(), path); err != nil {
		if errors.Is(err, fs.ErrNotExist) { // removed by hand: it is on no server any more
			r.keys.proposed = nil
		}
		return fmt.Errorf("make the proposed host key the next one: %w", err)
	}
	r.keys.next, r.keys.proposed = r.keys.proposed, nil
	return errors.Join(syncDir(filepath.Dir(path)), writePublic(path, r.keys.next.PublicKey()))
}

// proposes reports whether the proposed key has that fingerprint. Called with mu held.
func (r *Ring) proposes(fingerprint string) bool {
	return r.keys.proposed != nil && ssh.FingerprintSHA256(r.keys.proposed.PublicKey()) == fingerprint
}

// Follow makes the ring that of the choice if it has the keys: a proposed key that is chosen becomes the next, a next key that is chosen
// becomes the current one, as Rotate does it, and a next key that is not chosen is removed.
func (r *Ring) Follow(c Choice) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	replaced := r.keys.choice().Current != c.Current
	if r.proposes(c.Next) || replaced && r.proposes(c.Current) {
		if err := r.accept(); err != nil {
			return err
		}
	}
	if is := r.keys.choice(); replaced && is.Next == c.Current && r.recorded() {
		if err := r.rotate(c.At); err != nil {
			return err
		}
	}
	is := r.keys.choice()
	if is.Current != c.Current || c.Next != "" && is.Next != c.Next {
		return fmt.Errorf("%w: it has %s, and the chat has %s", ErrLacks, is, c)
	}
	if is.Next == c.Next {
		return nil
	}
	return r.drop()
}

// recorded reports whether the records end with the current key: they do not after Take was cut off.
func (r *Ring) recorded() bool {
	n := len(r.records)
	return n == 0 || same(r.records[n-1].to, r.keys.current.PublicKey())
}

// String names the keys.
func (c Choice) String() string {
	if c.Next == "" {
		return c.Current
	}
	return c.Current + ", then " + c.Next
}

// drop removes the next key. Called with mu held.
func (r *Ring) drop() error {
	path := r.path + nextSuffix
	if err := shred(path); err != nil {
		return fmt.Errorf("remove the next host key: %w", err)
	}
	r.keys.next = nil
	return remove(path + ".pub")
}

// shred overwrites and removes a private key, if there is one. Wherever that is cut off, the file of that name is whole or gone: one that is
// half overwritten could not be read at the next start.
func shred(path string) error {
	err := os.Rename(path, hidden(path))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = syncDir(filepath.Dir(path))
	}
	if err != nil {
		return err
	}
	return erase(path)
}

// hidden is the name under which a key is overwritten.
func hidden(path string) string {
	return filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+"-removed")
}

// erase completes shred, if that was cut off.
func erase(path string) error {
	f, err := os.OpenFile(hidden(path), os.O_WRONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(overwrite(f), f.Close(), remove(hidden(path)))
}

// ReloadAs is Reload, unless the files hold other keys than the choice: then nothing changes.
func (r *Ring) ReloadAs(c Choice) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	keys, err := r.read()
	if err != nil {
		return err
	}
	if is := keys.choice(); !is.Is(c) {
		return fmt.Errorf("the files hold %s, and the host keys of the chat are %s: put those back, or use hostkey rotate", is, c)
	}
	r.keys = keys
	return nil
}

// copied is what one server gives another.
type copied struct {
	Current, Next []byte // files of private keys; Next is empty if there is none
	Records       []byte `ssh:"rest"` // each as a string
}

// recordsIn splits the records of a copy.
type recordsIn struct {
	Record []byte
	Rest   []byte `ssh:"rest"`
}

// maxCopy is more than the copy of a ring takes, with a rotation a day for years.
const maxCopy = 4 << 20

// Copy returns the records and the keys, if the current one is that of the choice; without the next one if that is not. It holds private
// keys: the caller erases it after use.
func (r *Ring) Copy(c Choice) ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	is := r.keys.choice()
	if is.Current != c.Current {
		return nil, fmt.Errorf("%w: there are %s, and %s are asked for", ErrLacks, is, c)
	}
	var all copied
	defer func() { clear(all.Current); clear(all.Next) }()
	var err error
	if all.Current, err = os.ReadFile(r.currentPath()); err != nil {
		return nil, err
	}
	if c.Next != "" && is.Next == c.Next {
		if all.Next, err = os.ReadFile(r.path + nextSuffix); err != nil {
			return nil, err
		}
	}
	for _, record := range r.records {
		all.Records = append(all.Records, ssh.Marshal(recordsIn{Record: record.file})...)
	}
	return ssh.Marshal(all), nil
}

// parsedCopy is a copy whose keys can be read, and whose records are signed.
type parsedCopy struct {
	copied
	keys    keys
	records []rotation
}

func parseCopy(b []byte) (p parsedCopy, err error) {
	if len(b) > maxCopy {
		return p, fmt.Errorf("it is larger than %d bytes", maxCopy)
	}
	if err := ssh.Unmarshal(b, &p.copied); err != nil {
		return p, err
	}
	if p.keys.current, err = parse("of the copy", p.Current); err != nil {
		return p, err
	}
	if len(p.Next) > 0 {
		if p.keys.next, err = parse("of the copy", p.Next); err != nil {
			return p, err
		}
	}
	for rest := p.Records; len(rest) > 0; {
		var in recordsIn
		if err := ssh.Unmarshal(rest, &in); err != nil {
			return p, err
		}
		record, err := parseRotation(bytes.Clone(in.Record))
		if err != nil {
			return p, err
		}
		if n := len(p.records); record.N != n+1 || n > 0 && !same(p.records[n-1].to, record.from) {
			return p, fmt.Errorf("rotation %d does not follow on the one before", record.N)
		}
		p.records, rest = append(p.records, record), in.Rest
	}
	if n := len(p.records); n > 0 && !same(p.records[n-1].to, p.keys.current.PublicKey()) {
		return p, errors.New("the rotations do not lead to the current key")
	}
	return p, nil
}

func same(a, b ssh.PublicKey) bool { return bytes.Equal(a.Marshal(), b.Marshal()) }

// ErrNotSuccessor means that no row of rotations, each signed by the key that went, leads from the ring's current key to the copy's.
var ErrNotSuccessor = errors.New("the host key here was never the chat's: no signatures lead from it to the one that the chat has")

// Take makes the ring that of the copy, if this has the keys of the choice. A current key is replaced only by one that it has signed for, by
// itself or by those in between (ErrNotSuccessor); its private half is overwritten. If the copy lacks the next key, only the current one is
// taken, and the error is ErrLacks.
func (r *Ring) Take(c Choice, b []byte) error {
	p, err := parseCopy(b)
	if err != nil {
		return fmt.Errorf("read a copy of the host keys: %w", err)
	}
	if is := p.keys.choice(); is.Current != c.Current || is.Next != "" && is.Next != c.Next {
		return fmt.Errorf("the copy has %s, and the chat has %s", is, c)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.own != "" {
		return ErrElsewhere
	}
	if !same(r.keys.current.PublicKey(), p.keys.current.PublicKey()) {
		if err := r.succeed(p); err != nil {
			return err
		}
	}
	switch is := r.keys.choice(); {
	case is.Next == c.Next:
		return nil
	case c.Next != "" && p.keys.next == nil:
		return fmt.Errorf("%w: the copy has %s, and the chat has %s", ErrLacks, p.keys.choice(), c)
	}
	if err := r.drop(); err != nil || p.keys.next == nil {
		return err
	}
	path := r.path + nextSuffix
	if err := publish(path, p.Next, 0o600); err != nil {
		return fmt.Errorf("keep the next host key: %w", err)
	}
	r.keys.next = p.keys.next
	return writePublic(path, p.keys.next.PublicKey())
}

// succeed replaces the current key by the copy's. If it is cut off it can be done again. Called with mu held.
func (r *Ring) succeed(p parsedCopy) error {
	from := slices.IndexFunc(p.records, func(record rotation) bool { return same(record.from, r.keys.current.PublicKey()) })
	if from < 0 {
		return ErrNotSuccessor
	}
	for i, own := range r.records {
		if i >= len(p.records) || !bytes.Equal(own.file, p.records[i].file) {
			return fmt.Errorf("%w: rotation %d here is another than the chat's", ErrNotSuccessor, own.N)
		}
	}
	old, err := os.OpenFile(r.path, os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("replace the host key: %w", err)
	}
	defer old.Close()
	if err := r.replace(p); err != nil {
		return fmt.Errorf("replace the host key: %w", err)
	}
	r.keys, r.records = keys{current: p.keys.current, proposed: r.keys.proposed}, p.records
	if err := errors.Join(overwrite(old), r.tidy(p.keys.current.PublicKey())); err != nil {
		return fmt.Errorf("the host key was replaced, but files of the old one remain: %w", err)
	}
	return nil
}

// replace writes the records, the newest last, and the key in place of the current one: before that, nothing is decided.
func (r *Ring) replace(p parsedCopy) error {
	for _, record := range p.records {
		if !exists(r.formerPath(record.N) + ".pub") {
			if err := writePublic(r.formerPath(record.N), record.from); err != nil {
				return err
			}
		}
		if !exists(r.recordPath(record.N)) {
			if err := publish(r.recordPath(record.N), record.file, 0o644); err != nil {
				return err
			}
		}
	}
	staged := r.path + nextSuffix
	if err := shred(staged); err != nil {
		return err
	}
	if err := publish(staged, p.Current, 0o600); err != nil {
		return err
	}
	if err := os.Rename(staged, r.path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(r.path))
}
