// Package history keeps the sealed history of all rooms: records in segments, each room's chain of them, the windows they
// are sealed in, and the reading of it all, on the server and away from it. FORMAT.md beside package store specifies it.
//
// It knows nothing of accounts, sessions or SSH. A function returns the keys that a window is sealed to.
package history

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"filippo.io/age"

	"sshchat/sshchat/chat"
	"sshchat/store/clock"
	"sshchat/store/durable"
)

// Options are what the history needs to know. Recipients and Rooms are required for anybody to read it.
type Options struct {
	// Recipients returns what name reads with in that State, or in the present one if it is nil; empty: no head. It is
	// called from several goroutines.
	Recipients func(s *chat.State, room chat.RoomName, name chat.Name) []age.Recipient
	// State is what is decided as the server starts; later ones come with the events. nil, for a hub whose events have
	// none: Recipients are asked for what is decided when a window begins.
	State *chat.State
	// Rooms are the rooms and their members as the server starts; later changes come as events. A room that is
	// not among them has no members; a direct room always has its two.
	Rooms []chat.RoomState
	Log   *slog.Logger     // nil: slog.Default
	Now   func() time.Time // nil: time.Now
	Clock *clock.Clock     // judges which archives are old; nil: one by Now, that remembers nothing
	// Window is how many messages one holds. 0: 200, or as many as the room has members where that is more.
	// 1: each message is sealed to each reader's keys by itself.
	Window int
	// Rotate is the size in bytes from which on the history goes on in a new file. 0: never.
	Rotate int64
	// Archives are deleted, the oldest first, that were put away longer ago than KeepFor, and while they take
	// more than KeepBytes together. 0: all are kept.
	KeepFor   time.Duration
	KeepBytes int64
	Synced    func(time.Duration) // called with the duration of each sync; may be nil
	NoSync    bool                // for tests that must fail without it

	// Submit has an event of the history's own stored at its place among all others, and returns when it is, or why not.
	// nil: the history stores it by itself.
	Submit func(chat.Event) error

	at func(time.Time, func()) // calls at that time; nil: the clock does. Tests wait for none
}

// History is the sealed history of all rooms in one file. It implements chat.Journal.
type History struct {
	opt  Options
	disk durable.FS
	path string

	committing  sync.Mutex // held by drafts, Take and Close; guards the fields up to the next blank line
	segment     *segment
	chain       chain       // follows what is written, as a reader does
	following   bool        // it takes the records of another, and has no windows
	replicated  bool        // it has led or followed: others have the same records
	comparison  *comparison // guarded by committing; of the batches that come again; nil: none has
	rooms       map[chat.RoomName]*roomChain
	checked     time.Time // when the ages of windows and archives were last checked
	archived    int       // the number of the newest archive there ever was
	rotateAfter time.Time // no rotation before it: one has failed
	failing     failing   // of the writes since the last that did not fail
	scratch     scratch   // of the draft that is not over
	closed      bool

	state   atomic.Pointer[chat.State] // that of the last event stored that had one. Written with committing held
	change  atomic.Uint64              // of State, that the last batch stands on. Written likewise
	bytes   atomic.Int64               // of the segment, for Size
	records atomic.Uint64              // the same
	errors  atomic.Uint64              // writes that failed, for WriteErrors

	// mu guards the next two, and which file has the path. All are written with committing held, for moments.
	mu       sync.RWMutex
	index    index
	archives []*archive // the oldest first; a shared array is never written to

	upcoming sync.Map // chat.RoomName to nextEvent; rooms without prepared windows have none

	workers headWorkers // closed by Close
}

// roomChain is what the committing goroutine knows of a room: how it stands with all that was drafted.
type roomChain struct {
	name  chat.RoomName
	w     uint64
	seq   uint64
	tip   sum
	open  bool
	at    window            // while open
	ahead []*preparedWindow // the windows that are made ahead, the next first

	readers map[chat.Name]bool // from events, in order; a failed write does not undo them
	stale   bool               // readers have changed since the window began: it takes no more
}

// forgetPrepared drops what is made ahead.
func (r *roomChain) forgetPrepared() {
	for _, p := range r.ahead {
		p.dropped.Store(true) // or the second would be begun while the first is dropped
	}
	for _, p := range r.ahead {
		p.drop()
	}
	r.ahead = nil
}

var errHistoryClosed = errors.New("the history has been closed")

// Open opens the history in dir, message_history.json, and creates it if it is missing or `{}`. A tail torn by a crash is
// saved aside and blanked. Errors wrap ErrDamaged if durable records are not as they were written, ErrFormat if it is not
// a history in a known format, ErrOlder if it has to be upgraded first (Upgrade); then nothing was changed. Only one
// process may have it open, which the caller ensures.
func Open(dir string, opt Options) (*History, error) {
	return open(durable.OS{}, dir, opt)
}

