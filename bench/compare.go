package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
)

// report is the file that -json writes and -compare reads.
type report struct {
	Sessions int       `json:"sessions"`
	Cores    int       `json:"cores"`
	Go       string    `json:"go"`
	Runs     int       `json:"runs"`
	Measures []measure `json:"measures"`
	Targets  []result  `json:"targets"`
	Notes    []string  `json:"notes"`
}

// measure is a row: the median of each column and, of several runs, the lowest and the highest.
type measure struct {
	Key    string                `json:"key"`
	Name   string                `json:"name"`
	Unit   string                `json:"unit,omitempty"`
	Values map[string]float64    `json:"values"`
	Ranges map[string][2]float64 `json:"ranges,omitempty"`
}

// result is a target: what it is about, what was measured, and whether that is within the bound.
type result struct {
	Key    string     `json:"key"`
	Column string     `json:"column"`
	Ratio  bool       `json:"ratio"` // to bare
	Median float64    `json:"median"`
	Range  [2]float64 `json:"range"`
	Bound  string     `json:"bound"`
	Met    bool       `json:"met"`
}

// report is the table as it is kept in a file: for each row its figures, and each target's.
func (t *table) report(o options) report {
	r := report{Sessions: o.sessions, Cores: runtime.NumCPU(), Go: runtime.Version(), Runs: len(t.runs), Notes: t.notes}
	for _, row := range rows {
		if !t.measured(row) {
			continue
		}
		m := measure{Key: row.key, Name: row.name, Unit: row.unit, Values: make(map[string]float64), Ranges: make(map[string][2]float64)}
		for column := range t.columnsOf(row.key) {
			s := t.value(row.key, column)
			m.Values[column] = s.median
			m.Ranges[column] = [2]float64{s.min, s.max}
		}
		r.Measures = append(r.Measures, m)
	}
	for _, g := range goals {
		if s := g.of(t); s.runs > 0 {
			r.Targets = append(r.Targets, result{Key: g.key, Column: g.column, Ratio: g.ratio, Bound: g.bound(),
				Median: s.median, Range: [2]float64{s.min, s.max}, Met: g.met(s)})
		}
	}
	return r
}

func (r report) write(path string) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return os.WriteFile(path, append(b, '\n'), 0o644)
}

func readReport(path string) (r report, err error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(b, &r); err != nil {
		return r, fmt.Errorf("read %s: %w", path, err)
	}
	r.Runs = max(r.Runs, 1) // older files have one run and do not say so
	return r, nil
}

// value is a figure of the report.
func (r report) value(key, column string) spread {
	for _, m := range r.Measures {
		v, ok := m.Values[column]
		if m.Key != key || !ok {
			continue
		}
		if of, ok := m.Ranges[column]; ok {
			return spread{v, of[0], of[1], r.Runs}
		}
		return spread{v, v, v, 1}
	}
	return spread{}
}

// ratio is a ratio to bare that there is a target for. Older files have none.
func (r report) ratio(key, column string) spread {
	for _, t := range r.Targets {
		if t.Key == key && t.Column == column && t.Ratio {
			return spread{t.Median, t.Range[0], t.Range[1], r.Runs}
		}
	}
	return spread{}
}

// compare writes each figure that both reports have, and how it changed. What got worse by more than the runs of either
// side were apart is marked.
func compare(w io.Writer, old, now report) {
	fmt.Fprint(w, "\n| measure | server | old | new | new / old | |\n|---|---|---|---|---|---|\n")
	for _, r := range rows {
		for _, c := range now.columnsOf() {
			compareRow(w, r, r.title(), c, old.value(r.key, c), now.value(r.key, c))
		}
	}
	for _, g := range goals {
		if g.ratio {
			compareRow(w, rowOf(g.key), rowOf(g.key).name, g.column+" / bare", old.ratio(g.key, g.column), now.ratio(g.key, g.column))
		}
	}
	if old.Sessions != now.Sessions || old.Cores != now.Cores || old.Go != now.Go {
		fmt.Fprintf(w, "\n- old: %d sessions, %d cores, %s; new: %d sessions, %d cores, %s\n",
			old.Sessions, old.Cores, old.Go, now.Sessions, now.Cores, now.Go)
	}
}

func compareRow(w io.Writer, r row, title, column string, old, now spread) {
	if old.runs == 0 || now.runs == 0 {
		return
	}
	ratio, mark := "–", ""
	if old.median != 0 {
		ratio = figure(now.median / old.median)
	}
	if worse(r, old, now) {
		mark = "**worse**"
	}
	fmt.Fprintf(w, "| %s | %s | %s | %s | %s | %s |\n", title, column, figure(old.median), figure(now.median), ratio, mark)
}

// worse reports whether a figure went the wrong way by more than the spread.
func worse(r row, old, now spread) bool {
	before, after := old.median, now.median
	if r.higher {
		before, after = after, before
	}
	return after > before*(1+max(old.width(), now.width()))
}

// columnsOf is the columns that a report has figures for, in the order of the table, and then any others.
func (r report) columnsOf() []string {
	var known, others []string
	for _, t := range targets {
		known = append(known, t.name)
	}
	for _, m := range r.Measures {
		for c := range m.Values {
			if !slices.Contains(known, c) && !slices.Contains(others, c) {
				others = append(others, c)
			}
		}
	}
	slices.Sort(others)
	return append(known, others...)
}
