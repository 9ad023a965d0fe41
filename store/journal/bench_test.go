package journal

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
	"sshchat/store/accounts"
	"sshchat/store/audit"
	"sshchat/store/durable"
	"sshchat/store/history"

	"golang.org/x/crypto/ssh"
)

// large writes the users.json of a large server: 10 000 accounts, 2 000 rooms with 30 000 members beside those of #general, and
// 10 000 bans.
func large(tb testing.TB, dir string) {
	tb.Helper()
	const people, rooms, bans = 10_000, 2_000, 10_000
	const at = "2026-01-02T03:04:05Z"
	var b bytes.Buffer
	list := func(n int, one func(i int)) {
		for i := range n {
			if i > 0 {
				b.WriteString(",")
			}
			b.WriteString("\n")
			one(i)
		}
	}
	b.WriteString(`{"format":"sshchat-users/2","upto":0,"users":[`)
	list(people, func(i int) {
		public, _, err := ed25519.GenerateKey(nil)
		if err != nil {
			tb.Fatal(err)
		}
		key, err := ssh.NewPublicKey(public)
		if err != nil {
			tb.Fatal(err)
		}
		fmt.Fprintf(&b, `{"id":"%032x","name":"member-%x","role":"user","created":%q,"seen":"2026-01-02","settings":{"zone":"Europe/Berlin"},`+
			`"keys":[{"key":%q,"label":"laptop","added":%q,"only":[]}]}`, i, i, at, bytes.TrimSpace(ssh.MarshalAuthorizedKey(key)), at)
	})
	b.WriteString(`],"rooms":[{"name":"general","topic":"","private":false,"members":[`)
	list(people, func(i int) { fmt.Fprintf(&b, `{"name":"member-%x","since":1}`, i) })
	b.WriteString("]},")
	list(rooms, func(i int) {
		fmt.Fprintf(&b, `{"name":"room-%x","topic":"what it is about","private":false,"members":[`, i)
		list(3*people/rooms, func(j int) { fmt.Fprintf(&b, `{"name":"member-%x","since":1}`, (i+j*rooms/7*3+j)%people) })
		b.WriteString("]}")
	})
	b.WriteString(`],"bans":[`)
	list(bans, func(i int) {
		fmt.Fprintf(&b, `{"ip":"198.51.%d.%d/32","by":"member-0","at":%q,"why":"spam"}`, i>>8, i&0xff, at)
	})
	b.WriteString("]}\n")
	if err := os.WriteFile(filepath.Join(dir, "users.json"), b.Bytes(), 0o600); err != nil {
		tb.Fatal(err)
	}
}

// openLarge is a large server on the disk, as servers run.
func openLarge(b *testing.B) *folder {
	b.Helper()
	dir := b.TempDir()
	large(b, dir)
	f := &folder{disk: durable.OS{}}
	var err error
	if f.accounts, err = accounts.Open(dir, accounts.Options{WorkFactor: 4}); err != nil {
		b.Fatal(err)
	}
	state := f.accounts.View().State
	f.history, err = history.Open(dir, history.Options{Recipients: f.accounts.Recipients, State: state, Rooms: state.Rooms(), Log: quiet})
	if err != nil {
		b.Fatal(err)
	}
	if f.audit, err = audit.Open(dir, time.Now, quiet); err != nil {
		b.Fatal(err)
	}
	if f.Journal, err = New(f.accounts, f.history, f.audit, quiet); err != nil {
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