// OpenOn is Open on another file system.
func OpenOn(d durable.FS, dir string, opt Options) (*History, error) { return open(d, dir, opt) }

func open(d durable.FS, dir string, opt Options) (*History, error) {
	if opt.Log == nil {
		opt.Log = slog.Default()
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.Clock == nil {
		opt.Clock = clock.New(clock.Options{Now: opt.Now, Log: opt.Log})
	}
	if opt.at == nil {
		opt.at = func(when time.Time, f func()) { time.AfterFunc(time.Until(when), f) }
	}
	if opt.Recipients == nil {
		opt.Recipients = func(*chat.State, chat.RoomName, chat.Name) []age.Recipient { return nil }
	}
	h := &History{
		opt: opt, disk: d, path: filepath.Join(dir, liveName),
		rooms: make(map[chat.RoomName]*roomChain), index: make(index), chain: make(chain), checked: opt.Now(),
	}
	names, err := d.Names(dir)
	if err != nil {
		return nil, fmt.Errorf("open the history: %w", err)
	}
	numbers := archiveNumbers(names)
	var from *predecessor
	take := func(r *record) {
		h.change.Store(max(h.change.Load(), r.change))
		if r.predecessor != nil {
			from = r.predecessor
			h.archived = from.archive
		}
		h.index.add(r)
	}
	check := func(last uint64) error { return checkArchives(h, dir, numbers, last) }
	if h.segment, err = openSegment(d, h.path, opt.Log, take, h.chain, check); err != nil {
		return nil, err
	}
	if err := h.openArchives(dir, numbers, from); err != nil {
		return nil, errors.Join(err, h.segment.close())
	}
	h.segment.noSync, h.segment.timed = opt.NoSync, opt.Synced
	h.note()
	h.state.Store(opt.State)
	for _, s := range opt.Rooms {
		r := h.room(s.Name)
		for _, m := range s.Members {
			r.readers[m.Name] = true
		}
		h.prepareNext(r, opt.State)
		h.publishNext(r)
	}
	if err := h.segment.makeRoom(); err != nil {
		h.opt.Log.Warn("history: there is not enough space to prepare large windows", "err", err)
	}
	return h, nil
}

// checkArchives refuses archives that do not belong to a live file that ends with the record last. Nothing has been
// changed yet.
func checkArchives(h *History, dir string, numbers []int, last uint64) error {
	err := newerArchive(h.archived, numbers)
	if next := h.archived + 1; err == nil && slices.Contains(numbers, next) {
		f, openErr := h.disk.Open(filepath.Join(dir, archiveName(next)))
		if openErr != nil {
			return fmt.Errorf("open %s: %w", archiveName(next), openErr)
		}
		end, lastErr := lastOf(f, next)
		if err = errors.Join(lastErr, f.Close()); err != nil {
			err = fmt.Errorf("%s: %w", archiveName(next), err)
		} else {
			err = oldCopy(next, end, last)
		}
	}
	if err != nil {
		return fmt.Errorf("%s: %w; nothing was changed", dir, err)
	}
	return nil
}

// openArchives finds the archives, and undoes what a crash left of a rotation.
func (h *History) openArchives(dir string, numbers []int, from *predecessor) (err error) {
	if slices.Contains(numbers, h.archived+1) {
		if err := h.undoRotation(dir); err != nil {
			return err
		}
	}
	if h.archives, err = openArchives(h.disk, dir, from); err != nil {
		return err
	}
	h.expire()
	return nil
}

// room returns the room as it stands.
func (h *History) room(name chat.RoomName) *roomChain {
	r := h.rooms[name]
	if r != nil {
		return r
	}
	r = &roomChain{name: name, readers: pairOf(name)}
	if s := h.index[name]; s != nil {
		r.w, r.seq, r.tip = s.head.W, s.head.Seq, s.head.Tip
	}
	h.rooms[name] = r
	return r
}

// pairOf are the two readers of a direct room; nil for other rooms.
func pairOf(name chat.RoomName) map[chat.Name]bool {
	readers := make(map[chat.Name]bool)
	if a, b, ok := name.Pair(); ok {
		readers[a], readers[b] = true, true
	}
	return readers
}

// Last is the newest Seq of every room that has history.
func (h *History) Last() map[chat.RoomName]uint64 {
	h.mu.RLock()
	defer h.mu.RUnlock()
	last := make(map[chat.RoomName]uint64, len(h.index))
	for name, s := range h.index {
		last[name] = s.head.Seq
	}
	return last
}

// Commit implements chat.Journal, for a history by itself: it drafts the batch, stores it, and rotates if it is time.
func (h *History) Commit(batch []chat.Event) error {
	tx, err := h.NewTransaction(batch, 0)
	if err != nil {
		return err
	}
	if err := tx.Store(); err != nil {
		return err
	}
	h.rotateDue() // the batch is durable, whatever the result
	return nil
}

// note keeps the size where Size reads it. Called with committing held, or before h is shared.
func (h *History) note() {
	h.bytes.Store(h.segment.end)
	h.records.Store(h.segment.n)
}

// Size is what the history holds: bytes, without the room kept for what comes, and records. It waits for nothing.
func (h *History) Size() (bytes int64, records uint64) { return h.bytes.Load(), h.records.Load() }

// Archives is how many files the history has been continued from, and their size in bytes.
func (h *History) Archives() (n int, bytes int64) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	for _, a := range h.archives {
		bytes += a.size
	}
	return len(h.archives), bytes
}

