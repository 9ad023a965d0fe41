package main

import (
	"slices"
	"testing"
	"time"
)

func TestMarksAreFoundHoweverTheyAreCut(t *testing.T) {
	want := []mark{{0, 1, 2 * time.Second}, {255, 0xabcdef, time.Hour}, {7, 7, 0}}
	var text []byte
	for _, m := range want {
		text = append(text, "\x1b[1;31mzq zqzqq 12:00 somebody: "...)
		text = append(m.append(text), filler+"\r\nz"...)
	}
	for size := 1; size < len(text); size++ {
		var got []mark
		var buf []byte
		for chunk := range slices.Chunk(text, size) {
			buf = append(buf, chunk...)
			rest := scanMarks(buf, func(m mark) { got = append(got, m) })
			buf = buf[len(buf)-rest:]
		}
		if !slices.Equal(got, want) {
			t.Fatalf("in chunks of %d: %v", size, got)
		}
	}
}

func TestWhatIsNoMark(t *testing.T) {
	good := string(mark{1, 2, 3}.append(nil))
	for _, s := range []string{"", "zq", good[:markSize-1] + "x", "Zq" + good[2:], good[:5] + "g" + good[6:], good[:5] + "-" + good[6:]} {
		if m, ok := parseMark([]byte(s)); ok {
			t.Errorf("%q: %v", s, m)
		}
	}
	if _, ok := parseMark([]byte(good)); !ok {
		t.Errorf("%q is none", good)
	}
}

func FuzzScanMarks(f *testing.F) {
	f.Add([]byte("zqzq"))
	f.Add(mark{1, 2, 3}.append([]byte("zq")))
	f.Fuzz(func(t *testing.T, b []byte) {
		if rest := scanMarks(b, func(mark) {}); rest < 0 || rest > len(b) || rest >= markSize {
			t.Errorf("%d of %d bytes are left", rest, len(b))
		}
	})
}
