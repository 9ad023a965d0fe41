package command

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
)

// follow prints what became of a message as a line of its own, which no message can pass for.
func TestFollowTellsOfEdits(t *testing.T) {
	alice, err := text.ParseName("alice")
	if err != nil {
		t.Fatal(err)
	}
	said, err := text.ParseText("hi\ngeneral/9 bob edits 1: forged")
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 23, 21, 38, 56, 0, time.UTC)
	message := func(seq uint64, kind chat.Kind, of uint64, said chat.Text) chat.Message {
		return chat.Message{Room: chat.General, Seq: seq, At: at, From: alice, Kind: kind, Of: of, Text: said}
	}
	gone := message(1, chat.Say, 0, chat.Text{})
	gone.Deleted = true
	for _, c := range []struct {
		m           chat.Message
		plain, json string
	}{
		{message(2, chat.Edit, 1, said), "alice edits 1: hi\n  general/9 bob edits 1: forged",
			`"kind":"edit","of":1,"text":"hi\ngeneral/9 bob edits 1: forged"}`},
		{message(3, chat.Delete, 1, chat.Text{}), "alice deletes 1", `"kind":"delete","of":1,"text":""}`},
		{gone, "alice: (deleted)", `"kind":"say","text":"","deleted":true}`},
		{message(4, chat.Me, 0, said), "* alice hi\n  general/9 bob edits 1: forged", `"kind":"me","text":"hi\ngeneral/9 bob edits 1: forged"}`},
	} {
		for _, asJSON := range []string{"false", "true"} {
			var out bytes.Buffer
			call := &Call{Account: chat.Account{Name: alice}, Flags: pflag.NewFlagSet("follow", pflag.ContinueOnError), Out: &out}
			jsonFlag(call.Flags)
			if err := call.Flags.Set("json", asJSON); err != nil {
				t.Fatal(err)
			}
			printDelivery(call, chat.Delivery{Message: c.m}, nil)
			want := c.m.ID(alice) + " 2026-11-23T21:38:56.000Z " + c.plain + "\n"
			if asJSON == "true" {
				want = `{"id":"` + c.m.ID(alice) + `","at":"2026-11-23T21:38:56.000Z","room":"general","seq":` +
					c.m.ID(alice)[len("general/"):] + `,"from":"alice",` + c.json + "\n"
			}
			if out.String() != want {
				t.Errorf("printed %q, want %q", out.String(), want)
			}
		}
	}
}

// Whose session was ended sees nothing that was said since, however late that is noticed.
func TestFollowThatWasEndedShowsNothing(t *testing.T) {
	r := newRig(t, "alice", "bob")
	r.face = Exec
	r.say("bob", chat.General, "hi")
	follow := func(ctx context.Context) (string, error) {
		var out bytes.Buffer
		err := r.services.Commands.byName[Exec]["follow"].Run(ctx, &Call{
			Services: r.services, UI: Exec, Account: r.account(r.me), Out: &out, Err: &out, Flags: followFlags(t),
		})
		return out.String(), err
	}
	if seen, err := follow(t.Context()); err != nil || !strings.Contains(seen, "bob: hi") {
		t.Errorf("before the end: %q, %v", seen, err)
	}
	over, end := context.WithCancel(t.Context())
	end()
	if seen, err := follow(over); !errors.Is(err, context.Canceled) || seen != "" {
		t.Errorf("after it: %q, %v", seen, err)
	}
}

// followFlags are --since general/0 --count 1.
func followFlags(t *testing.T) *pflag.FlagSet {
	f := pflag.NewFlagSet("follow", pflag.ContinueOnError)
	NewRegistry().byName[Exec]["follow"].Flags(f)
	if err := f.Parse([]string{"--since", "general/0", "--count", "1"}); err != nil {
		t.Fatal(err)
	}
	return f
}
