package accounts

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestSemaphoreOfTwoAndAQueueOf64(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newSemaphore()
		entered, refused := 0, 0
		answers := make(chan error, 200)
		for range 200 {
			go func() { answers <- g.acquire(context.Background()) }()
		}
		synctest.Wait()
		for range len(answers) {
			switch err := <-answers; {
			case err == nil:
				entered++
			case errors.Is(err, ErrBusy):
				refused++
			default:
				t.Error(err)
			}
		}
		if entered != 2 || refused != 200-2-64 {
			t.Errorf("%d entered and %d were refused at once", entered, refused)
		}
		g.release()
		synctest.Wait()
		if err := <-answers; err != nil {
			t.Errorf("a place was free, and the next was not let in: %v", err)
		}
		begun := time.Now()
		for range 63 {
			wantErr(t, <-answers, ErrBusy)
		}
		if took := time.Since(begun); took != scryptWait {
			t.Errorf("they waited %v", took)
		}
		g.release()
		g.release()
	})
}

func TestSemaphoreLetsGoOfWhoHasLeft(t *testing.T) {
	t.Parallel()
	g := newSemaphore()
	ctx, cancel := context.WithCancel(context.Background())
	for range scryptsAtOnce {
		if err := g.acquire(ctx); err != nil {
			t.Fatal(err)
		}
	}
	answer := make(chan error)
	go func() { answer <- g.acquire(ctx) }()
	cancel()
	wantErr(t, <-answer, context.Canceled)
	wantErr(t, g.acquire(ctx), context.Canceled)
	if len(g.queue) != 0 || len(g.slots) != scryptsAtOnce {
		t.Errorf("%d in the queue, %d inside", len(g.queue), len(g.slots))
	}
}
