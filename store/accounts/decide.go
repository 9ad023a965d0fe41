package accounts

import (
	"time"

	"sshchat/sshchat/chat"
)

// flush is one write of the file, and those who wait for it.
type flush struct {
	done  chan struct{} // closed by the writer, after the rest is set
	state *chat.State   // what is durable now; nil if err is not
	err   error
}

// Decide makes a change if who asks may have it, as chat.View.Check says at the change's place in the order of all. It
// returns once the change survives a power cut, with a State that holds it. What changes nothing is not written.
// Errors: a chat.Refusal of Check, ErrEdited, ErrClosed, or the disk's.
func (u *Store) Decide(who chat.Caller, in chat.Intent) (*chat.State, error) {
	f, err := u.begun(who, in)
	if err != nil {
		return nil, err
	}
	<-f.done
	if gone, ok := in.(chat.DeleteAccount); ok && f.err == nil {
		u.visits.Delete(gone.ID)
	}
	return f.state, f.err
}

// begun is Decide without the wait.
func (u *Store) begun(who chat.Caller, in chat.Intent) (*flush, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.closed {
		return nil, ErrClosed
	}
	s, err := chat.View{State: u.next, At: moment(u.clock.Read())}.Check(who, in)
	if err != nil {
		return nil, err
	}
	if s == u.shown { // nothing has changed, nor is anything else on its way
		f := &flush{done: make(chan struct{}), state: s}
		close(f.done)
		return f, nil
	}
	u.next = s
	if u.pending == nil {
		u.pending = &flush{done: make(chan struct{})}
		u.due <- struct{}{} // has a place: the writer took the last token before it took the last flush
	}
	return u.pending, nil
}

// Follow has f called after each change, with what it was told last (at first: what was read from the file) and with what
// is durable now. Calls come one after another, in the order of the changes, and before whoever waits for a change is
// answered. So f must not wait for a change. Call Follow once, before the Store is used by others.
func (u *Store) Follow(f func(before, after chat.View)) { u.follow = f }

// run is the writer. The first change is written at once; those that come within FlushEvery share the next write.
func (u *Store) run() {
	defer close(u.done)
	for {
		select {
		case <-u.due:
		case r := <-u.reloads:
			u.reload(r)
			continue
		case <-u.quit:
			u.flush()
			return
		}
		u.flush()
		select {
		case <-time.After(u.opt.FlushEvery):
		case r := <-u.reloads:
			u.reload(r)
		case <-u.quit:
			u.flush()
			return
		}
	}
}

// flush writes what is waiting, shows it, and answers.
func (u *Store) flush() {
	u.mu.Lock()
	f, s := u.pending, u.next
	u.pending = nil
	u.mu.Unlock()
	if f == nil {
		return
	}
	if s != u.durable.Load() { // else they waited for what was being written, and changed nothing
		f.err = u.file.write(s)
	}
	if f.err == nil {
		u.show(s)
		f.state = s
		close(f.done)
		return
	}
	u.opt.Log.Error("account changes are taken back", "err", f.err)
	later := u.startFrom(u.durable.Load()) // built on what is lost
	close(f.done)
	if later != nil {
		later.err = f.err
		close(later.done)
	}
}

// show makes what is in the file seen by readers and followers.
func (u *Store) show(s *chat.State) {
	if u.durable.Swap(s) == s && u.followed.State == s {
		return
	}
	before := u.followed
	u.followed = u.View()
	if u.follow != nil {
		u.follow(before, u.followed)
	}
	u.mu.Lock()
	u.shown = s
	u.mu.Unlock()
}

// startFrom has the next changes made to s, and returns who waited for changes to another State; nil: nobody did.
func (u *Store) startFrom(s *chat.State) (waiting *flush) {
	u.mu.Lock()
	defer u.mu.Unlock()
	waiting = u.pending
	u.next, u.pending = s, nil
	if waiting != nil {
		<-u.due
	}
	return waiting
}
