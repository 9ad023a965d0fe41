// Package journal is a data folder as the chat's journal: accounts, history and audit log in one order.
package journal

import (
	"fmt"
	"log/slog"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/store/accounts"
	"sshchat/store/audit"
	"sshchat/store/history"
)

// Journal is the data folder as the chat's journal. What was decided is stored first, then what was said, so that the history
// never holds a message that stands on a decision which is lost; the lines of the audit log come last.
type Journal struct {
	accounts *accounts.Store
	history  *history.History
	audit    *audit.Log
	log      *slog.Logger
	out      chan chat.Batch

	// Publish is given what is to be stored before it is, and has a place for it among what others publish, or refuses.
	// nil: this folder is the only one.
	Publish func(Sealed) error
}

// Sealed is a batch as it is stored: what another folder needs to hold the same.
type Sealed struct {
	Batch   *chat.Batch // nil: there is none, only records, as of a rotation
	Change  uint64      // the last of the State, with what is decided in the batch
	Records [][]byte    // of the history, as history.Draft.Records has them
}

// New is the journal over what the folder holds, opened. It refuses a history that stands on changes which the accounts do
// not have: somebody put back an old copy of them. Lines of the audit log that a crash took back, about changes that it did
// not, are written again.
func New(accounts *accounts.Store, history *history.History, audit *audit.Log, log *slog.Logger) (*Journal, error) {
	if has, wants := accounts.Changes(), history.Change(); has < wants {
		return nil, fmt.Errorf("users.json and changes.jsonl end with change %d, and message_history.json stands on change %d: they are an old copy. "+
			`Put back the newest; or, to go on with the old ones, run: sed -i '1s/"upto":[0-9]*/"upto":%d/' users.json`, has, wants, wants)
	}
	restored, err := audit.Restore(accounts.Acts())
	if err != nil {
		return nil, err
	}
	if restored > 0 {
		log.Info("lines of the audit log that a crash took back are written again", "lines", restored)
	}
	return &Journal{accounts: accounts, history: history, audit: audit, log: log, out: make(chan chat.Batch, 1)}, nil
}

// Append implements chat.Journal.
func (j *Journal) Append(b chat.Batch) error {
	change := j.accounts.Changes()
	if b.After != b.Before || b.Edit != "" {
		change++
	}
	draft, err := j.history.Draft(b.Events, change)
	if err != nil {
		return err
	}
	defer draft.Drop()
	b.Acts = dated(b.Acts, b.At)
	if err := j.publish(&b, change, draft); err != nil {
		return err
	}
	n := draft.Follows()
	if err := j.decided(b, n); err != nil {
		return err
	}
	if err := draft.Store(); err != nil {
		if b.After == b.Before {
			return err
		}
		j.out <- b.Decided()
		return fmt.Errorf("%w: %w", chat.ErrOnlyDecided, err)
	}
	j.out <- b
	j.rotate()
	return nil
}

func (j *Journal) publish(b *chat.Batch, change uint64, d *history.Draft) error {
	if j.Publish == nil {
		return nil
	}
	return j.Publish(Sealed{b, change, d.Records()})
}

// dated are the acts with their time.
func dated(acts []chat.Act, at chat.Moment) []chat.Act {
	all := make([]chat.Act, len(acts))
	for i, act := range acts {
		act.At = at.Shown.UTC().Truncate(time.Millisecond)
		all[i] = act
	}
	return all
}

// decided stores what was decided: n is the last record of the history before the batch.
func (j *Journal) decided(b chat.Batch, n uint64) error {
	if b.After != b.Before || b.Edit != "" {
		c := accounts.Change{Before: b.Before, After: b.After, N: n, Acts: b.Acts, At: b.At.Stamp, Edit: b.Edit}
		if err := j.accounts.Append(c); err != nil {
			return err
		}
	}
	for _, act := range b.Acts {
		if err := j.audit.Note(act); err != nil {
			j.log.Error("the audit log cannot be written", "do", act.Do, "by", act.By, "err", err)
		}
	}
	return nil
}

// rotate has the history go on in a new file, if it is time. What was said is durable, whatever becomes of that.
func (j *Journal) rotate() {
	for {
		d, err := j.history.DraftRotation(false)
		if err == nil && d == nil {
			return
		}
		if err == nil {
			err = j.publish(nil, j.accounts.Changes(), d)
		}
		if err == nil {
			err = d.Store()
		}
		if err != nil {
			j.log.Error("history: it could not be rotated, and goes on in the old file", "err", err)
			return
		}
	}
}

// Take stores what the journal of another folder has published, in its order, and returns the batch with this folder's own
// States; nil if there is none. What the folder has already, as after a crash, is compared with that and passed over.
func (j *Journal) Take(s Sealed) (*chat.Batch, error) {
	if s.Batch == nil {
		return nil, j.history.Take(s.Records, nil)
	}
	b := *s.Batch
	if err := j.takeDecided(&b, s.Change); err != nil {
		return nil, fmt.Errorf("batch %d: %w", b.N, err)
	}
	var said []chat.Message
	for _, e := range b.Events {
		if e.Message.Kind.Stored() {
			said = append(said, e.Message)
		}
	}
	if err := j.history.Take(s.Records, said); err != nil {
		return nil, fmt.Errorf("batch %d: %w", b.N, err)
	}
	return &b, nil
}

// takeDecided stores what was decided in a batch after which change is the last.
func (j *Journal) takeDecided(b *chat.Batch, change uint64) error {
	state, has := j.accounts.View().State, j.accounts.Changes()
	decided := b.After != b.Before || b.Edit != ""
	switch {
	case change > has+1, change == has+1 && !decided:
		return fmt.Errorf("it stands on change %d, and change %d is the last here", change, has)
	case change <= has || !decided:
		b.Before, b.After = state, state
		_, err := j.audit.Restore(b.Acts)
		return err
	}
	after, err := state.With(b.After.Since(b.Before))
	if err != nil {
		return err
	}
	b.Before, b.After = state, after
	_, n := j.history.Size()
	return j.decided(*b, n)
}

// Deliver has a batch that was taken come out of Events.
func (j *Journal) Deliver(b *chat.Batch) { j.out <- *b }

// Events implements chat.Journal.
func (j *Journal) Events() <-chan chat.Batch { return j.out }

// Rehearse implements chat.Journal.
func (j *Journal) Rehearse(before, after *chat.State) (*chat.State, error) {
	return j.accounts.Rehearse(before, after.Since(before))
}

// Prepared implements chat.Preparer.
func (j *Journal) Prepared(room chat.RoomName, change chat.Change) <-chan struct{} {
	return j.history.Prepared(room, change)
}

// Unreadable implements chat.Sealer.
func (j *Journal) Unreadable(room chat.RoomName) bool { return j.history.Unreadable(room) }
