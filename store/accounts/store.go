// Package accounts keeps users.json: the chat's State on disk, with accounts, keys, sealed password identities and second
// factors, rooms and their members, bans, invites and the allowlist. It opens passwords and second factors, and makes new
// ones. It decides nothing about who may do what: chat.State does. It knows nothing of messages, sessions or SSH.
package accounts

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
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

// Why nothing is stored.
var (
	ErrEdited = &chat.Refusal{Code: chat.Failed, Text: "users.json was changed by hand while the server runs, so nothing is written over it"}
	ErrClosed = errors.New("the accounts are closed")
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

// Store keeps the State in users.json. All its methods may be called from any goroutine.
//
// A change returns once it survives a power cut; changes that come together share a write. If the write fails,
// none of them has happened. Readers never wait: they see what is durable, and nothing else.
type Store struct {
	file    *file
	clock   *clock.Clock
	visits  sync.Map // account ID → clock.Reading.Ran at the last visit, as a time.Duration
	opt     Options
	scrypts *semaphore // before every scrypt
	dummy   string     // a sealed file that no password opens, for who has none
	sealTo  recipients

	open func(sealed string, phrase []byte) ([]byte, error)                    // agesplit.OpenIdentities; tests count
	seal func(plain, phrase []byte, workFactor int) (sealed string, err error) // agesplit.SealIdentities; tests count

	durable atomic.Pointer[chat.State] // what the file holds, and all that readers see

	mu      sync.Mutex  // guards the fields below; never held while the disk works
	next    *chat.State // what the file is to hold
	shown   *chat.State // what is durable, and followers know
	pending *flush      // those who wait for next to be written; nil: nobody
	closed  bool

	reloads chan *reload // taken by the writer; never closed

	due  chan struct{} // holds one token while pending is not nil and the writer does not know; never closed
	quit chan struct{} // closed by Close
	done chan struct{} // closed by the writer when it ends

	follow   func(before, after chat.View) // set by Follow; called by the writer alone
	followed chat.View                     // what follow was told last; owned by the writer
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
	u := &Store{
		file: &file{path: filepath.Join(dir, "users.json"), log: opt.Log, save: durable.Replace},
		opt:  opt, clock: opt.Clock, scrypts: newSemaphore(), dummy: dummy,
		open: agesplit.OpenIdentities, seal: agesplit.SealIdentities,
		reloads: make(chan *reload), due: make(chan struct{}, 1), quit: make(chan struct{}), done: make(chan struct{}),
	}
	s, err := u.file.load()
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", u.file.path, err)
	}
	u.clock.Known(newest(s, u.file.written))
	u.next, u.shown = s, s
	u.durable.Store(s)
	u.followed = u.View()
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

// newest is the newest time that the file as it was found knows of: the last visit, and when it was written.
func newest(s *chat.State, written fs.FileInfo) time.Time {
	var newest time.Time
	if s.Len() > 0 {
		newest = written.ModTime()
	}
	for a := range s.Accounts() {
		if day, err := time.Parse(time.DateOnly, a.Seen); err == nil && day.After(newest) {
			newest = day
		}
	}
	return newest
}

// View is what is durable, as it stands now.
func (u *Store) View() chat.View {
	return chat.View{State: u.durable.Load(), At: moment(u.clock.Read())}
}

// moment is a look at the clock as the chat takes it.
func moment(r clock.Reading) chat.Moment {
	return chat.Moment{Shown: r.Shown, Believed: r.Believed, Latest: r.Latest, Stamp: r.Stamp}
}

// second is the time as it is stored.
func (u *Store) second() time.Time { return u.clock.Read().Stamp.Truncate(time.Second) }

// Snapshot is users.json as it is on the disk.
func (u *Store) Snapshot() (durable.Snapshot, error) {
	b, err := encode(u.durable.Load())
	return durable.InMemory(filepath.Base(u.file.path), b), err
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
