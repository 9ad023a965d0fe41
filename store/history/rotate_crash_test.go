package history

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"sshchat/sshchat/chat"
	"sshchat/store/durable/powercut"
)

// followed reads all files of a disk from the first record on, and returns how many messages they hold.
func followed(t *testing.T, d *powercut.Disk, from *predecessor) uint64 {
	t.Helper()
	tr := newVerifier()
	number := 0
	if from != nil {
		number = from.archive
	}
	for n := 1; n <= number+1; n++ {
		name := livePath
		if n <= number {
			name = "data/" + archiveName(n)
		}
		content := d.Content(name)
		if content == nil {
			t.Fatalf("%s is gone", name)
		}
		if err := tr.file(InMemory(name, content), func(*record) error { return nil }); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	return tr.rooms.link(chat.General).seq
}

// rotateUntilCut writes and rotates until the operation failAt fails, has the power cut there, and tells how many
// acknowledged messages are gone; rotations is how many were done.
func rotateUntilCut(t *testing.T, failAt int, r *rand.Rand, lies bool) (lost, rotations int) {
	t.Helper()
	d := powercut.New()
	d.Lie(lies)
	d.Fail(failAt, errors.New("the power is gone"))
	p := newPlace(t)
	p.opt.Window, p.opt.Rotate = 4, 5<<10
	var acknowledged, sent uint64
	h, err := open(d, "data", p.opt)
	if err == nil {
		dan := mustName(t, "dan")
		for !d.Failed() {
			batch := []chat.Event{p.message(chat.General, dan, strings.Repeat("x", 1+r.IntN(2000)))}
			sent = p.seqs[chat.General]
			if h.Commit(batch) != nil {
				break
			}
			acknowledged = sent
		}
		rotations = len(h.archives)
		h.halt()
	}
	d = d.Cut(r)
	h, err = open(d, "data", p.opt)
	if err != nil {
		if lies {
			return 1, rotations
		}
		t.Fatalf("operation %d: what a power cut left is refused: %v", failAt, err)
	}
	defer func() { h.halt() }()
	var from *predecessor
	if s, err := scanSegment(bytes.NewReader(d.Content(livePath))); err == nil {
		if first, err := s.next(); err == nil {
			from = first.predecessor
		}
	}
	if lies {
		return int(acknowledged - min(acknowledged, h.Last()[chat.General])), rotations
	}
	if d.Has("data/" + archiveName(h.archived+1)) {
		t.Errorf("operation %d: an unfinished rotation was not undone", failAt)
	}
	got := followed(t, d, from)
	if got != h.Last()[chat.General] || got > sent {
		t.Fatalf("operation %d: the files hold %d messages, the history tells of %d, %d were sent", failAt, got, h.Last()[chat.General], sent)
	}
	// And it goes on from there.
	p.seqs[chat.General] = got
	if err := h.Commit([]chat.Event{p.message(chat.General, mustName(t, "dan"), "after")}); err != nil {
		t.Fatalf("operation %d: %v", failAt, err)
	}
	if err := h.Rotate(); err != nil {
		t.Fatalf("operation %d: %v", failAt, err)
	}
	return int(acknowledged - min(acknowledged, got)), rotations
}

func TestPowerIsCutInEveryStepOfARotation(t *testing.T) {
	powercut.Start(t)
	first, step, seeds := powercut.Seed(t), powercut.Points(7, 1), uint64(powercut.Points(2, 4))
	most := 0
	for failAt := 1 + int(first%uint64(step)); failAt <= 150; failAt += step {
		for seed := range seeds {
			lost, rotations := rotateUntilCut(t, failAt, rand.New(rand.NewPCG(first+seed, uint64(failAt))), false)
			if lost > 0 {
				t.Fatalf("operation %d, seed %d: %d acknowledged messages are gone", failAt, first+seed, lost)
			}
			most = max(most, rotations)
		}
	}
	if most < 3 {
		t.Errorf("only %d rotations were met", most)
	}
}

func TestRotationOnADiskThatLiesLoses(t *testing.T) {
	powercut.Start(t)
	lost := 0
	for failAt := 20; failAt <= 60; failAt++ {
		n, _ := rotateUntilCut(t, failAt, rand.New(rand.NewPCG(1, uint64(failAt))), true)
		lost += n
	}
	if lost == 0 {
		t.Error("nothing is lost without syncs: the test cannot fail")
	}
}

// A step that fails without a crash, as for want of room, leaves the old file or the new one, and talk goes on.
func TestEveryStepOfARotationFailsOnce(t *testing.T) {
	powercut.Start(t)
	for after := 1; ; after++ {
		d := powercut.New()
		p := newPlace(t)
		h, err := open(d, "data", p.opt)
		if err != nil {
			t.Fatal(err)
		}
		dan := mustName(t, "dan")
		say := func() error { return h.Commit([]chat.Event{p.message(chat.General, dan, fmt.Sprint(after))}) }
		for range 3 {
			if err := say(); err != nil {
				t.Fatal(err)
			}
		}
		d.Fail(after, errors.New("no room"))
		failed := h.Rotate()
		met := d.Failed()
		if err := say(); err != nil && met && h.segment.dead == nil {
			t.Fatalf("step %d: %v", after, err)
		}
		if h.segment.dead == nil {
			if err := h.Rotate(); err != nil {
				t.Errorf("step %d: the next rotation: %v", after, err)
			}
		}
		h.halt()
		d.Heal()
		again, err := open(d, "data", p.opt)
		if err != nil {
			t.Fatalf("step %d: %v", after, err)
		}
		again.halt()
		if seq := again.Last()[chat.General]; seq < 3 {
			t.Errorf("step %d: message %d is the last", after, seq)
		}
		if !met {
			if failed != nil {
				t.Errorf("nothing failed, and yet: %v", failed)
			}
			if after < 8 {
				t.Errorf("a rotation of %d steps", after)
			}
			return
		}
	}
}

func FuzzParseLineHeader(f *testing.F) {
	for _, s := range []string{
		`{"n":1,"t":"window","room":"general","w":1,"prev":"","ok":0,"heads":{}`,
		`{"n":2,"t":"msg","room":"@alice+bob","w":1,"seq":7,"prev":"x"`,
		`{"n":3,"t":"close","room":"general","w":1,"prev":"x","ok":2,"from":1,"to":200,`,
		`{"n":4,"t":"more","body":""`, `{"n":5,"t":"start","ok":4`, `{"n":`, ``,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		b, err := parseLineHeader(line)
		if err != nil {
			return
		}
		// Whatever is also a whole line must say the same to the parser that reads all of it.
		if j, err := parseRecordLine(line); err == nil && (j.N != b.n || j.T != b.kind) {
			t.Errorf("%q is record %d, %q; the parser of lines has %d, %q", line, b.n, b.kind, j.N, j.T)
		}
	})
}

