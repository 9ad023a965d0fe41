package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"reflect"
	"strings"
	"time"

	"sshchat/sshchat"
	"sshchat/sshchat/chat"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics are what Prometheus reads, at --metrics. They count, and name nobody: no person, room or address is a label.
type metrics struct {
	server *sshchat.Server
	hub    *chat.Hub
	st     *stores
	syncs  prometheus.Histogram
}

// newSyncs is how long the disk takes. It is made before the history that it is told of.
func newSyncs() prometheus.Histogram {
	return prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "sshchat_fsync_seconds", Help: "Duration of history syncs.",
		Buckets: prometheus.ExponentialBuckets(0.00005, 2, 18), // 50 us to 6.5 s
	})
}

// Describe implements prometheus.Collector: what there is, is found out by collecting.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(m, ch) }

// Collect implements prometheus.Collector.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	collectStats(ch, m.server.Stats())
	running, waiting := m.st.users.Checks()
	bytes, records := m.st.history.Size()
	gauge(ch, "scrypt_running", "Passwords being checked.", float64(running))
	gauge(ch, "scrypt_waiting", "Passwords waiting to be checked.", float64(waiting))
	gauge(ch, "history_bytes", "Size of the history, not counting preallocated space.", float64(bytes))
	gauge(ch, "history_records", "Records in the history.", float64(records))
	counter(ch, "history_write_errors_total", "Batches of messages and changes that could not be stored.", nil, nil, float64(m.st.history.WriteErrors()))
	gauge(ch, "accounts", "Accounts.", float64(m.hub.View().Len()))
	gauge(ch, "rooms", "Rooms, not counting direct conversations.", float64(m.hub.CountRooms()))
	counter(ch, "clock_set_back_total", "Times the clock was set back.", nil, nil, float64(m.hub.ClockSetBack()))
	counter(ch, "messages_total", "Messages stored and delivered.", nil, nil, float64(m.hub.Posted()))
}

// collectStats sends each field of Stats under the name of its tag.
func collectStats(ch chan<- prometheus.Metric, stats sshchat.Stats) {
	v := reflect.ValueOf(stats)
	for i := range v.NumField() {
		name, label, labelled := strings.Cut(v.Type().Field(i).Tag.Get("metric"), ",")
		value := float64(v.Field(i).Int())
		help := strings.ReplaceAll(name, "_", " ") + ", as the server counts them."
		switch {
		case labelled:
			key, word, _ := strings.Cut(label, "=")
			counter(ch, name, help, []string{key}, []string{word}, value)
		case strings.HasSuffix(name, "_total"):
			counter(ch, name, help, nil, nil, value)
		default:
			gauge(ch, name, help, value)
		}
	}
}

func counter(ch chan<- prometheus.Metric, name, help string, labels, values []string, value float64) {
	ch <- prometheus.MustNewConstMetric(prometheus.NewDesc("sshchat_"+name, help, labels, nil), prometheus.CounterValue, value, values...)
}

func gauge(ch chan<- prometheus.Metric, name, help string, value float64) {
	ch <- prometheus.MustNewConstMetric(prometheus.NewDesc("sshchat_"+name, help, nil, nil), prometheus.GaugeValue, value)
}

// listenMetrics listens where the metrics are read. They are for this machine: who guards its loopback addresses guards
// them. Without an address it returns nil.
func listenMetrics(address string) (net.Listener, error) {
	if address == "" {
		return nil, nil
	}
	if err := checkLoopback(address); err != nil {
		return nil, fmt.Errorf("--metrics: %w", err)
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("--metrics: %w", err)
	}
	return l, nil
}

// checkLoopback refuses an address with which other machines could reach the port.
func checkLoopback(address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return fmt.Errorf("it is %q, and must be a loopback address, such as 127.0.0.1:9222", address)
	}
	return nil
}

// serve answers until stop is called.
func (m *metrics) serve(l net.Listener, logger *slog.Logger) (stop func()) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(m, m.syncs, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{MaxRequestsInFlight: 2}))
	server := &http.Server{
		Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 5 * time.Second, WriteTimeout: 10 * time.Second,
		IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
	}
	go func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			logger.Error("metrics", "err", err)
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
