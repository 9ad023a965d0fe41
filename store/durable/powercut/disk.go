// Package powercut is a file system in memory for tests: its power can be cut, and any of its operations can fail. It
// knows nothing of what the files hold, nor of what their writers promise: a test does.
package powercut

import (
	"bytes"
	"io/fs"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"sshchat/store/durable"
)

// Disk implements durable.FS. When its power is cut, any sectors of any writes that were not synced may be lost, and any
// names whose folder was not. Overwriting one sector harms no other. Safe for any number of goroutines; the same calls in
// the same order, and the same random numbers, give the same disk.
type Disk struct {
	mu      sync.Mutex
	names   map[string]*file // as the running system sees them
	durable map[string]*file // as they are after the cut
	pending []change         // what happened to names since they were synced, in order
	ops     int              // writes, syncs and changes of names so far
	failAt  int              // the op that fails; 0: none
	forever bool             // all after it fail as well
	failure error
	lies    bool
}

// Sector is what the hardware writes at once, in bytes.
const Sector = 512

// file implements durable.File. Its fields are guarded by the disk's mu.
type file struct {
	disk   *Disk
	folder bool // it is none
	now    []byte
	safe   []byte // as of the last sync
}

// change is something that happened to names: from is gone, if it is not empty; to, if it is not empty, names the file.
type change struct {
	from, to string
	file     *file
}

func (c change) apply(names map[string]*file) {
	if c.from != "" {
		delete(names, c.from)
	}
	if c.to != "" {
		names[c.to] = c.file
	}
	if c.from == "" || c.to == "" || !c.file.folder {
		return
	}
	for name, f := range names {
		if in, ok := strings.CutPrefix(name, c.from+"/"); ok {
			delete(names, name)
			names[c.to+"/"+in] = f
		}
	}
}

// in reports whether it happened in that folder.
func (c change) in(dir string) bool {
	return c.from != "" && filepath.Dir(c.from) == dir || c.to != "" && filepath.Dir(c.to) == dir
}

// New makes an empty disk. It has every folder that is asked for, whether or not it was made.
func New() *Disk { return &Disk{names: make(map[string]*file), durable: make(map[string]*file)} }

// Fail makes one operation fail with err: the n-th from now on, counted from 1. It replaces what was to fail before.
// Operations are writes, syncs, truncations, reservations and changes of names; reading never fails.
func (d *Disk) Fail(n int, err error) { d.fail(n, err, false) }

// FailFrom makes the n-th operation from now on fail with err, and all that follow it, until Heal.
func (d *Disk) FailFrom(n int, err error) { d.fail(n, err, true) }

func (d *Disk) fail(n int, err error, forever bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.failAt, d.failure, d.forever = d.ops+n, err, forever
}

// Heal makes every operation work again, and forgets that one failed.
func (d *Disk) Heal() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.failAt = 0
}

// Failed reports whether the operation that was to fail was met.
func (d *Disk) Failed() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.failAt > 0 && d.ops >= d.failAt
}

// Lie makes every sync return without doing anything, or syncs work again. Tests use it as their control: what holds
// on such a disk as well was not proven.
func (d *Disk) Lie(lies bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lies = lies
}

// op counts an operation and returns its failure, if it is to fail. Called with mu held.
func (d *Disk) op() error {
	d.ops++
	if d.ops == d.failAt || d.forever && d.failAt > 0 && d.ops > d.failAt {
		return d.failure
	}
	return nil
}

// Has reports whether a file of that name exists.
func (d *Disk) Has(name string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.names[name] != nil
}

func (d *Disk) Names(dir string) (names []string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for name := range d.names {
		if filepath.Dir(name) == dir {
			names = append(names, filepath.Base(name))
		}
	}
	slices.Sort(names)
	return names, nil
}

// Content returns a copy of what the running system reads in a file, or nil if there is none.
func (d *Disk) Content(name string) []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	if f := d.names[name]; f != nil {
		return append([]byte{}, f.now...)
	}
	return nil
}

func (d *Disk) Open(name string) (durable.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch f := d.names[name]; {
	case f == nil:
		return nil, fs.ErrNotExist
	case f.folder:
		return nil, &fs.PathError{Op: "open", Path: name, Err: syscall.EISDIR}
	default:
		return f, nil
	}
}

func (d *Disk) Create(name string) (durable.File, error) {
	f, err := d.make(name, false)
	if err != nil {
		return nil, err // not in the interface: a nil *file would not be nil there
	}
	return f, nil
}

func (d *Disk) MakeDir(name string) error {
	_, err := d.make(name, true)
	return err
}

func (d *Disk) make(name string, folder bool) (*file, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.names[name] != nil {
		return nil, fs.ErrExist
	}
	if err := d.op(); err != nil {
		return nil, err
	}
	f := &file{disk: d, folder: folder}
	d.change(change{to: name, file: f})
	return f, nil
}

