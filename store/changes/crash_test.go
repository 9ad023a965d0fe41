package changes

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"

	"sshchat/sshchat/chat"
	"sshchat/store/durable"
	"sshchat/store/durable/powercut"
)

// story is what a log went through: which changes were acknowledged, and which may be there without.
type story struct {
	log   *Log
	acked []Line
	tried []Line // of the next number
	start uint64 // that was acknowledged
}

// step does something at random, and returns whether it worked.
func (s *story) step(r *rand.Rand) error {
	last := s.start + uint64(len(s.acked))
	switch r.IntN(8) {
	case 0:
		return s.log.Announce(Checkpoint{last, sum(last)})
	case 1:
		from := s.start + uint64(r.IntN(len(s.acked)+1))
		if err := s.log.Rewrite(Checkpoint{from, sum(from)}); err != nil {
			return err
		}
		s.acked, s.start = s.acked[from-s.start:], from
		return nil
	}
	line := change(last+1, len(s.tried))
	if err := s.log.Append(line); err != nil {
		s.tried = append(s.tried, line)
		return err
	}
	s.acked, s.tried = append(s.acked, line), nil
	return nil
}

func begun(t *testing.T, d durable.FS) *story {
	t.Helper()
	l, err := create(d, path, Checkpoint{5, sum(5)}, 1<<10) // it grows now and then
	if err != nil {
		t.Fatal(err)
	}
	return &story{log: l, start: 5}
}

// wrong says what is wrong with a log that was opened after the story.
func (s *story) wrong(c *Content, err error) error {
	if err != nil {
		return err
	}
	have := make(map[uint64]string)
	for _, l := range c.Lines {
		have[l.B] = fmt.Sprint(l)
	}
	for _, l := range s.acked {
		if l.B > c.Start.Upto && have[l.B] != fmt.Sprint(l) {
			return fmt.Errorf("change %d was acknowledged, and there is %q", l.B, have[l.B])
		}
	}
	last := s.start + uint64(len(s.acked))
	if c.Start.Upto > last || c.Last() > last+1 {
		return fmt.Errorf("changes %d to %d, and %d were made", c.Start.Upto, c.Last(), last)
	}
	if c.Last() == last+1 {
		for _, l := range s.tried {
			if have[l.B] == fmt.Sprint(l) {
				return nil
			}
		}
		return fmt.Errorf("change %d is one that nobody made: %s", last+1, have[last+1])
	}
	return nil
}

// Wherever the power is cut, what was acknowledged is there, and nothing else but perhaps the change that was being written.
// The control is a disk whose syncs do nothing.
func TestPowerCut(t *testing.T) {
	powercut.Start(t)
	seed := powercut.Seed(t)
	r := rand.New(rand.NewPCG(seed, 11))
	points := powercut.Points(100, 10_000)
	failed := func(lies bool) (n int, first error) {
		for range points {
			d := powercut.New()
			s := begun(t, d)
			d.Lie(lies)
			d.FailFrom(1+r.IntN(60), errors.New("the power is gone"))
			for s.step(r) == nil {
			}
			for range 2 {
				_, c, err := Open(d.Cut(r), path)
				if err := s.wrong(c, err); err != nil {
					n++
					if first = errors.Join(first, err); lies {
						return n, first
					}
				}
			}
		}
		return n, first
	}
	if n, err := failed(false); n > 0 {
		t.Errorf("seed %d: %d times: %.500v", seed, n, err)
	}
	t.Logf("figure: crash points of the log of changes tried %d, from seed %d, lost 0", points, seed)
	if n, _ := failed(true); n == 0 {
		t.Error("a disk whose syncs do nothing loses nothing: this test proves nothing")
	}
}

// Whichever operation fails, once or from then on: what was acknowledged stays, what was refused is not there or comes once,
// and on a healthy disk it goes on, unless a sync has failed. Then it never does.
func TestEveryOperationFails(t *testing.T) {
	t.Parallel()
	tried, died := 0, 0
	for _, failure := range []error{syscall.EIO, syscall.ENOSPC} {
		for _, forever := range []bool{false, true} {
			for at := 1; ; at++ {
				d := powercut.New()
				r := rand.New(rand.NewPCG(7, 7))
				s := begun(t, d)
				if forever {
					d.FailFrom(at, failure)
				} else {
					d.Fail(at, failure)
				}
				var first error
				for range 12 {
					err := s.step(r)
					if first == nil {
						first = err
					}
				}
				if !d.Failed() {
					break
				}
				tried++
				d.Heal()
				dead := errors.Is(s.step(rand.New(rand.NewPCG(1, 4))), chat.ErrJournalDead)
				if dead {
					died++
				}
				if _, c, err := Open(d, path); s.wrong(c, err) != nil {
					t.Fatalf("operation %d, %v, forever %v, first %v: %v", at, failure, forever, first, s.wrong(c, err))
				}
			}
		}
	}
	t.Logf("figure: failing operations of the log of changes tried %d, of which %d were final", tried, died)
	if died == 0 || died == tried {
		t.Errorf("%d of %d failures were final", died, tried)
	}
}

// A log that cannot be made leaves nothing that cannot be opened.
func TestLogThatCannotBeMade(t *testing.T) {
	t.Parallel()
	for at := 1; ; at++ {
		d := powercut.New()
		d.Fail(at, syscall.ENOSPC)
		_, err := Create(d, path, Checkpoint{})
		if !d.Failed() {
			break
		}
		if err == nil {
			t.Fatalf("operation %d: no error", at)
		}
		if _, err := Create(d, path, Checkpoint{}); err != nil {
			t.Fatal(err)
		}
	}
}
