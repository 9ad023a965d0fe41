package history

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"filippo.io/age"

	"sshchat/sshchat/chat"
	"sshchat/store/durable"
	"sshchat/store/durable/powercut"
)

// format1 is the history that an earlier version of sshchat wrote, and one who reads it: two files, the second of which ends
// in two windows that are not closed.
func format1(t *testing.T) (p *place, alice reader, texts []string) {
	t.Helper()
	from := filepath.Join("testdata", "format-1")
	key, err := os.ReadFile(filepath.Join(from, "alice.key"))
	if err != nil {
		t.Fatal(err)
	}
	id, err := age.ParseX25519Identity(strings.TrimSpace(string(key)))
	if err != nil {
		t.Fatal(err)
	}
	alice = reader{name: mustName(t, "alice"), to: id.Recipient(), id: id}
	p = newPlace(t, alice)
	archive, err := os.ReadFile(filepath.Join(from, archiveName(1)))
	if err != nil {
		t.Fatal(err)
	}
	p.write(1, archive)
	packed, err := os.Open(filepath.Join(from, liveName+".gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer packed.Close()
	z, err := gzip.NewReader(packed)
	if err != nil {
		t.Fatal(err)
	}
	live, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p.path(), live, 0o600); err != nil {
		t.Fatal(err)
	}
	for i := range 15 {
		texts = append(texts, fmt.Sprintf("message %d", i+1))
	}
	return p, alice, append(texts, "edited.", "said after bob left", "said after a crash")
}

// A history of the format before is read by all that read one, and written to once it is upgraded.
func TestOlderFormatIsReadAndUpgraded(t *testing.T) {
	t.Parallel()
	p, alice, want := format1(t)
	reads := func(when string) {
		t.Helper()
		if got, err := readDir(p.dir, alice); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s, alice reads %q, %v", when, got, err)
		}
		if report, err := Verify(p.dir, nil); err != nil || report.Rooms[0].Seq != uint64(len(want)) {
			t.Errorf("%s: %+v, %v", when, report, err)
		}
		if err := Check(durable.OS{}, p.dir); err != nil {
			t.Errorf("%s: %v", when, err)
		}
	}
	is := func(format int) {
		t.Helper()
		if got, err := Format(durable.OS{}, p.dir); err != nil || got != format {
			t.Errorf("it is of format %d, %v", got, err)
		}
	}
	is(1)
	reads("before")
	before, archive := content(t, p.dir), p.archiveFile(1)
	if _, err := Open(p.dir, p.opt); !errors.Is(err, ErrOlder) {
		t.Errorf("it is written to: %v", err)
	}
	if content(t, p.dir) != before {
		t.Error("refused, and changed")
	}
	for range 2 {
		if err := Upgrade(durable.OS{}, p.dir); err != nil {
			t.Fatal(err)
		}
		is(2)
		reads("upgraded")
	}
	p.open()
	if got := p.h.Change(); got != 0 {
		t.Errorf("it stands on change %d", got)
	}
	p.say(alice, "and goes on")
	want = append(want, "and goes on")
	reads("later")
	p.rotate()
	p.say(alice, "in another file")
	want = append(want, "in another file")
	reads("rotated")
	if !bytes.Equal(p.archiveFile(1), archive) || !bytes.HasPrefix(p.archiveFile(2), []byte(archiveIntro(2))) {
		t.Error("the old archive has changed, or the new one is of an old format")
	}
}

