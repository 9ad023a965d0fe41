package chat

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// blind is a journal whose rooms nobody can read.
type blind struct {
	fakeJournal
	unreadable bool
}

func (b *blind) Unreadable(RoomName) bool { return b.unreadable }

// What is sealed to nobody is loud: each writer is told, and the log, once an hour.
func TestWarningsOfWhatNobodyReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		j := &blind{unreadable: true}
		alice, bob := name(t, "alice"), name(t, "bob")
		h := hubOver(j, nil, []RoomState{{Name: General, Members: []Member{{alice, 1}, {bob, 1}}}}, slog.New(slog.NewTextHandler(&log, nil)))
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- h.Run(ctx) }()
		told := func(r *Reader) (n int) {
			synctest.Wait()
			for _, d := range r.Next(99) {
				if d.Kind == Notice && strings.Contains(d.Text.String(), "nobody can read them later") {
					n++
				}
			}
			return n
		}
		a, b := h.Reader(alice, From{}), h.Reader(bob, From{})
		for range 3 {
			say(t, h, "alice", General, "hello")
		}
		if got := told(a); got != 1 {
			t.Errorf("alice is told %d times", got)
		}
		if got := told(b); got != 0 {
			t.Errorf("bob, who has said nothing, is told %d times", got)
		}
		say(t, h, "bob", General, "hello")
		if got := told(b); got != 1 {
			t.Errorf("bob is told %d times", got)
		}
		if n := strings.Count(log.String(), "level=WARN"); n != 1 || !strings.Contains(log.String(), "room=general") {
			t.Errorf("in the log: %s", log.String())
		}
		time.Sleep(time.Hour)
		say(t, h, "alice", General, "hello")
		if got := told(a); got != 1 || strings.Count(log.String(), "level=WARN") != 2 {
			t.Errorf("an hour later alice is told %d times; %s", got, log.String())
		}
		if n := len(h.warnings); n != 2 {
			t.Errorf("%d warnings are kept", n)
		}
		j.unreadable = false
		time.Sleep(time.Hour)
		say(t, h, "alice", General, "hello")
		if got := told(a); got != 0 || h.Unreadable(General) {
			t.Errorf("told %d times", got)
		}
		stop()
		<-ended
	})
}
