package history

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"reflect"
	"strings"
	"testing"

	"sshchat/sshchat/chat"
)

// layOut writes records as a whole file, and returns it.
func layOut(records ...*record) []byte {
	t := &segment{end: int64(len(segmentIntro))}
	return fmt.Appendf(nil, "%s%s%s", segmentIntro, t.layOut(records), segmentOutro)
}

func TestRecordsOfEverySizeComeBack(t *testing.T) {
	t.Parallel()
	room := mustRoom(t, "@"+strings.Repeat("a", 32)+"+"+strings.Repeat("b", 32))
	for _, size := range []int{32, 1000, 2600, 2700, 2800, 2900, 3000, 4096, 30000, 300000} {
		body := make([]byte, size)
		rand.Read(body)
		records := []*record{
			{n: 1, kind: windowRecord, room: room, w: 1, hasOK: true, hasChange: true, change: 1 << 40, sig: body[:32], heads: heads(t, size/100)},
			{kind: msgRecord, room: room, w: 1, seq: 1, prev: sum{1}, body: body},
			{kind: closeRecord, room: room, w: 1, prev: sum{2}, from: 1, to: 3, digest: []sum{{1}, {2}, {3}}, body: body},
			{kind: attachRecord, room: room, w: 1, seq: 1, prev: sum{3}, hasOK: true, ok: 3, body: body},
		}
		n := uint64(1)
		for _, r := range records {
			r.n = n
			r.encode()
			n = r.last() + 1
		}
		file := layOut(records...)
		if !json.Valid(file) {
			t.Fatalf("%d bytes: not JSON", size)
		}
		s, err := scanSegment(bytes.NewReader(file))
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range records {
			for _, l := range want.lines {
				if len(l) > lineRoom {
					t.Errorf("%d bytes: a line of %d", size, len(l))
				}
			}
			got, err := s.next()
			if err != nil {
				t.Fatalf("%d bytes, record %d: %v", size, i, err)
			}
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("%d bytes: record %d comes back as another", size, i)
			}
			if at, err := recordAt(bytes.NewReader(file), got.off); err != nil || at.sum != want.sum {
				t.Errorf("%d bytes: record %d is not where it is said to be: %v", size, i, err)
			}
		}
		if _, err := s.next(); !errors.Is(err, io.EOF) {
			t.Errorf("%d bytes: after the last comes %v", size, err)
		}
	}
}

// heads are n heads, one of them longer than a line.
func heads(t *testing.T, n int) []namedHead {
	var hs []namedHead
	for i := range n {
		text := fmt.Sprintf("age-encryption.org/v1\n-> x \"\\ %d\n%s\n", i, strings.Repeat("h", 300))
		if i == n/2 {
			text += strings.Repeat("long\n", 3000)
		}
		hs = append(hs, namedHead{mustName(t, fmt.Sprintf("reader%05d", i)), text})
	}
	return hs
}

// A head that fits one line is in one line: stock jq finds it whole.
func TestHeadsStayWhole(t *testing.T) {
	t.Parallel()
	r := &record{n: 1, kind: windowRecord, room: chat.General, w: 1}
	for i := range 100 {
		r.heads = append(r.heads, namedHead{mustName(t, fmt.Sprintf("reader%d", i)), strings.Repeat("h\n", 400)})
	}
	r.encode()
	for _, h := range r.heads {
		whole, err := json.Marshal(h.head)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(bytes.Join(r.lines, nil), fmt.Appendf(nil, `"%s":%s`, h.name, whole)) {
			t.Errorf("the head of %s is divided", h.name)
		}
	}
}

func TestEveryFlippedBitOfARecordIsSeen(t *testing.T) {
	t.Parallel()
	r := &record{n: 1, kind: msgRecord, room: chat.General, w: 1, seq: 1, body: make([]byte, 64)}
	r.encode()
	line := r.lines[0]
	for i := range len(line) * 8 {
		bad := bytes.Clone(line)
		bad[i/8] ^= 1 << (i % 8)
		if _, err := parseRecordLine(bad); err == nil {
			t.Errorf("bit %d", i)
		}
	}
}

