package journal_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/chat/journaltest"
	"sshchat/sshchat/text"
	"sshchat/store/accounts"
	"sshchat/store/durable"
	"sshchat/store/durable/powercut"
	"sshchat/store/durable/testdisk"
	"sshchat/store/history"
	"sshchat/store/journal"

	"filippo.io/age"
	"filippo.io/age/agessh"
)

func TestMain(m *testing.M) { testdisk.Main(m) }

// What is wrong with a disk.
const (
	whole       int32 = iota
	full              // no write works
	historyFull       // none of the history does
	dying             // no sync works
	gone              // nothing does: its process is dead
)

// faulty is a disk of which some operations fail. Its names are below root.
type faulty struct {
	durable.FS
	root   string
	broken atomic.Int32
}

// check is why an operation on a file fails; nil: it does not.
func (d *faulty) check(name string, write, sync bool) error {
	switch broken := d.broken.Load(); {
	case broken == gone, broken == dying && sync:
		return syscall.EIO
	case broken == full && write, broken == historyFull && write && strings.Contains(name, "message_history"):
		return syscall.ENOSPC
	}
	return nil
}

func (d *faulty) at(name string) string { return filepath.Join(d.root, name) }

func (d *faulty) open(name string, open func(string) (durable.File, error)) (durable.File, error) {
	f, err := open(d.at(name))
	if err != nil {
		return nil, err
	}
	return faultyFile{f, d, name}, nil
}

func (d *faulty) Open(name string) (durable.File, error)   { return d.open(name, d.FS.Open) }
func (d *faulty) Create(name string) (durable.File, error) { return d.open(name, d.FS.Create) }
func (d *faulty) MakeDir(name string) error                { return d.FS.MakeDir(d.at(name)) }
func (d *faulty) Names(dir string) ([]string, error)       { return d.FS.Names(d.at(dir)) }

func (d *faulty) Rename(from, to string) error {
	return firstOf(d.check(to, false, false), func() error { return d.FS.Rename(d.at(from), d.at(to)) })
}

func (d *faulty) Link(from, to string) error {
	return firstOf(d.check(to, false, false), func() error { return d.FS.Link(d.at(from), d.at(to)) })
}

func (d *faulty) Remove(name string) error {
	return firstOf(d.check(name, false, false), func() error { return d.FS.Remove(d.at(name)) })
}

func (d *faulty) SyncDir(name string) error {
	return firstOf(d.check(name, false, true), func() error { return d.FS.SyncDir(d.at(name)) })
}

// firstOf is err, or else what f returns.
func firstOf(err error, f func() error) error {
	if err != nil {
		return err
	}
	return f()
}

type faultyFile struct {
	durable.File
	disk *faulty
	name string
}

func (f faultyFile) WriteAt(b []byte, off int64) (int, error) {
	if err := f.disk.check(f.name, true, false); err != nil {
		return 0, err
	}
	return f.File.WriteAt(b, off)
}

func (f faultyFile) Sync() error {
	return firstOf(f.disk.check(f.name, false, true), f.File.Sync)
}

func (f faultyFile) Truncate(size int64) error {
	return firstOf(f.disk.check(f.name, false, false), func() error { return f.File.Truncate(size) })
}

// suiteRig is one data folder, or several over one log in memory of which the first leads, for package journaltest.
type suiteRig struct {
	o         settings
	log       *nodes // nil: there is one folder
	line      *journaltest.Line
	refuses   atomic.Bool // the log does
	processes []*process
}

// process is a hub over a data folder.
type process struct {
	disk   *faulty
	folder *folder
	hub    *chat.Hub
	stop   func() error
	ended  chan error   // what Run returned
	follow func()       // ends the taking of what is published
	taken  atomic.Int64 // so many of what was published are surely stored
}

// folders makes rigs of so many folders, on disks in memory, or on the machine's own.
func folders(n int, real bool) journaltest.Maker {
	return func(t testing.TB, o journaltest.Options) journaltest.Rig {
		t.Helper()
		r := &suiteRig{o: settings{window: o.Window, rotate: o.Rotate}, line: journaltest.NewLine()}
		if n > 1 {
			r.log = newNodes()
		}
		for i := range n {
			p := &process{disk: &faulty{FS: powercut.New()}}
			if real {
				p.disk = onDisk(t)
			}
			r.processes = append(r.processes, p)
			if err := r.start(i); err != nil {
				t.Fatal(err)
			}
		}
		return r
	}
}

// onDisk is a folder of the machine's own disk.
func onDisk(t testing.TB) *faulty {
	t.Helper()
	d := &faulty{FS: durable.OS{}, root: t.TempDir()}
	if err := os.Mkdir(d.at("data"), 0o700); err != nil {
		t.Fatal(err)
	}
	return d
}

