package peer

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// BenchmarkCall is 256 callers over one server, with requests as long as a post.
func BenchmarkCall(b *testing.B) {
	r := newRig(b)
	from, to := r.process("a"), r.silent("b")
	reply := []byte("stored")
	to.Handle("post", func(context.Context, string, []byte) ([]byte, error) { return reply, nil })
	r.listen(to)
	request := make([]byte, 300)
	b.ReportAllocs()
	b.SetParallelism(128) // times the number of cores
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := from.Call(context.Background(), "b", "post", request); err != nil {
				b.Error(err)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
}

// BenchmarkCallAlone is one caller.
func BenchmarkCallAlone(b *testing.B) {
	r := newRig(b)
	from, to := r.process("a"), r.silent("b")
	to.Handle("post", func(context.Context, string, []byte) ([]byte, error) { return nil, nil })
	r.listen(to)
	request := make([]byte, 300)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := from.Call(context.Background(), "b", "post", request); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRequest is the same calls by NATS alone, not sealed.
func BenchmarkRequest(b *testing.B) {
	r := newRig(b)
	from, to := r.connect(), r.connect()
	if _, err := to.Subscribe("sshchat.node.bare", func(m *nats.Msg) { go m.Respond([]byte("stored")) }); err != nil {
		b.Fatal(err)
	}
	if err := to.Flush(); err != nil {
		b.Fatal(err)
	}
	request := make([]byte, 300)
	b.ReportAllocs()
	b.SetParallelism(128)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := from.Request("sshchat.node.bare", request, time.Minute); err != nil {
				b.Error(err)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
}

func BenchmarkChain(b *testing.B) {
	c := NewChain()
	n, key := c.Key()
	r, err := NewReceiver(n, key)
	if err != nil {
		b.Fatal(err)
	}
	plain := make([]byte, 300)
	b.ReportAllocs()
	for b.Loop() {
		n, packet := c.Seal(nil, plain)
		if _, err := r.Open(nil, n, packet); err != nil {
			b.Fatal(err)
		}
	}
}
