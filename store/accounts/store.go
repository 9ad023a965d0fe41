// Package accounts keeps users.json and changes.jsonl: the chat's State on disk, with accounts, keys, sealed password identities and second
// factors, rooms and their members, bans, invites and the allowlist. It opens passwords and second factors, and makes new
// ones. It decides nothing about who may do what: chat.State does. It knows nothing of messages, sessions or SSH.
package accounts

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/store/agesplit"
	"sshchat/store/changes"
	"sshchat/store/clock"
	"sshchat/store/durable"
)

const (
	defaultFlushEvery  = time.Second
	defaultMinPassword = 15 // code points; NIST SP 800-63B-4 for a password that is the only factor
	defaultDormant     = 90 * 24 * time.Hour

	// LowestMinPassword is the least that Options.MinPassword may be, in code points: NIST SP 800-63B-4 for a password
	// that is not the only factor.
	LowestMinPassword = 8
)

// ErrClosed is why nothing is changed any more.
var ErrClosed = errors.New("the accounts are closed")

// Options are the settings of a Store. The zero value is what a server runs with.
type Options struct {
	WorkFactor  int              // of scrypt, as log2 N; 0 means 16; tests take 10 or less
	MinPassword int              // code points, 8 or more; 0 means 15
	Server      string           // its name, which is no password
	Log         *slog.Logger     // nil: nothing is logged
	Now         func() time.Time // nil: time.Now
	Clock       *clock.Clock     // judges what has ended; nil: one by Now, that remembers nothing
	Dormant     time.Duration    // absence after which nothing is sealed for somebody, but in direct rooms; 0: 90 days; negative: never
	FlushEvery  time.Duration    // users.json is written at most once in so long, if nobody waits for it; 0 means 1 s; negative: only then
}

// Store keeps the State in users.json, and what was changed since that was written in changes.jsonl. All its methods may be
// called from any goroutine.
//
// It decides nothing: what was decided is appended, and survives a power cut then. Readers never wait: they see what is
// durable, and nothing else.
type Store struct {
	files   *checkpoints
	clock   *clock.Clock
	visits  sync.Map // account ID → clock.Reading.Ran at the last visit, as a time.Duration
	opt     Options
	scrypts *semaphore // before every scrypt
	dummy   string     // a sealed file that no password opens, for names without a password
	sealTo  recipients

	open func(sealed string, phrase []byte) ([]byte, error)                    // agesplit.OpenIdentities; tests count
	seal func(plain, phrase []byte, workFactor int) (sealed string, err error) // agesplit.SealIdentities; tests count

	durable atomic.Pointer[point] // what survives a power cut, and all that readers see
	steps                         // from one State to the next

	appending sync.Mutex               // held while a line is written and what is durable changes
	write     func(changes.Line) error // of the log; tests fail it
	closed    bool                     // guarded by appending
}

// Open reads dir/users.json and what was changed since it was written, and makes both if there is nothing. The folder must be
// held (store.HoldFolder).
//
// It refuses, naming the line and leaving the files unchanged, malformed files, newer formats and inconsistent files. It
// also refuses to start fresh if only a backup is left: otherwise the first to register would become admin of somebody's
// server.
func Open(dir string, opt Options) (*Store, error) {
	return openOn(&checkpoints{disk: durable.OS{}, stat: os.Lstat, read: os.ReadFile}, dir, opt)
}

// OpenOn is Open on another file system, whose files nobody edits by hand meanwhile.
func OpenOn(d durable.FS, dir string, opt Options) (*Store, error) {
	return openOn(&checkpoints{
		disk: d, read: func(path string) ([]byte, error) { return durable.ReadFile(d, path) },
		stat: func(path string) (fs.FileInfo, error) {
			f, err := d.Open(path)
			if err != nil {
				return nil, err
			}
			return nil, f.Close()
		},
	}, dir, opt)
}

// openOn is Open on the file system that files has.
func openOn(files *checkpoints, dir string, opt Options) (*Store, error) {
	if err := opt.complete(); err != nil {
		return nil, err
	}
	dummy, err := agesplit.DummySealed(opt.WorkFactor)
	if err != nil {
		return nil, fmt.Errorf("make a dummy password: %w", err)
	}
	u := &Store{
		files: files, opt: opt, clock: opt.Clock, scrypts: newSemaphore(), dummy: dummy,
		open: agesplit.OpenIdentities, seal: agesplit.SealIdentities,
	}
	files.path, files.log, files.every = filepath.Join(dir, "users.json"), opt.Log, opt.FlushEvery
	files.now = func() point { return *u.durable.Load() }
	files.due, files.quit, files.done = make(chan struct{}, 1), make(chan struct{}), make(chan struct{})
	p, err := files.open(u.clock.Read().Stamp)
	if err != nil {
		return nil, err
	}
	if files.written != nil {
		u.clock.Known(newest(p.State, files.written))
	}
	u.write = files.changes.Append
	u.durable.Store(&p)
	if p.b > files.last.b {
		files.wake()
	}
	if files.taken {
		files.writeEdited()
	}
	go files.run()
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

// AuditEntries are the lines of the audit log about changes that users.json did not have when it was opened: a crash may have taken
// them back there. If there are any, users.json is not written until BeforeCheckpoint was called: another crash would find
// them nowhere.
func (u *Store) AuditEntries() []chat.AuditEntry { return u.files.acts }

// BeforeCheckpoint registers f, which is called before users.json is written: when it returns nil, the acts of all changes
// that were appended before have survived a power cut elsewhere. Those of Acts have when BeforeCheckpoint is called.
func (u *Store) BeforeCheckpoint(f func() error) { u.files.release(f) }

// View is what is durable, as it stands now.
func (u *Store) View() chat.View {
	return chat.View{State: u.durable.Load().State, At: moment(u.clock.Read())}
}

// Moment is the time, as the chat takes it.
func (u *Store) Moment() chat.Moment { return moment(u.clock.Read()) }

// moment is the present time as a chat.Moment.
func moment(r clock.Reading) chat.Moment {
	return chat.Moment{Wall: r.Wall, Trusted: r.Trusted, Latest: r.Latest, Stamp: r.Stamp}
}

// second is the time as it is stored.
func (u *Store) second() time.Time { return u.clock.Read().Stamp.Truncate(time.Second) }

// Snapshots are users.json with everything durable, and a changes.jsonl that continues from it: unpacked over an older
// folder, they leave none of its changes. By then the audit log has the lines of all changes in it.
func (u *Store) Snapshots() iter.Seq2[durable.Snapshot, error] {
	p := u.durable.Load()
	if err := u.files.settled(); err != nil {
		u.files.log.Warn("a backup lacks lines of the audit log", "err", err) // and is the more needed
	}
	users, err := encode(p.State, p.b)
	return durable.Each(
		func() (durable.Snapshot, error) { return durable.InMemory(filepath.Base(u.files.path), users), err },
		func() (durable.Snapshot, error) {
			log, err := changes.Empty(changes.Checkpoint{Upto: p.b, Sum: digest(users)})
			return durable.InMemory(changesName, log), err
		},
	)
}

// Close writes users.json and ends. Changes after it fail with ErrClosed; reading goes on.
func (u *Store) Close() error {
	u.appending.Lock()
	closed := u.closed
	u.closed = true
	u.appending.Unlock()
	if closed {
		return ErrClosed
	}
	return u.files.close()
}
