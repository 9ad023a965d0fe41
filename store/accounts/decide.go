package accounts

import (
	"fmt"
	"sync"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/store/changes"
)

// Change leads from one State to the next, as one line of changes.jsonl.
type Change struct {
	Before, After *chat.State // Before is what is durable
	N             uint64      // the history's last record when it was made
	Acts          []chat.Act  // lines of the audit log, numbered
	At            time.Time   // zero: now
	Edit          string      // EditByHand.File, if one is in it
}

// Append makes a change durable: it returns nil once it survives a power cut, and then View has it. What changes nothing, and
// says nothing, is not written. Appends come one after another. If there is no room nothing has changed, and the next may be
// taken again; an error that wraps chat.ErrJournalDead is final.
func (u *Store) Append(c Change) error {
	u.appending.Lock()
	defer u.appending.Unlock()
	now := *u.durable.Load()
	if c.Before != now.State {
		return fmt.Errorf("internal error: a change of another State than the one after change %d", now.b)
	}
	d := c.After.Since(c.Before)
	next := point{c.After, now.b}
	if !d.IsZero() || len(c.Acts) > 0 || c.Edit != "" {
		b, err := encodeDifference(d)
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
	u.files.wake()
	return nil
}

// Changes is the number of the last durable change.
func (u *Store) Changes() uint64 { return u.durable.Load().b }

// Checkpoint returns once users.json holds all that is durable now.
func (u *Store) Checkpoint() error { return u.files.write() }

// writer has changes appended that are decided one by one. Those that come while the disk works share the next line.
type writer struct {
	u *Store

	mu      sync.Mutex  // guards the fields below; never held while the disk works
	next    *chat.State // what is to be durable
	shown   *chat.State // what is durable, and followers know
	pending *flush      // those who wait for next to be written; nil: nobody
	closed  bool

	due  chan struct{} // holds one token while pending is not nil and the writer does not know; never closed
	quit chan struct{} // closed by close
	done chan struct{} // closed by run

	follow   func(before, after chat.View) // set by Follow; called by run alone
	followed chat.View                     // what follow was told last; owned by run
}

// flush is one append, and those who wait for it.
type flush struct {
	done  chan struct{} // closed by the writer, after the rest is set
	edit  string        // Change.Edit
	state *chat.State   // what is durable now; nil if err is not
	err   error
}

// Decide makes a change if who asks may have it, as chat.View.Check says at the change's place in the order of all. It
// returns once the change survives a power cut, with a State that holds it. What changes nothing is not written. A new account
// is in users.json as well then, unless that cannot be written.
// Errors: a chat.Refusal of Check, ErrClosed, or the disk's.
func (u *Store) Decide(who chat.Caller, in chat.Intent) (*chat.State, error) {
	f, err := u.writer.begun(who, in)
	if err != nil {
		return nil, err
	}
	<-f.done
	if f.err != nil {
		return nil, f.err
	}
	switch in := in.(type) {
	case chat.DeleteAccount:
		u.visits.Delete(in.ID)
	case chat.CreateAccount:
		if err := u.files.write(); err != nil {
			u.opt.Log.Warn("the new account is not in users.json yet", "err", err)
		}
	}
	return f.state, nil
}

// Follow has f called after each change, with what it was told last (at first: what was read from the file) and with what
// is durable now. Calls come one after another, in the order of the changes, and before whoever waits for a change is
// answered. So f must not wait for a change. Call Follow once, before the Store is used by others.
func (u *Store) Follow(f func(before, after chat.View)) { u.writer.follow = f }

// begun is Decide without the wait.
func (w *writer) begun(who chat.Caller, in chat.Intent) (*flush, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return nil, ErrClosed
	}
	s, err := chat.View{State: w.next, At: moment(w.u.clock.Read())}.Check(who, in)
	if err != nil {
		return nil, err
	}
	if s != w.next { // what cannot be read again is refused alone, and not with those whose changes share the line
		if s, err = w.u.Rehearse(w.next, s.Since(w.next)); err != nil {
			w.u.opt.Log.Error("a change is refused", "intent", fmt.Sprintf("%T", in), "err", err)
			return nil, err
		}
	}
	edit, edited := in.(chat.EditByHand)
	if s == w.shown && !edited { // nothing has changed, nor is anything else on its way
		f := &flush{done: make(chan struct{}), state: s}
		close(f.done)
		return f, nil
	}
	w.next = s
	if w.pending == nil {
		w.pending = &flush{done: make(chan struct{})}
		w.due <- struct{}{} // has a place: the writer took the last token before it took the last flush
	}
	if edited {
		w.pending.edit = edit.File
	}
	return w.pending, nil
}

// run appends until close.
func (w *writer) run() {
	defer close(w.done)
	for {
		select {
		case <-w.due:
			w.flush()
		case <-w.quit:
			w.flush()
			return
		}
	}
}

// flush appends what is waiting, shows it, and answers.
func (w *writer) flush() {
	w.mu.Lock()
	f, s := w.pending, w.next
	w.pending = nil
	w.mu.Unlock()
	if f == nil {
		return
	}
	before := w.u.durable.Load().State
	if s != before || f.edit != "" { // else they waited for what was being written, and changed nothing
		f.err = w.u.Append(Change{Before: before, After: s, Edit: f.edit})
	}
	if f.err == nil {
		w.show(s)
		f.state = s
		close(f.done)
		return
	}
	w.u.opt.Log.Error("account changes are taken back", "err", f.err)
	later := w.startFrom(before) // built on what is lost
	close(f.done)
	if later != nil {
		later.err = f.err
		close(later.done)
	}
}

// show has followers follow to s, which is durable.
func (w *writer) show(s *chat.State) {
	if w.followed.State == s {
		return
	}
	before := w.followed
	w.followed = w.u.View()
	if w.follow != nil {
		w.follow(before, w.followed)
	}
	w.mu.Lock()
	w.shown = s
	w.mu.Unlock()
}

// startFrom has the next changes made to s, and returns who waited for changes to another State; nil: nobody did.
func (w *writer) startFrom(s *chat.State) (waiting *flush) {
	w.mu.Lock()
	defer w.mu.Unlock()
	waiting = w.pending
	w.next, w.pending = s, nil
	if waiting != nil {
		<-w.due
	}
	return waiting
}

// close appends what is waiting and ends. It returns false if it was called before.
func (w *writer) close() (last *flush, ok bool) {
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return nil, false
	}
	w.closed = true
	last = w.pending
	w.mu.Unlock()
	close(w.quit)
	<-w.done
	return last, true
}
