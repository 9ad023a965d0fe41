package changes

import (
	"bytes"
	"testing"

	"sshchat/store/durable/powercut"
)

// Whatever is in a file, it is refused, or is a run of changes without a gap, and what was dropped is behind all of them. What
// is taken is taken again as it is written.
func FuzzParse(f *testing.F) {
	d := powercut.New()
	l, err := Create(d, path, Checkpoint{3, sum(3)})
	if err != nil {
		f.Fatal(err)
	}
	for b := uint64(4); b < 6; b++ {
		if err := l.Append(change(b, 0)); err != nil {
			f.Fatal(err)
		}
	}
	if err := l.Announce(Checkpoint{4, sum(4)}); err != nil {
		f.Fatal(err)
	}
	whole := bytes.TrimRight(d.Content(path), " ")
	f.Add(whole)
	f.Add(whole[:len(whole)-30])
	f.Add(append(bytes.Clone(whole), "\x00\x00  {\"b\":6"...))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := Parse(b)
		if err != nil {
			return
		}
		if c.end > int64(len(b)) || c.Torn > len(b)-int(c.end) || len(c.offsets) != len(c.Lines)+1 {
			t.Fatalf("%d bytes, of which %d are lines", len(b), c.end)
		}
		for i, l := range c.Lines {
			if l.B != c.Start.Upto+uint64(i)+1 {
				t.Fatalf("change %d is number %d", l.B, i)
			}
			line, err := l.stored().encode()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := parseLine(bytes.TrimSuffix(line, []byte("\n"))); err != nil {
				t.Fatalf("%q: %v", line, err)
			}
		}
		if again, err := Parse(b[:c.end]); err != nil || again.Last() != c.Last() || again.Torn != 0 {
			t.Fatalf("without what is torn: %v", err)
		}
	})
}
