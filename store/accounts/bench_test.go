package accounts

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/chat/journaltest"
	"sshchat/store/durable"
)

// large writes the users.json of a large server.
func large(tb testing.TB, dir string) {
	tb.Helper()
	parts := journaltest.Large(tb, func() chat.Key { return newKey(tb) })
	b, err := encode(chat.NewState(parts), 0)
	if err != nil {
		tb.Fatal(err)
	}
	writeUsers(tb, dir, string(b))
}

// BenchmarkChange is one change of a large server at a time, as who asks for it waits, while users.json is written now and then.
func BenchmarkChange(b *testing.B) {
	dir := b.TempDir()
	large(b, dir)
	u, err := Open(dir, Options{WorkFactor: 4})
	if err != nil {
		b.Fatal(err)
	}
	defer u.Close()
	target := func(i int) chat.Sanction {
		return chat.Sanction{Net: netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 51, byte(i % 9999 >> 8), byte(i % 9999)}), 32)}
	}
	for _, kind := range []struct {
		name string
		in   func(i int) chat.Intent
	}{
		{"topic", func(i int) chat.Intent { return chat.SetTopic{Room: chat.General, Topic: fmt.Sprint("topic ", i)} }},
		{"mute", func(i int) chat.Intent {
			return chat.Mute{Sanction: chat.Sanction{User: name(fmt.Sprintf("member-%x", 1+i%9000))}}
		}},
		{"setting", func(i int) chat.Intent {
			return chat.SetSetting{ID: fmt.Sprintf("%032x", i%9000), Name: "bell", Value: fmt.Sprint(i)}
		}},
		{"ban", func(i int) chat.Intent {
			s := target(i)
			s.Why = fmt.Sprint("spam ", i)
			return chat.Ban{Sanction: s, Force: true}
		}},
		{"room", func(i int) chat.Intent { return chat.CreateRoom{Room: roomName(fmt.Sprintf("new-%x", i))} }},
	} {
		b.Run(kind.name, func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				if _, err := u.Decide(chat.TheServer, kind.in(i)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("join", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			a, _ := u.View().ByName(name(fmt.Sprintf("member-%x", i%9000)))
			in := chat.Intent(chat.JoinRoom{Room: roomName(fmt.Sprintf("room-%x", (i*13+i/9000+5)%2000)), Since: 1, MustExist: true})
			if _, err := u.Decide(callerOf(a), in); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkSyncBeside is what a message waits for while a large server is changed without a pause, and users.json written once
// a second: a write of 1 KiB over what is there, and its sync, in the same folder. The control is the same without changes.
func BenchmarkSyncBeside(b *testing.B) {
	dir := b.TempDir()
	large(b, dir)
	u, err := Open(dir, Options{WorkFactor: 4})
	if err != nil {
		b.Fatal(err)
	}
	defer u.Close()
	path := filepath.Join(dir, "messages")
	if err := os.WriteFile(path, make([]byte, 8<<20), 0o600); err != nil {
		b.Fatal(err)
	}
	for _, changed := range []bool{false, true} {
		b.Run(fmt.Sprintf("changed=%v", changed), func(b *testing.B) {
			f, err := durable.OS{}.Open(path)
			if err != nil {
				b.Fatal(err)
			}
			defer f.Close()
			if err := f.Sync(); err != nil {
				b.Fatal(err)
			}
			stop, done := make(chan struct{}), make(chan error)
			go func() {
				for i := 0; ; i++ {
					select {
					case <-stop:
						done <- nil
						return
					case <-time.After(10 * time.Millisecond):
					}
					if changed {
						if err := u.decide(chat.SetTopic{Room: chat.General, Topic: fmt.Sprint("topic ", i)}); err != nil {
							done <- err
							return
						}
					}
				}
			}()
			var took []time.Duration
			for i := 0; b.Loop(); i++ {
				time.Sleep(2 * time.Millisecond)
				begun := time.Now()
				if _, err := f.WriteAt(make([]byte, 1<<10), int64(i%8000)<<10); err != nil {
					b.Fatal(err)
				}
				if err := f.Sync(); err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(begun))
			}
			close(stop)
			if err := <-done; err != nil {
				b.Fatal(err)
			}
			slices.Sort(took)
			for what, share := range map[string]float64{"p50": 0.5, "p90": 0.9, "p99": 0.99, "p999": 0.999} {
				b.ReportMetric(float64(took[int(share*float64(len(took)))].Microseconds())/1000, what+"-ms")
			}
		})
	}
}

// BenchmarkOpen is the start of a large server.
func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	large(b, dir)
	info, err := os.Stat(filepath.Join(dir, "users.json"))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(info.Size()), "bytes")
	for b.Loop() {
		u, err := Open(dir, Options{WorkFactor: 4})
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := u.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

// BenchmarkEncode is what one users.json of a large server costs.
func BenchmarkEncode(b *testing.B) {
	dir := b.TempDir()
	large(b, dir)
	u := open(b, dir)
	for b.Loop() {
		if _, err := encode(u.View().State, 1); err != nil {
			b.Fatal(err)
		}
	}
}
