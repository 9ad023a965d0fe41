package durable_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"

	"sshchat/store/durable"
	"sshchat/store/durable/powercut"
)

// generation is what users.json may look like: of a length of its own, so that a mix of two is neither.
func generation(n int) string { return strings.Repeat(fmt.Sprintf("generation %d\n", n), 20+n*37%90) }

const replaced = "data/users.json"

// crashPoints is how often the power is cut in each test.
func crashPoints() int { return powercut.Points(2_000, 10_000) }

// replaceUntil replaces the file until an operation fails, and returns how many times that was acknowledged.
func replaceUntil(d *powercut.Disk, most int) (done int, err error) {
	for done < most {
		if _, err = durable.ReplaceOn(d, replaced, []byte(generation(done+1))); err != nil {
			return done, err
		}
		done++
	}
	return done, nil
}

// Wherever the power is cut, a file that is replaced as a whole is the last acknowledged one, or the next one, whole.
// The control is a disk whose syncs do nothing.
func TestReplacedFileIsOldOrNew(t *testing.T) {
	powercut.Start(t)
	seed := powercut.Seed(t)
	r := rand.New(rand.NewPCG(seed, 2))
	tried := 0
	wrong := func(lies bool) (n int) {
		for range crashPoints() {
			d := powercut.New()
			d.Lie(lies)
			d.FailFrom(1+r.IntN(40), errors.New("the power is gone"))
			done, err := replaceUntil(d, 8)
			if err == nil {
				continue
			}
			got := string(d.Cut(r).Content(replaced))
			if last := generation(done); got != generation(done+1) && got != last && (done > 0 || got != "") {
				n++
			}
			tried++
		}
		return n
	}
	if n := wrong(false); n > 0 {
		t.Errorf("seed %d: neither the old nor the new one, %d times", seed, n)
	}
	t.Logf("figure: crash points of a replaced file tried %d, from seed %d, neither old nor new 0", tried, seed)
	if wrong(true) == 0 {
		t.Error("a disk whose syncs do nothing is always right: this test proves nothing")
	}
}

// Whichever operation fails, once or from then on, the running system sees the old file or the new one, and the next
// replacement works once the disk does.
func TestEveryOperationOfAReplacementFails(t *testing.T) {
	t.Parallel()
	indices := 0
	for _, failure := range []error{syscall.EIO, syscall.ENOSPC, syscall.EDQUOT} {
		for _, forever := range []bool{false, true} {
			for at := 1; ; at++ {
				d := powercut.New()
				if _, err := replaceUntil(d, 2); err != nil {
					t.Fatal(err)
				}
				if forever {
					d.FailFrom(at, failure)
				} else {
					d.Fail(at, failure)
				}
				_, err := durable.ReplaceOn(d, replaced, []byte(generation(3)))
				if !d.Failed() {
					break // there are no more operations
				}
				indices++
				if got := string(d.Content(replaced)); got != generation(2) && got != generation(3) || err == nil && got != generation(3) {
					t.Fatalf("op %d, %v, forever %v: %v, and the file is neither old nor new: %.40q", at, failure, forever, err, got)
				}
				d.Heal()
				if _, err := durable.ReplaceOn(d, replaced, []byte(generation(4))); err != nil || string(d.Content(replaced)) != generation(4) {
					t.Fatalf("op %d, %v, forever %v: afterwards %v, %.40q", at, failure, forever, err, string(d.Content(replaced)))
				}
			}
		}
	}
	t.Logf("figure: failing operations of a replacement tried %d", indices)
}

// lazyDisk syncs no file, and names as any disk.
type lazyDisk struct{ *powercut.Disk }

type lazyFile struct{ durable.File }

func (lazyFile) Sync() error { return nil }

func (d lazyDisk) Create(name string) (durable.File, error) {
	f, err := d.Disk.Create(name)
	return lazyFile{f}, err
}

// A file that is written often and promises nothing, as state.json, is a whole one of those that were written, or none yet. The
// control writes it without a sync.
func TestSwappedFileIsWhole(t *testing.T) {
	powercut.Start(t)
	seed := powercut.Seed(t)
	r := rand.New(rand.NewPCG(seed, 4))
	torn := func(lazy bool) (n int) {
		for range crashPoints() {
			d := powercut.New()
			on := durable.FS(d)
			if lazy {
				on = lazyDisk{d}
			}
			d.FailFrom(1+r.IntN(30), errors.New("the power is gone"))
			done := 0
			for durable.Swap(on, replaced, []byte(generation(done+1))) == nil {
				done++
			}
			got := string(d.Cut(r).Content(replaced))
			whole := got == ""
			for i := range done + 1 {
				whole = whole || got == generation(i+1)
			}
			if !whole {
				n++
			}
		}
		return n
	}
	if n := torn(false); n > 0 {
		t.Errorf("seed %d: torn %d times", seed, n)
	}
	t.Logf("figure: crash points of a swapped file tried %d, from seed %d, torn 0", crashPoints(), seed)
	if torn(true) == 0 {
		t.Error("written without a sync it is never torn: this test proves nothing")
	}
}