// What an archive or a file that goes on from one may be is read without harm, and by no two readers differently.
func FuzzVerifier(f *testing.F) {
	start := &record{n: 8, kind: startRecord, ok: 7, hasOK: true, predecessor: &predecessor{archive: 1, size: 5,
		rooms: []Head{{Room: chat.General, W: 2, Seq: 3, N: 7, Tip: sum{1}}}}}
	start.encode()
	f.Add([]byte(segmentIntro+string(start.lines[0])+"\n"+segmentOutro), []byte(archiveIntro(1)+segmentOutro))
	alice := ageReader(f, "alice")
	p := newPlace(f, alice)
	p.opt.Window = 5
	p.open()
	p.sayMany(alice, 7)
	p.rotate()
	p.sayMany(alice, 1)
	f.Add(p.archiveFile(1), p.file()[:2*pageSize])
	f.Add(p.archiveFile(1), append(p.file()[:p.h.segment.end], segmentOutro...))
	f.Add([]byte(archiveIntro(12)+segmentOutro), []byte(`{"format":"sshchat-history/2","archive":-1,"records":[`+"\n]}\n"))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		tr := newVerifier(Head{Room: chat.General, W: 1, Seq: 1, N: 3, Tip: sum{2}})
		if tr.file(InMemory("a", a), func(*record) error { return nil }) != nil {
			return
		}
		if err := tr.file(InMemory("b", b), func(*record) error { return nil }); err == nil && tr.end() == nil && tr.last < 3 {
			t.Error("a head is met that is of a later record than there is")
		}
	})
}

func TestStartRecordOfManyRooms(t *testing.T) {
	t.Parallel()
	r := &record{n: 900, kind: startRecord, ok: 899, hasOK: true, predecessor: &predecessor{archive: 3, size: 1 << 40, at: newPlace(t).now, sum: sum{1}}}
	for i := range 300 {
		r.predecessor.rooms = append(r.predecessor.rooms, Head{Room: mustRoom(t, fmt.Sprintf("room-%03d", i)), W: 1, Seq: uint64(i), N: 5, Tip: sum{byte(i), 1}})
	}
	r.encode()
	if len(r.lines) < 5 {
		t.Fatalf("%d lines", len(r.lines))
	}
	back := records(t, layOut(r))
	if len(back) != 1 || len(back[0].predecessor.rooms) != 300 || back[0].predecessor.rooms[299] != r.predecessor.rooms[299] || !back[0].predecessor.at.Equal(r.predecessor.at) {
		t.Errorf("read back as %+v", back)
	}
}
