// Package journal is a data folder as the chat's journal: accounts, history and audit log in one order.
package journal

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/store/accounts"
	"sshchat/store/audit"
	"sshchat/store/history"
)

// Journal is the data folder as the chat's journal. Decisions are stored first, then messages, so that the history never
// holds a message that depends on a lost decision; the lines of the audit log come last.
type Journal struct {
	accounts *accounts.Store
	history  *history.History
	audit    *audit.Log
	log      *slog.Logger
	out      chan chat.Batch

	noting  sync.Mutex        // held from the moment at which a change is stored until its lines of the audit log are written
	pending []chat.AuditEntry // guarded by noting; lines that the audit log could not take; they are in changes.jsonl

	// Publish is called before a batch is stored, and gives it a place among the batches of others, or refuses it. nil:
	// this folder is the only one.
	Publish func(Sealed) error
	// Tallies keeps what is counted in batches, of the names that have an account: counts of others are forgotten with the
	// server. nil: nothing is kept.
	Tallies chat.Tallies
}

// Sealed is a batch as it is stored: what another folder needs to hold the same.
type Sealed struct {
	Batch   *chat.Batch // nil: there are only records, for example of a rotation. Replicate does not look at its States
	Change  uint64      // the last of the State, with what is decided in the batch
	Records [][]byte    // of the history, as history.Transaction.Records has them

	Decided    bool            // the batch is a change, though the States may be the same: it has lines of the audit log, or a hand edit
	Difference chat.Difference // between the batch's States
}

// New is the journal over what the folder holds, opened. It refuses a history that stands on changes which the accounts do
// not have: somebody put back an old copy of them. Lines of the audit log that a crash took back, about changes that it did
// not, are written again.
func New(accounts *accounts.Store, history *history.History, audit *audit.Log, log *slog.Logger) (*Journal, error) {
	if err := Together(accounts.Changes(), history.Change()); err != nil {
		return nil, err
	}
	restored, err := audit.Restore(accounts.AuditEntries())
	if err != nil {
		return nil, err
	}
	if restored > 0 {
		log.Info("rewriting lines of the audit log that were lost in a crash", "lines", restored)
	}
	j := &Journal{accounts: accounts, history: history, audit: audit, log: log, out: make(chan chat.Batch, 1)}
	accounts.BeforeCheckpoint(j.noted)
	return j, nil
}

// Together returns why accounts that end with the change has do not go with a history that stands on the change wants; nil if
// they do.
func Together(has, wants uint64) error {
	if has >= wants {
		return nil
	}
	return fmt.Errorf("users.json and changes.jsonl end with change %d, but message_history.json refers to change %d: they are an old copy. "+
		`Restore the newest ones; or, to use the old ones, run: sed -i '1s/"upto":[0-9]*/"upto":%d/' users.json`, has, wants, wants)
}

// Append implements chat.Journal.
func (j *Journal) Append(b chat.Batch) error {
	if !j.accounts.Differ(b.Before, b.After) { // also what was decided, and undone
		b.After = b.Before
	}
	if wait := j.history.Unprepared(b.Events); wait != nil {
		return wait
	}
	b.Audit = dated(b.Audit, b.At)
	change := j.accounts.Changes()
	if decides(&b) {
		change++
	}
	tx, err := j.history.NewTransaction(b.Events, change)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err := j.publish(&b, change, tx); err != nil {
		return err
	}
	err = j.store(&b, tx)
	if err != nil && j.Publish != nil {
		return &Unstored{err}
	}
	if err == nil || errors.Is(err, chat.ErrOnlyDecided) {
		j.count(b.Counts)
		j.out <- b
	}
	if err == nil {
		err = j.rotate()
	}
	return err
}

