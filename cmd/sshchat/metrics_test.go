package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sshchat/sshchat/chat"
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
		`sshchat_logins_total{outcome="stranger"}`: 1, `sshchat_messages_skipped_total`: 0, `sshchat_password_checks_running`: 0,
	} {
		if _, there := after[name]; !there || after[name]-before[name] != more {
			t.Errorf("%s: %v, then %v; want %v more", name, before[name], after[name], more)
		}
	}
	for _, name := range []string{"sshchat_history_sync_duration_seconds_count", "sshchat_history_last_sync_timestamp_seconds", "sshchat_history_bytes", "sshchat_history_live_bytes", "sshchat_history_records", "sshchat_deliveries_total", "go_goroutines"} {
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
		if l, err := listenMetrics(address, nil); err == nil {
			l.Close()
			t.Errorf("%s is listened on", address)
		}
	}
	l, err := listenMetrics("[::1]:0", nil)
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

// base is where the metrics are served.
func (s *testServer) base() string {
	s.t.Helper()
	address := regexp.MustCompile(`metrics at (http://\S+)/metrics`).FindStringSubmatch(s.log.String())
	if address == nil {
		s.t.Fatalf("no metrics:\n%s", s.log)
	}
	return address[1]
}

// get returns the answer at a path, and its status.
func (s *testServer) get(path string) (body string, status int) {
	s.t.Helper()
	resp, err := http.Get(s.base() + path)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(text), resp.StatusCode
}

// A server that runs is alive and ready. One that is not says why.
func TestProbes(t *testing.T) {
	t.Parallel()
	s := startProcess(t, "", "--metrics", "127.0.0.1:0")
	waitFor(t, "server that is ready", func() bool { _, status := s.get("/readyz"); return status == http.StatusOK })
	if body, status := s.get("/healthz"); status != http.StatusOK || body != "ok\n" {
		t.Errorf("healthz: %d, %s", status, body)
	}
	if _, status := s.get("/elsewhere"); status != http.StatusNotFound {
		t.Errorf("elsewhere: %d", status)
	}

	j := &stuckJournal{goOn: make(chan struct{}), events: make(chan chat.Batch)}
	hub := chat.NewHub(chat.Config{Journal: j, State: new(chat.State), Clock: func() chat.Moment { return chat.Moment{Wall: time.Now()} }, Log: slog.New(slog.DiscardHandler)})
	m := &metrics{hub: hub, data: t.TempDir()}
	answer := func(ask func(context.Context) error) (int, string) {
		w := httptest.NewRecorder()
		probe(ask)(w, httptest.NewRequest("GET", "/", nil))
		return w.Code, w.Body.String()
	}
	refuses := func(what, want string, ask func(context.Context) error) {
		t.Helper()
		if code, body := answer(ask); code != http.StatusServiceUnavailable || !strings.Contains(body, want) {
			t.Errorf("%s: %d, %s", what, code, body)
		}
	}
	refuses("before it serves", "starting or stopping", m.ready)
	m.serving.Store(true)
	refuses("while the chat is stuck", "the chat does not answer within 2s", m.healthy)
	running := runHub(hub, nil)
	if code, body := answer(m.ready); code != http.StatusOK {
		t.Errorf("while all is well: %d, %s", code, body)
	}
	stored := make(chan error, 1)
	go func() { stored <- hub.Store(chat.Event{Stored: "anything"}) }()
	waitFor(t, "a chat that waits for its disk", func() bool { return j.waits.Load() })
	refuses("while the disk hangs", "the chat does not answer within 2s", m.ready)
	close(j.goOn)
	if err := <-stored; err == nil {
		t.Error("stored")
	}
	refuses("after a commit failed", "could not be stored", m.ready)
	if code, body := answer(m.healthy); code != http.StatusOK {
		t.Errorf("it is alive after a commit failed: %d, %s", code, body)
	}
	if n, _ := hub.Failures(); n != 1 {
		t.Errorf("%d commits failed", n)
	}
	running.end()
	refuses("after its end", "stopping", m.healthy)
}

// stuckJournal waits at its first batch, and refuses it.
type stuckJournal struct {
	waits  atomic.Bool
	goOn   chan struct{}
	events chan chat.Batch
}

func (j *stuckJournal) Append(chat.Batch) error {
	j.waits.Store(true)
	<-j.goOn
	return errors.New("no space left on the device")
}

func (j *stuckJournal) Events() <-chan chat.Batch { return j.events }

func (j *stuckJournal) Rehearse(_, after *chat.State) (*chat.State, error) { return after, nil }