// start starts a process over what its disk holds.
func (r *suiteRig) start(i int) (err error) {
	p, o := r.processes[i], r.o
	o.submit = func(e chat.Event) error { return p.hub.Store(e) }
	if p.folder, err = openFolder(p.disk, o); err != nil {
		return fmt.Errorf("process %d: %w", i, err)
	}
	applied, answers, err := r.catchUp(i)
	if err != nil {
		return fmt.Errorf("process %d: %w", i, err)
	}
	c := chat.Config{
		Journal: p.folder, State: p.folder.accounts.View().State, Last: p.folder.history.Last(), Applied: applied, Answers: answers,
		Clock: p.folder.accounts.Moment, Log: quiet,
	}
	if i > 0 {
		c.Leader = r.line
	} else if r.log != nil {
		p.folder.Publish = r.publish
	}
	p.hub = chat.NewHub(c)
	ctx, cancel := context.WithCancel(context.Background())
	ended, done := make(chan error, 1), make(chan struct{})
	p.ended = ended
	go func() { ended <- p.hub.Run(ctx); close(done) }()
	p.stop = func() error { cancel(); <-done; err := <-ended; ended <- err; return err }
	p.follow = func() {}
	if i > 0 {
		r.following(p)
	} else {
		r.line.Lead(p.hub)
	}
	return nil
}

// catchUp has a folder take what was published and it does not have, and returns the last batch, and what was answered.
func (r *suiteRig) catchUp(i int) (applied uint64, answers []chat.Answer, err error) {
	if r.log == nil {
		return 0, nil, nil
	}
	r.log.mu.Lock()
	log := r.log.log
	r.log.mu.Unlock()
	p := r.processes[i]
	for k, e := range log {
		s, err := e.decode(true) // nobody remembers them
		if err != nil {
			return 0, nil, fmt.Errorf("decode entry %d: %w", k, err)
		}
		if s.Batch != nil {
			applied, answers = s.Batch.N, append(answers, s.Batch.Answers...)
		}
		if k < int(p.taken.Load()) {
			continue
		}
		if _, err := p.folder.Replicate(s); err != nil {
			return 0, nil, fmt.Errorf("take entry %d: %w", k, err)
		}
	}
	p.taken.Store(int64(len(log)))
	if i == 0 {
		p.folder.Lead()
	}
	return applied, answers, nil
}

// publish is Journal.Publish of the leader.
func (r *suiteRig) publish(s journal.Sealed) error {
	if r.refuses.Load() {
		return errors.New("the log takes nothing")
	}
	err := r.log.publish(s)
	if err == nil {
		r.log.mu.Lock()
		r.processes[0].taken.Store(int64(len(r.log.log) - 1)) // it is not stored yet
		r.log.mu.Unlock()
	}
	return err
}

// following has a folder take what is published, until the process ends.
func (r *suiteRig) following(p *process) {
	ctx, cancel := context.WithCancel(context.Background())
	var takes sync.WaitGroup
	p.follow = func() {
		cancel()
		taken := make(chan struct{})
		go func() { takes.Wait(); close(taken) }()
		for { // the hub, which is gone, takes no more
			select {
			case <-p.folder.Events():
			case <-taken:
				return
			}
		}
	}
	f := p.folder
	takes.Go(func() {
		for ctx.Err() == nil {
			for _, e := range r.log.after(int(p.taken.Load()), ctx) {
				s, err := e.decode(false)
				if err != nil {
					panic("internal error: what was published cannot be decoded: " + err.Error())
				}
				b, err := f.Replicate(s)
				if err != nil {
					return // the disk is gone, or what follows will be missed
				}
				p.taken.Add(1)
				if b != nil {
					f.Deliver(b)
				}
			}
		}
	})
}

func (r *suiteRig) Hubs() (all []*chat.Hub) {
	for _, p := range r.processes {
		all = append(all, p.hub)
	}
	return all
}

func (r *suiteRig) Restart(which ...int) error {
	if len(which) == 0 {
		for i := range r.processes {
			which = append(which, i)
		}
	}
	for _, i := range which {
		if i == 0 {
			r.line.Lead(nil)
		}
		r.processes[i].disk.broken.Store(gone)
	}
	for _, i := range which {
		p := r.processes[i]
		p.stop()
		p.follow()
		next := &faulty{FS: p.disk.FS, root: p.disk.root}
		if d, ok := p.disk.FS.(*powercut.Disk); ok {
			next.FS = d.Cut(rand.New(rand.NewPCG(rand.Uint64(), 0)))
		}
		p.folder.close() // which fails: nothing can be written
		p.disk = next
	}
	for _, i := range which {
		if err := r.start(i); err != nil {
			return err
		}
	}
	return nil
}

func (r *suiteRig) Fault(f journaltest.Fault) error {
	several := r.log != nil
	switch {
	case f == journaltest.LosesAnswer && !several:
		return journaltest.Unsupported("requests are ordered where they are made")
	case f == journaltest.OnlyDecides && several:
		return journaltest.Unsupported("what is published is stored as a whole")
	}
	r.line.Lose(f == journaltest.LosesAnswer)
	r.refuses.Store(f == journaltest.Refuses && several)
	broken := map[journaltest.Fault]int32{journaltest.Refuses: full, journaltest.OnlyDecides: historyFull, journaltest.Dies: dying}[f]
	if several && broken == full {
		broken = whole // it is the log that refuses
	}
	r.processes[0].disk.broken.Store(broken)
	return nil
}

