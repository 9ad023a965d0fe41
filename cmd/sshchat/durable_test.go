package main

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
	"sshchat/store"
	"sshchat/store/accounts"
	"sshchat/store/audit"
	"sshchat/store/history"
	"sshchat/store/journal"

	"golang.org/x/crypto/ssh"
)

// slow is a journal on a disk that takes so long for each batch, besides its own time.
type slow struct {
	*journal.Journal
	by time.Duration
}

func (s slow) Append(b chat.Batch) error {
	time.Sleep(s.by)
	return s.Journal.Append(b)
}

// durableHub is a hub whose messages are stored on this machine's disk, and #general has so many members.
func durableHub(b *testing.B, members int, by time.Duration) (*chat.Hub, []chat.Name, *history.History) {
	b.Helper()
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	folder, err := store.HoldFolder(filepath.Join(b.TempDir(), "data"))
	if err != nil {
		b.Fatal(err)
	}
	users, err := accounts.Open(folder.Path, accounts.Options{WorkFactor: 4, FlushEvery: time.Millisecond, Log: log})
	if err != nil {
		b.Fatal(err)
	}
	names := make([]chat.Name, members)
	parts := users.View().Parts()
	general := chat.RoomState{Name: chat.General}
	for i := range names {
		a := member(b, users, i)
		names[i] = a.Name
		parts.Accounts = append(parts.Accounts, a)
		general.Members = append(general.Members, chat.Member{Name: a.Name, Since: 1})
	}
	parts.Rooms = []chat.RoomState{general}
	if err := users.Append(accounts.Change{Before: users.View().State, After: chat.NewState(parts), At: time.Now()}); err != nil {
		b.Fatal(err)
	}
	history, err := history.Open(folder.Path, history.Options{Recipients: users.Recipients, Rooms: users.View().Rooms(), Log: log})
	if err != nil {
		b.Fatal(err)
	}
	acts, err := audit.Open(folder.Path, time.Now, log)
	if err != nil {
		b.Fatal(err)
	}
	stored, err := journal.New(users, history, acts, log)
	if err != nil {
		b.Fatal(err)
	}
	hub := chat.NewHub(chat.Config{
		Journal: slow{stored, by}, State: users.View().State, Last: history.Last(), Clock: users.Moment, Log: log,
	})
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- hub.Run(ctx) }()
	b.Cleanup(func() {
		stop()
		<-ended
		history.Close()
		acts.Close()
		users.Close()
		folder.Release()
	})
	return hub, names, history
}

func newKey(b *testing.B) chat.Key {
	public, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		b.Fatal(err)
	}
	sshKey, err := ssh.NewPublicKey(public)
	if err != nil {
		b.Fatal(err)
	}
	key, err := accounts.ParseKey(string(ssh.MarshalAuthorizedKey(sshKey)))
	if err != nil {
		b.Fatal(err)
	}
	return key
}

func member(b *testing.B, users *accounts.Store, i int) chat.Account {
	key := newKey(b)
	name, err := text.ParseName(fmt.Sprintf("member%d", i))
	if err != nil {
		b.Fatal(err)
	}
	a, err := users.NewAccount(context.Background(), name, chat.User, []chat.Key{key}, nil)
	if err != nil {
		b.Fatal(err)
	}
	return a
}

