package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"sshchat/sshchat"
	"sshchat/sshchat/chat"
	"sshchat/sshchat/limit"
	"sshchat/store/agesplit"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics are what Prometheus reads, at --metrics, and beside them whether the server is alive and ready. They count, and name
// nobody: no person, room or address is a label.
type metrics struct {
	server  *sshchat.Server
	hub     *chat.Hub
	node    *node // nil: there is no cluster
	keys    ring
	st      *stores
	data    string
	serving atomic.Bool // connections are accepted, and the server does not stop
}

// syncs measures how fast the disk is. It is made before the history that reports to it.
type syncs struct {
	took prometheus.Histogram
	last prometheus.Gauge
}

func newSyncs() *syncs {
	s := &syncs{
		took: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "sshchat_history_sync_duration_seconds", Help: "How long the disk took to sync the history (fdatasync).",
			Buckets: prometheus.ExponentialBuckets(0.00005, 2, 18), // 50 us to 6.5 s
		}),
		last: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "sshchat_history_last_sync_timestamp_seconds",
			Help: "Time of the last successful sync of the history, or of the start of the server; nothing is synced while nothing happens.",
		}),
	}
	s.last.SetToCurrentTime()
	return s
}

// done notes a sync that succeeded.
func (s *syncs) done(took time.Duration) {
	s.took.Observe(took.Seconds())
	s.last.SetToCurrentTime()
}

// Describe implements prometheus.Collector: what there is, is found out by collecting.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(m, ch) }

// Collect implements prometheus.Collector.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	collectStats(ch, m.server.Stats())
	running, waiting := m.st.users.Checks()
	live, records := m.st.history.Size()
	archives, archived := m.st.history.Archives()
	failed, _ := m.hub.Failures()
	ch <- prometheus.MustNewConstMetric(prometheus.NewDesc("sshchat_build_info", "What the server was built from; the value is 1.",
		[]string{"version", "goversion", "erases"}, nil), prometheus.GaugeValue, 1, version(), runtime.Version(), strconv.FormatBool(agesplit.Erases))
	gauge(ch, "password_checks_running", "Passwords that are being checked (scrypt).", float64(running))
	gauge(ch, "password_checks_waiting", "Passwords that wait to be checked.", float64(waiting))
	gauge(ch, "history_bytes", "Size of all the history, archives included, not counting preallocated space.", float64(live+archived))
	gauge(ch, "history_live_bytes", "Size of the file that the history is written to; it becomes an archive at history-rotate.", float64(live))
	gauge(ch, "history_archives", "Archives of the history.", float64(archives))
	gauge(ch, "history_records", "Records in the file that the history is written to.", float64(records))
	counter(ch, "commits_failed_total", "Batches of messages and decisions that could not be stored; their senders were notified.", nil, nil, float64(failed))
	gauge(ch, "accounts", "Accounts.", float64(m.hub.View().Len()))
	gauge(ch, "rooms", "Rooms, not counting direct conversations.", float64(m.hub.CountRooms()))
	counter(ch, "clock_set_back_total", "Times the clock of the machine was set back by more than five seconds.", nil, nil, float64(m.hub.ClockSetBack()))
	m.node.collect(ch)
	counter(ch, "messages_total", "Messages stored and delivered.", nil, nil, float64(m.hub.Posted()))
}

// collectStats sends each field of Stats under the name of its tag.
func collectStats(ch chan<- prometheus.Metric, stats sshchat.Stats) {
	v := reflect.ValueOf(stats)
	helps := make(map[string]string)
	for i := range v.NumField() {
		tag := v.Type().Field(i).Tag
		name, label, labelled := strings.Cut(tag.Get("metric"), ",")
		value := float64(v.Field(i).Int())
		if help := tag.Get("help"); help != "" {
			helps[name] = help
		}
		switch {
		case labelled:
			key, word, _ := strings.Cut(label, "=")
			counter(ch, name, helps[name], []string{key}, []string{word}, value)
		case strings.HasSuffix(name, "_total"):
			counter(ch, name, helps[name], nil, nil, value)
		default:
			gauge(ch, name, helps[name], value)
		}
	}
}