// store stores a batch: decisions, messages, and the lines of the audit log. If only the decisions can be stored, the
// batch is without the others, and the error wraps chat.ErrOnlyDecided.
func (j *Journal) store(b *chat.Batch, tx *history.Transaction) error {
	if !decides(b) {
		return tx.Store()
	}
	j.noting.Lock()
	defer j.noting.Unlock()
	if err := j.decide(b, tx.Follows()); err != nil {
		return err
	}
	err := tx.Store()
	if err != nil {
		err = fmt.Errorf("%w: %w", chat.ErrOnlyDecided, err)
		*b = b.Decided()
	}
	j.note(b.Audit)
	return err
}

// count keeps what was counted. It may be some seconds old after a crash.
func (j *Journal) count(counts []chat.Count) {
	if j.Tallies == nil || len(counts) == 0 {
		return
	}
	now := j.accounts.View()
	for _, c := range counts {
		if _, exists := now.ByName(c.Name); exists {
			j.Tallies.Tally(c.Name, c.Tally)
		}
	}
}

// decides reports whether the batch is a change, to be stored as one: with what was decided its acts are stored, and with them
// its number is one more.
func decides(b *chat.Batch) bool { return b.After != b.Before || len(b.Audit) > 0 || b.Edit != "" }

func (j *Journal) publish(b *chat.Batch, change uint64, d *history.Transaction) error {
	if j.Publish == nil {
		return nil
	}
	s := Sealed{Batch: b, Change: change, Records: d.Records()}
	if b != nil {
		s.Decided, s.Difference = decides(b), j.accounts.Difference(b.Before, b.After)
	}
	return j.Publish(s)
}

// Unstored is why what was published, a batch or records behind it, is not stored in this folder, or only in part. It is part of the log: the
// folder takes it with Replicate. Who cannot do that has to end, for it wraps chat.ErrJournalDead.
type Unstored struct{ Err error }

func (u *Unstored) Error() string {
	return "what was published could not be stored here: " + u.Err.Error()
}

func (u *Unstored) Unwrap() []error { return []error{chat.ErrJournalDead, u.Err} }

// dated are the acts with their time.
func dated(acts []chat.AuditEntry, at chat.Moment) []chat.AuditEntry {
	all := make([]chat.AuditEntry, len(acts))
	for i, entry := range acts {
		entry.At = at.Wall.UTC().Truncate(time.Millisecond)
		all[i] = entry
	}
	return all
}

// decide stores a change: n is the last record of the history before the batch.
func (j *Journal) decide(b *chat.Batch, n uint64) error {
	return j.accounts.Append(accounts.Change{Before: b.Before, After: b.After, N: n, Acts: b.Audit, At: b.At.Stamp, Edit: b.Edit})
}

// note writes lines of the audit log, which are durable with the change that they are about. What cannot be written is tried
// again before users.json is written, and then at the next start. Called with noting held.
func (j *Journal) note(acts []chat.AuditEntry) {
	j.pending = append(j.pending, acts...)
	if err := j.writePending(); err != nil {
		j.log.Error("the audit log cannot be written; missing lines are kept in changes.jsonl", "lines", len(j.pending), "err", err)
	}
}

// writePending is called with noting held.
func (j *Journal) writePending() error {
	for len(j.pending) > 0 {
		if err := j.audit.Note(j.pending[0]); err != nil {
			return err
		}
		j.pending = j.pending[1:]
	}
	return nil
}

// noted returns once the audit log has the lines of all changes that are stored, and they have survived a power cut: once
// users.json has the changes, a crash does not bring their lines back.
func (j *Journal) noted() error {
	j.noting.Lock()
	err := j.writePending()
	j.noting.Unlock() // nobody who stores a change waits for the sync
	if err != nil {
		return err
	}
	return j.audit.Sync()
}

// rotate continues the history in a new file, if it is time. Messages are durable, whatever the result. Errors: Unstored.
func (j *Journal) rotate() error {
	for {
		d, err := j.history.NewRotation(false)
		if err == nil && d == nil {
			return nil
		}
		if err == nil {
			err = j.publish(nil, j.accounts.Changes(), d)
		}
		if err == nil {
			if err = d.Store(); err != nil && j.Publish != nil {
				return &Unstored{err}
			}
		}
		if err != nil {
			j.log.Warn("history: rotation failed; it continues in the old file", "err", err)
			return nil
		}
	}
}

