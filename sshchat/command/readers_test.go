package command

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
)

// slowClient takes nothing until it is let.
type slowClient struct{ taken chan struct{} }

func (s slowClient) Write(p []byte) (int, error) { <-s.taken; return len(p), nil }

// Few read at once, one person in one place; who is written to, pays or waits holds none.
func TestReaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := NewReaders(1)
		call := func(who string, out io.Writer) (*Call, *fakeSession) {
			s := &fakeSession{}
			c := &Call{Services: &Services{Readers: r}, Command: &Command{Name: "history"}, Out: out, Caller: s}
			c.Account.Name = name(t, who)
			return c, s
		}
		read := func(c *Call, bytes int) chan error {
			done := make(chan error, 1)
			go func() {
				done <- readOut(t.Context(), c, func(out io.Writer) error {
					for n := bytes; n > 0; n -= 1000 {
						if _, err := io.WriteString(out, strings.Repeat("x", min(n, 1000))); err != nil {
							return err
						}
					}
					return nil
				})
			}()
			return done
		}
		stuck := slowClient{make(chan struct{})}
		mallory, _ := call("mallory", stuck)
		first := read(mallory, 3*readChunk)
		synctest.Wait() // in its client's hands
		var out strings.Builder
		alice, session := call("alice", &out)
		if err := <-read(alice, 3*readCost+2*readChunk); err != nil || out.Len() != 3*readCost+2*readChunk {
			t.Errorf("alice, beside a client that takes nothing: %d bytes, %v", out.Len(), err)
		}
		if session.worked != 3 {
			t.Errorf("three megabytes cost %d commands", session.worked)
		}

		if err := r.acquire(t.Context(), name(t, "bob")); err != nil { // a place that is held
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		waiting := make(chan error, 2)
		for range 2 {
			go func() { waiting <- r.acquire(ctx, name(t, "carol")) }()
		}
		synctest.Wait()
		cancel()
		for range 2 {
			if err := <-waiting; !errors.Is(err, context.Canceled) {
				t.Errorf("who hung up got in: %v", err)
			}
		}
		r.release(name(t, "bob"))
		close(stuck.taken)
		if err := <-first; err != nil {
			t.Error(err)
		}
		if len(r.people) != 0 || len(r.places) != 0 {
			t.Errorf("%d people and %d places are left", len(r.people), len(r.places))
		}
		failing := errors.New("the disk")
		if err := readOut(t.Context(), alice, func(io.Writer) error { return failing }); !errors.Is(err, failing) {
			t.Errorf("%v", err)
		}
		if err := readStored(t.Context(), alice, func() error { return nil }); err != nil || len(r.places) != 0 {
			t.Errorf("%v, %d places are left", err, len(r.places))
		}
	})
}
