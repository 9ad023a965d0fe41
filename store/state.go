package store

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/store/durable"
)

const (
	stateFormat       = "sshchat-state/1"
	damagedSuffix     = ".bad"
	defaultStateFlush = 5 * time.Second
	maxStateSize      = 256 << 20 // bytes: more was not written by us
)

// StateOptions are the settings of State. The zero value is what a server runs with.
type StateOptions struct {
	Log        *slog.Logger     // nil: nothing is logged
	Now        func() time.Time // nil: time.Now
	FlushEvery time.Duration    // what a crash may take back; 0 means 5 s
}

// State keeps, in state.json, what may be some seconds old after a crash: nothing that anybody was promised.
// So a change returns at once, the file is written from time to time, and one that cannot be read
// is set aside and begun anew: it must never keep a server from starting.
//
// Each part of it is a section with a file, a lock and methods of its own. All methods may be called from any goroutine.
type State struct {
	path    string
	opt     StateOptions
	marks   marks
	tallies tallies

	save func(path string, data []byte) error // replaceState; tests fail it

	due  chan struct{} // holds one token while something has changed that the writer does not know of; never closed
	quit chan struct{} // closed by Close
	done chan struct{} // closed by the writer when it ends
	once sync.Once     // of Close
	err  error         // of the last write; owned by the writer until done is closed
}

// section is one part of the file, under a name of its own.
type section interface {
	// read takes what the file holds: once, before anything else. It refuses what it did not write.
	read(v value) error
	// write writes the section as one JSON value. It locks for itself.
	write(p *page)
}

// sections are the parts in the order of the file. A new one is added here and in State, and calls changed.
func (s *State) sections() []namedSection {
	return []namedSection{{"marks", &s.marks}, {"tallies", &s.tallies}}
}

type namedSection struct {
	name string
	section
}

// OpenState reads dir/state.json, if there is one. The folder must be held (HoldFolder). What cannot be read
// becomes state.json.bad, and the log is told; the error is that of a folder in which even that cannot be done.
func OpenState(dir string, opt StateOptions) (*State, error) {
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.FlushEvery <= 0 {
		opt.FlushEvery = defaultStateFlush
	}
	s := newState(filepath.Join(dir, "state.json"), opt)
	if err := s.load(); err != nil {
		if err := os.Rename(s.path, s.path+damagedSuffix); err != nil {
			return nil, fmt.Errorf("set a damaged state.json aside: %w", err)
		}
		opt.Log.Warn("state.json cannot be read and was set aside: who has read what is forgotten, and so are failed logins",
			"saved", s.path+damagedSuffix, "err", err)
		s = newState(s.path, opt) // nothing of what was read before the damage
	}
	go s.run()
	return s, nil
}

func newState(path string, opt StateOptions) *State {
	return &State{
		path: path, opt: opt, save: replaceState, marks: marks{of: make(map[chat.Name]map[chat.RoomName]uint64)},
		tallies: tallies{of: make(map[chat.Name]chat.Tally)},
		due:     make(chan struct{}, 1), quit: make(chan struct{}), done: make(chan struct{}),
	}
}

// load reads the file into the sections.
func (s *State) load() error {
	info, err := os.Lstat(s.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return errors.New("it is not a plain file")
	case info.Size() > maxStateSize:
		return fmt.Errorf("it is larger than %d bytes", maxStateSize)
	}
	b, err := os.ReadFile(s.path)
	if err != nil {
		return err
	}
	return s.parse(b)
}

func (s *State) parse(b []byte) error {
	doc, err := parseDocument(b)
	if err != nil {
		return err
	}
	var format string
	known := map[string]func(value) error{"format": into(&format)}
	for _, part := range s.sections() {
		known[part.name] = part.read
	}
	if err := doc.fields(known); err != nil {
		return err
	}
	if format != stateFormat {
		return fmt.Errorf("the format is %q, not %q", format, stateFormat)
	}
	return nil
}

// encode writes the file. Each section is whole in itself; two of them may be of different moments.
func (s *State) encode() ([]byte, error) {
	p := &page{}
	p.text(`{"format":`)
	p.value(stateFormat)
	for _, part := range s.sections() {
		p.text(",\n ")
		p.value(part.name)
		p.text(":")
		part.write(p)
	}
	p.text("}\n")
	return p.buf.Bytes(), p.err
}

// changed has the file written within FlushEvery. A section calls it after each change, without its lock.
func (s *State) changed() {
	select {
	case s.due <- struct{}{}:
	default:
	}
}

// run is the writer. It ends with Close.
func (s *State) run() {
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
func (s *State) last() {
	select {
	case <-s.due:
		s.flush()
	default:
	}
}

// flush writes the file. What could not be written is tried again in a while.
func (s *State) flush() {
	select {
	case <-s.due: // a change from here on is written again
	default:
	}
	failed := s.err != nil
	b, err := s.encode()
	if err == nil {
		err = s.save(s.path, b)
	}
	s.err = err
	if err == nil {
		return
	}
	if !failed {
		s.opt.Log.Error("state.json cannot be written; it is tried again", "err", err)
	}
	s.changed()
}

// Close writes what is not written yet and ends. Later changes are lost.
func (s *State) Close() error {
	s.once.Do(func() { close(s.quit) })
	<-s.done
	if s.err != nil {
		return fmt.Errorf("write state.json: %w", s.err)
	}
	return nil
}

func replaceState(path string, data []byte) error { return durable.Swap(durable.OS{}, path, data) }
