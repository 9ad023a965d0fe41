// Package logtest checks that a log is linearizable: that each append took place at one moment between its request and its answer. It is
// for tests.
package logtest

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"
)

// Append is something that was asked to be stored.
type Append struct {
	What     string
	Asked    time.Time
	Answered time.Time // zero: it was not acknowledged, and took place at any time
	Place    uint64    // where it is stored; of two, the lower one is earlier. 0: it is not stored, and Check passes it over
}

// segment is how many appends porcupine looks at at once. What it needs grows with the square: 2 MB for these.
const segment = 4096

// Check returns an error if two are in one place, or if one was acknowledged before another was asked for that is in a lower place.
func Check(appends []Append) error {
	all := slices.DeleteFunc(slices.Clone(appends), func(a Append) bool { return a.Place == 0 })
	slices.SortFunc(all, func(a, b Append) int { return cmp.Compare(a.Place, b.Place) })
	for i := 1; i < len(all); i++ {
		if all[i].Place == all[i-1].Place {
			return fmt.Errorf("%q and %q are both in place %d", all[i-1].What, all[i].What, all[i].Place)
		}
	}
	latest := Append{} // the one that was asked for last, of the segments before
	for part := range slices.Chunk(all, segment) {
		for _, a := range part {
			if answered(a).Before(latest.Asked) {
				return wrong(latest, a)
			}
		}
		if err := checkSegment(part); err != nil {
			return err
		}
		for _, a := range part {
			if a.Asked.After(latest.Asked) {
				latest = a
			}
		}
	}
	return nil
}

// never is later than every answer.
var never = time.Unix(math.MaxInt32, 0)

func answered(a Append) time.Time {
	if a.Answered.IsZero() {
		return never
	}
	return a.Answered
}

func wrong(lower, higher Append) error {
	return fmt.Errorf("%q is in place %d, and was asked for %v after the answer that %q is in place %d",
		lower.What, lower.Place, lower.Asked.Sub(higher.Answered), higher.What, higher.Place)
}

// model is a log that has one operation: it appends, and returns the place. Its state is how many there are.
var model = porcupine.Model{
	Init: func() any { return 0 },
	Step: func(state, _, output any) (bool, any) { return output == state.(int)+1, output },
}

// checkSegment checks appends that are sorted by their places.
func checkSegment(sorted []Append) error {
	start := slices.MinFunc(sorted, func(a, b Append) int { return a.Asked.Compare(b.Asked) }).Asked
	operations := make([]porcupine.Operation, len(sorted))
	for i, a := range sorted {
		operations[i] = porcupine.Operation{Input: a.What, Call: int64(a.Asked.Sub(start)), Output: i + 1, Return: int64(answered(a).Sub(start))}
	}
	if porcupine.CheckOperations(model, operations) {
		return nil
	}
	for i, lower := range sorted { // which two it is about
		for _, higher := range sorted[i+1:] {
			if answered(higher).Before(lower.Asked) {
				return wrong(lower, higher)
			}
		}
	}
	return fmt.Errorf("no order of the %d messages from %q in place %d on agrees with when each was asked for and answered",
		len(sorted), sorted[0].What, sorted[0].Place)
}