// messageRecords are records of messages, with bodies of sizes around that which one line takes.
func messageRecords(t *testing.T) (all []*record) {
	room := mustRoom(t, "@"+strings.Repeat("a", 32)+"+"+strings.Repeat("b", 32))
	for size := 32; size < 2880; size++ {
		if size == 40 {
			size = 2780
		}
		body := make([]byte, size)
		rand.Read(body)
		r := &record{n: 1 << 60, kind: msgRecord, room: room, w: 12, seq: 1 << 33, body: body}
		switch size % 3 {
		case 0:
			r.prev, r.hasOK, r.ok, r.hasChange, r.change = sum{1}, true, 7, true, 1<<50
		case 1:
			r.prev, r.hasOK = sum{2}, true
		}
		all = append(all, r)
	}
	return all
}

// A message's line is made in another way than those of other records, and is the same.
func TestMessagesAreEncodedAsOtherRecordsAre(t *testing.T) {
	t.Parallel()
	var lines []byte
	divided := 0
	for _, r := range messageRecords(t) {
		want := *r
		want.encode()
		lines = r.encodeTo(lines)
		if !reflect.DeepEqual(r.lines, want.lines) || r.sum != want.sum {
			t.Fatalf("a body of %d bytes: %q, not %q", len(r.body), r.lines, want.lines)
		}
		if divided += len(r.lines) - 1; len(r.lines) == 1 && !bytes.HasSuffix(lines, r.lines[0]) {
			t.Errorf("a body of %d bytes is not where it ought to be", len(r.body))
		}
	}
	if divided == 0 {
		t.Error("no message took more than one line")
	}
}

// What is drafted is read back before it is published. Each of its fields counts.
func TestAMessageThatReadsAsAnotherIsRefused(t *testing.T) {
	t.Parallel()
	var scratch []byte
	for _, r := range messageRecords(t) {
		r.encode()
		if err := r.readsAs(&scratch); err != nil {
			t.Fatalf("a body of %d bytes: %v", len(r.body), err)
		}
		for field, change := range map[string]func(r *record){
			"n":       func(r *record) { r.n++ },
			"kind":    func(r *record) { r.kind = attachRecord },
			"room":    func(r *record) { r.room = chat.General },
			"w":       func(r *record) { r.w++ },
			"seq":     func(r *record) { r.seq++ },
			"prev":    func(r *record) { r.prev[5]++ },
			"ok":      func(r *record) { r.ok++; r.hasOK = true },
			"hasOK":   func(r *record) { r.hasOK = !r.hasOK; r.hasChange = false },
			"b":       func(r *record) { r.change++; r.hasOK, r.hasChange = true, true },
			"hasB":    func(r *record) { r.hasChange = !r.hasChange },
			"body":    func(r *record) { r.body = bytes.Clone(r.body); r.body[len(r.body)-1]++ },
			"longer":  func(r *record) { r.body = append(bytes.Clone(r.body), 0) },
			"shorter": func(r *record) { r.body = r.body[1:] },
			"no body": func(r *record) { r.body = nil },
		} {
			other := *r
			change(&other)
			if other.readsAs(&scratch) == nil {
				t.Errorf("%s is another, and a body of %d bytes is read as it", field, len(r.body))
			}
		}
	}
}

// The quick look at a message never takes what a replica would read as something else, or not at all. The checksum is put
// right here.
func FuzzReadsPlainly(f *testing.F) {
	for _, hasOK := range []bool{true, false} {
		r := &record{n: 8, kind: msgRecord, room: chat.General, w: 1, seq: 2, prev: sum{1}, hasOK: hasOK, hasChange: hasOK, ok: 7, change: 3, body: make([]byte, 32)}
		r.encode()
		f.Add(bytes.TrimSuffix(r.lines[0], r.lines[0][len(r.lines[0])-crcSize:]))
	}
	f.Add([]byte(`{"n":1,"t":"msg","room":"general","w":1,"seq":2,"prev":"","body":"AA==\n"`))
	f.Fuzz(func(t *testing.T, line []byte) {
		line = appendCRC(line, line)
		var scratch []byte
		for _, r := range []*record{
			{n: 8, kind: msgRecord, room: chat.General, w: 1, seq: 2, prev: sum{1}, hasOK: true, hasChange: true, ok: 7, change: 3, body: make([]byte, 32)},
			{n: 8, kind: msgRecord, room: chat.General, w: 1, seq: 2, prev: sum{1}, body: make([]byte, 32)},
		} {
			r.lines, r.sum = [][]byte{line}, sumOf([][]byte{line})
			back, err := parseRecord(r.lines)
			if r.readsPlainly(&scratch) && (err != nil || !back.is(r)) {
				t.Errorf("%s is taken, and reads as %+v, %v", line, back, err)
			}
		}
	})
}

