package logtest

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

var start = time.Now()

// at is an append from and to a time, in seconds; to 0: it was not acknowledged.
func at(place uint64, from, to int) Append {
	a := Append{What: fmt.Sprint("message ", place), Asked: start.Add(time.Duration(from) * time.Second), Place: place}
	if to > 0 {
		a.Answered = start.Add(time.Duration(to) * time.Second)
	}
	return a
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		appends []Append
		wrong   string // "": nothing
	}{
		{"none", nil, ""},
		{"one after the other", []Append{at(1, 1, 2), at(2, 3, 4), at(7, 5, 6)}, ""},
		{"at once, in any order", []Append{at(2, 1, 3), at(1, 2, 4)}, ""},
		{"not acknowledged, and later", []Append{at(2, 1, 0), at(1, 5, 6)}, ""},
		{"not acknowledged, and before it was asked for", []Append{at(1, 5, 0), at(2, 1, 2)}, `"message 1" is in place 1, and was asked for 3s after the answer that "message 2" is in place 2`},
		{"later, and in a lower place", []Append{at(2, 1, 2), at(1, 3, 4)}, "was asked for 1s after the answer"},
		{"far apart", []Append{at(9, 1, 2), at(2, 1, 9), at(3, 1, 9), at(1, 5, 9)}, `"message 1" is in place 1`},
		{"not stored, twice", []Append{at(0, 1, 0), at(0, 5, 0), at(1, 1, 2)}, ""},
		{"one place", []Append{at(1, 1, 2), at(1, 1, 2)}, "both in place 1"},
	} {
		err := Check(c.appends)
		if c.wrong == "" && err != nil || c.wrong != "" && (err == nil || !strings.Contains(err.Error(), c.wrong)) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// Of many, two that changed places are found: beside each other, far apart, and over the borders of segments.
func TestCheckFindsOneOfMany(t *testing.T) {
	t.Parallel()
	const n = 2*segment + 100
	random := rand.New(rand.NewPCG(1, 2))
	all := make([]Append, n)
	for i := range all { // some at once, and some never acknowledged
		all[i] = at(uint64(i+1), i, i+1+random.IntN(10))
		if random.IntN(20) == 0 {
			all[i].Answered = time.Time{}
		}
	}
	if err := Check(all); err != nil {
		t.Fatal(err)
	}
	for _, of := range [][2]int{{40, 60}, {segment - 15, segment + 15}, {3, n - 3}} {
		a, b := &all[of[0]], &all[of[1]]
		a.Answered, b.Answered = a.Asked.Add(time.Second), b.Asked.Add(time.Second)
		a.Place, b.Place = b.Place, a.Place
		if err := Check(all); err == nil {
			t.Errorf("that %d and %d changed places is not found", of[0], of[1])
		}
		a.Place, b.Place = b.Place, a.Place
	}
	if err := Check(all); err != nil {
		t.Fatal(err)
	}
}
