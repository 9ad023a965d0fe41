package main

import (
	"fmt"
	"slices"
)

// spread is a figure over several runs. Without any run it is unknown.
type spread struct {
	median, min, max float64
	runs             int
}

func spreadOf(all []float64) spread {
	n := len(all)
	if n == 0 {
		return spread{}
	}
	all = slices.Sorted(slices.Values(all))
	return spread{(all[(n-1)/2] + all[n/2]) / 2, all[0], all[n-1], n}
}

// oneRun is how far apart two runs are taken to be where only one was made, as a share.
const oneRun = 0.1

// width is how far apart the runs were, as a share of their median.
func (s spread) width() float64 {
	if s.runs < 2 {
		return oneRun
	}
	if s.median == 0 {
		return 0
	}
	return (s.max - s.min) / s.median
}

func (s spread) String() string {
	if s.runs == 0 {
		return "–"
	}
	return figure(s.median)
}

// figure is a number with as many digits as mean something.
func figure(v float64) string {
	switch {
	case v >= 100 || v <= -100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10 || v <= -10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}
