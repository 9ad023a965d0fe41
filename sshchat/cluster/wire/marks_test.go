package wire

import (
	"bytes"
	"fmt"
	"reflect"
	"testing"

	"sshchat/sshchat/chat"
	cleaned "sshchat/sshchat/text"
)

func someMarks(t testing.TB, people int) (all []chat.ReadMark) {
	for i := range people {
		who := name(t, fmt.Sprint("p", i))
		all = append(all, chat.ReadMark{Name: who, Room: chat.General, Seq: uint64(1000 + i)})
		all = append(all, chat.ReadMark{Name: who, Room: cleaned.Direct(who, name(t, "ann")), Seq: 1})
	}
	return all
}

func TestMarks(t *testing.T) {
	t.Parallel()
	for _, all := range [][]chat.ReadMark{{}, someMarks(t, 1), someMarks(t, 300)} {
		b := EncodeMarks(all)
		if got, err := DecodeMarks(b); err != nil || !reflect.DeepEqual(got, all) {
			t.Fatalf("%v of %v, %v", got, all, err)
		}
		for n := range b {
			if _, err := DecodeMarks(b[:n]); err == nil {
				t.Fatalf("the first %d of %d bytes are taken", n, len(b))
			}
		}
	}
}

func FuzzDecodeMarks(f *testing.F) {
	f.Add(EncodeMarks(nil))
	f.Add(EncodeMarks(someMarks(f, 2)))
	f.Fuzz(func(t *testing.T, b []byte) {
		all, err := DecodeMarks(b)
		if err != nil {
			return
		}
		if len(all) > len(b) {
			t.Fatalf("%d marks of %d bytes", len(all), len(b))
		}
		again := EncodeMarks(all)
		back, err := DecodeMarks(again)
		if err != nil || !reflect.DeepEqual(back, all) || !bytes.Equal(EncodeMarks(back), again) {
			t.Fatalf("%v, and %v, %v", all, back, err)
		}
	})
}

// What the marks of a busy room cost: 10 000 people who read it at the same time.
func BenchmarkMarks(b *testing.B) {
	var all []chat.ReadMark
	for i := range 10_000 {
		all = append(all, chat.ReadMark{Name: name(b, fmt.Sprint("person", i)), Room: chat.General, Seq: 1 << 20})
	}
	encoded := EncodeMarks(all)
	b.Run("encode", func(b *testing.B) {
		b.ReportAllocs()
		b.ReportMetric(float64(len(encoded))/float64(len(all)), "B/mark")
		for b.Loop() {
			EncodeMarks(all)
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			DecodeMarks(encoded)
		}
	})
}
