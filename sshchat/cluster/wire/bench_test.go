package wire

import (
	"fmt"
	"net/netip"
	"testing"

	"sshchat/sshchat/chat"
	"sshchat/store/journal"
)

var address = netip.MustParseAddr("192.0.2.7")

// batchOf is a batch of so many messages, with a record for each.
func batchOf(b *testing.B, n int) journal.Sealed {
	s := talk(b, n)
	s.Batch.Events = s.Batch.Events[:n]
	s.Batch.Answers = s.Batch.Answers[:n]
	return s
}

func BenchmarkEncodeBatch(b *testing.B) {
	for _, n := range []int{1, 16, 256} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := batchOf(b, n)
			size := 0
			for b.Loop() {
				entry, texts, err := EncodeBatch(s)
				if err != nil {
					b.Fatal(err)
				}
				size = len(entry) + len(texts)
			}
			perMessage(b, n, size)
		})
	}
}

func BenchmarkDecodeBatch(b *testing.B) {
	for _, n := range []int{1, 16, 256} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			entry, texts, err := EncodeBatch(batchOf(b, n))
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				s, err := DecodeBatch(entry)
				if err == nil {
					err = AddTexts(&s, texts)
				}
				if err != nil {
					b.Fatal(err)
				}
			}
			perMessage(b, n, len(entry)+len(texts))
		})
	}
}

// perMessage reports what one message takes.
func perMessage(b *testing.B, n, size int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/message")
	b.ReportMetric(float64(size)/float64(n), "bytes/message")
}

// ask is a request to say something, as most are.
func ask(b *testing.B) chat.Request {
	return chat.Request{
		ID: chat.RequestID{Origin: 1 << 63, N: 1000}, Settled: 990,
		Who: chat.Caller{
			Login: chat.Login{Account: "0123456789abcdef0123456789abcdef", Key: "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"},
			Name:  name(b, "ann"), Addr: address, Key: "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", Verified: true,
		},
		Intent: chat.Post{Room: chat.General, Kind: chat.Say, Text: words(b, "what people say to each other is mostly short")},
	}
}

func BenchmarkEncodeRequest(b *testing.B) {
	b.ReportAllocs()
	r := ask(b)
	for b.Loop() {
		if _, err := EncodeRequest(r); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeRequest(b *testing.B) {
	b.ReportAllocs()
	encoded, err := EncodeRequest(ask(b))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := DecodeRequest(encoded); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(encoded)), "bytes")
}