func counter(ch chan<- prometheus.Metric, name, help string, labels, values []string, value float64) {
	ch <- prometheus.MustNewConstMetric(prometheus.NewDesc("sshchat_"+name, help, labels, nil), prometheus.CounterValue, value, values...)
}

func gauge(ch chan<- prometheus.Metric, name, help string, value float64) {
	ch <- prometheus.MustNewConstMetric(prometheus.NewDesc("sshchat_"+name, help, nil, nil), prometheus.GaugeValue, value)
}

// listenMetrics listens where the metrics are read. This machine can read them, so its owner guards them by guarding its loopback
// addresses, and so can the addresses of --metrics-allow. Without an address it returns nil.
func listenMetrics(address string, allow []netip.Prefix) (net.Listener, error) {
	if address == "" {
		return nil, nil
	}
	if err := checkReaders(address, allow); err != nil {
		return nil, fmt.Errorf("--metrics: %w", err)
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("--metrics: %w", err)
	}
	return &readersOnly{l, allow}, nil
}

// checkReaders refuses an address with which other machines could reach the port, unless metrics-allow names which may.
func checkReaders(address string, allow []netip.Prefix) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	if ip := net.ParseIP(host); len(allow) == 0 && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("it is %q, and must be a loopback address, such as 127.0.0.1:9222, unless metrics-allow names who may read from other machines", address)
	}
	return nil
}

// readersOnly accepts connections from this machine and from addresses that are allowed. Others are closed before anything is read
// from them.
type readersOnly struct {
	net.Listener
	allow []netip.Prefix
}

func (l *readersOnly) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if from := limit.AddrOf(conn.RemoteAddr()); from.IsLoopback() || from.IsValid() && limit.Includes(l.allow, from) {
			return conn, nil
		}
		conn.Close()
	}
}

// answerTime is how long the chat may take to answer whether it is alive.
const answerTime = 2 * time.Second

// alive returns nil once the chat answers. What waits for the NATS servers is alive as well: to start it anew would not bring them back.
func (m *metrics) alive(ctx context.Context) error {
	err := m.hub.Answers(ctx)
	if errors.Is(err, context.DeadlineExceeded) && m.node.storing() > 0 {
		return nil
	}
	return err
}

// healthy returns nil if the process does what it should: the chat answers.
func (m *metrics) healthy(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	switch err := m.alive(ctx); {
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("the chat does not answer within %v", answerTime)
	default:
		return err
	}
}

// ready returns nil if users can connect, and what they say is stored.
func (m *metrics) ready(ctx context.Context) error {
	if !m.serving.Load() {
		return errors.New("the server is starting or stopping")
	}
	if err := m.healthy(ctx); err != nil {
		return err
	}
	if err := errors.Join(m.node.ready(), m.keys.ready()); err != nil {
		return err
	}
	if _, last := m.hub.Failures(); last {
		return errors.New("the last messages or decisions could not be stored; the log has the reason")
	}
	if err := writable(m.data); err != nil {
		return fmt.Errorf("the data folder cannot be written to: %w", err)
	}
	return nil
}

// probe answers by what ask returns: 200 and "ok", or 503 and the reason.
func probe(ask func(context.Context) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		if err := ask(r.Context()); err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprintln(w, err)
			return
		}
		fmt.Fprintln(w, "ok")
	}
}

// serve answers until stop is called.
func (m *metrics) serve(l net.Listener, logger *slog.Logger) (stop func()) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(m, m.st.syncs.took, m.st.syncs.last, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{MaxRequestsInFlight: 2}))
	mux.Handle("GET /healthz", probe(m.healthy))
	mux.Handle("GET /readyz", probe(m.ready))
	server := &http.Server{
		Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 5 * time.Second, WriteTimeout: 10 * time.Second,
		IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
	}
	go func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			logger.Error("metrics cannot be read any more", "err", err)
		}
	}()
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if server.Shutdown(ctx) != nil {
			server.Close()
		}
	}
}
