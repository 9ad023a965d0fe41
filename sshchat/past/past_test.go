package past

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sshchat/sshchat/attack"
	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
)

// archive is a Source in memory.
type archive struct {
	mu     sync.Mutex
	said   []chat.Message // by Seq, from 1
	closed map[uint64]bool
	reads  int
	wiped  bool
	err    error
}

func (a *archive) First() uint64 {
	for seq := range uint64(len(a.said)) {
		if !a.closed[seq+1] {
			return seq + 1
		}
	}
	return 0
}

func (a *archive) Read(from, to uint64) (said []chat.Message, last uint64, read int, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.reads++
	for _, m := range a.said {
		if m.Seq >= from && m.Seq <= to && !a.closed[m.Seq] {
			said = append(said, m)
		}
	}
	return said, min(to, uint64(len(a.said))), len(said), a.err
}

func (a *archive) Wipe() { a.wiped = true }

func parsed(t testing.TB, s string) chat.Text {
	t.Helper()
	clean, err := text.ParseText(s)
	if err != nil {
		t.Fatal(err)
	}
	return clean
}

var alice = func() chat.Name {
	n, err := text.ParseName("alice")
	if err != nil {
		panic(err)
	}
	return n
}()

func (a *archive) say(t testing.TB, s string) {
	a.add(chat.Message{Kind: chat.Say, Text: parsed(t, s)})
}

func (a *archive) add(m chat.Message) chat.Message {
	m.Room, m.From, m.Seq, m.At = chat.General, alice, uint64(len(a.said)+1), time.Unix(int64(len(a.said)), 0)
	a.said = append(a.said, m)
	return m
}

func newArchive(t testing.TB, n int) *archive {
	a := &archive{closed: make(map[uint64]bool)}
	for i := range n {
		a.say(t, fmt.Sprint("line ", i+1))
	}
	return a
}

// words are messages in short.
func words(said []chat.Message) string {
	var all []string
	for _, m := range said {
		s := fmt.Sprint(m.DisplaySeq, ":", m.Text)
		if m.Edited {
			s += "*"
		}
		if m.Deleted {
			s += "-"
		}
		all = append(all, s)
	}
	return strings.Join(all, " ")
}

// before is what a screen sees once all that it wants is open.
func before(t *testing.T, p *Past, seq uint64, n int) []chat.Message {
	t.Helper()
	for range 200 {
		said := p.Before(seq, n)
		if !p.Wants() {
			return said
		}
		if _, err := p.Load(); err != nil {
			t.Fatal(err)
		}
		p.Sweep()
	}
	t.Fatal("it wants more for ever")
	return nil
}

func TestPagesAreOpenedWhenWanted(t *testing.T) {
	a := newArchive(t, 1000)
	p := New(chat.General, a, 1, 900)
	if said := p.Before(901, 3); said != nil || !p.Wants() {
		t.Errorf("at first: %q", words(said))
	}
	if got := words(before(t, p, 901, 3)); got != "898:line 898 899:line 899 900:line 900" {
		t.Errorf("%q", got)
	}
	if got := words(before(t, p, 770, 3)); got != "767:line 767 768:line 768 769:line 769" {
		t.Errorf("over two pages: %q", got)
	}
	if a.reads != 2 {
		t.Errorf("%d reads", a.reads)
	}
	p.Before(769+ahead-1, 1) // near the top of a page that is open
	if p.Wants() {
		t.Error("an open page is wanted")
	}
	p.Before(513+ahead, 1)
	if !p.Wants() {
		t.Error("the page above is not wanted in time")
	}
	if got := words(before(t, p, 3, 9)); got != "1:line 1 2:line 2" {
		t.Errorf("the first: %q", got)
	}
	if said := p.Before(1, 9); said != nil || p.Wants() {
		t.Errorf("before the first: %q", words(said))
	}
	said, whole := p.After(899, 901, 9)
	if words(said) != "900:line 900" || !whole {
		t.Errorf("after: %q, %v", words(said), whole)
	}
	if said, whole = p.After(767, 901, 3); words(said) != "768:line 768 769:line 769 770:line 770" || whole {
		t.Errorf("after, over two pages: %q, %v", words(said), whole)
	}
	if n := p.Count(901); n != 900 {
		t.Errorf("%d may be opened", n)
	}
}

