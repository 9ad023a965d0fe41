package main

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/store"

	"golang.org/x/crypto/ssh"
)

// slow is a journal on a disk that takes so long for each commit, besides its own time.
type slow struct {
	chat.Journal
	by time.Duration
}

func (s slow) Commit(events []chat.Event) error {
	time.Sleep(s.by)
	return s.Journal.Commit(events)
}

// durableHub is a hub whose messages are stored on this machine's disk, and #general has so many members.
func durableHub(b *testing.B, members int, by time.Duration) (*chat.Hub, []chat.Name) {
	b.Helper()
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	folder, err := store.HoldFolder(filepath.Join(b.TempDir(), "data"))
	if err != nil {
		b.Fatal(err)
	}
	users, err := store.OpenUsers(folder.Path, store.UsersOptions{WorkFactor: 4, Log: log})
	if err != nil {
		b.Fatal(err)
	}
	names := make([]chat.Name, members)
	var making sync.WaitGroup
	for part := range 64 { // changes of accounts that come together are written together
		making.Go(func() {
			for i := part; i < members; i += 64 {
				names[i] = member(b, users, i)
			}
		})
	}
	making.Wait()
	history, err := store.OpenHistory(folder.Path, store.HistoryOptions{Recipients: users.Recipients, Rooms: users.Rooms(), Log: log})
	if err != nil {
		b.Fatal(err)
	}
	hub := chat.NewHub(slow{history, by}, users, nil, users.Rooms(), log)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- hub.Run(ctx) }()
	b.Cleanup(func() {
		stop()
		<-ended
		history.Close()
		users.Close()
		folder.Release()
	})
	return hub, names
}

func member(b *testing.B, users *store.Users, i int) chat.Name {
	public, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		b.Fatal(err)
	}
	sshKey, err := ssh.NewPublicKey(public)
	if err != nil {
		b.Fatal(err)
	}
	key, err := store.ParseKey(string(ssh.MarshalAuthorizedKey(sshKey)))
	if err != nil {
		b.Fatal(err)
	}
	name, err := chat.ParseName(fmt.Sprintf("member%d", i))
	if err != nil {
		b.Fatal(err)
	}
	if _, err := users.Create(name, chat.User, []chat.Key{key}, nil, 1); err != nil {
		b.Fatal(err)
	}
	return name
}

// BenchmarkDurable is messages that were on the disk when they were acknowledged, by so many who wait for each of theirs.
func BenchmarkDurable(b *testing.B) {
	text, err := chat.ParseText("hello, world")
	if err != nil {
		b.Fatal(err)
	}
	for _, by := range []time.Duration{0, 10 * time.Millisecond} {
		for _, posters := range []int{1, 64, 256} {
			b.Run(fmt.Sprintf("slower=%v/posters=%d", by, posters), func(b *testing.B) {
				hub, names := durableHub(b, 10, by)
				b.ResetTimer()
				var posting sync.WaitGroup
				for p := range posters {
					posting.Go(func() {
						for i := p; i < b.N; i += posters {
							if _, err := hub.Post(context.Background(), names[p%10], chat.General, chat.Say, text); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				posting.Wait()
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
			})
		}
	}
}

// BenchmarkFirstMessageAfterAChange is how long the first message after a change of the room's readers takes to be durable:
// all of them are sealed to anew.
func BenchmarkFirstMessageAfterAChange(b *testing.B) {
	text, err := chat.ParseText("hello, world")
	if err != nil {
		b.Fatal(err)
	}
	for _, readers := range []int{10, 1000} {
		b.Run(fmt.Sprintf("readers=%d", readers), func(b *testing.B) {
			hub, names := durableHub(b, readers, 0)
			for b.Loop() {
				b.StopTimer()
				if err := hub.Rekey(context.Background(), names[1], chat.Revoke); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
				if _, err := hub.Post(context.Background(), names[0], chat.General, chat.Say, text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
