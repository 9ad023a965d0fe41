package main

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// measured is a table with figures on both sides of their targets, of three runs that differ.
func measured() *table {
	t := newTable(targets)
	for run := range 3 {
		t.nextRun()
		t.set("rss", subject, []float64{101, 100, 90}[run])
		t.set("rss", yardstick, 50)
		t.set("idle", subject, 1.5)
		t.set("logins", subject, 92)
		t.set("logins", yardstick, 100)
		t.set("p99", subject, []float64{15, 30, 10}[run])
		t.set("p99", yardstick, []float64{10, 15, 10}[run])
		t.set("heap", yardstick, 20)
	}
	t.missing[other] = true
	t.note("something to know")
	return t
}

// resultOf returns what a report says of the full screen's target; ok is false where it has none.
func resultOf(r report, key string) (result, bool) {
	for _, t := range r.Targets {
		if t.Key == key && t.Column == subject {
			return t, true
		}
	}
	return result{}, false
}

func TestTargets(t *testing.T) {
	want := map[string]bool{"rss": true, "idle": false, "logins": false, "p99": true}
	r := measured().report(options{})
	for _, row := range rows {
		got, known := resultOf(r, row.key)
		if met, measured := want[row.key]; known != measured || got.Met != met {
			t.Errorf("%s: met %v, known %v", row.key, got.Met, known)
		}
	}
}

// The ratio counts within each run: what slows the machine slows both.
func TestTheMedianIsThatOfTheRatios(t *testing.T) {
	got, _ := resultOf(measured().report(options{}), "p99")
	if got.Median != 1.5 || got.Range != [2]float64{1, 2} {
		t.Errorf("%+v", got) // the ratio of the medians would be 1.5 / 1
	}
}

func TestEveryTargetHasARow(t *testing.T) {
	for _, g := range goals {
		if g.name() == "" || (g.most > 0) == (g.least > 0) { // a key without a row panics
			t.Errorf("%+v", g)
		}
	}
}

func TestSpread(t *testing.T) {
	for _, c := range []struct {
		runs []float64
		want spread
	}{
		{nil, spread{}},
		{[]float64{3}, spread{3, 3, 3, 1}},
		{[]float64{3, 1}, spread{2, 1, 3, 2}},
		{[]float64{9, 1, 2}, spread{2, 1, 9, 3}},
	} {
		if got := spreadOf(c.runs); got != c.want {
			t.Errorf("%v: %+v", c.runs, got)
		}
	}
}

func TestMarkdown(t *testing.T) {
	var b bytes.Buffer
	measured().markdown(&b)
	figures, results, _ := strings.Cut(strings.TrimSpace(b.String()), "\n\n")
	for l := range strings.Lines(figures) {
		if n := strings.Count(l, "|"); n != len(targets)+3 {
			t.Errorf("%d bars in %q", n, l)
		}
	}
	for _, want := range []string{
		"| resident memory a session, 80x24, KiB | 100 | – | – | not built | – | 50.0 | 2.00 |",
		"| live heap a session, 80x24, KiB | – | – | – | not built | – | 20.0 | – |",
		"| delay, steady, p99, ms | 15.0 | – | – | not built | – | 10.0 | 1.50 |",
		"| resident memory a session, 80x24, KiB: sshchat full | 100 | 90.0 | 101 | ≤ 100 | yes |",
		"| logins by key: sshchat full / bare | 0.92 | 0.92 | 0.92 | ≥ 0.93 | **no** |",
		"- something to know",
	} {
		if !strings.Contains(b.String(), want+"\n") {
			t.Errorf("no line %q in\n%s", want, &b)
		}
	}
	if strings.Contains(figures, "goroutines") || strings.Contains(results, "growth") {
		t.Errorf("a row without figures in\n%s", &b)
	}
}

func TestReportsAreWrittenAndRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "figures.json")
	want := measured().report(options{sessions: 7})
	if err := want.write(path); err != nil {
		t.Fatal(err)
	}
	got, err := readReport(path)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v\n%+v", got, want)
	}
	if got.Sessions != 7 || got.Runs != 3 || len(got.Measures) != 5 {
		t.Errorf("%+v", got)
	}
}

