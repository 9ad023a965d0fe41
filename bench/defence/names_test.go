package main

import (
	"testing"
	"time"
)

func TestQuartiles(t *testing.T) {
	var times []time.Duration
	for i := range 101 {
		times = append(times, time.Duration(100-i))
	}
	if q := quartiles(times); q != [3]time.Duration{25, 50, 75} {
		t.Errorf("%v", q)
	}
	if q := quartiles(times[:1]); q != [3]time.Duration{100, 100, 100} {
		t.Errorf("of one: %v", q)
	}
}
