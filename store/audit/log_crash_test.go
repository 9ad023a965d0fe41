package audit

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/store/durable"
	"sshchat/store/durable/powercut"
)

// logOn opens an audit log that goes on in a new file all the time.
func logOn(d durable.FS) (*Log, error) {
	return open(d, "data", time.Now, slog.New(slog.DiscardHandler), 700)
}

func act(i int) chat.AuditEntry {
	return chat.AuditEntry{By: "alice", Do: "ban", On: fmt.Sprintf("%0*d", 1+i*53%400, i)}
}

// appendUntil appends until an operation fails, and returns how many acts were acknowledged.
func appendUntil(a *Log, most int) (done int, err error) {
	for done < most {
		if err = a.Append(act(done)); err != nil {
			return done, err
		}
		done++
	}
	return done, nil
}

// Wherever the power is cut, the audit log has every act that was acknowledged, in a whole chain, and goes on; at most the
// one that was being written is there besides. The control is a disk whose syncs do nothing.
func TestLogLosesNothingInAPowerCut(t *testing.T) {
	powercut.Start(t)
	seed := powercut.Seed(t)
	r := rand.New(rand.NewPCG(seed, 3))
	tried := 0
	lost := func(lies bool, points int) (n int) {
		for range points {
			d := powercut.New()
			d.Lie(lies)
			d.FailFrom(1+r.IntN(60), errors.New("the power is gone"))
			done := 0
			if a, err := logOn(d); err == nil {
				if done, err = appendUntil(a, 40); err == nil {
					continue
				}
			}
			tried++
			a, err := logOn(d.Cut(r))
			if err != nil {
				n++
				if !lies {
					t.Errorf("seed %d: what a power cut left is refused: %v", seed, err)
				}
				continue
			}
			lines, err := a.Verify()
			if lines < uint64(done) || lines > uint64(done)+1 || err != nil || a.Append(act(0)) != nil {
				n++
				if !lies {
					t.Errorf("seed %d: %d acts, %d were acknowledged: %v", seed, lines, done, err)
				}
			}
		}
		return n
	}
	points := powercut.Points(600, 10_000)
	lost(false, points)
	t.Logf("figure: crash points of the audit log tried %d, from seed %d, acts lost 0", tried, seed)
	if lost(true, points/10) == 0 {
		t.Error("a disk whose syncs do nothing loses nothing: this test proves nothing")
	}
}

// noteUntil is appendUntil where two of three acts are noted, and not waited for. known is how many there are for certain.
func noteUntil(a *Log, most int) (known int, err error) {
	for i := range most {
		write := a.Note
		if i%3 == 2 {
			write = a.Append
		}
		if err := write(act(i)); err != nil {
			return known, err
		}
		if i%3 == 2 {
			known = i + 1
		}
	}
	return known, nil
}

// What is noted may be lost with the power, the last of it first; what was acknowledged is not, and the chain is whole.
func TestPowerCutAmongWhatIsNoted(t *testing.T) {
	powercut.Start(t)
	seed := powercut.Seed(t)
	r := rand.New(rand.NewPCG(seed, 4))
	tried := 0
	for range powercut.Points(600, 10_000) {
		d := powercut.New()
		d.FailFrom(1+r.IntN(80), errors.New("the power is gone"))
		known := 0
		if a, err := logOn(d); err == nil {
			if known, err = noteUntil(a, 40); err == nil {
				continue
			}
		}
		tried++
		a, err := logOn(d.Cut(r))
		if err != nil {
			t.Errorf("seed %d: what a power cut left is refused: %v", seed, err)
			continue
		}
		lines, err := a.Verify()
		if lines < uint64(known) || err != nil || a.Append(act(0)) != nil {
			t.Errorf("seed %d: %d acts, %d were acknowledged: %v", seed, lines, known, err)
		}
	}
	if tried == 0 {
		t.Error("the power was never cut")
	}
}

// Entries that a power cut lost are restored, once, in their order.
func TestActsAreRestoredOnce(t *testing.T) {
	t.Parallel()
	a, err := logOn(powercut.New())
	if err != nil {
		t.Fatal(err)
	}
	var all []chat.AuditEntry
	at := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	for i := range 9 {
		one := act(i)
		one.At = at.Add(time.Duration(i) * time.Second)
		all = append(all, one)
	}
	for _, i := range []int{0, 1, 2, 5} {
		if err := a.Note(all[i]); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []int{5, 0} {
		if added, err := a.Restore(all); err != nil || added != want {
			t.Fatalf("%d restored, %v; want %d", added, err, want)
		}
	}
	acts, err := a.Entries(at, 99)
	if lines, bad := a.Verify(); err != nil || bad != nil || lines != 9 || len(acts) != 9 {
		t.Errorf("%d lines, %d acts: %v, %v", lines, len(acts), err, bad)
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
}

// So they are if the clock was set back among them, and if the same was done twice in a millisecond.
func TestActsAreRestoredOnceWhereTheClockWasSetBack(t *testing.T) {
	t.Parallel()
	a, err := logOn(powercut.New())
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	all := []chat.AuditEntry{act(0), act(1), act(1), act(2)}
	for i, ago := range []time.Duration{0, time.Hour, time.Hour, time.Hour} {
		all[i].At = at.Add(-ago)
	}
	for _, one := range all[:2] {
		if err := a.Note(one); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []int{2, 0} {
		if added, err := a.Restore(all); err != nil || added != want {
			t.Fatalf("%d restored, %v; want %d", added, err, want)
		}
	}
}

// Whichever operation fails, once or from then on, the log goes on when the disk does, or takes nothing more; at the next
// start it has what was acknowledged.
func TestEveryOperationOfTheAuditLogFails(t *testing.T) {
	t.Parallel()
	indices := 0
	for _, failure := range []error{syscall.EIO, syscall.ENOSPC, syscall.EDQUOT} {
		for _, forever := range []bool{false, true} {
			for at := 1; ; at++ {
				d := powercut.New()
				a, err := logOn(d)
				if err != nil {
					t.Fatal(err)
				}
				if forever {
					d.FailFrom(at, failure)
				} else {
					d.Fail(at, failure)
				}
				done, err := appendUntil(a, 12)
				if err == nil {
					break // there are no more operations
				}
				indices++
				d.Heal()
				if err := a.Append(act(done)); err == nil {
					done++
				} else if a.broken == nil {
					t.Errorf("op %d, %v, forever %v: it does not go on: %v", at, failure, forever, err)
				}
				again, err := logOn(d)
				if err != nil {
					t.Fatalf("op %d, %v, forever %v: %v", at, failure, forever, err)
				}
				if lines, err := again.Verify(); lines < uint64(done) || lines > uint64(done)+1 || err != nil {
					t.Errorf("op %d, %v, forever %v: %d acts, %d were acknowledged: %v", at, failure, forever, lines, done, err)
				}
			}
		}
	}
	t.Logf("figure: failing operations of the audit log tried %d", indices)
}