// What is not its person's to read is never asked for.
func TestNamesOfThePastHaveTheirColors(t *testing.T) {
	a := &archive{}
	a.say(t, "an old line")
	p := New(chat.General, a, 1, 1)
	p.Colors(func(name chat.Name) chat.NameColor {
		if name == alice {
			return 3
		}
		return 0
	})
	p.Before(2, 9)
	if _, err := p.Load(); err != nil {
		t.Fatal(err)
	}
	if said := p.Before(2, 9); len(said) != 1 || said[0].Color != 3 {
		t.Errorf("%+v", said)
	}
}

func TestPastBeginsWhereItsPersonDid(t *testing.T) {
	a := newArchive(t, 600)
	p := New(chat.General, a, 300, 600)
	if got := before(t, p, 303, 9); words(got) != "300:line 300 301:line 301 302:line 302" {
		t.Errorf("%q", words(got))
	}
	if said := p.Before(300, 9); said != nil || p.Wants() {
		t.Errorf("before: %q", words(said))
	}
	n := 0
	if err := p.Backward(1<<40, load, func(m chat.Message) bool { n++; return m.Seq >= 300 }); err != nil || n != 301 {
		t.Errorf("%d messages, %v", n, err)
	}
	for k := range a.closed {
		delete(a.closed, k)
	}
	for i := range uint64(600) {
		a.closed[i+1] = true
	}
	if p = New(chat.General, a, 1, 600); p.Count(601) != 0 || p.Before(601, 9) != nil || p.Wants() {
		t.Error("something is wanted of what nothing opens")
	}
}

func load(open func() (int, error)) error { _, err := open(); return err }

func TestMissingLinesAreNamed(t *testing.T) {
	a := newArchive(t, 10)
	for _, seq := range []uint64{1, 4, 5, 10} {
		a.closed[seq] = true
	}
	p := New(chat.General, a, 1, 10)
	said := before(t, p, 11, 99)
	want := "2:line 2 3:line 3 4:2 lines not shown here: your password does not open them 6:line 6 7:line 7 8:line 8 9:line 9 10:1 line not shown here: your password does not open it"
	want = strings.Replace(want, "2 lines not", "2 lines are not", 1)
	want = strings.Replace(want, "1 line not", "1 line is not", 1)
	if got := words(said); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	for _, m := range said {
		if m.Room != chat.General || m.At.IsZero() {
			t.Errorf("%+v", m)
		}
	}
}

// Later messages change earlier ones: on the same page, on another, of a page that was closed and opened again, from memory, and
// as they are said.
func TestChangesTakeEffect(t *testing.T) {
	a := newArchive(t, 700)
	a.said[9].Text = parsed(t, "here")
	a.add(chat.Message{Kind: chat.Edit, Of: 10, Text: parsed(t, "edited")}) // 701
	a.add(chat.Message{Kind: chat.Edit, Of: 10, Text: parsed(t, "again")})  // 702
	a.add(chat.Message{Kind: chat.Delete, Of: 11})                          // 703
	a.add(chat.Message{Kind: chat.Edit, Of: 700, Text: parsed(t, "700th")}) // 704
	p := New(chat.General, a, 1, 704)
	inMemory := chat.Message{Room: chat.General, Seq: 705, Kind: chat.Edit, Of: 12, Text: parsed(t, "from memory")}
	p.Amend(&inMemory)
	check := func(when string) {
		t.Helper()
		if got := words(before(t, p, 13, 3)); got != "10:again* 11:- 12:from memory*" {
			t.Errorf("%s: %q", when, got)
		}
	}
	// Straight to the first page, as /history does with an ID: those above are looked through first.
	if err := p.Backward(13, load, func(m chat.Message) bool { return false }); err != nil {
		t.Fatal(err)
	}
	check("at once")
	if got := words(before(t, p, 701, 1)); got != "700:700th*" {
		t.Errorf("%q", got)
	}
	p.mu.Lock()
	for _, g := range p.pages {
		p.close(g)
	}
	p.mu.Unlock()
	p.Sweep()
	check("opened again")
	now := chat.Message{Room: chat.General, Seq: 706, Kind: chat.Delete, Of: 12}
	p.Amend(&now)
	p.Amend(&inMemory) // it was in memory, and is delivered late
	if got := words(before(t, p, 13, 1)); got != "12:-" {
		t.Errorf("deleted now: %q", got)
	}
	p.Amend(&chat.Message{Seq: 707, Kind: chat.Edit, Of: 5000, Text: parsed(t, "elsewhere")}) // it is in memory
	if _, ok := p.changes[5000]; ok {
		t.Error("a change of what is in memory is kept")
	}
}

