// Package marks keeps what may be some seconds old after a crash: how far people have read, and what was tried of their
// passwords. It knows nothing of accounts, nor of the history.
package marks

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/store/durable"
	"sshchat/store/strictjson"
)

const (
	formatPrefix  = "sshchat-state/" // of any version
	format        = formatPrefix + "1"
	damagedSuffix = ".bad"
	defaultFlush  = 5 * time.Second
	maxSize       = 256 << 20 // bytes: more was not written by us
)

// Options are the settings of a Store. The zero value is what a server runs with.
type Options struct {
	Log        *slog.Logger     // nil: nothing is logged
	Now        func() time.Time // nil: time.Now
	FlushEvery time.Duration    // how much a crash may lose; 0 means 5 s
}

// Store keeps, in state.json, data that may be some seconds old after a crash. A change returns at once, and the file is
// written from time to time. A file that cannot be read is set aside and replaced: it must never keep a server from
// starting.
//
// Each part of it is a section with a file, a lock and methods of its own. All methods may be called from any goroutine.
type Store struct {
	path    string
	opt     Options
	marks   marks
	tallies tallies

	save func(path string, data []byte) error // durable.Swap; tests fail it

	due  chan struct{} // holds one token while something has changed that the writer does not know of; never closed
	quit chan struct{} // closed by Close
	done chan struct{} // closed by the writer when it ends
	once sync.Once     // of Close

	dirty   atomic.Bool // something has changed since the last write began
	writing sync.Mutex  // held while the file is written
	err     error       // guarded by writing; of the last write
}

// section is one part of the file, under a name of its own.
type section interface {
	// read takes what the file holds: once, before anything else. Fields of other versions are skipped.
	read(v strictjson.Value, skipped func(error)) error
	// clear forgets what was read.
	clear()
	// write writes the section as one JSON value. It locks for itself.
	write(p *strictjson.Page)
}

// sections are the parts in the order of the file. A new one is added here and in Store, and calls changed.
func (s *Store) sections() []namedSection {
	return []namedSection{{"marks", &s.marks}, {"tallies", &s.tallies}}
}

type namedSection struct {
	name string
	section
}

// Open reads dir/state.json, if there is one. The folder must be held (store.HoldFolder). A file that is not as this version
// writes it becomes state.json.bad, which is logged: the sections that can be read are kept, as those of another version are.
// The error is that of a folder in which even that cannot be done.
func Open(dir string, opt Options) (*Store, error) {
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.FlushEvery <= 0 {
		opt.FlushEvery = defaultFlush
	}
	s := newStore(filepath.Join(dir, "state.json"), opt)
	if err := s.load(); err != nil {
		if err := os.Rename(s.path, s.path+damagedSuffix); err != nil {
			return nil, fmt.Errorf("set a damaged state.json aside: %w", err)
		}
		opt.Log.Warn("state.json is damaged or of another version and was set aside; its readable parts are kept",
			"saved", s.path+damagedSuffix, "marks of people", len(s.marks.of), "wrong passwords of accounts", len(s.tallies.of), "err", err)
		s.changed()
	}
	go s.run()
	return s, nil
}

func newStore(path string, opt Options) *Store {
	return &Store{
		path: path, opt: opt, save: func(path string, data []byte) error { return durable.Swap(durable.OS{}, path, data) }, marks: marks{of: make(map[chat.Name]map[chat.RoomName]uint64)},
		tallies: tallies{of: make(map[chat.Name]chat.Tally)},
		due:     make(chan struct{}, 1), quit: make(chan struct{}), done: make(chan struct{}),
	}
}

// load reads the file into the sections.
func (s *Store) load() error {
	info, err := os.Lstat(s.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return errors.New("it is not a regular file")
	case info.Size() > maxSize:
		return fmt.Errorf("it is larger than %d bytes", maxSize)
	}
	b, err := os.ReadFile(s.path)
	if err != nil {
		return err
	}
	return s.parse(b)
}

func (s *Store) parse(b []byte) error {
	doc, err := strictjson.Parse(b)
	if err != nil {
		return err
	}
	var found string
	var wrong []error
	skip := func(err error) { wrong = append(wrong, err) }
	known := map[string]func(strictjson.Value) error{"format": strictjson.To(&found)}
	for _, part := range s.sections() {
		known[part.name] = func(v strictjson.Value) error {
			if err := part.read(v, skip); err != nil {
				part.clear() // nothing of what was read before the damage
				skip(fmt.Errorf("%s: %w", part.name, err))
			}
			return nil
		}
	}
	if err := doc.Known(known, skip); err != nil {
		skip(err)
	}
	if found != format {
		skip(fmt.Errorf("the format is %q, not %q", found, format))
	}
	if !strings.HasPrefix(found, formatPrefix) {
		for _, part := range s.sections() {
			part.clear()
		}
	}
	return errors.Join(wrong...)
}

// encode writes the file. Each section is whole in itself; two of them may be of different moments.
func (s *Store) encode() ([]byte, error) {
	p := &strictjson.Page{}
	p.Text(`{"format":`)
	p.Value(format)
	for _, part := range s.sections() {
		p.Text(",\n ")
		p.Value(part.name)
		p.Text(":")
		part.write(p)
	}
	p.Text("}\n")
	return p.Bytes()
}

// changed has the file written within FlushEvery. A section calls it after each change, without its lock.
func (s *Store) changed() {
	s.dirty.Store(true)
	select {
	case s.due <- struct{}{}:
	default:
	}
}

// run is the writer. It ends with Close.
func (s *Store) run() {
	defer close(s.done)
	for {
		select {
		case <-s.due:
		case <-s.quit:
			s.last()
			return
		}
		select {
		case <-time.After(s.opt.FlushEvery): // what changes meanwhile shares the write
			s.flush()
		case <-s.quit:
			s.flush()
			return
		}
	}
}

// last writes what changed just before the end.
func (s *Store) last() {
	select {
	case <-s.due:
		s.flush()
	default:
	}
}

// Flush writes what has changed, if anything has, and returns once that survives a power cut.
func (s *Store) Flush() error {
	s.writing.Lock() // also for a write that has begun
	clean := s.err == nil && !s.dirty.Load()
	s.writing.Unlock()
	if clean {
		return nil
	}
	return s.flush()
}

// flush writes the file. What could not be written is tried again in a while.
func (s *Store) flush() error {
	s.writing.Lock()
	defer s.writing.Unlock()
	select {
	case <-s.due: // a change from here on is written again
	default:
	}
	s.dirty.Store(false)
	failed := s.err != nil
	b, err := s.encode()
	if err == nil {
		err = s.save(s.path, b)
	}
	s.err = err
	if err == nil {
		return nil
	}
	if !failed {
		s.opt.Log.Warn("state.json cannot be written; trying again", "err", err)
	}
	s.changed()
	return err
}

// Close writes what is not written yet and ends. Later changes are lost.
func (s *Store) Close() error {
	s.once.Do(func() { close(s.quit) })
	<-s.done
	s.writing.Lock()
	defer s.writing.Unlock()
	if s.err != nil {
		return fmt.Errorf("write state.json: %w", s.err)
	}
	return nil
}

// Snapshot is the state as it is now.
func (s *Store) Snapshot() (durable.Snapshot, error) {
	b, err := s.encode()
	return durable.InMemory(filepath.Base(s.path), b), err
}