func TestAReportOfOneRunFromBefore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "figures.json")
	const before = `{"sessions":1000,"cores":2,"measures":[{"key":"rss","name":"x","values":{"sshchat full":96.2},"target":"≤ 100","met":true}],"notes":null}`
	if err := os.WriteFile(path, []byte(before), 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := readReport(path)
	if got := r.value("rss", subject); err != nil || got != (spread{96.2, 96.2, 96.2, 1}) {
		t.Errorf("%+v, %v", got, err)
	}
	if got := r.value("rss", yardstick); got.runs != 0 {
		t.Errorf("%+v", got)
	}
}

func TestWhatGotWorseByMoreThanTheSpread(t *testing.T) {
	cpu, rate := row{key: "cpu"}, row{key: "logins", higher: true}
	wide := spread{10, 8, 12, 3} // 40 % apart
	for _, c := range []struct {
		r        row
		old, now spread
		want     bool
	}{
		{cpu, spreadOf([]float64{10}), spreadOf([]float64{10.9}), false},
		{cpu, spreadOf([]float64{10}), spreadOf([]float64{11.1}), true},
		{cpu, spreadOf([]float64{10}), spreadOf([]float64{5}), false},
		{rate, spreadOf([]float64{10}), spreadOf([]float64{5}), true},
		{rate, spreadOf([]float64{10}), spreadOf([]float64{20}), false},
		{cpu, wide, spread{13.9, 13.9, 13.9, 3}, false},
		{cpu, wide, spread{14.1, 14.1, 14.1, 3}, true},
		{cpu, spread{10, 10, 10, 3}, spread{10.5, 10.5, 10.5, 3}, true},
		{cpu, spread{0, 0, 0, 3}, spread{0, 0, 0, 3}, false},
	} {
		if got := worse(c.r, c.old, c.now); got != c.want {
			t.Errorf("%s, %+v to %+v: %v", c.r.key, c.old, c.now, got)
		}
	}
}

func TestCompare(t *testing.T) {
	now := newTable(targets)
	now.nextRun()
	now.set("rss", subject, 200)
	now.set("rss", yardstick, 50)
	now.set("p50", subject, 1)
	now.set("p99", subject, 10)
	now.set("p99", yardstick, 10)
	var b bytes.Buffer
	compare(&b, measured().report(options{sessions: 7}), now.report(options{sessions: 8}))
	for _, want := range []string{
		"| resident memory a session, 80x24, KiB | sshchat full | 100 | 200 | 2.00 | **worse** |",
		"| resident memory a session, 80x24, KiB | bare x/crypto | 50.0 | 50.0 | 1.00 |  |",
		"| delay, steady, p99 | sshchat full / bare | 1.50 | 1.00 | 0.67 |  |",
		"- old: 7 sessions,",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, &b)
		}
	}
	if strings.Contains(b.String(), "p50") || strings.Contains(b.String(), "logins") {
		t.Errorf("a figure that only one side has in\n%s", &b)
	}
}

func TestOptions(t *testing.T) {
	for _, args := range []string{"-scenarios nonsense", "-runs 0", "new.json", "-compare old.json new.json third.json", "-n 2500 -scenarios growth"} {
		var o options
		if err := o.parse(strings.Fields(args)); err == nil {
			t.Errorf("%s is taken", args)
		}
	}
	var o options
	if err := o.parse(strings.Fields("-scenarios all -compare old.json new.json")); err != nil || !o.wants("rooms") || o.newer != "new.json" {
		t.Errorf("%+v, %v", o, err)
	}
}

// Where what is typed is shown, the first sight of a message is no answer.
func TestEchoIsNoAnswer(t *testing.T) {
	s := &sender{id: 3, echoes: true, heard: make(chan struct{}, 1)}
	for i, want := range []int64{0, 1, 1, 2} {
		s.shown(mark{sender: 3, number: 1 + i/2})
		if got := s.back.Load(); got != want {
			t.Errorf("shown %d times: %d came back", i+1, got)
		}
	}
}

func TestLimitsAreLiftedOnlyWhereTheyAre(t *testing.T) {
	if got := lift("      --per-source-penalty-exempt-list stringArray   who is not limited\n"); len(got) != 1 {
		t.Errorf("%q", got)
	}
	if got := lift("      --exemption int\n"); len(got) != 0 {
		t.Errorf("%q", got)
	}
}

func TestChosen(t *testing.T) {
	if ts, err := chosen("plain,bare"); err != nil || len(ts) != 2 || ts[1].name != yardstick {
		t.Errorf("%v, %v", ts, err)
	}
	if ts, err := chosen("nonsense"); err == nil {
		t.Errorf("%v", ts)
	}
}
