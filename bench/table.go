package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// row is a measure.
type row struct {
	key, name, unit string
	higher          bool // more is better
}

var rows = []row{
	{key: "rss", name: "resident memory a session, 80x24", unit: "KiB"},
	{key: "rss-large", name: "resident memory a session, 200x50", unit: "KiB"},
	{key: "rss-all", name: "resident memory of the server", unit: "MiB"},
	{key: "heap", name: "live heap a session, 80x24", unit: "KiB"},
	{key: "heap-large", name: "live heap a session, 200x50", unit: "KiB"},
	{key: "stacks", name: "stacks a session", unit: "KiB"},
	{key: "goroutines", name: "goroutines a session"},
	{key: "idle", name: "idle CPU", unit: "% of a core"},
	{key: "cpu", name: "CPU for a million deliveries, steady", unit: "s"},
	{key: "p50", name: "delay, steady, p50", unit: "ms"},
	{key: "p99", name: "delay, steady, p99", unit: "ms"},
	{key: "seen", name: "seen, steady", unit: "%", higher: true},
	{key: "flood-cpu", name: "CPU for a million deliveries seen, flood", unit: "s"},
	{key: "flood-rate", name: "deliveries seen, flood", unit: "/s", higher: true},
	{key: "flood-messages", name: "messages, flood", unit: "/s", higher: true},
	{key: "flood-seen", name: "seen, flood", unit: "%", higher: true},
	{key: "flood-p99", name: "delay, flood, p99", unit: "ms"},
	{key: "stalled", name: "delay beside stalled readers, p99", unit: "ms"},
	{key: "stalled-ratio", name: "the same, against without them", unit: "x"},
	{key: "logins", name: "logins by key", unit: "/s", higher: true},
	{key: "login-cpu", name: "server's CPU for a login", unit: "ms"},
	{key: "logins-beside", name: "logins by key beside the crowd", unit: "/s", higher: true},
	{key: "login-cpu-beside", name: "server's CPU for one of these", unit: "ms"},
	{key: "come", name: "the crowd comes", unit: "/s", higher: true},
	{key: "growth-tenth", name: "CPU for a delivery to a tenth of the sessions", unit: "µs"},
	{key: "growth-one", name: "CPU for a delivery to the sessions", unit: "µs"},
	{key: "growth-four", name: "CPU for a delivery to four times the sessions", unit: "µs"},
	{key: "growth", name: "growth of that, against the cheapest smaller crowd", unit: "x"},
	{key: "room-rss", name: "resident memory a session, in one room", unit: "KiB"},
	{key: "rooms-rss", name: "resident memory a session, in 100 rooms", unit: "KiB"},
	{key: "room-heap", name: "live heap a session, in one room", unit: "KiB"},
	{key: "rooms-heap", name: "live heap a session, in 100 rooms", unit: "KiB"},
	{key: "room-cpu", name: "CPU for a delivery to people in one room", unit: "µs"},
	{key: "rooms-cpu", name: "CPU for a delivery to people in 100 rooms", unit: "µs"},
	{key: "rooms-ratio", name: "the same, 100 rooms against one", unit: "x"},
}

// rowOf returns the row of a key; a key without one is a mistake of ours.
func rowOf(key string) row {
	i := slices.IndexFunc(rows, func(r row) bool { return r.key == key })
	if i < 0 {
		panic("internal error: no row " + key)
	}
	return rows[i]
}

// title is the row's name with its unit.
func (r row) title() string {
	if r.unit == "" {
		return r.name
	}
	return r.name + ", " + r.unit
}

// figures is what one run measured: row's key, column.
type figures map[string]map[string]float64

// table is what was measured: a column for each server, and the figures of each run.
type table struct {
	columns []string
	missing map[string]bool // columns whose server could not be built
	runs    []figures       // the last is under way
	notes   []string
}

func newTable(ts []target) *table {
	t := &table{missing: make(map[string]bool)}
	for _, target := range ts {
		t.columns = append(t.columns, target.name)
	}
	return t
}

// nextRun begins another run.
func (t *table) nextRun() { t.runs = append(t.runs, make(figures)) }

// set writes down a figure of the run under way.
func (t *table) set(key, column string, v float64) {
	rowOf(key)
	run := t.runs[len(t.runs)-1]
	if run[key] == nil {
		run[key] = make(map[string]float64)
	}
	run[key][column] = v
}

// note writes down what a reader of the table must know.
func (t *table) note(format string, args ...any) {
	t.notes = append(t.notes, fmt.Sprintf(format, args...))
}

// value is a figure over the runs that have it.
func (t *table) value(key, column string) spread {
	return t.over(func(f figures) (float64, bool) {
		v, ok := f[key][column]
		return v, ok
	})
}

// ratio is a column's figure to the yardstick's of the same run, over the runs that have both.
func (t *table) ratio(key, column string) spread {
	return t.over(func(f figures) (float64, bool) {
		v, ok := f[key][column]
		to := f[key][yardstick]
		return v / to, ok && to != 0
	})
}

func (t *table) over(of func(figures) (float64, bool)) spread {
	var all []float64
	for _, f := range t.runs {
		if v, ok := of(f); ok {
			all = append(all, v)
		}
	}
	return spreadOf(all)
}

// measured reports whether any run has a figure of the row.
func (t *table) measured(r row) bool {
	return slices.ContainsFunc(t.runs, func(f figures) bool { return len(f[r.key]) > 0 })
}

// markdown writes the figures, of several runs their medians, and then the targets. Rows without any figure are left out.
func (t *table) markdown(w io.Writer) {
	head := slices.Concat([]string{"measure"}, t.columns, []string{"full / bare"})
	fmt.Fprintf(w, "| %s |\n|%s\n", strings.Join(head, " | "), strings.Repeat("---|", len(head)))
	for _, r := range rows {
		if t.measured(r) {
			fmt.Fprintf(w, "| %s |\n", strings.Join(t.cells(r), " | "))
		}
	}
	t.goalTable(w)
	for _, n := range t.notes {
		fmt.Fprintf(w, "\n- %s", n)
	}
	if len(t.notes) > 0 {
		fmt.Fprintln(w)
	}
}

func (t *table) cells(r row) []string {
	cells := []string{r.title()}
	for _, c := range t.columns {
		if t.missing[c] {
			cells = append(cells, "not built")
		} else {
			cells = append(cells, t.value(r.key, c).String())
		}
	}
	return append(cells, t.ratio(r.key, subject).String())
}

// columnsOf is the columns that have a figure of a row in any run.
func (t *table) columnsOf(key string) map[string]float64 {
	all := make(map[string]float64)
	for _, f := range t.runs {
		maps.Copy(all, f[key])
	}
	return all
}