// Lead makes the journal, which has replicated another's batches or none yet, one that takes Append: it is the leader's from
// here on. The next Replicate ends that. Neither is called while Append is.
func (j *Journal) Lead() { j.history.Lead(j.accounts.View().State) }

// Follow ends that too: what the folder would write by itself from here on, as when it is closed, is not what others have.
func (j *Journal) Follow() { j.history.Follow() }

// Resign publishes the ends of the windows that are open, as an orderly stop of a folder that has no others writes them, and
// leads no longer, whether that works or not. Without it those windows stay as they are, as after a crash.
func (j *Journal) Resign() error {
	defer j.history.Follow()
	tx, err := j.history.NewEndTransaction()
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if len(tx.Records()) == 0 {
		return nil
	}
	if err := j.publish(nil, j.accounts.Changes(), tx); err != nil {
		return err
	}
	if err := tx.Store(); err != nil {
		return &Unstored{err}
	}
	return nil
}

// Replicate stores what the journal of another folder has published, in its order, and returns the batch with this folder's
// own States; nil if there is none. What the folder has already, as after a crash, is compared and skipped.
func (j *Journal) Replicate(s Sealed) (*chat.Batch, error) {
	if s.Batch == nil {
		return nil, j.history.Replicate(s.Records, nil)
	}
	j.noting.Lock()
	defer j.noting.Unlock()
	b := *s.Batch
	known, err := j.takeDecided(&b, s)
	if err != nil {
		return nil, fmt.Errorf("batch %d: %w", b.N, err)
	}
	var said []chat.Message
	for _, e := range b.Events {
		if e.Message.Kind.Stored() {
			said = append(said, e.Message)
		}
	}
	if err := j.history.Replicate(s.Records, said); err != nil {
		return nil, fmt.Errorf("batch %d: %w", b.N, err)
	}
	j.count(b.Counts)
	if known {
		_, err = j.audit.Restore(b.Audit)
		return &b, err
	}
	j.note(b.Audit)
	return &b, nil
}

// takeDecided stores what was decided in a batch. known reports that it was stored before.
func (j *Journal) takeDecided(b *chat.Batch, s Sealed) (known bool, err error) {
	state, has := j.accounts.View().State, j.accounts.Changes()
	after := state
	if s.Change == has+1 && s.Decided {
		if after, err = j.accounts.Step(state, s.Difference); err != nil {
			return false, err
		}
	}
	b.Before, b.After = state, after
	switch {
	case s.Change > has+1, s.Change == has+1 && !s.Decided:
		return false, fmt.Errorf("it refers to change %d, but the last one here is change %d", s.Change, has)
	case s.Change <= has:
		return true, nil
	}
	_, n := j.history.Size()
	return false, j.decide(b, n)
}

// Deliver has a batch that was taken come out of Events.
func (j *Journal) Deliver(b *chat.Batch) { j.out <- *b }

// Events implements chat.Journal.
func (j *Journal) Events() <-chan chat.Batch { return j.out }

// Rehearse implements chat.Journal.
func (j *Journal) Rehearse(before, after *chat.State) (*chat.State, error) {
	return j.accounts.Rehearse(before, after)
}

// Reach is how far the folder is: the last change of the State, and the last record of the history.
func (j *Journal) Reach() (change, record uint64) {
	_, record = j.history.Size()
	return j.accounts.Changes(), record
}

// Prepared implements chat.Preparer.
func (j *Journal) Prepared(room chat.RoomName, change chat.Change) <-chan struct{} {
	return j.history.Prepared(room, change)
}

// Unreadable implements chat.Sealer.
func (j *Journal) Unreadable(room chat.RoomName) bool { return j.history.Unreadable(room) }
