package command

import (
	"bytes"
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
			printDelivery(call, chat.Delivery{Message: c.m})
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