// I scroll through a long history, and search it: what is open stays within its bounds, and what was closed is cleared.
func TestAttackPastIsBoundedAndCleared(t *testing.T) {
	row := attack.On(t, attack.Connections, "fill the memory with a long unlocked history, and look for it after it is locked")
	a := newArchive(t, 0)
	for i := range 20 * pageLines {
		a.say(t, strings.Repeat("x", 1000)+fmt.Sprint(i+1))
	}
	p := New(chat.General, a, 1, uint64(len(a.said)))
	var texts [][]byte
	for seq := uint64(len(a.said)) + 1; seq > 1; seq -= pageLines {
		before(t, p, seq, 40)
		p.mu.Lock()
		for _, g := range p.pages {
			if !slices.ContainsFunc(texts, func(b []byte) bool { return &b[0] == &g.text[0] }) {
				texts = append(texts, g.text)
			}
		}
		if p.bytes > MaxBytes {
			t.Fatalf("%d bytes are open", p.bytes)
		}
		p.mu.Unlock()
	}
	left := func() (n int) {
		for _, b := range texts {
			if strings.Trim(string(b), "\x00") != "" {
				n++
			}
		}
		return n
	}
	open := left()
	if len(texts) < 20 || open != len(p.pages) || open > MaxBytes/(1000*pageLines) {
		t.Errorf("%d pages were open, %d are, and %d texts are there", len(texts), len(p.pages), open)
	}
	row.Tried("%d pages", len(texts))
	row.Control("before that, the texts of %d pages, at most 2 MiB, are there", open)
	p.Wipe()
	if n := left(); n != 0 || !a.wiped {
		t.Errorf("%d texts are left, keys wiped: %v", n, a.wiped)
	}
	row.Held("no text is left, and the keys are wiped")
	if said, whole := p.After(0, 9, 9); p.Before(9, 9) != nil || said != nil || whole || p.Wants() {
		t.Error("something is open after Wipe")
	}
	if err := p.Backward(9, load, func(chat.Message) bool { return true }); !errors.Is(err, errLocked) {
		t.Errorf("read after Wipe: %v", err)
	}
	if _, err := p.load(0); !errors.Is(err, errLocked) {
		t.Errorf("opened after Wipe: %v", err)
	}
	p.Amend(&chat.Message{Seq: 1, Of: 1, Kind: chat.Delete})
	p.Wipe()
}

// Changes without end would be kept without end.
func TestTooManyChangesEndIt(t *testing.T) {
	a := newArchive(t, pageLines)
	for i := range 2 * pageLines {
		a.add(chat.Message{Kind: chat.Edit, Of: uint64(i%pageLines + 1), Text: parsed(t, strings.Repeat("y", chat.LogLines))})
	}
	p := New(chat.General, a, 1, uint64(len(a.said)))
	if _, err := p.load(0); err != nil { // one of each message at most: 256 times 4 KiB is just within
		t.Logf("%v", err)
	}
	for i := range 4 * pageLines {
		p.mu.Lock()
		p.note(chat.Message{Seq: uint64(5000 + i), Of: uint64(10000 + i), Kind: chat.Edit, Text: parsed(t, strings.Repeat("y", 4000))}, true)
		p.mu.Unlock()
	}
	if _, err := p.load(0); !errors.Is(err, errChanges) {
		t.Errorf("%v", err)
	}
}

