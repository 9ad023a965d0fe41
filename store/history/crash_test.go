package history

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/store/durable"
	"sshchat/store/durable/powercut"
)

// messagesOn reads what messages a disk holds, by nothing that the writer uses: JSON, and that parts follow on.
func messagesOn(t *testing.T, d *powercut.Disk, name string) (seqs []uint64) {
	t.Helper()
	content := d.Content(name)
	if content == nil {
		return nil
	}
	var file struct {
		Records []struct {
			N, Seq uint64
			T      string
			Body   string
		}
	}
	if err := json.Unmarshal(withoutPadding(content), &file); err != nil {
		t.Fatalf("what is on the disk is not JSON: %v", err)
	}
	for i, r := range file.Records {
		if r.N != uint64(i+1) {
			t.Fatalf("record %d stands in place %d", r.N, i+1)
		}
		if r.T == "msg" {
			seqs = append(seqs, r.Seq)
		}
	}
	return seqs
}

// withoutPadding is text with one blank for each run of them, which fill the pages and mean nothing to JSON: the decoder
// would take most of its time for them.
func withoutPadding(text []byte) []byte {
	short := make([]byte, 0, len(text)/4)
	last := byte(0)
	for _, c := range text {
		if c != ' ' || last != ' ' {
			short = append(short, c)
		}
		last = c
	}
	return short
}

const livePath = "data/" + liveName

// quiet is a history that nobody reads: the cheapest to write.
func quiet(t *testing.T, d durable.FS, batches int) (h *History, next func(size int) []chat.Event) {
	t.Helper()
	p := newPlace(t)
	p.opt.Window = 7
	h, err := open(d, "data", p.opt)
	if err != nil {
		t.Fatal(err)
	}
	p.seqs = h.Last()
	dan := mustName(t, "dan")
	return h, func(size int) (batch []chat.Event) {
		// Nothing is counted here that Commit refused.
		p.seqs = h.Last()
		for range size {
			batch = append(batch, p.message(chat.General, dan, fmt.Sprintf("%0*d", 1+size*100, batches)))
		}
		return batch
	}
}

// lostAfterCut writes until the power is cut after so many operations, and returns how many acknowledged
// messages are gone. What is there but was not acknowledged is at most the last batch.
func lostAfterCut(t *testing.T, seed uint64, lies bool) (lost int) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 1))
	d := powercut.New()
	var acknowledged, sent uint64
	for range cutsEach { // it may happen again, also to what was repaired
		d.Lie(lies)
		d.Fail(1+r.IntN(40), errors.New("the power is gone"))
		p := newPlace(t)
		p.opt.Window = 7
		h, err := open(d, "data", p.opt)
		if err == nil {
			p.seqs = h.Last()
			dan := mustName(t, "dan")
			for !d.Failed() {
				var batch []chat.Event
				for range 1 + r.IntN(5) {
					long := []int{40, 40, 40, 40, 40, 40, 40, 4000}[r.IntN(8)] // of several records, now and then
					batch = append(batch, p.message(chat.General, dan, fmt.Sprintf("%0*d", 1+r.IntN(long), 7)))
				}
				sent = p.seqs[chat.General]
				if err := h.Commit(batch); err != nil {
					break
				}
				acknowledged = sent
			}
			h.halt()
		} else if !d.Failed() {
			t.Fatalf("seed %d: what a power cut left is refused: %v", seed, err)
		}
		var seqs []uint64
		cut := d
		for range cutsAtOnce {
			d = cut.Cut(r)
			if seqs, lost = leftAfterCut(t, d, p, seed, acknowledged, sent, lies); lost > 0 {
				return lost
			}
		}
		acknowledged = uint64(len(seqs))
	}
	return 0
}

