package accounts

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/store/changes"
	"sshchat/store/durable"
)

const (
	// checkpointStep is how many bytes of users.json are written between syncs: the disk takes about a millisecond for
	// them, which is how long a message may have to wait.
	checkpointStep = 64 << 10
	// keepChanges is how many bytes of changes are kept at least, so that a hand edit of a users.json which is as old as
	// that can be taken.
	keepChanges = 512 << 10
)

// point is a State and the number of the last change in it.
type point struct {
	*chat.State
	b uint64
}

// generation is a users.json: what it holds, and its SHA-256 in hexadecimal.
type generation struct {
	point
	sum string
}

func (g generation) checkpoint() changes.Checkpoint { return changes.Checkpoint{Upto: g.b, Sum: g.sum} }

// checkpoints keeps users.json up with the State, in the background. It is written at most once in so long, and whenever
// somebody needs it. Appending changes never waits for it.
type checkpoints struct {
	disk  durable.FS
	stat  func(path string) (fs.FileInfo, error) // os.Lstat; another disk has no identities to compare, and returns nil
	read  func(path string) ([]byte, error)
	path  string
	log   *slog.Logger
	every time.Duration

	now     func() point      // what is durable
	acts    []chat.AuditEntry // of the changes that users.json did not have when it was opened
	changes *changes.Log

	due  chan struct{} // holds one token if something has changed since the last look; never closed
	quit chan struct{} // closed by close
	done chan struct{} // closed by run

	mu      sync.Mutex   // held while users.json is read or written; guards the fields below
	ready   func() error // Store.BeforeCheckpoint's; nil: it was not called
	written fs.FileInfo  // the file as last read or written
	warned  fs.FileInfo  // a file edited by hand that a warning was logged for
	taken   bool         // the file was edited by hand and will be overwritten; it must not become the backup

	// Generations that hand edits may be based on. States share their common parts.
	last   generation // users.json as the server wrote it, or found it
	before generation // users.json.bak; zero if that is not known
	first  generation // what the log of changes goes on from; zero if that is not known
	middle generation // what the log is to go on from when it is rewritten; zero: not yet chosen
}

// ErrEdited says that users.json is not written, since somebody has changed it by hand.
var ErrEdited = &chat.Refusal{Code: chat.Failed, Text: "users.json was edited by hand: run reload to apply the edits"}

// errHeld says that users.json is not written before the lines of the audit log are restored.
var errHeld = errors.New("the audit log must be restored before users.json is written")

// wake gets the file written soon.
func (c *checkpoints) wake() {
	select {
	case c.due <- struct{}{}:
	default:
	}
}

func (c *checkpoints) run() {
	defer close(c.done)
	due := c.due
	if c.every < 0 {
		due = nil
	}
	for {
		select {
		case <-due:
		case <-c.quit:
			return
		}
		if err := c.write(); err != nil && !errors.Is(err, ErrEdited) && !errors.Is(err, errHeld) {
			c.log.Warn("users.json could not be written; the changes are in changes.jsonl", "err", err)
		}
		select {
		case <-time.After(c.every):
		case <-c.quit:
			return
		}
	}
}

// release is Store.BeforeCheckpoint.
func (c *checkpoints) release(f func() error) {
	c.mu.Lock()
	c.ready = f
	taken := c.taken
	c.mu.Unlock()
	switch {
	case taken:
		c.writeEdited()
	case len(c.acts) > 0: // it was held until now
		c.wake()
	}
}

// settled returns once the acts of all changes that were appended have survived a power cut elsewhere.
func (c *checkpoints) settled() error {
	c.mu.Lock()
	ready := c.ready
	c.mu.Unlock()
	if ready == nil {
		return nil
	}
	return ready()
}

// writeEdited writes the file over an edit that was taken, at once: a further edit is to begin from what is now.
func (c *checkpoints) writeEdited() {
	if err := c.write(); err != nil && !errors.Is(err, errHeld) {
		c.log.Warn("users.json could not be written; the edits are in changes.jsonl", "err", err)
	}
}

// close writes the file once more and ends. No change may be appended after it was called.
func (c *checkpoints) close() error {
	close(c.quit)
	<-c.done
	err := c.write()
	if errors.Is(err, ErrEdited) || errors.Is(err, errHeld) {
		err = nil // the next start reads a hand edit, which was warned about, and restores damaged files
	}
	return errors.Join(err, c.changes.Close())
}

// write writes the file if it does not hold all that is durable. Errors: ErrEdited, or the disk's.
func (c *checkpoints) write() error {
	want := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.last.b >= want.b && !c.taken {
		return nil
	}
	if err := c.replace(c.now()); err != nil {
		return err
	}
	if err := c.forget(); err != nil {
		c.log.Warn("obsolete changes could not be removed", "err", err)
	}
	return nil
}