func FuzzScan(f *testing.F) {
	r := &record{n: 1, kind: windowRecord, room: chat.General, w: 1}
	r.encode()
	m := &record{n: 2, kind: msgRecord, room: chat.General, w: 1, seq: 1, prev: r.sum, body: make([]byte, 5000)}
	m.encode()
	f.Add(layOut(r, m))
	f.Add([]byte(segmentIntro + segmentOutro))
	f.Add([]byte(segmentIntro + "    \n" + segmentOutro))
	f.Add([]byte("{}"))
	f.Fuzz(func(t *testing.T, file []byte) {
		s, err := scanSegment(bytes.NewReader(file))
		if err != nil {
			return
		}
		for n := uint64(1); ; {
			r, err := s.next()
			if errors.Is(err, io.EOF) {
				if !json.Valid(file) {
					t.Error("a whole history is not JSON")
				}
				return
			}
			if err != nil {
				return
			}
			if r.n != n {
				t.Errorf("record %d after %d", r.n, n-1)
			}
			n = r.last() + 1
		}
	})
}

// The checksum is put right here: nobody finds one by trying, and what matters is behind it.
func FuzzRecordLine(f *testing.F) {
	r := &record{n: 7, kind: closeRecord, room: chat.General, w: 1, from: 1, to: 1, digest: []sum{{1}}, body: make([]byte, 64)}
	r.encode()
	f.Add(r.lines[0][:len(r.lines[0])-crcSize])
	f.Add([]byte(`{"n":1,"t":"window","room":"general","w":1,"heads":{"alice":"x"}`))
	f.Add([]byte(`{"n":1,"t":"msg","parts":-1`))
	r = &record{n: 8, kind: msgRecord, room: chat.General, w: 1, seq: 2, prev: sum{1}, hasOK: true, ok: 7, body: make([]byte, 64)}
	r.encode()
	f.Add(r.lines[0][:len(r.lines[0])-crcSize])
	for _, s := range []string{
		`{"n":01,"t":"msg","room":"general","w":1,"seq":2,"prev":"","body":"AA=="`,
		`{"n":1,"t":"msg","room":"general","w":1,"seq":2,"prev":"","body":"\u0041A=="`,
		`{"n":1,"t":"msg","room":"general","w":1,"seq":2,"prev":"","body":"A` + "\r" + `A=="`,
		`{"n":1,"t":"msg","room":"GENERAL","w":1,"seq":2,"prev":"é","body":"AA=="`,
		`{"n":1,"t":"msg","room":"general","w":1,"seq":2,"prev":"","ok":-1,"body":"AA=="`,
		`{"n":1,"t":"window","room":"general","w":1,"prev":"","ok":0,"b":3,"parts":3,"heads":{"alice":"a\nb\n","bob":"c"}`,
		`{"n":1,"t":"window","room":"general","w":1,"prev":"","heads":{}`,
		`{"n":1,"t":"window","room":"general","w":1,"prev":"","heads":{"alice":"a\\n","alice":"\t"}`,
		`{"n":2,"t":"more","heads":{"alice":"a\nb"}`,
		`{"n":1,"t":"msg","room":"general","w":1,"seq":99999999999999999999,"prev":"","body":"AA=="`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		line := fmt.Appendf(nil, `%s,"crc":"%08x"}`, b, crc32.Checksum(b, castagnoli))
		j, err := parseRecordLine(line)
		var slow recordJSON
		if errSlow := parseAnyLine(line, &slow); (err == nil) != (errSlow == nil) || err == nil && !reflect.DeepEqual(j, slow) {
			t.Errorf("%q is read as %+v (%v), as JSON as %+v (%v)", line, j, err, slow, errSlow)
		}
		if err != nil {
			return
		}
		if !json.Valid(line) {
			t.Error("a line that is not JSON is taken")
		}
		if r, err := j.record([][]byte{line}); err == nil && (r.room.IsZero() || r.w == 0 || r.last() != r.n) {
			t.Errorf("%+v is taken for a record", r)
		}
	})
}
