package view

import (
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
	"sshchat/sshchat/view/editor"
)

// crowd is a room's log as the hub has it, read by many sessions.
type crowd struct {
	entries []chat.Message
	lines   *Lines
}

func newCrowd(n int) *crowd {
	c := &crowd{lines: &Lines{}}
	for range n {
		c.says()
	}
	return c
}

// says adds a message that is not like the ones before it: a screen of equal rows would have nothing to scroll.
func (c *crowd) says() []chat.Span {
	d := said(chat.General, bob, "hello everybody, this is what people say all day: "+strconv.Itoa(len(c.entries)))
	d.DisplaySeq, d.Seq = uint64(len(c.entries)+1), uint64(len(c.entries)+1)
	c.entries = append(c.entries, d)
	return []chat.Span{{Room: d.Room, Entries: c.entries[len(c.entries)-1:]}}
}

// Before is that of Options.Past for all rooms. Orders count from 1, so a place is found at once, as the hub's search nearly does.
func (c *crowd) Before(room chat.RoomName, before uint64, n int) []chat.Message {
	end := len(c.entries)
	if before > 0 {
		end = min(end, int(before-1))
	}
	return c.entries[max(0, end-n):end]
}

func (c *crowd) First() uint64 { return 0 }

func (c *crowd) After(room chat.RoomName, after uint64, n int) ([]chat.Message, bool) {
	begin := min(len(c.entries), int(after))
	return c.entries[begin:min(len(c.entries), begin+n)], false
}

func (c *crowd) full(width, height int) *Full {
	f := NewFull(Options{Me: ann, Width: width, Height: height, Term: "xterm-256color", Server: "chat.example", Lines: c.lines, Past: c})
	f.Enter(chat.General)
	f.Rooms([]Room{{Name: chat.General, Topic: "what we build", Here: 3, Members: 9}, {Name: dev, Unread: 3}, {Name: text.Direct(ann, bob)}})
	f.Flush()
	return f
}

// BenchmarkFullDeliver is one message in the room that is shown, drawn at once.
func BenchmarkFullDeliver(b *testing.B) {
	for _, size := range []struct{ width, height int }{{80, 24}, {200, 50}} {
		b.Run(fmt.Sprintf("%dx%d", size.width, size.height), func(b *testing.B) {
			c := newCrowd(200)
			f := c.full(size.width, size.height)
			written := 0
			b.ReportAllocs()
			for b.Loop() {
				f.Deliver(c.says())
				written += len(f.Flush())
				f.Done()
			}
			b.ReportMetric(float64(written)/float64(b.N), "written/op")
		})
	}
}

// BenchmarkFullCrowd is the same for one of a hundred who are shown it: the rendered rows are shared.
func BenchmarkFullCrowd(b *testing.B) {
	c := newCrowd(200)
	sessions := make([]*Full, 100)
	for i := range sessions {
		sessions[i] = c.full(80, 24)
	}
	var spans []chat.Span
	written := 0
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		f := sessions[n%len(sessions)]
		if n%len(sessions) == 0 {
			spans = c.says()
		}
		f.Deliver(spans)
		written += len(f.Flush())
		f.Done()
	}
	b.ReportMetric(float64(written)/float64(b.N), "written/op")
}

// BenchmarkFullElsewhere is one message in another room, which changes the bar.
func BenchmarkFullElsewhere(b *testing.B) {
	c := newCrowd(200)
	f := c.full(80, 24)
	rooms := []Room{{Name: chat.General, Topic: "what we build", Here: 3, Members: 9}, {Name: dev}}
	d := spansOf(said(dev, bob, "hello"))
	written := 0
	b.ReportAllocs()
	for b.Loop() {
		rooms[1].Unread++
		f.Deliver(d)
		f.Rooms(rooms)
		written += len(f.Flush())
	}
	b.ReportMetric(float64(written)/float64(b.N), "written/op")
}

func BenchmarkFullType(b *testing.B) {
	f := newCrowd(200).full(80, 24)
	keys := [][]byte{[]byte("a"), {0x7f}}
	written := 0
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		f.Input(keys[n%2])
		written += len(f.Flush())
	}
	b.ReportMetric(float64(written)/float64(b.N), "written/op")
}

// BenchmarkFullResize is a full redraw.
func BenchmarkFullResize(b *testing.B) {
	f := newCrowd(200).full(80, 24)
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		f.Resize(80+n%2, 24)
		f.Flush()
	}
}

// BenchmarkFullOverlay is a key typed under a long list.
func BenchmarkFullOverlay(b *testing.B) {
	f := newCrowd(200).full(80, 24)
	f.Show("history", strings.Repeat("12:34 bob: what somebody said, in a row or two of the list that is shown over the messages\n", 1000))
	f.Flush()
	keys := [][]byte{[]byte("\x1b[5~"), []byte("\x1b[6~")}
	for n := 0; b.Loop(); n++ {
		f.Input(keys[n%2])
		f.Flush()
	}
}

// BenchmarkFullHostile is what the costliest keys cost, in the longest line there can be and the longest log.
func BenchmarkFullHostile(b *testing.B) {
	for name, keys := range map[string]string{
		"kill and yank": "\x01\x0b\x19",
		"up and down":   "\x1b[A\x1b[B",
		"rows up":       "\x1b[A\x1b[A\x1b[A\x1b[A",
		"scroll":        "\x1b[5~\x1b[5~\x1b[5~\x1b[6~\x1b[6~\x1b[6~",
		"scroll far":    "\x1b[5~",
		"wheel":         "\x1b[<64;1;1M\x1b[<65;1;1M",
		"bell":          "\x1b1",
		"redraw":        "\f",
	} {
		b.Run(name, func(b *testing.B) {
			c := newCrowd(chat.LogLines)
			f := c.full(MaxWidth, MaxHeight)
			text := make([]byte, 0, editor.MaxLine)
			for len(text) < editor.MaxLine-8 {
				text = append(text, "\U0001F1E9\U0001F1EA"...)
			}
			f.Input(text)
			f.Flush()
			chunk := []byte{}
			for len(chunk) < 1000 {
				chunk = append(chunk, keys...)
			}
			for b.Loop() {
				f.Input(chunk)
				f.Flush()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(chunk)), "ns/byte")
		})
	}
}

// maxIdleFull is what a full screen of 80x24 may cost while nothing happens, in bytes.
const maxIdleFull = 4 << 10

func TestFullIdleSize(t *testing.T) {
	sessions := make([]*Full, 1000)
	c := newCrowd(200)
	c.full(80, 24)
	before := heap()
	for i := range sessions {
		f := c.full(80, 24)
		f.Input([]byte("hello\x1b[D\x1b[D\x15hello\r"))
		for range 10 {
			f.Deliver(spansOf(c.entries[len(c.entries)-1]))
			f.Flush()
			f.Done()
		}
		sessions[i] = f
	}
	size := (heap() - before) / uint64(len(sessions))
	t.Logf("an idle Full takes %d bytes", size)
	if size > maxIdleFull {
		t.Errorf("an idle Full takes %d bytes, more than %d", size, maxIdleFull)
	}
	runtime.KeepAlive(sessions)
}
