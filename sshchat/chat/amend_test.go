package chat

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"sshchat/sshchat/text"
)

// told are entries of a log as words: "3 bob: text", an edit as "4 bob edits 3: text", what became of it in brackets.
func told(messages []Message) []string {
	var out []string
	for _, m := range messages {
		s := fmt.Sprintf("%d %s: %s", m.Seq, m.From, m.Text)
		if m.Of > 0 {
			s = fmt.Sprintf("%d %s %ss %d: %s", m.Seq, m.From, m.Kind, m.Of, m.Text)
		}
		if m.Edited {
			s += " (edited)"
		}
		if m.Deleted {
			s += " (deleted)"
		}
		out = append(out, s)
	}
	return out
}

func amend(t testing.TB, h *Hub, who string, kind Kind, of uint64, text string) Message {
	t.Helper()
	m, err := h.Amend(t.Context(), h.caller(name(t, who)), General, kind, of, words(text))
	if err != nil {
		t.Fatalf("%s %ss %d: %v", who, kind, of, err)
	}
	return m
}

func TestEditAndDelete(t *testing.T) {
	h := start(t, &fakeJournal{}, "alice", "bob")
	late, live := h.Reader(name(t, "bob"), From{}), h.Reader(name(t, "bob"), From{})
	say(t, h, "alice", General, "teh cat")
	say(t, h, "bob", General, "which")
	before := h.Before(name(t, "bob"), General, 0, 9)
	live.Next(9)
	if m := amend(t, h, "alice", Edit, 1, "the cat"); m.Seq != 3 || m.Of != 1 || m.From != name(t, "alice") {
		t.Errorf("the edit is %+v", m)
	}
	look := func(want ...string) {
		t.Helper()
		if got := told(h.Before(name(t, "bob"), General, 0, 9)); !slices.Equal(got, want) {
			t.Errorf("the log is %q, want %q", got, want)
		}
	}
	look("1 alice: the cat (edited)", "2 bob: which", "3 alice edits 1: the cat")
	amend(t, h, "alice", Edit, 1, "the dog")
	look("1 alice: the dog (edited)", "2 bob: which", "3 alice edits 1: the cat", "4 alice edits 1: the dog")
	amend(t, h, "alice", Delete, 1, "never shown")
	gone := []string{"1 alice:  (edited) (deleted)", "2 bob: which", "3 alice edits 1:  (deleted)", "4 alice edits 1:  (deleted)", "5 alice deletes 1: "}
	look(gone...)
	if got := texts(live.Next(9)); !slices.Equal(got, []string{"general:", "general:", "general:"}) {
		t.Errorf("who was there hears of %q", got)
	}
	var got []Message
	for _, d := range late.Next(9) {
		got = append(got, d.Message)
	}
	if !slices.Equal(told(got), gone) {
		t.Errorf("who reads late is shown what was taken back: %q", told(got))
	}
	if got := told(before); !slices.Equal(got, []string{"1 alice: teh cat", "2 bob: which"}) {
		t.Errorf("what a reader has in hand was written to: %q", got)
	}
}