func (r *suiteRig) Dead() error {
	err := <-r.processes[0].ended
	r.processes[0].ended <- err
	return err
}

func (r *suiteRig) Stored(i int, who journaltest.Person, room chat.RoomName) ([]chat.Message, error) {
	identity, err := agessh.NewEd25519Identity(who.Private)
	if err != nil {
		return nil, err
	}
	return stored(r.processes[i].folder.history, who.Name, room, identity)
}

// stored is what an identity opens of a room, with the edits and deletions in it.
func stored(h *history.History, me chat.Name, room chat.RoomName, id age.Identity) ([]chat.Message, error) {
	u, err := h.Unlock(me, room, []age.Identity{id})
	if err != nil {
		return nil, err
	}
	defer u.Wipe()
	all, _, _, err := u.Read(1, 1<<62)
	chat.Settle(all)
	return all, err
}

func (r *suiteRig) Share(who journaltest.Person, room chat.RoomName) error {
	identity, err := agessh.NewEd25519Identity(who.Private)
	if err == nil {
		_, _, err = r.processes[0].folder.history.Share(who.Name, []chat.RoomName{room}, []age.Identity{identity})
	}
	return err
}

// password is one that is sealed, which takes a while.
var password = sync.OnceValues(func() (chat.Account, error) {
	s, err := accounts.OpenOn(powercut.New(), "data", accounts.Options{WorkFactor: 4, FlushEvery: -1})
	if err != nil {
		return chat.Account{}, err
	}
	defer s.Close()
	name, err := text.ParseName("somebody")
	if err != nil {
		return chat.Account{}, err
	}
	return s.NewAccount(context.Background(), name, chat.User, nil, []byte("correct horse battery staple"))
})

func (r *suiteRig) Password() (string, chat.Opaque) {
	a, err := password()
	if err != nil {
		panic(err)
	}
	return a.Recipient, a.Secret
}

func (r *suiteRig) Close() error {
	var errs []error
	for i := len(r.processes) - 1; i >= 0; i-- { // the leader last
		p := r.processes[i]
		if err := p.stop(); err != nil {
			errs = append(errs, err)
		}
		p.follow()
		errs = append(errs, p.folder.close())
	}
	return errors.Join(errs...)
}

// The journal of a data folder passes what every journal has to: on a disk in memory, on the machine's own, and of three
// folders over one log.
func TestJournalSuite(t *testing.T) {
	t.Parallel()
	races, onDisk := powercut.Points(6, 1000), powercut.Points(2, 20)
	if powercut.Race { // which takes ten times as long
		races, onDisk = 50, 5
	}
	t.Run("folder", func(t *testing.T) { journaltest.Run(t, races, folders(1, false)) })
	t.Run("folder on disk", func(t *testing.T) {
		some := []string{"durable before shown", "batches and rotation", "refused once", "refused for good", "restart at every batch, with rotation"}
		if powercut.Long() || powercut.Race {
			some = nil // all of them
		}
		journaltest.Run(t, onDisk, folders(1, true), some...)
	})
	t.Run("three folders", func(t *testing.T) { journaltest.Run(t, races, folders(3, false)) })
}

// A leader that cannot store what it has published goes on with nothing: the others have it. It has it too when it is opened
// again. The control is a folder of its own, which goes on once there is room.
func TestLeaderCannotStoreWhatItPublished(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 2} {
		r := folders(n, false)(t, journaltest.Options{}).(*suiteRig)
		alice := newPerson(t, "alice")
		if err := alice.enrol(r.processes[0].folder, r.Hubs()[0], chat.Admin); err != nil {
			t.Fatal(err)
		}
		r.processes[0].disk.broken.Store(full)
		if err := alice.say(r.Hubs()[0], chat.General, "published"); !errors.Is(err, chat.ErrNotStored) {
			t.Errorf("of %d folders: on a full disk: %v", n, err)
		}
		r.processes[0].disk.broken.Store(whole)
		err := alice.say(r.Hubs()[0], chat.General, "next")
		if (err == nil) != (n == 1) {
			t.Errorf("of %d folders: after that: %v", n, err)
		}
		if n > 1 {
			if err := r.Dead(); !errors.Is(err, chat.ErrJournalDead) {
				t.Errorf("Run returns %v", err)
			}
			if err := r.Restart(0); err != nil {
				t.Fatal(err)
			}
		}
		want := map[int]string{1: "[next]", 2: "[published]"}[n]
		if said, err := alice.reads(r.processes[0].folder, chat.General); err != nil || fmt.Sprint(said) != want {
			t.Errorf("of %d folders: the first has %q, not %s: %v", n, said, want, err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}
