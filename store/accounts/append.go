package accounts

import (
	"fmt"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/store/changes"
)

// Change leads from one State to the next, as one line of changes.jsonl.
type Change struct {
	Before, After *chat.State       // Before is what is durable
	N             uint64            // the history's last record when it was made
	Acts          []chat.AuditEntry // lines of the audit log, which numbers them
	At            time.Time         // zero: now
	Edit          string            // EditByHand.File, if one is in it
}

// Append makes a change durable: it returns nil once it survives a power cut, and then View has it. What changes nothing, and
// says nothing, is not written. Appends come one after another. If there is no room nothing has changed, and the next may be
// taken again; an error that wraps chat.ErrJournalDead is final.
func (u *Store) Append(c Change) error {
	u.appending.Lock()
	defer u.appending.Unlock()
	if u.closed {
		return ErrClosed
	}
	now := *u.durable.Load()
	if c.Before != now.State {
		return fmt.Errorf("internal error: a change of another State than the one after change %d", now.b)
	}
	s := u.step(c.Before, c.After)
	next := point{c.After, now.b}
	if !s.diff.IsZero() || len(c.Acts) > 0 || c.Edit != "" {
		b, err := s.encode()
		if err != nil {
			return fmt.Errorf("encode a change: %w", err)
		}
		if c.At.IsZero() {
			c.At = u.clock.Read().Stamp
		}
		next.b++
		if err := u.write(changes.Line{B: next.b, N: c.N, At: c.At, Edit: c.Edit, Change: b, Acts: c.Acts}); err != nil {
			return err
		}
	}
	u.durable.Store(&next)
	u.looked.Store(nil)
	for _, id := range s.diff.Accounts.Removed {
		u.visits.Delete(id)
	}
	u.files.wake()
	return nil
}

// Changes is the number of the last durable change.
func (u *Store) Changes() uint64 { return u.durable.Load().b }

// Checkpoint returns once users.json holds all that is durable now.
func (u *Store) Checkpoint() error { return u.files.write() }