func TestWhoMayAmendWhat(t *testing.T) {
	h := start(t, &fakeJournal{}, "alice", "bob", "mallory")
	say(t, h, "alice", General, "mine")
	amend(t, h, "alice", Edit, 1, "mine, I say")
	say(t, h, "alice", General, "gone")
	amend(t, h, "alice", Delete, 3, "")
	join(t, h, "bob", "ci")
	say(t, h, "bob", room(t, "ci"), "private")
	stored := len(h.journal.(*fakeJournal).stored())
	for _, c := range []struct {
		who   string
		where RoomName
		kind  Kind
		of    uint64
		said  string
		want  error
	}{
		{"mallory", General, Edit, 1, "forged", ErrNotYours},
		{"mallory", General, Delete, 1, "", ErrNotYours},
		{"mallory", room(t, "ci"), Delete, 1, "", ErrNotIn},
		{"mallory", text.Direct(name(t, "alice"), name(t, "bob")), Delete, 1, "", ErrNotIn},
		{"alice", General, Edit, 1, "", text.ErrEmpty},
		{"alice", General, Edit, 0, "x", ErrNoMessage},
		{"alice", General, Edit, 99, "x", ErrNoMessage},
		{"alice", General, Edit, 1 << 63, "x", ErrNoMessage},
		{"alice", General, Edit, 2, "an edit of an edit", ErrNoMessage},
		{"alice", General, Delete, 2, "", ErrNoMessage},
		{"alice", General, Edit, 3, "back from the dead", ErrNoMessage},
		{"alice", General, Delete, 4, "", ErrNoMessage},
	} {
		if _, err := h.Amend(t.Context(), h.caller(name(t, c.who)), c.where, c.kind, c.of, words(c.said)); !errors.Is(err, c.want) {
			t.Errorf("%s %ss %s/%d: %v, want %v", c.who, c.kind, c.where, c.of, err, c.want)
		}
	}
	for _, kind := range []Kind{Edit, Delete, Notice} {
		if _, err := h.Post(t.Context(), h.caller(name(t, "mallory")), General, kind, words("x")); err == nil {
			t.Errorf("a %s was posted as a message", kind)
		}
	}
	if got := len(h.journal.(*fakeJournal).stored()); got != stored {
		t.Errorf("%d of what was refused is stored", got-stored)
	}
	h.submit(t.Context(), newRequest(TheServer, forceRole{name(t, "bob"), Mod}))
	if m, err := h.Remove(t.Context(), h.caller(name(t, "bob")), General, 1); err != nil || m.From != name(t, "bob") || m.Of != 1 {
		t.Errorf("who may delete others' messages: %+v, %v", m, err)
	}
	if _, err := h.Remove(t.Context(), h.caller(name(t, "mallory")), room(t, "ci"), 1); !errors.Is(err, ErrNotIn) {
		t.Errorf("in a room that is not theirs: %v", err)
	}
}

// since-by-number: what was said before somebody came is not theirs to delete, or to learn of by trying.
func TestAmendBeforeSince(t *testing.T) {
	h := start(t, &fakeJournal{}, "alice")
	join(t, h, "alice", "ci")
	join(t, h, "bob", "ci")
	say(t, h, "bob", room(t, "ci"), "before")
	part(t, h, "bob", "ci")
	join(t, h, "bob", "ci")
	if _, err := h.Amend(t.Context(), h.caller(name(t, "bob")), room(t, "ci"), Delete, 1, Text{}); !errors.Is(err, ErrNoMessage) {
		t.Error(err)
	}
	if _, err := h.Remove(t.Context(), h.caller(name(t, "bob")), room(t, "ci"), 1); !errors.Is(err, ErrNoMessage) {
		t.Error(err)
	}
}

// An edit in the batch of the deletion does not bring the message back.
func TestDeleteAndEditInOneBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		alice := name(t, "alice")
		h := hubOver(&fakeJournal{}, nil, []RoomState{{Name: General, Members: []Member{{alice, 1}}}}, quiet)
		ctx, stop := context.WithCancel(t.Context())
		go h.Run(ctx)
		say(t, h, "alice", General, "one")
		stop()
		synctest.Wait()
		h.stop = make(chan struct{})
		errs := make([]error, 4)
		for i, kind := range []Kind{Edit, Delete, Edit, Delete} {
			go func() { _, errs[i] = h.Amend(context.Background(), h.caller(alice), General, kind, 1, words("text")) }()
			synctest.Wait() // it is queued
		}
		if err := h.finish(); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if errs[0] != nil || errs[1] != nil || !errors.Is(errs[2], ErrNoMessage) || !errors.Is(errs[3], ErrNoMessage) {
			t.Errorf("answers %v", errs)
		}
		want := []string{"1 alice:  (deleted)", "2 alice edits 1:  (deleted)", "3 alice deletes 1: "}
		if got := told(h.Before(alice, General, 0, 9)); !slices.Equal(got, want) {
			t.Errorf("the log is %q", got)
		}
	})
}