// What is read for a command are copies: they are whole when all is wiped. Run with -race.
func TestCopiesOutliveTheWipe(t *testing.T) {
	a := newArchive(t, 2000)
	p := New(chat.General, a, 1, 2000)
	var found []chat.Message
	done := make(chan error)
	started := make(chan bool, 1)
	go func() {
		done <- p.Backward(2001, load, func(m chat.Message) bool {
			found = append(found, m)
			select {
			case started <- true:
			default:
			}
			return true
		})
	}()
	<-started
	p.Before(2001, 10)
	p.Wipe()
	if err := <-done; err != nil && !errors.Is(err, errLocked) {
		t.Fatal(err)
	}
	for i, m := range found {
		if want := fmt.Sprint("line ", 2000-i); m.Text.String() != want {
			t.Fatalf("%q, want %q", m.Text, want)
		}
	}
}

func TestErrorsOfTheDiskEndIt(t *testing.T) {
	a := newArchive(t, 20)
	a.err = errors.New("disk")
	p := New(chat.General, a, 1, 20)
	p.Before(21, 1)
	if _, err := p.Load(); !errors.Is(err, a.err) {
		t.Errorf("%v", err)
	}
	if _, err := p.Load(); err != nil { // nobody asked again
		t.Errorf("%v", err)
	}
}

// Whatever is asked for in whatever order, it is what a reading of everything at once gives.
func FuzzPast(f *testing.F) {
	f.Add(uint64(1), uint16(700))
	f.Add(uint64(2), uint16(3))
	f.Add(uint64(10), uint16(905)) // an edit, and on a later page the deletion of what it edits
	f.Fuzz(func(t *testing.T, seed uint64, n uint16) {
		r := rand.New(rand.NewPCG(seed, 0))
		a := newArchive(t, 0)
		for range int(n)%1500 + 1 {
			of := r.Uint64N(uint64(len(a.said) + 1))
			switch k := r.IntN(12); {
			case of > 0 && a.said[of-1].Of == 0 && k == 0:
				a.add(chat.Message{Kind: chat.Edit, Of: of, Text: parsed(t, fmt.Sprint("edit ", len(a.said)))})
			case of > 0 && a.said[of-1].Of == 0 && k == 1:
				a.add(chat.Message{Kind: chat.Delete, Of: of})
			default:
				a.say(t, fmt.Sprint("line ", len(a.said)+1))
			}
		}
		whole := slices.Clone(a.said)
		chat.Settle(whole)
		for i := range whole {
			whole[i].DisplaySeq = whole[i].Seq
		}
		p := New(chat.General, a, 1, uint64(len(a.said)))
		for range 20 {
			seq, lines := r.IntN(len(whole))+2, r.IntN(100)+1
			seq = min(seq, len(whole)+1)
			var got []chat.Message
			if r.IntN(2) == 0 {
				if err := p.Backward(uint64(seq), load, func(m chat.Message) bool { got = append(got, m); return len(got) < lines }); err != nil {
					t.Fatal(err)
				}
				slices.Reverse(got)
			} else {
				got = before(t, p, uint64(seq), lines)
			}
			if want := whole[max(0, seq-1-lines) : seq-1]; words(got) != words(want) {
				t.Fatalf("%d before %d: %q, want %q", lines, seq, words(got), words(want))
			}
			if got, all := p.After(uint64(seq)-1, uint64(seq)+3, 9); all && words(got) != words(whole[seq-1:min(seq+2, len(whole))]) {
				t.Fatalf("after %d: %q", seq-1, words(got))
			}
		}
	})
}
