package keys

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"sshchat/sshchat/view/editor"
)

// FuzzDecoder checks that where the bytes are cut changes nothing but what a lone line feed means
// and that unfinished input is bounded.
func FuzzDecoder(f *testing.F) {
	for _, s := range []string{
		"a\r\nb\n", "\x1b[A\x1bOB\x1b[1;5C", "\x1bb\x1b\x7f\x1b\r", "\x1b]0;x\a\x1bP1$r\x1b\\y", "\x1b[200~a\r\nb\t\x03c\x1b[201~d",
		"\x1b[[Ax", "\xe6\x97", "\xf0\x9f\x87\xa9\xff", "\x1b[97;;229u", "\x1b[27;5;13~", "\x1b[M !!", "\x1b[65;30;97;1;0;1_",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		whole := decoded(b, len(b)+1)
		if cut := decoded(b, 2); cut != whole && !bytes.ContainsAny(b, "\n\x1b") {
			t.Errorf("whole %q, cut %q", whole, cut)
		}
	})
}

// decoded is what comes of b in reads of n bytes.
func decoded(b []byte, n int) string {
	var d Decoder
	var got strings.Builder
	for part := range slices.Chunk(b, n) {
		d.Decode(part, func(k Key) {
			got.WriteString(k.Name)
			got.WriteString(strings.ToValidUTF8(k.Text, ""))
		})
		if len(d.seq) > MaxSequence {
			panic("a sequence is not bounded")
		}
	}
	return got.String()
}

// cutTime is what a slow line puts between an Esc and the rest.
const cutTime = 120 * time.Millisecond

// FuzzCut cuts what terminals send anywhere, with pauses of a slow line between: the keys are the same, but for an Esc
// that nobody pressed, which does no harm.
func FuzzCut(f *testing.F) {
	tokens := []string{
		"hello ", "\x1b[A", "\x1b[1;5C", "\x1bOB", "\x1b[200~one\r\n/two\x1b[201~", "\x1b[<64;3;3M", "\x1b[M !!", "\x1b[I", "\x1b[O", "日本", "\x1b[3~", "\x7f", "\r",
		"\x1b]11;rgb:0/0/0\x1b\\", "\x1bP>|x 1\x1b\\", "\x1b[?62;c", "\x1b[24;80R", "\x1b[15~", "\x1bOP", "\x1b[Z", "\x01", "\x1b[200~\x1b[201~",
	}
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21}, []byte{1})
	f.Add([]byte{4, 4, 6, 21, 1}, []byte{3, 1, 2, 9})
	f.Fuzz(func(t *testing.T, which, cuts []byte) {
		var stream strings.Builder
		for _, i := range which[:min(len(which), 100)] {
			stream.WriteString(tokens[int(i)%len(tokens)])
		}
		keys := func(d *Decoder, said *[]string) func(Key) {
			return func(k Key) {
				if k.Name != "esc" {
					*said = append(*said, k.Name+k.Text)
				}
			}
		}
		var want, got []string
		whole, cut := Decoder{Bound: editor.Bound}, Decoder{Bound: editor.Bound}
		whole.Decode([]byte(stream.String()), keys(&whole, &want))
		rest := []byte(stream.String())
		for i := 0; len(rest) > 0; i++ {
			n := len(rest)
			if len(cuts) > 0 {
				n = min(n, 1+int(cuts[i%len(cuts)])%16)
			}
			cut.Decode(rest[:n], keys(&cut, &got))
			rest = rest[n:]
			for pause := cutTime; ; {
				wait := cut.Waiting()
				if wait == 0 || wait > pause {
					break
				}
				pause -= wait
				cut.Expire(keys(&cut, &got))
			}
		}
		if strings.Join(got, "") != strings.Join(want, "") {
			t.Errorf("%q, cut after %v: %q, want %q", stream.String(), cuts, got, want)
		}
	})
}

// Whatever comes, whenever: what is held back is bounded, and when time has passed the next keys are what they are.
func FuzzDecoderInTime(f *testing.F) {
	for _, s := range []string{"\x1b[200~x", "\x1b", "\x1b]0;x", "\x1b[M", "\x1bO", "\x1b[[", "\x1b[200~\x1b", "\xe6\x97", "\x1b[1;", "\x1bP1\x1b"} {
		f.Add([]byte(s), uint8(3))
	}
	f.Fuzz(func(t *testing.T, b []byte, size uint8) {
		d := Decoder{Bound: editor.Bound}
		none := func(Key) {}
		for part := range slices.Chunk(b, 1+int(size)) {
			d.Decode(part, none)
			if size%3 == 0 {
				d.Expire(none)
			}
			if len(d.seq) > MaxSequence || cap(d.seq) > 2*MaxSequence {
				t.Fatalf("%d bytes are held back", len(d.seq))
			}
		}
		for range 4 {
			if d.Waiting() > 0 {
				d.Expire(none)
			}
		}
		if d.Waiting() > 0 {
			t.Fatalf("%q is waited with for ever", b)
		}
		var got []string
		for _, p := range []string{"\r", "z", "\x1b[A", "\x1bb", "\r"} {
			d.Decode([]byte(p), func(k Key) { got = append(got, k.Name+k.Text) })
		}
		if s := strings.Join(got, " "); !strings.HasSuffix(s, "enter z up alt+b enter") {
			t.Errorf("after %q and a while Enter, z, Up, Alt+b, Enter is %q", b, s)
		}
	})
}