func TestDeletionThatWasNotStored(t *testing.T) {
	j := &fakeJournal{}
	h := start(t, j, "alice")
	say(t, h, "alice", General, "one")
	j.fail(errors.New("disk full"))
	if _, err := h.Amend(t.Context(), h.caller(name(t, "alice")), General, Delete, 1, Text{}); !errors.Is(err, ErrNotStored) {
		t.Error(err)
	}
	if m, ok := h.Last(name(t, "alice"), General); !ok || m.Text.String() != "one" {
		t.Errorf("a deletion that failed has deleted: %+v", m)
	}
	j.fail(nil)
	amend(t, h, "alice", Delete, 1, "")
}

func TestLastOwnMessage(t *testing.T) {
	h := start(t, &fakeJournal{}, "alice", "bob")
	alice := name(t, "alice")
	last := func(want uint64) {
		t.Helper()
		if m, ok := h.Last(alice, General); m.Seq != want || ok != (want > 0) {
			t.Errorf("the last is %d (%v), want %d", m.Seq, ok, want)
		}
	}
	last(0)
	say(t, h, "alice", General, "1")
	say(t, h, "alice", General, "2")
	say(t, h, "bob", General, "3")
	last(2)
	amend(t, h, "alice", Edit, 2, "two")
	last(2)
	amend(t, h, "alice", Delete, 2, "")
	last(1)
}

// What is dropped cannot be amended, and the log stays within its budget whatever edits do.
func TestAmendKeepsTheBudget(t *testing.T) {
	h := start(t, &fakeJournal{}, "alice")
	log := h.rooms[General].Log
	for range 300 {
		m := say(t, h, "alice", General, "x")
		amend(t, h, "alice", Edit, m.Seq, strings.Repeat("y", text.MaxText))
	}
	size := 0
	for _, m := range log.Tail(LogLines) {
		size += m.size()
	}
	if size != log.bytes || size > LogBytes {
		t.Errorf("the log holds %d bytes and counts %d", size, log.bytes)
	}
	for range LogLines {
		say(t, h, "alice", General, "x")
	}
	if _, err := h.Amend(t.Context(), h.caller(name(t, "alice")), General, Edit, 1, words("z")); !errors.Is(err, ErrNoMessage) {
		t.Errorf("what memory has lost: %v", err)
	}
}

// Readers go on while messages change under the race detector.
func TestReadWhileAmending(t *testing.T) {
	h := start(t, &fakeJournal{}, "alice", "bob")
	for i := range 50 {
		say(t, h, "alice", General, fmt.Sprint(i))
	}
	var wg sync.WaitGroup
	for range 4 {
		r := h.Reader(name(t, "bob"), From{ClearAway: 50})
		wg.Go(func() {
			for _, m := range read(t, r, 100) {
				if len(m.Text.String()) > 2 {
					t.Errorf("read %q", m.Text)
				}
			}
		})
	}
	for i := range 50 {
		amend(t, h, "alice", []Kind{Edit, Delete}[i%2], uint64(i)+1, "z")
	}
	wg.Wait()
}

func TestFind(t *testing.T) {
	l := NewLog(10)
	for i := range 100 {
		if i%3 == 0 {
			l.Append(Message{Kind: Notice})
		}
		l.Append(Message{Kind: Say, Seq: uint64(i) + 11})
	}
	for seq := range uint64(130) {
		if m, ok := l.find(seq); ok != (seq > 10 && seq <= 110) || ok && m.Seq != seq {
			t.Errorf("%d: found %d (%v)", seq, m.Seq, ok)
		}
	}
}

func BenchmarkEditInAFullLog(b *testing.B) {
	l := NewLog(0)
	for i := range LogLines {
		l.Append(Message{Kind: Say, Seq: uint64(i) + 1, Text: words("hello everybody")})
	}
	seq := uint64(LogLines)
	b.ReportAllocs()
	for b.Loop() {
		seq++
		l.Append(Message{Kind: Edit, Seq: seq, Of: seq - 100, Text: words("hello all")})
	}
}