// leftAfterCut has the history recover on what a cut left, and reads what there is.
func leftAfterCut(t *testing.T, d *powercut.Disk, p *place, seed, acknowledged, sent uint64, lies bool) (seqs []uint64, lost int) {
	t.Helper()
	h, err := open(d, "data", p.opt)
	if err != nil {
		if lies {
			return nil, 1
		}
		t.Fatalf("seed %d: what a power cut left is refused: %v", seed, err)
	}
	h.halt()
	seqs = messagesOn(t, d, livePath)
	for i, seq := range seqs {
		if seq != uint64(i+1) {
			t.Fatalf("seed %d: message %d stands in place %d", seed, seq, i+1)
		}
	}
	if n := uint64(len(seqs)); n < acknowledged {
		return seqs, int(acknowledged - n)
	} else if n > sent {
		t.Fatalf("seed %d: %d messages, %d were sent", seed, n, sent)
	}
	return seqs, 0
}

// crashPoints is how often the power is cut in each run of the tests: cutsEach times in a row on one disk, and each time
// it is looked at cutsAtOnce outcomes, with the last of which it goes on.
const crashPoints, cutsEach, cutsAtOnce = 10_000, 4, 25

func TestNothingAcknowledgedIsLostInAPowerCut(t *testing.T) {
	powercut.Start(t)
	seeds := uint64(powercut.Points(crashPoints/25, crashPoints) / cutsEach / cutsAtOnce)
	first := powercut.Seed(t)
	for seed := first; seed < first+seeds; seed++ {
		if lost := lostAfterCut(t, seed, false); lost > 0 {
			t.Fatalf("seed %d: %d acknowledged messages are gone", seed, lost)
		}
	}
	t.Logf("figure: crash points of the history tried %d, from seed %d on, acknowledged messages lost 0", seeds*cutsEach*cutsAtOnce, first)
	lost := 0
	for seed := range max(seeds/10, 5) {
		lost += lostAfterCut(t, seed, true)
	}
	if lost == 0 {
		t.Error("a disk whose syncs do nothing loses nothing: this test proves nothing")
	}
}

// An operation that fails, whichever it is, once or from then on, leaves the history such that it goes on, as soon as the
// disk does and without being opened anew, or is dead for good.
func TestEveryOperationOfTheHistoryFails(t *testing.T) {
	powercut.Start(t)
	seed := powercut.Seed(t)
	failOperation(t, 0, nil, false)
	indices, step := 0, powercut.Points(17, 1)
	for i, failure := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EIO} {
		for j, forever := range []bool{false, true} {
			for at := 1 + (int(seed%17)+3*i+5*j)%step; failOperation(t, at, failure, forever); at += step {
				indices++
			}
		}
	}
	t.Logf("figure: failing operations of the history tried %d", indices)
}

