package main

import (
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// scrape reads the metrics, as Prometheus does.
func (s *testServer) scrape() map[string]float64 {
	s.t.Helper()
	address := regexp.MustCompile(`metrics at (http://\S+)`).FindStringSubmatch(s.log.String())
	if address == nil {
		s.t.Fatalf("no metrics:\n%s", s.log)
	}
	resp, err := http.Get(address[1])
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	values := map[string]float64{}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), " "); ok && !strings.HasPrefix(name, "#") {
			if values[name], err = strconv.ParseFloat(value, 64); err != nil {
				s.t.Errorf("%s: %v", line, err)
			}
		}
	}
	return values
}

func TestMetricsCountWhatHappens(t *testing.T) {
	t.Parallel()
	s := startProcess(t, "", append(guarded, "--metrics", "127.0.0.1:0")...)
	before := s.scrape()
	alice := s.register("alice")
	o := alice.plain(80, 24)
	o.sees("Welcome")
	for range 3 {
		alice.must("say general hello")
	}
	if s.passwordFrom("127.0.0.3", "alice", "wrong but long enough") == nil {
		t.Fatal("in")
	}
	after := s.scrape()
	for name, more := range map[string]float64{
		`sshchat_logins_total{outcome="failed"}`: 1, `sshchat_messages_total`: 3, `sshchat_accounts`: 1, `sshchat_sessions`: 1,
		`sshchat_logins_total{outcome="stranger"}`: 1, `sshchat_drops_total{reason="lagged"}`: 0, `sshchat_scrypt_running`: 0,
	} {
		if _, there := after[name]; !there || after[name]-before[name] != more {
			t.Errorf("%s: %v, then %v; want %v more", name, before[name], after[name], more)
		}
	}
	for _, name := range []string{"sshchat_fsync_seconds_count", "sshchat_history_bytes", "sshchat_history_records", "sshchat_deliveries_total", "go_goroutines"} {
		if after[name] <= 0 || after[name] < before[name] {
			t.Errorf("%s: %v, then %v", name, before[name], after[name])
		}
	}
	if s := s.log.String(); strings.Contains(s, "panic") {
		t.Error(s)
	}
}

// The metrics are for this machine alone.
func TestMetricsAreNotForTheWorld(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"0.0.0.0:0", ":9222", "192.0.2.1:9222", "localhost", "example.org:1"} {
		if l, err := listenMetrics(address); err == nil {
			l.Close()
			t.Errorf("%s is listened on", address)
		}
	}
	l, err := listenMetrics("[::1]:0")
	if err != nil {
		t.Skip(err) // no IPv6 here
	}
	l.Close()
}

// The help of stats explains each of its figures by the name that it prints.
func TestEveryFigureIsExplained(t *testing.T) {
	t.Parallel()
	s := startServer(t, "")
	alice := s.register("alice")
	alice.must("claim " + s.claimCode())
	help, names := alice.must("stats -h"), 0
	for line := range strings.Lines(alice.must("stats")) {
		name, _, _ := strings.Cut(line, " ")
		if names++; !regexp.MustCompile(`\b` + name + `\b`).MatchString(help) {
			t.Errorf("stats -h does not explain %q", name)
		}
	}
	if names < 20 {
		t.Errorf("stats prints %d figures", names)
	}
}
