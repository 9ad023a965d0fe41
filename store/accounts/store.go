// Package accounts keeps users.json: accounts with their keys and sealed password identities, second factors, rooms and their
// members, bans, invites and the allowlist. It knows nothing of messages, sessions or SSH, and decides nothing about who may
// do what: the commands do.
package accounts

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/store/agesplit"
	"sshchat/store/clock"
	"sshchat/store/durable"
)

const (
	defaultFlushEvery  = 250 * time.Millisecond
	defaultMinPassword = 15 // code points; NIST SP 800-63B-4 for a password that is the only factor
	defaultDormant     = 90 * 24 * time.Hour

	// LowestMinPassword is the least that Options.MinPassword may be, in code points: NIST SP 800-63B-4 for a password
	// that is not the only factor.
	LowestMinPassword = 8
)

// Refusals, for callers to decide on. What a person reads is theirs to word.
var (
	ErrTaken     = &chat.Refusal{Code: chat.Failed, Text: "the name is taken, or looks like one that is"}
	ErrNoAccount = &chat.Refusal{Code: chat.NotFound, Text: "no such account"}
	ErrNoLogin   = &chat.Refusal{Code: chat.Failed, Text: "an account needs a way to log in: an SSH key or a password"}
	ErrNoRetired = &chat.Refusal{Code: chat.Failed, Text: "no admin has replaced a password of this account, or it has been recovered"}
	ErrLastAdmin = &chat.Refusal{Code: chat.Failed, Text: "the server would be left without an admin"}
	ErrEdited    = &chat.Refusal{Code: chat.Failed, Text: "users.json was changed by hand while the server runs, so nothing is written over it"}
	ErrClosed    = errors.New("the accounts are closed")
)

// Options are the settings of a Store. The zero value is what a server runs with.
type Options struct {
	WorkFactor  int              // of scrypt, as log2 N; 0 means 16; tests take 10 or less
	MinPassword int              // code points, 8 or more; 0 means 15
	Server      string           // its name, which is no password
	Log         *slog.Logger     // nil: nothing is logged
	Now         func() time.Time // nil: time.Now
	Clock       *clock.Clock     // judges what has ended; nil: one by Now, that remembers nothing
	Dormant     time.Duration    // absence after which nothing is sealed for somebody, but in direct rooms; 0: 90 days; negative: never
	FlushEvery  time.Duration    // the file is written at most once in so long; 0 means 250 ms
}

// Store keeps accounts and what is decided about rooms, in users.json. It is the chat's Registry.
// All its methods may be called from any goroutine.
//
// A change returns once it survives a power cut; changes that come together share a write. If the write fails,
// none of them has happened. Readers never wait: they see what is durable, and nothing else.
type Store struct {
	*book
	check func(View) error // asked at the place of each change; nil: nobody
}

// book is what a Store shares with those that Under returns.
type book struct {
	path    string
	clock   *clock.Clock
	visits  sync.Map // account id → clock.Reading.Ran at the last visit, as a time.Duration
	opt     Options
	scrypts *semaphore // before every scrypt
	dummy   string     // a sealed file that no password opens, for who has none

	open func(sealed string, phrase []byte) ([]byte, error)                    // agesplit.OpenIdentities; tests count
	save func(path string, data []byte) (fs.FileInfo, error)                   // durable.Replace; tests fail it
	seal func(plain, phrase []byte, workFactor int) (sealed string, err error) // agesplit.SealIdentities; tests count

	durable atomic.Pointer[roster] // what the file holds, and all that readers see

	mu      sync.Mutex // guards the fields below; never held while the disk works
	next    *roster    // what the file is to hold; frozen (shown, or being written) while pending is nil
	pending *flush     // those who wait for next to be written; nil: nobody
	closed  bool

	reloads chan *reload // taken by the writer; never closed

	due  chan struct{} // holds one token while pending is not nil and the writer does not know; never closed
	quit chan struct{} // closed by Close
	done chan struct{} // closed by the writer when it ends

	written fs.FileInfo // the file as last read or written; owned by the writer
}