// failOperation makes the at-th operation fail, or none if that is 0, and reports whether it was met.
func failOperation(t *testing.T, at int, failure error, forever bool) bool {
	t.Helper()
	d := powercut.New()
	h, next := quiet(t, d, at)
	if forever {
		d.FailFrom(at, failure)
	} else {
		d.Fail(at, failure)
	}
	acknowledged, failures, met := 0, 0, false
	commit := func(size int) {
		t.Helper()
		err := h.Commit(next(size))
		switch {
		case err == nil && h.segment.dead != nil:
			t.Fatalf("op %d: a dead history takes more", at)
		case err == nil:
			acknowledged += size
		case errors.Is(err, chat.ErrJournalDead) != (h.segment.dead != nil):
			t.Fatalf("op %d: %v, dead for %v", at, err, h.segment.dead)
		default:
			failures++
		}
		if met = met || d.Failed(); !met && at > 0 {
			return // what comes before the failure is the same in each run: it is looked at in that where nothing fails
		}
		if got := len(messagesOn(t, d, livePath)); got < acknowledged || got > acknowledged && h.segment.dead == nil {
			t.Fatalf("op %d, %v: %d messages on the disk, %d acknowledged", at, failure, got, acknowledged)
		}
		if h.Last()[chat.General] != uint64(acknowledged) {
			t.Fatalf("op %d: %d messages are shown, %d acknowledged", at, h.Last()[chat.General], acknowledged)
		}
	}
	for size := range 20 {
		commit(1 + size%6)
	}
	if !forever && failures > 1 && h.segment.dead == nil {
		t.Fatalf("op %d failed once, Commit %d times", at, failures)
	}
	failed := d.Failed()
	d.Heal()
	commit(1)
	if before := acknowledged; h.segment.dead == nil {
		if commit(1); acknowledged != before+1 {
			t.Fatalf("op %d, %v: it does not go on when the disk does", at, failure)
		}
	}
	if err := h.Close(); (err != nil) != (h.segment.dead != nil) {
		t.Fatalf("op %d: it closes with %v, dead for %v", at, err, h.segment.dead)
	}
	h, _ = quiet(t, d, at)
	if got := h.Last()[chat.General]; got < uint64(acknowledged) {
		t.Fatalf("op %d: %d messages are read back, %d acknowledged", at, got, acknowledged)
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	return failed
}

// While the disk is full, changes of readers still count: who left in a batch that failed reads nothing after it.
func TestLeaverInAFailedBatch(t *testing.T) {
	t.Parallel()
	for _, crowd := range []int{0, preparedReaders, spareReaders} {
		alice, bob := ageReader(t, "alice"), ageReader(t, "bob")
		p := newPlace(t, alice, bob)
		for i := range crowd {
			p.opt.Rooms[0].Members = append(p.opt.Rooms[0].Members, chat.Member{Name: mustName(t, fmt.Sprintf("extra%d", i))})
		}
		d := powercut.New()
		h, err := open(d, "data", p.opt)
		if err != nil {
			t.Fatal(err)
		}
		p.h = h
		p.say(alice, "one")
		h.endAll(t)
		p.say(alice, "two")
		h.endAll(t)
		d.Fail(1, syscall.ENOSPC)
		err = h.Commit([]chat.Event{
			p.message(chat.General, alice.name, "never stored"),
			change(chat.General, chat.Leave, bob.name),
		})
		if err == nil || errors.Is(err, chat.ErrJournalDead) {
			t.Fatalf("a full disk: %v", err)
		}
		p.seqs = h.Last()
		p.say(alice, "after he left")
		if got := h.Sealed(bob.name, chat.General); got != 2 {
			t.Errorf("with %d more: %d messages are sealed to the leaver", crowd, got)
		}
		if got := h.Sealed(alice.name, chat.General); got != 3 {
			t.Errorf("with %d more: %d messages are sealed to who stays", crowd, got)
		}
		if err := h.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// endAll ends the open windows, as a day does.
func (h *History) endAll(t *testing.T) {
	t.Helper()
	tx, err := h.NewEndTransaction()
	if err == nil {
		err = tx.Store()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// tornFile is a history of n batches, killed, and where the last batch begins and ends.
func tornFile(t *testing.T) (p *place, whole []byte, from, to int64, kept int) {
	t.Helper()
	alice := ageReader(t, "alice")
	p = newPlace(t, alice)
	p.opt.Window = 4
	p.open()
	p.sayMany(alice, 6)
	from, kept = p.h.segment.end, 6
	p.commit(
		p.message(chat.General, alice.name, "the last batch"),
		p.message(chat.General, alice.name, "ends a window"),
		p.message(chat.General, alice.name, "and begins one"),
	)
	to = p.h.segment.end
	p.kill()
	return p, p.file(), from, to, kept
}

func TestTornTailIsRepairedWhereverItIsTorn(t *testing.T) {
	powercut.Start(t)
	p, whole, from, to, kept := tornFile(t)
	var d *powercut.Disk
	for at := from; at < to; at += int64(powercut.Points(37, 1)) {
		torn := bytes.Clone(whole)
		copy(torn[at:to], blanks(to-at))
		d = diskWith(t, torn)
		h, err := open(d, "data", p.opt)
		if err != nil {
			t.Fatalf("torn at %d: %v", at, err)
		}
		if n := h.Last()[chat.General]; n < uint64(kept) || n > uint64(kept)+3 {
			t.Fatalf("torn at %d: %d messages are left", at, n)
		}
		if !json.Valid(d.Content(livePath)) {
			t.Fatalf("torn at %d: it is not JSON", at)
		}
		p.seqs = h.Last()
		if err := h.Commit([]chat.Event{p.message(chat.General, mustName(t, "alice"), "goes on")}); err != nil {
			t.Fatalf("torn at %d: %v", at, err)
		}
		if err := h.Close(); err != nil {
			t.Fatalf("torn at %d: %v", at, err)
		}
		records(t, d.Content(livePath))
	}
	names, err := d.Names("data")
	saved := slices.DeleteFunc(names, func(name string) bool { return !strings.HasPrefix(name, "message_history.torn-") })
	if err != nil || len(saved) != 1 {
		t.Fatalf("saved aside: %q, %v", saved, err)
	}
	if b := d.Content("data/" + saved[0]); len(b) == 0 || !bytes.Contains(whole, b) {
		t.Errorf("%d bytes are saved aside", len(b))
	}
}

// diskWith is a disk on which the history's file holds b.
func diskWith(t *testing.T, b []byte) *powercut.Disk {
	t.Helper()
	d := powercut.New()
	f, err := d.Create(livePath)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(b, 0); err != nil {
		t.Fatal(err)
	}
	return d
}

func TestFlippedBits(t *testing.T) {
	powercut.Start(t)
	p, whole, from, _, _ := tornFile(t)
	refused, repaired := 0, 0
	step := int64(powercut.Points(73, 1))
	for at := rand.Int64N(step); at < int64(len(whole)); at += step {
		if at > from+3*pageSize && at < int64(len(whole))-10 {
			at = int64(len(whole)) - 10 // blanks, all alike
		}
		bad := bytes.Clone(whole)
		bad[at] ^= 1 << rand.IntN(8)
		d := diskWith(t, bad)
		h, err := open(d, "data", p.opt)
		if at >= from && at < int64(len(whole)-len(segmentOutro)) {
			if err != nil {
				t.Fatalf("byte %d, in the tail: %v", at, err)
			}
			repaired++
			if err := h.Close(); err != nil || !json.Valid(d.Content(livePath)) {
				t.Fatalf("byte %d: not repaired: %v", at, err)
			}
			continue
		}
		refused++
		if !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrFormat) {
			t.Fatalf("byte %d: %v", at, err)
		}
		if !bytes.Equal(d.Content(livePath), bad) {
			t.Fatalf("byte %d: refused, and changed", at)
		}
		if names, err := d.Names("data"); err != nil || len(names) != 1 {
			t.Fatalf("byte %d: refused, and beside it is %q", at, names)
		}
	}
	if refused == 0 || repaired == 0 {
		t.Errorf("%d refused, %d repaired", refused, repaired)
	}
}

func TestRefusalNamesTheRecord(t *testing.T) {
	t.Parallel()
	p, whole, _, _, _ := tornFile(t)
	i := bytes.Index(whole, []byte(`"n":3`)) + 60
	whole[i] ^= 1
	if err := os.WriteFile(p.path(), whole, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Open(p.dir, p.opt)
	var d *damage
	if !errors.As(err, &d) || d.n != 3 {
		t.Errorf("%v", err)
	}
}

func TestOtherFilesAreRefusedAndKept(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"", "[]", "null", "hello", "{} {}", `{"format":"sshchat-history/3","records":[` + "\n]}\n", `{"format":"sshchat-users/1"}`} {
		p := newPlace(t)
		if err := os.WriteFile(p.path(), []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(p.dir, p.opt); !errors.Is(err, ErrFormat) {
			t.Errorf("%q: %v", s, err)
		}
		if string(p.file()) != s {
			t.Errorf("%q became %q", s, p.file())
		}
	}
}

// A file that was cut off is refused: no crash does that, for its end is synced before it has its name.
func TestCutOffFile(t *testing.T) {
	powercut.Start(t)
	p, whole, from, to, _ := tornFile(t)
	for _, size := range []int64{from, from + 1, from + 700, to, to + 1, pageSize, 2 * pageSize, int64(len(whole)) - 1} {
		d := diskWith(t, whole[:size])
		if _, err := open(d, "data", p.opt); !errors.Is(err, ErrDamaged) {
			t.Errorf("cut off at %d: %v", size, err)
		}
		if names, err := d.Names("data"); err != nil || len(names) != 1 || !bytes.Equal(d.Content(livePath), whole[:size]) {
			t.Errorf("cut off at %d: refused, and changed; beside it is %q, %v", size, names, err)
		}
		if _, err := openAll(bytes.NewReader(whole[:size]), &Opener{}); !errors.Is(err, ErrDamaged) {
			t.Errorf("cut off at %d: it is opened: %v", size, err)
		}
	}
}

func TestGrowthKeepsEverything(t *testing.T) {
	powercut.Start(t)
	d := powercut.New()
	h, next := quiet(t, d, 1)
	each := powercut.Points(10, 30)
	sizes := make(map[int64]bool)
	for range 60 {
		if err := h.Commit(next(each)); err != nil {
			t.Fatal(err)
		}
		sizes[h.segment.size] = true
	}
	if got := messagesOn(t, d, livePath); len(got) != 60*each {
		t.Errorf("%d messages", len(got))
	}
	if all := slices.Sorted(maps.Keys(sizes)); len(all) < 4 || len(all) > 12 {
		t.Errorf("sizes %v: it ought to double", all)
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
}

// What keeps failing for another reason than that there is no room is given up after a minute, for a supervisor to see.
// The control is a disk that is full.
func TestWritesThatKeepFailingAreFinal(t *testing.T) {
	powercut.Start(t)
	alice := ageReader(t, "alice")
	for _, c := range []struct {
		failure error
		final   bool
	}{{syscall.EIO, true}, {syscall.EROFS, true}, {syscall.ENOSPC, false}, {syscall.EDQUOT, false}} {
		p := newPlace(t, alice)
		d := powercut.New()
		h, err := open(d, "data", p.opt)
		if err != nil {
			t.Fatal(err)
		}
		p.h = h
		p.say(alice, "before")
		say := func() error {
			p.seqs = h.Last()
			return h.Commit([]chat.Event{p.message(chat.General, alice.name, "refused")})
		}
		fails := func(after time.Duration, dead bool) {
			t.Helper()
			p.now = p.now.Add(after)
			if err := say(); !errors.Is(err, c.failure) || errors.Is(err, chat.ErrJournalDead) != dead {
				t.Errorf("%v: %v", c.failure, err)
			}
		}
		d.FailFrom(1, c.failure)
		fails(0, false)
		fails(2*failFor, false) // two are not many
		d.Heal()
		if err := say(); err != nil { // what was before does not count
			t.Fatal(err)
		}
		d.FailFrom(1, c.failure)
		for range failAtOnce {
			fails(failFor/failAtOnce-time.Second, false)
		}
		fails(failFor/failAtOnce+10*time.Second, c.final)
		if got := h.WriteErrors(); got != 3+failAtOnce {
			t.Errorf("%v: %d errors are counted", c.failure, got)
		}
		d.Heal()
		if err := say(); errors.Is(err, chat.ErrJournalDead) != c.final {
			t.Errorf("%v, and then there is a disk again: %v", c.failure, err)
		}
		if err := h.Close(); (err != nil) != c.final {
			t.Errorf("%v: it closes with %v", c.failure, err)
		}
		h, err = open(d, "data", p.opt)
		if err != nil {
			t.Fatal(err)
		}
		if err := h.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
