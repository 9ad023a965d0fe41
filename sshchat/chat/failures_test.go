package chat

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"sshchat/sshchat/text"
)

// However often what is said cannot be stored, the log says it at once, once a minute, and when it is over.
func TestFailuresAreLoggedOnceAMinute(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, nil))
	var f failures
	f.over(logger)
	at := time.Unix(0, 0)
	for range 150 {
		f.note(at, logger, errors.New("no disk"))
		at = at.Add(time.Second)
	}
	f.note(at, logger, fmt.Errorf("%w: no disk", ErrJournalDead))
	if f.all.Load() != 151 || !f.now.Load() {
		t.Errorf("%d are counted; the last one failed: %v", f.all.Load(), f.now.Load())
	}
	f.over(logger)
	f.over(logger)
	if f.all.Load() != 151 || f.now.Load() {
		t.Errorf("when it is over %d are counted; the last one failed: %v", f.all.Load(), f.now.Load())
	}
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	if len(lines) != 5 {
		t.Fatalf("%d lines:\n%s", len(lines), &log)
	}
	for i, want := range []string{"batches=1 ", "batches=61 ", "batches=121 ", "batches=151 ", `"refused batches"=151`} {
		if !strings.Contains(lines[i]+" ", want) {
			t.Errorf("line %d is %q, without %q", i+1, lines[i], want)
		}
	}

	log.Reset()
	for range 100 { // a disk that fails each second time
		at = at.Add(time.Second)
		f.note(at, logger, errors.New("no disk"))
		f.over(logger)
	}
	if n := strings.Count(log.String(), "\n"); n != 2 {
		t.Errorf("%d lines:\n%s", n, &log)
	}
}

// A hub that is stuck in its journal, as on a disk that hangs, does not answer; one that refuses everything does.
func TestStuckHubDoesNotAnswer(t *testing.T) {
	j := &fakeJournal{}
	h := start(t, j, "alice")
	if err := h.Answers(t.Context()); err != nil {
		t.Fatal(err)
	}
	stuck, goOn := make(chan struct{}), make(chan struct{})
	j.looking = func([]Event) { close(stuck); <-goOn }
	said := make(chan error, 1)
	go func() {
		_, err := h.Post(context.Background(), h.caller(name(t, "alice")), General, Say, text.Sprintf("hello"))
		said <- err
	}()
	<-stuck
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := h.Answers(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("stuck: %v", err)
	}
	close(goOn)
	if err := <-said; err != nil {
		t.Fatal(err)
	}
	if err := h.Answers(t.Context()); err != nil {
		t.Errorf("after it was stuck: %v", err)
	}
}