// Writes that fail without a failed sync are retried with each batch: a full disk may get space again. Other causes, such
// as a disk that is gone or read-only, do not go away while the file is open: the process gives up after failFor, so that
// a supervisor sees it end.
const (
	failFor    = time.Minute
	failAtOnce = 3 // and not before this many have failed
)

// failing counts failures in a row.
type failing struct {
	since time.Time // of the first
	times int
}

// failed records that a write has failed, and returns the error for the caller. Called with committing held.
func (h *History) failed(err error) error {
	h.errors.Add(1)
	if h.segment.dead != nil || errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return err
	}
	now := h.opt.Now()
	if h.failing.times++; h.failing.times == 1 {
		h.failing.since = now
	}
	if h.failing.times < failAtOnce || now.Sub(h.failing.since) < failFor {
		return err
	}
	h.segment.dead = fmt.Errorf("write the history, for %v: %w: %w", now.Sub(h.failing.since).Round(time.Second), chat.ErrJournalDead, err)
	return h.segment.dead
}

// Change is the number of the last change of State that anything in the history stands on; 0: none is known. The log
// of changes must have that many.
func (h *History) Change() uint64 { return h.change.Load() }

// WriteErrors is how many batches could not be written since the start. It waits for nothing.
func (h *History) WriteErrors() uint64 { return h.errors.Load() }

// endOld ends windows that are a day old. They are checked once a minute.
func (h *History) endOld(tx *Transaction) {
	now := h.opt.Now()
	if now.Sub(h.checked) < time.Minute {
		return
	}
	h.checked = now
	h.expire()
	for _, r := range h.rooms {
		if r.open && now.Sub(r.at.opened) >= windowLasts {
			tx.touch(r)
			tx.end(r)
		}
	}
}

// Close ends all windows, waits until that is durable and gives up the file. Of a history that has led or followed others it ends
// none: they would not have those records.
func (h *History) Close() error {
	h.committing.Lock()
	defer h.committing.Unlock()
	if h.closed {
		return nil
	}
	h.closed = true
	h.workers.stop() // or the heads that are being made, for windows that never begin, would be waited for
	for _, r := range h.rooms {
		r.forgetPrepared()
	}
	h.workers.wait()
	var err error
	if !h.replicated {
		err = endTransaction(h).commit()
	}
	for _, r := range h.rooms {
		if r.open {
			r.at.keys.wipe()
		}
	}
	if err = errors.Join(err, h.segment.close()); err != nil {
		return fmt.Errorf("close the history: %w", err)
	}
	return nil
}

// Snapshots are the files of the history as it is committed now: first the one that is written to, then its archives, the
// newest first. What is before the end of the last record never changes. One is open at a time; archives that are deleted
// meanwhile are left out, and with them all that are older.
func (h *History) Snapshots() iter.Seq2[durable.Snapshot, error] {
	return func(yield func(durable.Snapshot, error) bool) {
		live, archives, err := h.snapshotLive()
		all := []func() (durable.Snapshot, error){func() (durable.Snapshot, error) { return live, err }}
		for _, a := range slices.Backward(archives) {
			all = append(all, a.snapshot)
		}
		durable.Each(all...)(yield)
	}
}

// snapshotLive is the file that is written to, as it is committed now, and the archives it goes on from.
func (h *History) snapshotLive() (durable.Snapshot, []*archive, error) {
	h.committing.Lock()
	defer h.committing.Unlock()
	f, err := h.disk.Open(h.path)
	if err != nil {
		return durable.Snapshot{}, nil, fmt.Errorf("snapshot of the history: %w", err)
	}
	end, rest := h.segment.end, segmentOutro
	if left := pageSize - end%pageSize; left < int64(len(segmentOutro)) {
		rest = string(blanks(left)) + segmentOutro // the end of a file too crosses no page
	}
	return durable.Snapshot{
		Name: liveName, Size: end + int64(len(rest)),
		Reader: io.MultiReader(io.NewSectionReader(f, 0, end), strings.NewReader(rest)), Release: f.Close,
	}, h.archives, nil
}