// flush is one write of the file, and those who wait for it.
type flush struct {
	done chan struct{} // closed by the writer, after err is set
	err  error
}

// Open reads dir/users.json and makes it where it is missing. The folder must be held (store.HoldFolder).
//
// It refuses, naming the line and leaving the file as it is, what is malformed or of a newer format; and to begin
// anew where only a backup is left: the first to register would be admin of somebody's server.
func Open(dir string, opt Options) (*Store, error) {
	if err := opt.complete(); err != nil {
		return nil, err
	}
	dummy, err := agesplit.DummySealed(opt.WorkFactor)
	if err != nil {
		return nil, fmt.Errorf("make a dummy password: %w", err)
	}
	u := &Store{book: &book{
		path: filepath.Join(dir, "users.json"), opt: opt, clock: opt.Clock, scrypts: newSemaphore(), dummy: dummy,
		open: agesplit.OpenIdentities, save: durable.Replace, seal: agesplit.SealIdentities,
		reloads: make(chan *reload), due: make(chan struct{}, 1), quit: make(chan struct{}), done: make(chan struct{}),
	}}
	r, err := u.load()
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", u.path, err)
	}
	u.clock.Known(u.newest(r))
	u.next = r
	u.durable.Store(r)
	go u.run()
	return u, nil
}

// complete checks the options and fills in what is left out.
func (o *Options) complete() error {
	if o.Dormant == 0 {
		o.Dormant = defaultDormant
	}
	if o.WorkFactor == 0 {
		o.WorkFactor = agesplit.DefaultWorkFactor
	}
	if o.MinPassword == 0 {
		o.MinPassword = defaultMinPassword
	}
	if o.FlushEvery == 0 {
		o.FlushEvery = defaultFlushEvery
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Clock == nil {
		o.Clock = clock.New(clock.Options{Now: o.Now, Log: o.Log})
	}
	switch {
	case o.WorkFactor < 1 || o.WorkFactor > agesplit.MaxWorkFactor:
		return fmt.Errorf("the work factor is %d; it must be 1 to %d", o.WorkFactor, agesplit.MaxWorkFactor)
	case o.MinPassword < LowestMinPassword:
		return fmt.Errorf("the shortest password is set to %d; it must not be below %d", o.MinPassword, LowestMinPassword)
	}
	return nil
}

// load reads the file, or makes it.
func (u *Store) load() (*roster, error) {
	info, err := os.Lstat(u.path)
	if errors.Is(err, fs.ErrNotExist) {
		return u.begin()
	}
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() { // a link would be replaced by a file at the first change
		return nil, errors.New("it is not a plain file")
	}
	b, err := os.ReadFile(u.path)
	if err != nil {
		return nil, err
	}
	r, err := parseRoster(b)
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		if err := os.Chmod(u.path, 0o600); err != nil {
			return nil, err
		}
		u.opt.Log.Warn("users.json could be read by others; it is closed now", "mode", info.Mode().Perm())
	}
	u.written = info
	return r, nil
}

// newest is the newest time that the file as it was found knows of: the last visit, and when it was written.
func (u *Store) newest(r *roster) time.Time {
	var newest time.Time
	if len(r.users) > 0 {
		newest = u.written.ModTime()
	}
	for _, who := range r.users {
		if day, err := time.Parse(time.DateOnly, who.Seen); err == nil && day.After(newest) {
			newest = day
		}
	}
	return newest
}

// begin makes the file of a new server.
func (u *Store) begin() (*roster, error) {
	backup := u.path + durable.BackupSuffix
	if _, err := os.Lstat(backup); !errors.Is(err, fs.ErrNotExist) {
		return nil, errors.Join(fmt.Errorf("it is missing, but its backup is there: "+
			"copy %s to it, or remove that as well to begin anew", backup), err)
	}
	r := newRoster()
	b, err := r.encode()
	if err != nil {
		return nil, err
	}
	u.written, err = u.save(u.path, b)
	return r, err
}

