package journal_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/chat/journaltest"
	"sshchat/sshchat/text"
	"sshchat/store/accounts"
)

// openLarge is a large server on the disk, as servers run.
func openLarge(b *testing.B) *folder {
	b.Helper()
	d := onDisk(b)
	f, err := openFolder(d, settings{flush: time.Second})
	if err != nil {
		b.Fatal(err)
	}
	parts := journaltest.Large(b, func() chat.Key { return newPerson(b, "member").key })
	large := chat.NewState(parts)
	c := accounts.Change{Before: f.accounts.View().State, After: large}
	if err := errors.Join(f.accounts.Append(c), f.close()); err != nil {
		b.Fatal(err)
	}
	if f, err = openFolder(d, settings{flush: time.Second}); err != nil { // rooms and their readers are those of the start
		b.Fatal(err)
	}
	return f
}

// BenchmarkMessageBesideChanges is what a message of a small room waits for while something is changed 20 times a second, with
// 10 000 accounts, and users.json written each second. The control is the same without changes.
func BenchmarkMessageBesideChanges(b *testing.B) {
	f := openLarge(b)
	h := f.hub(nil, 0)
	stop := run(h)
	defer func() {
		if err := errors.Join(stop(), f.close()); err != nil {
			b.Error(err)
		}
	}()
	ctx := context.Background()
	alice := newPerson(b, "alice")
	dev, err := text.ParseRoomName("dev")
	if err := errors.Join(err, alice.enrol(f, h, chat.Admin), h.Decide(ctx, alice.Caller, chat.JoinRoom{Room: dev}, nil)); err != nil {
		b.Fatal(err)
	}
	kinds := map[string]func(i int) chat.Intent{
		"nothing": nil,
		"topic":   func(i int) chat.Intent { return chat.SetTopic{Room: chat.General, Topic: fmt.Sprint("topic ", i)} },
		"mute": func(i int) chat.Intent {
			name, _ := text.ParseName(fmt.Sprintf("member-%x", 1+i%9000))
			return chat.Mute{Sanction: chat.Sanction{User: name}}
		},
		"setting": func(i int) chat.Intent {
			return chat.SetSetting{ID: fmt.Sprintf("%032x", i%9000), Name: "bell", Value: fmt.Sprint(i)}
		},
	}
	for _, kind := range []string{"nothing", "topic", "mute", "setting"} {
		b.Run(kind, func(b *testing.B) {
			until, end := context.WithCancel(ctx)
			ended := make(chan []time.Duration)
			go func() {
				var took []time.Duration
				defer func() { ended <- took }()
				for i := 0; kinds[kind] != nil; i++ {
					select {
					case <-until.Done():
						return
					case <-time.After(50 * time.Millisecond):
					}
					begun := time.Now()
					if err := h.Decide(ctx, chat.TheServer, kinds[kind](i), nil); err != nil {
						b.Error(err)
						return
					}
					took = append(took, time.Since(begun))
				}
			}()
			var took []time.Duration
			for b.Loop() {
				time.Sleep(5 * time.Millisecond)
				begun := time.Now()
				if err := alice.say(h, dev, "hello"); err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(begun))
			}
			end()
			report(b, "message", took)
			report(b, "change", <-ended)
		})
	}
}

func report(b *testing.B, what string, took []time.Duration) {
	slices.Sort(took)
	for name, share := range map[string]float64{"p50": 0.5, "p90": 0.9, "p99": 0.99} {
		if len(took) > 0 {
			b.ReportMetric(float64(took[int(share*float64(len(took)))].Microseconds())/1000, what+"-"+name+"-ms")
		}
	}
}