// BenchmarkDurable is messages that were on the disk when they were acknowledged, by so many who wait for each of theirs.
func BenchmarkDurable(b *testing.B) {
	said, err := text.ParseText("hello, world")
	if err != nil {
		b.Fatal(err)
	}
	for _, by := range []time.Duration{0, 10 * time.Millisecond} {
		for _, posters := range []int{1, 64, 256} {
			b.Run(fmt.Sprintf("slower=%v/posters=%d", by, posters), func(b *testing.B) {
				hub, names, _ := durableHub(b, 10, by)
				b.ResetTimer()
				var posting sync.WaitGroup
				for p := range posters {
					posting.Go(func() {
						for i := p; i < b.N; i += posters {
							if _, err := hub.Post(context.Background(), poster(hub, names[p%10]), chat.General, chat.Say, said); err != nil {
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

// BenchmarkFirstMessageAfterAChange is how long the first message after a change of the room's readers takes to be durable,
// and how long one in another room takes meanwhile: all of the room's readers are sealed to anew. A join is as often as a
// room's size has it; a ban does not wait for what is made ahead, and may meet a room where nothing is.
func BenchmarkFirstMessageAfterAChange(b *testing.B) {
	said, err := text.ParseText("hello, world")
	if err != nil {
		b.Fatal(err)
	}
	ctx := context.Background()
	for _, readers := range []int{10, 1_000, 10_000} {
		hub, names, _ := durableHub(b, readers, 0)
		other, err := makeRoom(ctx, hub, names[2])
		if err != nil {
			b.Fatal(err)
		}
		post := func(from chat.Name, room chat.RoomName) time.Duration {
			begun := time.Now()
			if _, err := hub.Post(ctx, poster(hub, from), room, chat.Say, said); err != nil {
				b.Error(err)
			}
			return time.Since(begun)
		}
		post(names[0], chat.General) // with the first message the history's file gets its room, in this folder that nobody has used
		disable := func(disabled bool) error {
			a, _ := hub.View().ByName(names[1])
			return hub.Decide(ctx, chat.TheServer, chat.Disable{ID: a.ID, Disabled: disabled}, nil)
		}
		for _, c := range []struct {
			name   string
			change func() error
		}{
			{"join", func() error { return hub.Reseal(ctx, names[1]) }},
			{"ban", func() error { return errors.Join(disable(false), disable(true)) }},
		} {
			b.Run(fmt.Sprintf("readers=%d/%s", readers, c.name), func(b *testing.B) {
				var beside, after time.Duration
				for b.Loop() {
					b.StopTimer()
					if err := c.change(); err != nil { // who joins waits here
						b.Fatal(err)
					}
					var elsewhere sync.WaitGroup
					var took time.Duration
					elsewhere.Go(func() { took = post(names[2], other) })
					b.StartTimer()
					after += post(names[0], chat.General)
					b.StopTimer()
					elsewhere.Wait()
					beside += took
					b.StartTimer()
				}
				b.ReportMetric(float64(after.Microseconds())/1000/float64(b.N), "ms/message")
				b.ReportMetric(float64(beside.Microseconds())/1000/float64(b.N), "ms/elsewhere")
			})
		}
	}
}

// BenchmarkKeysInALoop is how long others' messages take in a room while one of its members adds a key and removes it, as
// fast as the server lets them, and by how much the history grows for each message; against the same without.
func BenchmarkKeysInALoop(b *testing.B) {
	said, err := text.ParseText("hello, world")
	if err != nil {
		b.Fatal(err)
	}
	const every = 20 * time.Millisecond
	for _, readers := range []int{1_000, 10_000} {
		for _, loops := range []bool{false, true} {
			b.Run(fmt.Sprintf("readers=%d/loops=%v", readers, loops), func(b *testing.B) {
				hub, names, stored := durableHub(b, readers, 0)
				ctx, stop := context.WithCancel(context.Background())
				var looping sync.WaitGroup
				changes := 0
				if loops {
					looping.Go(func() { changes = addAndRemove(ctx, b, hub, names[1]) })
				}
				if err := post(hub, names[0], said); err != nil {
					b.Fatal(err)
				}
				before, _ := stored.Size()
				took := make([]time.Duration, 0, b.N)
				for b.Loop() {
					begun := time.Now()
					if err := post(hub, names[0], said); err != nil {
						b.Fatal(err)
					}
					took = append(took, time.Since(begun))
					time.Sleep(every - min(every, took[len(took)-1]))
				}
				after, _ := stored.Size()
				stop()
				looping.Wait()
				slices.Sort(took)
				b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "ms/p50")
				b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "ms/p99")
				b.ReportMetric(float64(took[len(took)-1].Microseconds())/1000, "ms/max")
				b.ReportMetric(float64(after-before)/float64(len(took)), "B/message")
				b.ReportMetric(float64(changes), "changes")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

func post(hub *chat.Hub, from chat.Name, said chat.Text) error {
	_, err := hub.Post(context.Background(), poster(hub, from), chat.General, chat.Say, said)
	return err
}

// addAndRemove adds a key and removes it until ctx ends, and returns how many changes there were.
func addAndRemove(ctx context.Context, b *testing.B, hub *chat.Hub, name chat.Name) (changes int) {
	a, _ := hub.View().ByName(name)
	who := chat.Caller{Name: name, Login: chat.Login{Account: a.ID, Key: a.Keys[0].Fingerprint}}
	for ctx.Err() == nil {
		key := newKey(b)
		if err := hub.Decide(ctx, who, chat.AddKeys{ID: a.ID, Keys: []chat.Key{key}}, nil); err != nil {
			time.Sleep(10 * time.Millisecond) // too often
			continue
		}
		if err := hub.Decide(ctx, who, chat.RemoveKey{ID: a.ID, Fingerprint: key.Fingerprint}, nil); err != nil {
			b.Error(err)
		}
		changes += 2
	}
	return changes
}

func makeRoom(ctx context.Context, hub *chat.Hub, by chat.Name) (room chat.RoomName, err error) {
	if room, err = text.ParseRoomName("elsewhere"); err != nil {
		return room, err
	}
	return room, hub.Decide(ctx, poster(hub, by), chat.JoinRoom{Room: room}, nil)
}

// poster is somebody who has logged in with their key.
func poster(hub *chat.Hub, name chat.Name) chat.Caller {
	a, _ := hub.View().ByName(name)
	return chat.Caller{Name: name, Login: chat.Login{Account: a.ID, Key: a.Keys[0].Fingerprint}}
}
