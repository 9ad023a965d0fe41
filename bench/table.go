package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
)

// row is a measure. A target is an upper bound, a lower bound, or an upper bound of the ratio to the yardstick.
type row struct {
	key, name, unit string
	most, least     float64
	mostRatio       float64
}

var rows = []row{
	{key: "rss", name: "resident memory a session, 80x24", unit: "KiB", most: 100},
	{key: "rss-large", name: "resident memory a session, 200x50", unit: "KiB", most: 120},
	{key: "rss-all", name: "resident memory of the server", unit: "MiB"},
	{key: "heap", name: "live heap a session, 80x24", unit: "KiB"},
	{key: "heap-large", name: "live heap a session, 200x50", unit: "KiB"},
	{key: "stacks", name: "stacks a session", unit: "KiB"},
	{key: "goroutines", name: "goroutines a session", most: 10},
	{key: "idle", name: "idle CPU", unit: "% of a core", most: 1},
	{key: "cpu", name: "CPU for a million deliveries, steady", unit: "s", most: 15},
	{key: "p50", name: "delay, steady, p50", unit: "ms"},
	{key: "p99", name: "delay, steady, p99", unit: "ms", mostRatio: 1.5},
	{key: "seen", name: "seen, steady", unit: "%"},
	{key: "flood-cpu", name: "CPU for a million deliveries, flood", unit: "s", most: 3},
	{key: "flood-rate", name: "deliveries seen, flood", unit: "/s"},
	{key: "flood-messages", name: "messages, flood", unit: "/s"},
	{key: "flood-seen", name: "seen, flood", unit: "%"},
	{key: "flood-p99", name: "delay, flood, p99", unit: "ms"},
	{key: "stalled", name: "delay beside stalled readers, p99", unit: "ms"},
	{key: "stalled-ratio", name: "the same, against without them", unit: "x", most: 1.25},
	{key: "logins", name: "logins by key", unit: "/s", least: 1000},
	{key: "login-cpu", name: "server's CPU for a login", unit: "ms"},
	{key: "logins-beside", name: "logins by key beside the crowd", unit: "/s"},
	{key: "login-cpu-beside", name: "server's CPU for one of these", unit: "ms"},
	{key: "come", name: "the crowd comes", unit: "/s"},
}

// table is what was measured: a column for each server.
type table struct {
	columns []string
	values  map[string]map[string]float64 // row's key, column
	notes   []string
}

func newTable(ts []target) *table {
	t := &table{values: make(map[string]map[string]float64)}
	for _, target := range ts {
		t.columns = append(t.columns, target.name)
	}
	return t
}

// set writes down a figure; a key that is no row's is a mistake of ours.
func (t *table) set(key, column string, v float64) {
	if !slices.ContainsFunc(rows, func(r row) bool { return r.key == key }) {
		panic("internal error: no row " + key)
	}
	if t.values[key] == nil {
		t.values[key] = make(map[string]float64)
	}
	t.values[key][column] = v
}

// note writes down what a reader of the table must know.
func (t *table) note(format string, args ...any) {
	t.notes = append(t.notes, fmt.Sprintf(format, args...))
}

// ratio is the subject's figure to the yardstick's.
func (t *table) ratio(key string) (float64, bool) {
	v, ok := t.values[key][subject]
	to := t.values[key][yardstick]
	return v / to, ok && to != 0
}

// met tells whether the subject is within the row's target; known is false where one of the figures is missing.
func (t *table) met(r row) (met, known bool) {
	v, known := t.values[r.key][subject]
	ratio, compared := t.ratio(r.key)
	switch {
	case r.most > 0:
		return known && v <= r.most, known
	case r.least > 0:
		return known && v >= r.least, known
	case r.mostRatio > 0:
		return compared && ratio <= r.mostRatio, compared
	}
	return false, false
}

// target is the row's in words.
func (r row) target() string {
	switch {
	case r.most > 0:
		return fmt.Sprintf("≤ %v", r.most)
	case r.least > 0:
		return fmt.Sprintf("≥ %v", r.least)
	case r.mostRatio > 0:
		return fmt.Sprintf("≤ %vx bare", r.mostRatio)
	}
	return ""
}

// markdown writes the table. Rows without any figure are left out.
func (t *table) markdown(w io.Writer) {
	head := slices.Concat([]string{"measure"}, t.columns, []string{"full / bare", "target", "met"})
	fmt.Fprintf(w, "| %s |\n|%s\n", strings.Join(head, " | "), strings.Repeat("---|", len(head)))
	for _, r := range rows {
		if len(t.values[r.key]) == 0 {
			continue
		}
		fmt.Fprintf(w, "| %s |\n", strings.Join(t.cells(r), " | "))
	}
	for _, n := range t.notes {
		fmt.Fprintf(w, "\n- %s", n)
	}
	if len(t.notes) > 0 {
		fmt.Fprintln(w)
	}
}

func (t *table) cells(r row) []string {
	name := r.name
	if r.unit != "" {
		name += ", " + r.unit
	}
	cells := []string{name}
	for _, c := range t.columns {
		cells = append(cells, figure(t.values[r.key][c], has(t.values[r.key], c)))
	}
	ratio, known := t.ratio(r.key)
	cells = append(cells, figure(ratio, known), r.target())
	switch met, known := t.met(r); {
	case !known:
		return append(cells, "")
	case met:
		return append(cells, "yes")
	}
	return append(cells, "**no**")
}

func has(m map[string]float64, key string) bool { _, ok := m[key]; return ok }

// figure is a number with as many digits as mean something.
func figure(v float64, known bool) string {
	switch {
	case !known:
		return "–"
	case v >= 100 || v <= -100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10 || v <= -10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

// writeJSON writes everything to a file: for each row its figures, its target and whether it was met.
func (t *table) writeJSON(path string, o options) error {
	type measure struct {
		Key    string             `json:"key"`
		Name   string             `json:"name"`
		Unit   string             `json:"unit,omitempty"`
		Values map[string]float64 `json:"values"`
		Target string             `json:"target,omitempty"`
		Met    *bool              `json:"met,omitempty"`
	}
	var all []measure
	for _, r := range rows {
		if len(t.values[r.key]) == 0 {
			continue
		}
		m := measure{Key: r.key, Name: r.name, Unit: r.unit, Values: t.values[r.key], Target: r.target()}
		if met, known := t.met(r); known {
			m.Met = &met
		}
		all = append(all, m)
	}
	b, err := json.MarshalIndent(map[string]any{
		"sessions": o.sessions, "cores": runtime.NumCPU(), "go": runtime.Version(), "measures": all, "notes": t.notes,
	}, "", "  ")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return os.WriteFile(path, append(b, '\n'), 0o644)
}