// Other machines read the metrics only if it is said which.
func TestMetricsForOtherMachines(t *testing.T) {
	t.Parallel()
	const bad = "unless metrics-allow names"
	if _, errs, code := runHere(t, "config", "check", "--metrics", "0.0.0.0:9222"); code != 2 || !strings.Contains(errs, bad) {
		t.Errorf("without: exit %d, %s", code, errs)
	}
	if _, errs, code := runHere(t, "config", "check", "--metrics", "0.0.0.0:9222", "--metrics-allow", "192.0.2.0/24,2001:db8::1"); code != 0 {
		t.Errorf("with: exit %d, %s", code, errs)
	}
	l := &fakeListener{from: []string{"198.51.100.1:1", "192.0.2.7:1", "[2001:db8::2]:1", "[2001:db8::1]:1", "127.0.0.1:1", "[::ffff:192.0.2.8]:1"}}
	only := &readersOnly{l, []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::1/128")}}
	var got []string
	for {
		conn, err := only.Accept()
		if err != nil {
			break
		}
		got = append(got, conn.RemoteAddr().String())
	}
	if want := []string{"192.0.2.7:1", "[2001:db8::1]:1", "127.0.0.1:1", "192.0.2.8:1"}; !slices.Equal(got, want) || l.closed != 2 {
		t.Errorf("%v may read, and %d others were closed", got, l.closed)
	}
}

// fakeListener accepts connections from those addresses.
type fakeListener struct {
	net.Listener
	from   []string
	closed int
}

type fakeConn struct {
	net.Conn
	l    *fakeListener
	from net.Addr
}

func (c *fakeConn) RemoteAddr() net.Addr { return c.from }
func (c *fakeConn) Close() error         { c.l.closed++; return nil }

func (l *fakeListener) Accept() (net.Conn, error) {
	if len(l.from) == 0 {
		return nil, net.ErrClosed
	}
	from := net.TCPAddrFromAddrPort(netip.MustParseAddrPort(l.from[0]))
	l.from = l.from[1:]
	return &fakeConn{l: l, from: from}, nil
}

// Prometheus' own tool has nothing to say about the metrics, the alerts and the tests of these.
func TestPromtoolIsContent(t *testing.T) {
	t.Parallel()
	promtool := client(t, "promtool")
	s := startServer(t, "", "--metrics", "127.0.0.1:0")
	s.register("alice").must("say general hello")
	text, _ := s.get("/metrics")
	if out, errs, code := runClient(t, text, promtool, "check", "metrics"); code != 0 || out+errs != "" {
		t.Errorf("check metrics: exit %d\n%s%s", code, out, errs)
	}
	for _, args := range [][]string{{"check", "rules", "../../deploy/alerts.yml"}, {"test", "rules", "../../deploy/alerts_test.yml"}} {
		if out, errs, code := runClient(t, "", promtool, args...); code != 0 || !strings.Contains(out, "SUCCESS") {
			t.Errorf("%v: exit %d\n%s%s", args, code, out, errs)
		}
	}
	// The control: a metric with the name alone as its help, and a counter without _total.
	const poor = "# TYPE sshchat_messages counter\nsshchat_messages 1\n"
	if out, errs, code := runClient(t, poor, promtool, "check", "metrics"); code == 0 {
		t.Errorf("it is content with anything: %s%s", out, errs)
	}
}

// Whatever dashboards and alerts ask for is there.
func TestDashboardAndAlertsAskForMetricsThatExist(t *testing.T) {
	t.Parallel()
	s := startServer(t, "", "--metrics", "127.0.0.1:0")
	s.register("alice").must("say general hello")
	there := map[string]bool{"up": true}
	for sample := range s.scrape() {
		name, _, _ := strings.Cut(sample, "{")
		there[name], there[strings.TrimSuffix(name, "_count")] = true, true
	}
	dashboard, err := os.ReadFile("../../deploy/grafana-dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	if !json.Valid(dashboard) {
		t.Error("the dashboard is not JSON")
	}
	alerts, err := os.ReadFile("../../deploy/alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	docs, err := os.ReadFile("../../docs/watching.md")
	if err != nil {
		t.Fatal(err)
	}
	name := regexp.MustCompile(`\b(?:sshchat|process|go)_[a-z_]+[a-z]\b`)
	for file, text := range map[string][]byte{"the dashboard": dashboard, "the alerts": alerts, "the document": docs} {
		found := name.FindAllString(string(text), -1)
		for _, n := range found {
			if !there[n] {
				t.Errorf("%s asks for %s", file, n)
			}
		}
		if len(found) < 5 {
			t.Errorf("%s names %d metrics", file, len(found))
		}
	}
}
