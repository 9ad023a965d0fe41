package view

import (
	"slices"
	"strings"
	"testing"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
	"sshchat/sshchat/view/editor"
)

// Words do not join where a line is broken by another sign than a program's newline.
func TestPipeKeepsWordsApart(t *testing.T) {
	p := NewPipe(Options{Me: ann})
	got := lines(p.Input([]byte("one\rtwo\vthree\ffour\u0085five\u2028six\r\nseven\n")))
	if !slices.Equal(got, []string{"one two three four five six", "seven"}) {
		t.Errorf("%q", got)
	}
}

func TestPipe(t *testing.T) {
	p := NewPipe(Options{Me: ann})
	p.Enter(chat.General)
	p.Enter(other) // where what is written goes; the first room stays without its name
	p.Deliver(append(spansOf(
		said(chat.General, bob, "hello\nbob: forged"),
		said(other, bob, "hi"),
		said(text.Direct(ann, bob), bob, "psst"),
		happened(chat.General, chat.Me, bob, "waves"),
		happened(chat.General, chat.Notice, chat.Name{}, "bob joined"),
		happened(chat.RoomName{}, chat.Notice, chat.Name{}, "stopping"),
		chat.Message{Room: chat.General, Seq: 3, From: bob, Kind: chat.Edit, Of: 1, Text: said(other, bob, "hi\nbob: forged").Text},
		chat.Message{Room: other, Seq: 4, From: bob, Kind: chat.Delete, Of: 2},
		chat.Message{Room: other, Seq: 2, From: bob, Kind: chat.Say, Deleted: true},
		chat.Message{Room: other, Seq: 5, From: bob, Kind: chat.Say, Of: 3, Text: said(other, bob, "yes\nbob: forged").Text},
		chat.Message{Room: other, Seq: 6, From: bob, Kind: chat.React, Of: 3, Text: said(other, bob, "👍").Text},
		chat.Message{Room: chat.General, Seq: 4, From: bob, Kind: chat.Unreact, Of: 3, Text: said(other, bob, "👍").Text},
		chat.Message{Room: other, Seq: 7, From: bob, Kind: chat.React, Of: 3, Deleted: true},
		chat.Message{Room: other, Kind: chat.Joined},
	), chat.Span{Room: other, Gap: chat.Gap{From: 7, To: 7}}))
	p.Print("one\ntwo\n")
	p.Fail("no such room")
	const out = "bob: hello\n  bob: forged\n#other bob: hi\n@bob bob: psst\n* bob waves\n" +
		"bob edits 1: hi\n  bob: forged\n#other bob deletes 2\n" +
		"#other bob replies to 3: yes\n  bob: forged\n#other bob reacts to 3: 👍\nbob removes a reaction to 3: 👍\n"
	const err = "-- stopping\n-- 1 message in #other not shown: they came faster than they were read\none\ntwo\nno such room\n"
	if got := string(p.Flush()); got != out {
		t.Errorf("wrote %q, want %q", got, out)
	}
	if got := string(p.FlushErr()); got != err {
		t.Errorf("complained %q, want %q", got, err)
	}
	if p.Pending() {
		t.Error("more is pending")
	}
}

func TestPipeInput(t *testing.T) {
	long := strings.Repeat("x", editor.MaxLine)
	for _, c := range []struct {
		reads []string
		want  []string
		told  string // why a line is refused
	}{
		{[]string{"one\ntwo\r\n\n", "three"}, []string{"one", "two", "three"}, ""},
		{[]string{"\xe6", "\x97", "\xa5\n"}, []string{"日"}, ""},
		{[]string{"one\ncaf\xe9\ntwo\n"}, []string{"one", "two"}, "not sent: this is not UTF-8 text (byte 4 is 0xE9)"},
		{[]string{"/topic \xff"}, nil, "not sent: this is not UTF-8 text (byte 8 is 0xFF)"},
		{[]string{"\ta\tb\x1b[2J\x00\n"}, []string{"    a    b[2J"}, ""},
		{[]string{long + "\r", "\n"}, []string{long}, ""},
		{[]string{long, "xx", long, "\nnext\n"}, []string{"next"}, "8192 bytes"},
		{[]string{long, "x"}, nil, "8192 bytes"},
	} {
		p := NewPipe(Options{Me: ann})
		p.Enter(chat.General)
		var did []Action
		for _, r := range c.reads {
			did = append(did, p.Input([]byte(r))...)
		}
		did = append(did, p.End()...)
		if did[len(did)-1].Kind != Quit {
			t.Errorf("the end is %v", did)
		}
		if got := lines(did); !slices.Equal(got, c.want) {
			t.Errorf("%.40q made %.40q, want %.40q", c.reads, got, c.want)
		}
		told := ""
		for _, a := range did {
			if a.Kind == Refused {
				told += a.Text
			}
		}
		if !strings.Contains(told, c.told) || (told == "") != (c.told == "") {
			t.Errorf("%.40q: refused with %q, want %q", c.reads, told, c.told)
		}
	}
}

func TestPipeAnswers(t *testing.T) {
	p := NewPipe(Options{Me: ann})
	p.Ask("Name?", true)
	if got := lines(p.Input([]byte("\n\n"))); !slices.Equal(got, []string{""}) {
		t.Errorf("answers %q", got)
	}
}