func TestNothingToUpgrade(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]int{"": -1, "{}": 0, introOf(2, 0) + segmentOutro: 2, introOf(1, 3) + segmentOutro: 1, introOf(3, 0) + segmentOutro: -1, "hello": -1} {
		p := newPlace(t)
		if err := os.WriteFile(p.path(), []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := Format(durable.OS{}, p.dir)
		if (err != nil) != (want < 0) || err == nil && got != want {
			t.Errorf("%q is of format %d, %v", s, got, err)
		}
		if want == 1 {
			continue
		}
		if err := Upgrade(durable.OS{}, p.dir); (err != nil) != (want < 0) {
			t.Errorf("%q is upgraded: %v", s, err)
		}
		if string(p.file()) != s {
			t.Errorf("%q becomes %q", s, p.file())
		}
	}
	empty := t.TempDir()
	if format, err := Format(durable.OS{}, empty); format != 0 || err != nil {
		t.Errorf("nothing is of format %d, %v", format, err)
	}
	if err := errors.Join(Upgrade(durable.OS{}, empty), Check(durable.OS{}, empty)); err != nil {
		t.Error(err)
	}
}

// Wherever the power is cut while a history is upgraded, it is there as a whole, in one format or the other.
func TestPowerIsCutInAnUpgrade(t *testing.T) {
	powercut.Start(t)
	p, _, _ := format1(t)
	file := p.file()
	upgraded := bytes.Replace(file, []byte("history/1"), []byte("history/2"), 1)
	seed := powercut.Seed(t)
	r := rand.New(rand.NewPCG(seed, 9))
	ops, whole := 0, map[bool]int{}
	for met := true; met; {
		met = false
		ops++
		for range powercut.Points(5, 50) {
			d := diskWith(t, file)
			f, err := d.Open(livePath)
			if err := errors.Join(err, f.Sync(), d.SyncDir("data")); err != nil {
				t.Fatal(err)
			}
			d.FailFrom(ops, errors.New("the power is gone"))
			err = Upgrade(d, "data")
			met = met || d.Failed()
			after := d.Cut(r).Content(livePath)
			if !bytes.Equal(after, file) && !bytes.Equal(after, upgraded) || err == nil && !bytes.Equal(after, upgraded) {
				t.Fatalf("operation %d, seed %d: %v, and a file of %d bytes is left", ops, seed, err, len(after))
			}
			whole[bytes.Equal(after, upgraded)]++
		}
	}
	if whole[true] == 0 || whole[false] == 0 || ops < 5 {
		t.Errorf("of both formats: %v; %d operations", whole, ops)
	}
}