// change does something to names, which may or may not be so after a cut. Called with mu held.
func (d *Disk) change(c change) {
	c.apply(d.names)
	d.pending = append(d.pending, c)
}

func (d *Disk) Rename(from, to string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.names[from] == nil {
		return fs.ErrNotExist
	}
	if err := d.op(); err != nil {
		return err
	}
	d.change(change{from: from, to: to, file: d.names[from]})
	return nil
}

func (d *Disk) Link(from, to string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.names[from] == nil {
		return fs.ErrNotExist
	}
	if d.names[to] != nil {
		return fs.ErrExist
	}
	if err := d.op(); err != nil {
		return err
	}
	d.change(change{to: to, file: d.names[from]})
	return nil
}

func (d *Disk) Remove(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.names[name] == nil {
		return fs.ErrNotExist
	}
	if err := d.op(); err != nil {
		return err
	}
	d.change(change{from: name})
	return nil
}

func (d *Disk) SyncDir(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.op(); err != nil {
		return err
	}
	if d.lies {
		return nil
	}
	var others []change
	for _, c := range d.pending {
		if c.in(filepath.Clean(name)) {
			c.apply(d.durable)
		} else {
			others = append(others, c)
		}
	}
	d.pending = others
	return nil
}

func (f *file) ReadAt(b []byte, off int64) (int, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	return bytes.NewReader(f.now).ReadAt(b, off)
}

// WriteAt fails as a full disk does: after half of it.
func (f *file) WriteAt(b []byte, off int64) (int, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	err := f.disk.op()
	if err != nil {
		b = b[:len(b)/2]
	}
	if end := int(off) + len(b); end > len(f.now) {
		f.now = append(f.now, make([]byte, end-len(f.now))...)
	}
	copy(f.now[off:], b)
	return len(b), err
}

func (f *file) Sync() error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if err := f.disk.op(); err != nil {
		return err
	}
	if !f.disk.lies {
		f.safe = bytes.Clone(f.now)
	}
	return nil
}

func (f *file) Reserve(int64) error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	return f.disk.op()
}

func (f *file) Truncate(size int64) error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if err := f.disk.op(); err != nil {
		return err
	}
	f.now = bytes.Clone(f.now[:size])
	return nil
}

func (f *file) Size() (int64, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	return int64(len(f.now)), nil
}

// Stat returns nothing: files of this disk have no identity to compare.
func (f *file) Stat() (fs.FileInfo, error) { return nil, nil }

func (f *file) Close() error { return nil }

// Clone returns a disk with the same files, synced and not, on which everything works: a test that tries many endings of
// one story begins each with a clone.
func (d *Disk) Clone() *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := New()
	files := make(map[*file]*file)
	of := func(f *file) *file {
		if f == nil {
			return nil
		}
		if files[f] == nil {
			files[f] = &file{disk: c, folder: f.folder, now: bytes.Clone(f.now), safe: bytes.Clone(f.safe)}
		}
		return files[f]
	}
	for name, f := range d.names {
		c.names[name] = of(f)
	}
	for name, f := range d.durable {
		c.durable[name] = of(f)
	}
	for _, p := range d.pending {
		c.pending = append(c.pending, change{from: p.from, to: p.to, file: of(p.file)})
	}
	return c
}

// Cut returns the disk after a power cut, on which everything works again; d itself is as before, so that many outcomes
// of one cut can be tried. Of what happened to names, what came first is left; of what was written to a file, sectors
// here and there, the first of them, the last of them, or parts of sectors; of what made it longer, perhaps zeros.
func (d *Disk) Cut(r *rand.Rand) *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	after := New()
	names := maps.Clone(d.durable)
	if !d.lies {
		for _, c := range d.pending[:r.IntN(len(d.pending)+1)] {
			c.apply(names)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		b := names[name].cut(r)
		g := &file{disk: after, folder: names[name].folder, now: b, safe: bytes.Clone(b)}
		after.names[name], after.durable[name] = g, g
	}
	return after
}

// cut is what the file holds after a power cut.
func (f *file) cut(r *rand.Rand) []byte {
	b := bytes.Clone(f.safe)
	switch longer := len(f.now) - len(b); {
	case r.IntN(2) == 0:
	case longer > 0:
		b = append(b, make([]byte, longer)...)
	default:
		b = b[:len(f.now)]
	}
	if len(b) != len(f.now) {
		return b
	}
	border := r.IntN(len(b)/Sector + 2)
	here := []func(i int) bool{
		func(int) bool { return r.IntN(2) == 0 },
		func(i int) bool { return i < border },
		func(i int) bool { return i >= border },
		func(int) bool { return true },
	}[r.IntN(4)]
	torn := r.IntN(4) == 0
	for at := 0; at < len(b); at += Sector {
		end := min(at+Sector, len(b))
		if !here(at / Sector) {
			continue
		}
		if torn {
			end = at + r.IntN(end-at+1)
		}
		copy(b[at:end], f.now[at:end])
	}
	return b
}