// Close writes what is waiting to be written and ends. Changes after it fail with ErrClosed; reading goes on.
func (u *Store) Close() error {
	u.mu.Lock()
	if u.closed {
		u.mu.Unlock()
		return ErrClosed
	}
	u.closed = true
	last := u.pending
	u.mu.Unlock()
	close(u.quit)
	<-u.done
	if last != nil {
		return last.err
	}
	return nil
}

// change has edit change the roster, and returns when that is durable. An edit that refuses must not have
// changed anything yet.
func (u *Store) change(edit func(*roster) error) error {
	f, err := u.begun(edit)
	if err != nil {
		return err
	}
	<-f.done
	return f.err
}

// begun is change without the wait.
func (u *Store) begun(edit func(*roster) error) (*flush, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.closed {
		return nil, ErrClosed
	}
	r := u.next
	if u.check != nil {
		if err := u.check(View{r, u.clock}); err != nil {
			return nil, err
		}
	}
	if u.pending == nil {
		r = r.clone()
	}
	if err := edit(r); err != nil {
		return nil, err
	}
	if u.pending == nil {
		u.next, u.pending = r, &flush{done: make(chan struct{})}
		u.due <- struct{}{} // has a place: the writer took the last token before it took the last flush
	}
	return u.pending, nil
}

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

// flush writes what is waiting, shows it to readers, and answers.
func (u *Store) flush() {
	u.mu.Lock()
	f, r := u.pending, u.next
	u.pending = nil
	u.mu.Unlock()
	if f == nil {
		return
	}
	if f.err = u.write(r); f.err == nil {
		u.durable.Store(r)
		close(f.done)
		return
	}
	u.opt.Log.Error("account changes are taken back", "err", f.err)
	u.mu.Lock()
	u.next = u.durable.Load()
	later := u.pending // built on what is lost
	u.pending = nil
	if later != nil {
		<-u.due
	}
	u.mu.Unlock()
	close(f.done)
	if later != nil {
		later.err = f.err
		close(later.done)
	}
}

// write replaces the file, unless somebody else has.
func (u *Store) write(r *roster) error {
	b, err := r.encode()
	if err != nil {
		return fmt.Errorf("encode users.json: %w", err)
	}
	now, err := os.Lstat(u.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("look at users.json: %w", err)
	}
	if err != nil || !os.SameFile(now, u.written) || now.Size() != u.written.Size() || !now.ModTime().Equal(u.written.ModTime()) {
		return ErrEdited
	}
	info, err := u.save(u.path, b)
	if err != nil {
		u.look()
		return fmt.Errorf("write users.json: %w", err)
	}
	u.written = info
	return nil
}

// look takes the file as it is for ours, after a write that failed: whether before or after the rename,
// what is there is what we put there.
func (u *Store) look() {
	info, err := os.Lstat(u.path)
	if err != nil {
		u.opt.Log.Error("users.json cannot be looked at after a failed write", "err", err)
		return
	}
	u.written = info
}

// Accounts lists all accounts, the oldest first.
func (u *Store) Accounts() []chat.Account {
	users := u.durable.Load().users
	all := make([]chat.Account, len(users))
	for i, who := range users {
		all[i] = who.account()
	}
	return all
}

// Count is how many accounts there are. It copies none.
func (u *Store) Count() int { return len(u.durable.Load().users) }

// Checks is how many passwords are being checked now, and how many wait for it.
func (u *Store) Checks() (running, waiting int) { return len(u.scrypts.slots), len(u.scrypts.queue) }

// HasAdmin reports whether the server has an admin.
func (u *Store) HasAdmin() bool { return u.durable.Load().admins() > 0 }
