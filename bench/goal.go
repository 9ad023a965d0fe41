package main

import (
	"fmt"
	"io"
)

// goal is a bound on a figure of one column, or on its ratio to the yardstick's in the same run. One of most and least is set.
type goal struct {
	key, column string
	ratio       bool
	most, least float64
}

const (
	plainFace = "sshchat plain"
	pipeFace  = "sshchat pipe"
)

var goals = []goal{
	{key: "cpu", column: subject, ratio: true, most: 1.5},
	{key: "cpu", column: plainFace, ratio: true, most: 1.4},
	{key: "cpu", column: pipeFace, ratio: true, most: 1.3},
	{key: "p99", column: subject, ratio: true, most: 1.5},
	{key: "flood-cpu", column: subject, ratio: true, most: 6},
	{key: "flood-cpu", column: plainFace, ratio: true, most: 2.5},
	{key: "flood-cpu", column: pipeFace, ratio: true, most: 3},
	{key: "logins", column: subject, ratio: true, least: 0.93},
	{key: "rss", column: subject, most: 100},
	{key: "rss-large", column: subject, most: 120},
	{key: "goroutines", column: subject, most: 10},
	{key: "idle", column: subject, most: 0.5},
	{key: "stalled-ratio", column: subject, most: 1.25},
	{key: "growth", column: subject, most: 1.2},
	{key: "growth", column: plainFace, most: 1.2},
	{key: "growth", column: pipeFace, most: 1.2},
}

func (g goal) name() string {
	r := rowOf(g.key)
	if g.ratio {
		return fmt.Sprintf("%s: %s / bare", r.name, g.column)
	}
	return fmt.Sprintf("%s: %s", r.title(), g.column)
}

func (g goal) bound() string {
	if g.least > 0 {
		return fmt.Sprintf("≥ %v", g.least)
	}
	return fmt.Sprintf("≤ %v", g.most)
}

// of is the figure that the goal is about.
func (g goal) of(t *table) spread {
	if g.ratio {
		return t.ratio(g.key, g.column)
	}
	return t.value(g.key, g.column)
}

// met reports whether a figure is within the bound. Of several runs the median counts.
func (g goal) met(s spread) bool {
	if g.least > 0 {
		return s.median >= g.least
	}
	return s.median <= g.most
}

// goalTable writes each goal whose figure was measured, with the range of it over the runs.
func (t *table) goalTable(w io.Writer) {
	head := "\n| target | measured | lowest | highest | bound | met |\n|---|---|---|---|---|---|\n"
	for _, g := range goals {
		s := g.of(t)
		if s.runs == 0 {
			continue
		}
		fmt.Fprint(w, head)
		head = ""
		met := "yes"
		if !g.met(s) {
			met = "**no**"
		}
		fmt.Fprintf(w, "| %s | %s | %s | %s | %s | %s |\n", g.name(), figure(s.median), figure(s.min), figure(s.max), g.bound(), met)
	}
}