// Each batch names the change of State that it stands on, and none falls back behind one before it.
func TestBatchesNameTheirChange(t *testing.T) {
	t.Parallel()
	alice := ageReader(t, "alice")
	p := newPlace(t, alice)
	p.open()
	say := func(change uint64) {
		t.Helper()
		tx, err := p.h.NewTransaction([]chat.Event{p.message(chat.General, alice.name, "hello"), p.message(chat.General, alice.name, "again")}, change)
		if err == nil {
			err = tx.Store()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	is := func(want uint64) {
		t.Helper()
		if got := p.h.Change(); got != want {
			t.Errorf("it stands on change %d, not %d", got, want)
		}
	}
	is(0)
	say(0)
	say(7)
	is(7)
	tx, err := p.h.NewTransaction(nil, 9)
	if err != nil {
		t.Fatal(err)
	}
	if err := tx.Store(); err != nil {
		t.Fatal(err)
	}
	is(7) // nothing was written that stands on 9
	say(0)
	is(7)
	p.kill()
	p.open()
	is(7)
	p.rotate()
	p.kill()
	p.open()
	is(7)
	var changes []uint64
	for _, r := range slices.Concat(records(t, p.archiveFile(1)), records(t, p.file())) {
		if r.hasOK != r.hasChange {
			t.Errorf("record %d says ok %v, b %v", r.n, r.hasOK, r.hasChange)
		}
		if r.hasChange {
			changes = append(changes, r.change)
		}
	}
	if !slices.Contains(changes, 7) || !slices.IsSorted(changes) {
		t.Errorf("changes %v", changes)
	}
	// One that falls back is found.
	rs := records(t, p.file())
	rs = append(rs, &record{kind: windowRecord, room: chat.General, w: 9, hasOK: true, ok: rs[0].n, hasChange: true, change: 6})
	rs[1].w, rs[1].n, rs[1].prev = p.h.rooms[chat.General].w+1, rs[0].last()+1, p.h.rooms[chat.General].tip
	for _, change := range []uint64{6, 7} {
		rs[1].change, rs[1].lines = change, nil
		rs[0].lines = nil
		rs[0].encode()
		rs[1].n = rs[0].last() + 1
		rs[1].encode()
		file := layOut(rs...)
		if err := os.WriteFile(p.path(), file, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Verify(p.dir, nil); errors.Is(err, ErrDamaged) != (change < 7) {
			t.Errorf("change %d after 7: %v", change, err)
		}
		if err := Check(durable.OS{}, p.dir); errors.Is(err, ErrDamaged) && change == 7 {
			t.Errorf("change %d after 7: %v", change, err)
		}
	}
}

// What is reserved is read and kept, and passed over. In a file of the format before it is of a newer one.
func TestReservedIsPassedOver(t *testing.T) {
	t.Parallel()
	alice := ageReader(t, "alice")
	p := newPlace(t, alice)
	p.opt.Window = 2
	p.open()
	p.sayMany(alice, 3)
	p.kill()
	rs := records(t, p.file())
	at := slices.IndexFunc(rs, func(r *record) bool { return r.kind == msgRecord })
	of := rs[at]
	rs = append(rs, &record{kind: attachRecord, room: chat.General, w: of.w, seq: of.seq, prev: sum{1}, body: make([]byte, 9000)})
	rs[0].sig = []byte("a signature")
	file := forge(rs, true)
	older := bytes.Replace(file, []byte("history/2"), []byte("history/1"), 1)
	if _, err := openAll(bytes.NewReader(older), &Opener{}); !errors.Is(err, ErrFormat) {
		t.Errorf("in format 1 it is opened: %v", err)
	}
	if err := Check(diskWith(t, older), "data"); !errors.Is(err, ErrFormat) {
		t.Errorf("in format 1 it can be upgraded: %v", err)
	}
	if err := os.WriteFile(p.path(), file, 0o600); err != nil {
		t.Fatal(err)
	}
	want := []string{"message 1", "message 2", "message 3"}
	if got := p.texts(alice); !slices.Equal(got, want) {
		t.Errorf("alice reads %q", got)
	}
	p.open()
	p.rotate()
	p.say(alice, "message 4")
	want = append(want, "message 4")
	if got := p.through(alice); !slices.Equal(got, want) {
		t.Errorf("the server shows %q", got)
	}
	p.kill()
	p.open() // the archive is looked through
	if got := p.through(alice); !slices.Equal(got, want) {
		t.Errorf("the server shows %q", got)
	}
	if _, err := Verify(p.dir, nil); err != nil {
		t.Error(err)
	}
	kept := records(t, p.archiveFile(1))
	if string(kept[0].sig) != "a signature" || !slices.ContainsFunc(kept, func(r *record) bool { return r.kind == attachRecord && len(r.body) == 9000 }) {
		t.Error("the archive has lost what is reserved")
	}
	for name, spoil := range map[string]func(*record){
		"an attachment of nothing":       func(r *record) { r.seq = 0 },
		"one without the message's hash": func(r *record) { r.prev = sum{} },
		"one without a body":             func(r *record) { r.body = nil },
		"one that is signed":             func(r *record) { r.sig = []byte("x") },
	} {
		bad := *rs[len(rs)-1]
		bad.lines = nil
		spoil(&bad)
		bad.encode()
		if _, err := parseRecord(bad.lines); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	if _, err := parseRecord([][]byte{[]byte(summed(`{"n":1,"t":"window","room":"general","w":1,"prev":"","b":3,"heads":{}`))}); !errors.Is(err, errNewer) && err == nil {
		t.Error("b without ok is taken")
	}
}