// replace writes the file. Called with mu held.
func (c *checkpoints) replace(p point) error {
	if err := c.notEdited(); err != nil {
		return err
	}
	switch {
	case c.ready != nil:
		if err := c.ready(); err != nil {
			return err
		}
	case len(c.acts) > 0:
		return errHeld
	}
	b, err := encode(p.State, p.b)
	if err != nil {
		return fmt.Errorf("encode users.json: %w", err)
	}
	g := generation{p, digest(b)}
	if err := c.changes.Announce(g.checkpoint()); err != nil {
		return err
	}
	staged, err := durable.Stage(c.disk, c.path, b, checkpointStep)
	if err != nil {
		return fmt.Errorf("write users.json: %w", err)
	}
	if err := c.notEdited(); err != nil {
		return err
	}
	if err := staged.Publish(!c.taken); err != nil {
		c.readBack()
		return fmt.Errorf("write users.json: %w", err)
	}
	if !c.taken {
		c.before = c.last
	}
	c.written, c.last, c.taken = staged.Info, g, false
	return nil
}

// digest is the SHA-256 in hexadecimal.
func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// notEdited returns ErrEdited if somebody has changed the file, with a warning for each time. Called with mu held.
func (c *checkpoints) notEdited() error {
	info, err := c.stat(c.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if c.taken && c.written == nil {
			return nil // it has to be rewritten
		}
	case err != nil:
		return fmt.Errorf("check users.json: %w", err)
	case sameFile(info, c.written):
		return nil
	}
	if c.warned == nil || info == nil || !sameFile(info, c.warned) {
		c.log.Warn("users.json was edited by hand; the edits take effect at the next reload or start. Until then the file is not overwritten, " +
			"and changes are kept in changes.jsonl")
	}
	if c.warned = info; info == nil {
		c.warned = missing{}
	}
	return ErrEdited
}

// missing is a file that was removed.
type missing struct{ fs.FileInfo }

// sameFile reports whether nobody has replaced the file, or written to it.
func sameFile(a, b fs.FileInfo) bool {
	if a == nil || b == nil {
		return a == b
	}
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

// readBack takes the file as it is for ours, after a write that failed: whether before or after the rename, what is there is what
// we put there. Called with mu held.
func (c *checkpoints) readBack() {
	info, err := c.stat(c.path)
	if err != nil {
		c.log.Error("users.json cannot be checked after a failed write", "err", err)
		return
	}
	c.written = info
}

// forget drops changes that nobody needs any more: no crash does, for they are in users.json and in users.json.bak, and no
// hand edit that was begun lately. Called with mu held.
func (c *checkpoints) forget() error {
	size := c.changes.Size()
	if c.middle.State == nil && size >= keepChanges {
		c.middle = c.last
	}
	if size < 2*keepChanges || c.before.State == nil || c.before.b < c.middle.b {
		return nil
	}
	if err := c.changes.Rewrite(c.middle.checkpoint()); err != nil {
		return err
	}
	c.first, c.middle = c.middle, generation{}
	return nil
}

// at returns the State after change b, from which a hand edit was begun. Called with mu held. ok is false if it is not known
// any more.
func (c *checkpoints) at(b uint64) (s *chat.State, ok bool, err error) {
	from := generation{}
	for _, g := range []generation{c.first, c.middle, c.before, c.last} {
		if g.State != nil && g.b <= b && (from.State == nil || g.b > from.b) {
			from = g
		}
	}
	if from.State != nil && from.b == b {
		return from.State, true, nil
	}
	content, err := c.changes.Read()
	if err != nil {
		return nil, false, err
	}
	if from.State == nil {
		if from, ok = c.backup(content); !ok || from.b > b {
			return nil, false, nil
		}
	}
	if from.b < content.Start.Upto || b > content.Last() {
		return nil, false, nil
	}
	s, err = applied(from.point, content, b)
	return s, err == nil, err
}

// backup reads users.json.bak. ok is false if it is not one that the server wrote since the log's start.
func (c *checkpoints) backup(content *changes.Content) (g generation, ok bool) {
	b, err := c.read(c.path + durable.BackupSuffix)
	if err != nil {
		return g, false
	}
	g.sum = digest(b)
	if _, named := content.Named(g.sum); !named {
		return g, false
	}
	g.State, g.b, err = parse(b)
	return g, err == nil
}

// applied is what p is with the changes up to one.
func applied(p point, content *changes.Content, upto uint64) (*chat.State, error) {
	for _, l := range content.Lines {
		if l.B <= p.b || l.B > upto {
			continue
		}
		if l.B != p.b+1 {
			return nil, fmt.Errorf("change %d is missing", p.b+1)
		}
		s, err := withEncoded(p.State, l.Change)
		if err != nil {
			return nil, fmt.Errorf("change %d: %w", l.B, err)
		}
		p = point{s, l.B}
	}
	return p.State, nil
}
