package history

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"syscall"
	"testing"

	"filippo.io/age"

	"sshchat/sshchat/chat"
	"sshchat/store/durable/powercut"
)

// amendment drafts an edit or, without a text, a deletion.
func (p *place) amendment(from reader, of uint64, text string) chat.Event {
	p.t.Helper()
	e := p.message(chat.General, from.name, text+".") // what is empty is no text
	e.Message.Kind, e.Message.Of = chat.Edit, of
	if text == "" {
		e.Message.Kind, e.Message.Text = chat.Delete, chat.Text{}
	}
	return e
}

// export is what the tail holds, opened by r.
func (p *place) export(r reader) string {
	p.t.Helper()
	var b bytes.Buffer
	if _, err := p.h.Export(&b, r.name, chat.General, 1, []age.Recipient{r.to}); err != nil {
		p.t.Fatal(err)
	}
	out, err := age.Decrypt(&b, r.id)
	if err != nil {
		p.t.Fatal(err)
	}
	plain, err := io.ReadAll(out)
	if err != nil {
		p.t.Fatal(err)
	}
	return string(plain)
}

func TestCloseHoldsWhatBecameOfItsLines(t *testing.T) {
	t.Parallel()
	alice := ageReader(t, "alice")
	p := newPlace(t, alice)
	p.opt.Window = 6
	p.open()
	p.say(alice, "one")
	p.say(alice, "my password is hunter2")
	p.commit(p.amendment(alice, 1, "eins"), p.amendment(alice, 2, "hunter3"))
	p.commit(p.amendment(alice, 2, ""))
	if got := p.texts(alice); !slices.Equal(got, []string{"one", "my password is hunter2", "eins.", "hunter3.", ""}) {
		t.Errorf("while the window is open its single lines are as they were said; they are %q", got)
	}
	p.say(alice, "six") // fills the window
	want := []string{"eins.", "", "eins.", "", "", "six"}
	if got := p.texts(alice); !slices.Equal(got, want) {
		t.Errorf("the close holds %q, want %q", got, want)
	}
	if got := p.export(alice); strings.Contains(got, "hunter") || !strings.Contains(got, "eins") || strings.Count(got, `"of":2`) != 2 {
		t.Errorf("the last lines are exported as %s", got)
	}
	p.commit(p.amendment(alice, 6, "sechs"), p.amendment(alice, 1, ""))
	if err := p.h.Close(); err != nil {
		t.Fatal(err)
	}
	if got := p.texts(alice); !slices.Equal(got, append(want, "sechs.", "")) {
		t.Errorf("what is closed has changed, or the next window has not: %q", got)
	}
	lines, err := openAll(bytes.NewReader(p.file()), &Opener{Identities: []age.Identity{alice.id}})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"say 0", "say 0", "edit 1", "edit 2", "delete 2", "say 0", "edit 6", "delete 1"} {
		if got := fmt.Sprintf("%s %d", lines[i].Kind, lines[i].Of); got != want {
			t.Errorf("line %d is %s, want %s", i+1, got, want)
		}
	}
}

func TestExportHoldsWhatBecameOfOlderWindows(t *testing.T) {
	t.Parallel()
	alice := ageReader(t, "alice")
	p := newPlace(t, alice)
	p.opt.Window = 2
	p.open()
	p.say(alice, "taken back later")
	for range 4 {
		p.say(alice, "x")
	}
	p.commit(p.amendment(alice, 1, ""))
	if got := p.export(alice); strings.Contains(got, "taken back") {
		t.Errorf("exported afresh: %s", got)
	}
	if got := p.texts(alice); got[0] != "taken back later" {
		t.Errorf("what was sealed for good has changed: %q", got)
	}
}

// While the disk is full a deletion fails, and nothing has been deleted.
func TestDeletionInAFailedBatch(t *testing.T) {
	t.Parallel()
	d := powercut.New()
	alice := ageReader(t, "alice")
	p := newPlace(t, alice)
	p.opt.Window = 4
	h, err := open(d, "data", p.opt)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if err := h.Commit([]chat.Event{p.message(chat.General, alice.name, "one")}); err != nil {
		t.Fatal(err)
	}
	d.Fail(1, syscall.ENOSPC)
	if err := h.Commit([]chat.Event{p.amendment(alice, 1, "")}); !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	p.seqs[chat.General] = 1
	for range 2 {
		if err := h.Commit([]chat.Event{p.message(chat.General, alice.name, "more")}); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	lines, err := openAll(bytes.NewReader(d.Content(livePath)), &Opener{Identities: []age.Identity{alice.id}})
	if err != nil || len(lines) != 3 || lines[0].Text != "one" {
		t.Errorf("stored are %v, %v", lines, err)
	}
}
