package view

import (
	"runtime"
	"strings"
	"testing"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
	"sshchat/sshchat/view/editor"
)

// BenchmarkPlainDeliver is one message shown above a prompt with a draft, flushed at once.
func BenchmarkPlainDeliver(b *testing.B) {
	for name, text := range map[string]string{
		"short": "hello everybody",
		"long":  "a message of some length that has to be wrapped at least once, for no terminal is as wide as it is long",
		"wide":  "日本語のテキストと👩‍👩‍👧‍👦の絵文字",
	} {
		b.Run(name, func(b *testing.B) {
			p := NewPlain(Options{Me: ann, Width: 80, Height: 24})
			p.Enter(chat.General)
			p.Input([]byte("a draft"))
			ds := spansOf(said(chat.General, bob, text))
			var bytes int
			b.ReportAllocs()
			for b.Loop() {
				p.Deliver(ds)
				bytes += len(p.Flush())
				p.Done()
			}
			b.ReportMetric(float64(bytes)/float64(b.N), "written/op")
		})
	}
}

// BenchmarkPlainDeliverBatch is a message among many that are flushed together, as a busy room has them.
func BenchmarkPlainDeliverBatch(b *testing.B) {
	p := NewPlain(Options{Me: ann, Width: 80, Height: 24})
	p.Enter(chat.General)
	ms := make([]chat.Message, 100)
	for i := range ms {
		ms[i] = said(chat.General, bob, "hello everybody")
	}
	spans := []chat.Span{{Room: chat.General, Entries: ms}}
	var bytes int
	for n := 0; b.Loop(); n++ {
		if n%len(ms) == 0 {
			p.Deliver(spans)
			bytes += len(p.Flush())
			p.Done()
		}
	}
}

func BenchmarkPlainType(b *testing.B) {
	p := NewPlain(Options{Me: ann, Width: 80, Height: 24})
	p.Enter(chat.General)
	keys := [][]byte{[]byte("a"), {0x7f}}
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		p.Input(keys[n%2])
		p.Flush()
	}
}

// BenchmarkHostile is what the costliest keys cost, in the longest line there can be.
func BenchmarkHostile(b *testing.B) {
	for name, keys := range map[string]string{
		"kill and yank": "\x01\x0b\x19",
		"history":       "\x1b[A\x1b[B",
		"to and fro":    "\x01\x05\x02\x02",
		"words":         "\x1bb\x1bf",
	} {
		b.Run(name, func(b *testing.B) {
			p := NewPlain(Options{Me: ann, Width: 80, Height: 24})
			p.Enter(chat.General)
			p.Input([]byte(strings.Repeat("🇩🇪", text.MaxText/8) + "\r" + strings.Repeat("日", editor.MaxLine/3)))
			for b.Loop() {
				p.Input([]byte(keys))
				p.Flush()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(keys)), "ns/byte")
		})
	}
}

// maxIdle is what a UI may cost while nothing happens, in bytes.
const maxIdle = 4 << 10

func TestIdleSize(t *testing.T) {
	sessions := make([]*Plain, 1000)
	before := heap()
	for i := range sessions {
		p := NewPlain(Options{Me: ann, Width: 80, Height: 24})
		p.Enter(chat.General)
		p.Input([]byte("hello\x1b[D\x1b[D\x15hello\r"))
		for range 10 {
			p.Deliver(spansOf(said(chat.General, bob, "hello everybody")))
			p.Flush()
			p.Done()
		}
		sessions[i] = p
	}
	size := (heap() - before) / uint64(len(sessions))
	t.Logf("an idle Plain takes %d bytes", size)
	if size > maxIdle {
		t.Errorf("an idle Plain takes %d bytes, more than %d", size, maxIdle)
	}
	runtime.KeepAlive(sessions)
}

func heap() uint64 {
	runtime.GC()
	runtime.GC() // pools are emptied by the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
