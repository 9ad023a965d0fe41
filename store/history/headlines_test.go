package history

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"sshchat/sshchat/chat"
)

// someHeads are n heads, some of which take several lines.
func someHeads(t testing.TB, r *rand.Rand, n int) (heads []namedHead) {
	t.Helper()
	for i := range n {
		length := 100 + r.IntN(300)
		if r.IntN(10) == 0 {
			length = r.IntN(3 * pageSize)
		}
		head := []byte(strings.Repeat("-> ssh-ed25519 abc\n", length/19+1))
		head[r.IntN(len(head))] = '"' // which age does not write, and its rules allow
		heads = append(heads, namedHead{mustName(t, fmt.Sprintf("reader%d", i)), string(head)})
	}
	return heads
}

// readsAs are the heads that the record's lines have.
func readsAs(t *testing.T, r *record) []namedHead {
	t.Helper()
	for i, line := range r.lines {
		if len(line) > lineRoom {
			t.Fatalf("line %d of %d has %d bytes", i, len(r.lines), len(line))
		}
	}
	read, err := parseRecord(r.lines)
	if err != nil {
		t.Fatal(err)
	}
	back, err := r.readBack()
	if err != nil || !back.is(r) {
		t.Fatalf("it reads back as something else: %v", err)
	}
	if read.sum != r.sum || back.sum != r.sum {
		t.Fatal("the hash is another")
	}
	return read.heads
}

// Heads that are packed before the record is known read as they were, whatever is long about the record; and so they do
// after some were taken out, and others put in.
func TestPackedHeads(t *testing.T) {
	t.Parallel()
	const most = ^uint64(0)
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 1))
		room := []chat.RoomName{chat.General, mustRoom(t, "a"), mustRoom(t, "@"+strings.Repeat("a", 32)+"+"+strings.Repeat("b", 32))}[r.IntN(3)]
		heads := someHeads(t, r, []int{0, 1, 20, 200}[r.IntN(4)])
		packed, err := packHeads(room, slices.Clone(heads))
		if err != nil {
			t.Fatal(err)
		}
		write := func(packed headLines) *record {
			rec := &record{kind: windowRecord, room: room, w: 1, n: 1, packed: &packed}
			if r.IntN(2) == 0 {
				rec.w, rec.n, rec.prev, rec.ok, rec.hasOK, rec.change, rec.hasChange = most, most-1000, sum{1}, most-2000, true, most, true
			}
			rec.encode()
			return rec
		}
		sorted := func(heads []namedHead) []namedHead {
			slices.SortFunc(heads, func(a, b namedHead) int { return a.name.Compare(b.name) })
			return heads
		}
		if got := readsAs(t, write(packed)); !slices.Equal(got, sorted(heads)) {
			t.Fatalf("seed %d: %d heads read as %d others", seed, len(heads), len(got))
		}
		changed := make(map[chat.Name]*changedHead)
		var others, now []namedHead
		for _, h := range heads {
			if r.IntN(3) > 0 {
				now = append(now, h)
				continue
			}
			changed[h.name] = new(changedHead)
			if r.IntN(2) == 0 {
				others = append(others, namedHead{h.name, "another head of " + h.name.String()})
			}
		}
		for _, h := range someHeads(t, r, 3) {
			h.name = mustName(t, "new"+h.name.String())
			changed[h.name] = new(changedHead)
			others = append(others, h)
		}
		with, err := packed.with(room, changed, slices.Clone(others))
		if err != nil {
			t.Fatal(err)
		}
		now = sorted(append(now, others...))
		rec := write(with)
		if got := readsAs(t, rec); !slices.Equal(got, now) {
			t.Fatalf("seed %d: after changes %d heads read as %d others", seed, len(now), len(got))
		}
		if !slices.EqualFunc(rec.readers(), now, func(n chat.Name, h namedHead) bool { return n == h.name }) {
			t.Fatalf("seed %d: the readers are others", seed)
		}
	}
}

// What is not as it was packed is found before it is stored.
func TestPackedHeadsAreReadBack(t *testing.T) {
	t.Parallel()
	fresh := func() *record {
		packed, err := packHeads(chat.General, someHeads(t, rand.New(rand.NewPCG(3, 4)), 100))
		if err != nil {
			t.Fatal(err)
		}
		rec := &record{kind: windowRecord, room: chat.General, w: 1, n: 1, packed: &packed}
		rec.encode()
		return rec
	}
	resum := func(line []byte) []byte {
		return appendCRC(line[:len(line)-crcSize:len(line)-crcSize], line[:len(line)-crcSize])
	}
	for what, spoil := range map[string]func(*record){
		"a head":                        func(r *record) { r.packed.lines[1].text()[100] ^= 1 },
		"a head, and the checksum":      func(r *record) { r.packed.lines[1].text()[100] ^= 1; r.lines[1] = resum(r.lines[1]) },
		"a line that is missing":        func(r *record) { r.lines = r.lines[:len(r.lines)-1] },
		"two lines that were swapped":   func(r *record) { r.lines[1], r.lines[2] = r.lines[2], r.lines[1] },
		"a number, and the checksum":    func(r *record) { r.lines[1][5] = '9'; r.lines[1] = resum(r.lines[1]) },
		"the opening, and the checksum": func(r *record) { r.lines[0][2] = 'm'; r.lines[0] = resum(r.lines[0]) },
	} {
		r := fresh()
		if _, err := r.readBack(); err != nil {
			t.Fatal(err)
		}
		spoil(r)
		if back, err := r.readBack(); err == nil && back.is(r) {
			t.Errorf("%s: it is not found", what)
		}
	}
	heads := someHeads(t, rand.New(rand.NewPCG(3, 4)), 100)
	packed, err := packHeads(chat.General, heads)
	if err != nil || packed.check(heads) != nil {
		t.Fatal(err, packed.check(heads))
	}
	heads[50].head = "another\n"
	if packed.check(heads) == nil || packed.check(heads[:49]) == nil {
		t.Error("heads that are packed as others are not found")
	}
}
