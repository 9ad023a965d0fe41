package hostkeys

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/crypto/ssh"
)

// Namespace is what records of rotations are signed for.
const Namespace = "sshchat-hostkey"

const rotationFormat = "sshchat-rotation/1"

// rotation is the record of a key's end: which key came after it, signed by the one that went. Who trusts the first of a
// row of them trusts the last.
type rotation struct {
	Format string    `json:"format"`
	N      int       `json:"n"` // counts the folder's rotations from 1
	At     time.Time `json:"at"`
	From   string    `json:"from"` // as in an authorized_keys file
	To     string    `json:"to"`

	from, to ssh.PublicKey
	file     []byte // the line that was signed, and the signature
}

// ErrNoNext means that there is no key to rotate to.
var ErrNoNext = errors.New("there is no next host key")

// recordPath is the record of the n-th rotation. formerPath is the key that it replaced.
func (r *Ring) recordPath(n int) string { return fmt.Sprintf("%s.%d.rotation", r.path, n) }
func (r *Ring) formerPath(n int) string { return fmt.Sprintf("%s.%d", r.path, n) } // with .pub

// Rotate makes the next key the current one. The private half of the one before is overwritten, and a certificate of it
// is removed. Connections that there are go on with the old key.
func (r *Ring) Rotate() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.rotate(r.now())
}

// rotate is Rotate at a time, which the record says. Called with mu held.
func (r *Ring) rotate(at time.Time) error {
	if r.own != "" {
		return ErrElsewhere
	}
	if r.keys.next == nil {
		return ErrNoNext
	}
	record, err := r.sign(at)
	if err != nil {
		return err
	}
	old, err := os.OpenFile(r.path, os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("rotate the host key: %w", err)
	}
	defer old.Close()
	if err := r.install(record); err != nil {
		return fmt.Errorf("rotate the host key: %w", errors.Join(err, r.undo(record.N)))
	}
	r.records = append(r.records, record)
	r.keys = keys{current: r.keys.next, proposed: r.keys.proposed}
	if err := errors.Join(overwrite(old), r.tidy(record.to)); err != nil {
		return fmt.Errorf("the host key was rotated, but files of the old one remain: %w", err)
	}
	return nil
}

// sign makes the record of the rotation that is about to be. Called with mu held.
func (r *Ring) sign(at time.Time) (rotation, error) {
	from, to := r.keys.current.PublicKey(), r.keys.next.PublicKey()
	line, err := json.Marshal(rotation{
		Format: rotationFormat, N: len(r.records) + 1, At: at.UTC().Truncate(time.Second),
		From: keyLine(from), To: keyLine(to),
	})
	if err != nil {
		return rotation{}, fmt.Errorf("record a rotation: %w", err)
	}
	line = append(line, '\n')
	signature, err := Sign(r.keys.current, Namespace, line)
	if err != nil {
		return rotation{}, err
	}
	return parseRotation(append(line, signature...))
}

func keyLine(key ssh.PublicKey) string {
	return string(bytes.TrimSpace(ssh.MarshalAuthorizedKey(key)))
}

// install writes the record and gives the next key the current one's name: before that, nothing is decided.
func (r *Ring) install(record rotation) error {
	if err := writePublic(r.formerPath(record.N), record.from); err != nil {
		return err
	}
	if err := publish(r.recordPath(record.N), record.file, 0o644); err != nil {
		return err
	}
	if err := os.Rename(r.path+nextSuffix, r.path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(r.path))
}

// undo removes the record of a rotation that did not come to be, if that is so.
func (r *Ring) undo(n int) error {
	if !exists(r.path + nextSuffix) {
		return nil
	}
	return errors.Join(remove(r.recordPath(n)), remove(r.formerPath(n)+".pub"), syncDir(filepath.Dir(r.path)))
}

// remove removes a file that may not be there.
func remove(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// overwrite makes the bytes of a private key that nobody needs any more unreadable, as far as the file system writes
// in place.
func overwrite(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if _, err := f.WriteAt(make([]byte, info.Size()), 0); err != nil {
		return err
	}
	return f.Sync()
}

// tidy has the files beside the current key be its own.
func (r *Ring) tidy(current ssh.PublicKey) error {
	if err := errors.Join(remove(r.path+nextSuffix+".pub"), remove(r.path+certificateSuffix)); err != nil {
		return err
	}
	return writePublic(r.path, current)
}

// mend finishes or undoes a rotation that was cut off. What its newest record says went is the current key if it was cut
// off before the new key's rename; after it, the public half beside the current key may be still that of the one that went.
func (r *Ring) mend(current ssh.PublicKey) error {
	n := 0
	for exists(r.formerPath(n+1) + ".pub") {
		n++
	}
	if n == 0 {
		return nil
	}
	former, err := os.ReadFile(r.formerPath(n) + ".pub")
	if err != nil {
		return err
	}
	if bytes.Equal(former, ssh.MarshalAuthorizedKey(current)) {
		return r.undo(n)
	}
	public, err := os.ReadFile(r.path + ".pub")
	if errors.Is(err, fs.ErrNotExist) || bytes.Equal(public, former) {
		return r.tidy(current)
	}
	return err
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// readRecords reads the records of all rotations, each of which must be signed by the replaced key.
func (r *Ring) readRecords() error {
	for n := 1; ; n++ {
		data, err := os.ReadFile(r.recordPath(n))
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read a host key rotation: %w", err)
		}
		record, err := parseRotation(data)
		if err != nil {
			return fmt.Errorf("host key rotation %s is damaged (%w): restore it from a backup, or move it away; heads signed before it can then no longer be traced to the current key",
				r.recordPath(n), err)
		}
		r.records = append(r.records, record)
	}
}

// parseRotation reads a record and checks its signature.
func parseRotation(data []byte) (rotation, error) {
	line, signature, _ := bytes.Cut(data, []byte("\n"))
	var record rotation
	if err := json.Unmarshal(line, &record); err != nil {
		return rotation{}, err
	}
	if record.Format != rotationFormat {
		return rotation{}, fmt.Errorf("the format is %q, not %q", record.Format, rotationFormat)
	}
	var err error
	if record.from, err = parsePublic(record.From); err != nil {
		return rotation{}, err
	}
	if record.to, err = parsePublic(record.To); err != nil {
		return rotation{}, err
	}
	by, err := Verify(Namespace, append(line, '\n'), signature)
	if err != nil {
		return rotation{}, err
	}
	if !bytes.Equal(by.Marshal(), record.from.Marshal()) {
		return rotation{}, errors.New("it is not signed by the old key")
	}
	record.file = data
	return record, nil
}

func parsePublic(line string) (ssh.PublicKey, error) {
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line))
	return key, err
}

// Records is one file for each rotation, the oldest first: a line of JSON and its signature by the key that went
// (SSHSIG, namespace sshchat-hostkey).
func (r *Ring) Records() [][]byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	files := make([][]byte, len(r.records))
	for i, record := range r.records {
		files[i] = record.file
	}
	return files
}
