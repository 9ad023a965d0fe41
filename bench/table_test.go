package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// measured is a table with figures on both sides of their targets.
func measured() *table {
	t := newTable(targets)
	t.set("rss", subject, 100)
	t.set("rss", yardstick, 50)
	t.set("idle", subject, 1.5)
	t.set("logins", subject, 999)
	t.set("p99", subject, 15)
	t.set("p99", yardstick, 10)
	t.set("heap", yardstick, 20)
	t.note("something to know")
	return t
}

func TestTargets(t *testing.T) {
	want := map[string]bool{"rss": true, "idle": false, "logins": false, "p99": true}
	table := measured()
	for _, r := range rows {
		met, known := table.met(r)
		if expected, measured := want[r.key]; known != measured || met != expected {
			t.Errorf("%s: met %v, known %v", r.key, met, known)
		}
	}
}

func TestMarkdown(t *testing.T) {
	var b bytes.Buffer
	measured().markdown(&b)
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	for _, l := range lines[:len(lines)-2] {
		if n := strings.Count(l, "|"); n != len(targets)+5 {
			t.Errorf("%d bars in %q", n, l)
		}
	}
	for _, want := range []string{
		"| resident memory a session, 80x24, KiB | 100 | – | – | – | 50.0 | 2.00 | ≤ 100 | yes |",
		"| logins by key, /s | 999 | – | – | – | – | – | ≥ 1000 | **no** |",
		"| live heap a session, 80x24, KiB | – | – | – | – | 20.0 | – |  |  |",
		"- something to know",
	} {
		if !strings.Contains(b.String(), want+"\n") {
			t.Errorf("no line %q in\n%s", want, &b)
		}
	}
	if strings.Contains(b.String(), "goroutines") {
		t.Error("a row without figures")
	}
}

func TestJSON(t *testing.T) {
	path := filepath.Join(t.TempDir(), "figures.json")
	if err := measured().writeJSON(path, options{sessions: 7}); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Sessions int
		Measures []struct {
			Key    string
			Values map[string]float64
			Met    *bool
		}
	}
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	if got.Sessions != 7 || len(got.Measures) != 5 || got.Measures[0].Values[subject] != 100 {
		t.Errorf("%+v", got)
	}
	for _, m := range got.Measures {
		if judged := m.Key != "heap"; judged != (m.Met != nil) {
			t.Errorf("%s is judged: %v", m.Key, m.Met != nil)
		}
	}
}

func TestLimitsAreLiftedOnlyWhereTheyAre(t *testing.T) {
	if got := lift("      --exempt stringArray   who is not limited\n"); len(got) != 1 {
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
