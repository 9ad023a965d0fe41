package servers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sshchat/sshchat/cluster/natstest"
)

// check checks servers, and expects as many warnings and faults as there are words, each with its words.
func check(t *testing.T, monitors []string, replicas int, ca string, warnings, faults []string) error {
	t.Helper()
	client, err := NewClient(ca)
	if err != nil {
		t.Fatal(err)
	}
	client.patience = time.Minute // beside other tests
	warned, err := client.Check(context.Background(), monitors, replicas)
	match(t, "warning", warned, warnings)
	var found []string
	if joined, is := err.(interface{ Unwrap() []error }); is {
		for _, one := range joined.Unwrap() {
			found = append(found, one.Error())
		}
	}
	match(t, "fault", found, faults)
	return err
}

func match(t *testing.T, what string, have, want []string) {
	t.Helper()
	if len(have) != len(want) {
		t.Fatalf("%d %ss, not %d: %q", len(have), what, len(want), have)
	}
	for i := range have {
		if !strings.Contains(have[i], want[i]) {
			t.Errorf("the %s %q lacks %q", what, have[i], want[i])
		}
	}
}

// As servers end, what they say is missed: one of three is a warning, two are too many.
func TestServersDown(t *testing.T) {
	t.Parallel()
	c := natstest.Start(t)
	check(t, c.MonitorURLs(), 3, "", nil, nil)
	c.Kill(2)
	check(t, c.MonitorURLs(), 3, "", []string{"was not checked: dial tcp"}, nil)
	check(t, c.MonitorURLs()[:2], 3, "", nil, nil)
	c.Kill(1)
	down := []string{c.MonitorURLs()[1] + " was not checked", c.MonitorURLs()[2] + " was not checked"}
	err := check(t, c.MonitorURLs(), 3, "", down, []string{"2 of the 3 NATS servers must answer at their monitoring addresses and run JetStream, and 1 did: check cluster-monitor"})
	if errors.Is(err, ErrUnsafe) {
		t.Error("a server that is down is not unsafe")
	}
	check(t, c.MonitorURLs()[:1], 3, "", nil, []string{"2 of the 3"}) // the addresses of the others were not given
	twice := []string{c.MonitorURLs()[0], c.MonitorURLs()[0]}
	check(t, twice, 3, "", []string{"are the same NATS server, nats-1"}, []string{"2 of the 3"})
}

// A server that does not sync is refused, with the line to add, whatever the others do.
func TestServerWithoutSync(t *testing.T) {
	t.Parallel()
	c := natstest.Start(t, natstest.DefaultSync(1))
	want := "nats-2 (" + c.MonitorURLs()[1] + ") writes to its disk only every 2m0s: a power cut would lose messages that people have seen." +
		" Add this line to its jetstream block, and restart it:\n  sync_interval: always"
	err := check(t, c.MonitorURLs(), 3, "", nil, []string{want})
	if !errors.Is(err, ErrUnsafe) {
		t.Errorf("%v is not ErrUnsafe", err)
	}
}

func TestServersWithTLS(t *testing.T) {
	t.Parallel()
	c := natstest.StartOne(t, natstest.TLS())
	check(t, c.MonitorURLs(), 1, c.CAFile(), nil, nil)
	check(t, c.MonitorURLs(), 1, "", []string{"certificate"}, []string{"must answer at its monitoring address"})
	plain := []string{strings.Replace(c.MonitorURLs()[0], "https", "http", 1)}
	check(t, plain, 1, c.CAFile(), []string{"it answered"}, []string{"must answer at its monitoring address"})
}

func TestClientNeedsCertificates(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ca.pem")
	if _, err := NewClient(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	if err := os.WriteFile(path, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := NewClient(path); err == nil || !strings.Contains(err.Error(), "has no certificate") {
		t.Errorf("a file without certificates: %v", err)
	}
}

// What real servers of this version cannot be made to say.
func TestOtherAnswers(t *testing.T) {
	t.Parallel()
	const always = `"jetstream":{"config":{"sync_always":true}}`
	for _, c := range []struct {
		answer   string
		warnings []string
		faults   []string
	}{
		{`{"server_id":"A","server_name":"a","version":"2.15.0",` + always + `}`, nil, nil},
		{`{"server_id":"A","server_name":"a","version":"2.16.0-RC.1",` + always + `}`, nil, nil},
		{`{"server_id":"A","server_name":"a","version":"3.0.0",` + always + `}`, nil, nil},
		{`{"server_id":"A","server_name":"a","version":"2.14.9",` + always + `}`, nil, []string{"is version 2.14.9: upgrade it to 2.15 or newer"}},
		{`{"server_id":"A","server_name":"a","version":"2.9.10",` + always + `}`, nil, []string{"is version 2.9.10"}},
		{`{"server_id":"A","server_name":"a","version":"2.15.0-RC.1",` + always + `}`, nil, []string{"is version 2.15.0-RC.1"}},
		{`{"server_id":"A","server_name":"a","version":"new",` + always + `}`, nil, []string{"is version new"}},
		{`{"server_id":"A","server_name":"a","version":"2.15.0","jetstream":{}}`, []string{"does not run JetStream"}, []string{"and run JetStream: check"}},
		{`{"server_id":"A","server_name":"a\u001b[31m","version":"2.14.0","jetstream":{}}`, []string{"JetStream"}, []string{"is version 2.14.0"}},
		{`{"status":"ok"}`, []string{"did not answer as a NATS server does"}, []string{"must answer at its monitoring address"}},
		{`nothing`, []string{"did not answer as a NATS server does"}, []string{"must answer at its monitoring address"}},
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, c.answer) }))
		err := check(t, []string{s.URL}, 1, "", c.warnings, c.faults)
		if err != nil && strings.ContainsRune(err.Error(), '\x1b') {
			t.Errorf("an escape sequence of the server is in %q", err)
		}
		s.Close()
	}
}

// A server without JetStream, which it switches off when its disk is full, loses nothing: one of three is a warning, two are too many.
func TestServersWithoutJetStream(t *testing.T) {
	t.Parallel()
	var off atomic.Int32
	var monitors []string
	for i := range int32(3) {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			config := `"config":{"sync_always":true}`
			if i < off.Load() {
				config = ""
			}
			fmt.Fprintf(w, `{"server_id":"%d","server_name":"%d","version":"2.15.0","jetstream":{%s}}`, i, i, config)
		}))
		t.Cleanup(s.Close)
		monitors = append(monitors, s.URL)
	}
	check(t, monitors, 3, "", nil, nil)
	off.Store(1)
	check(t, monitors, 3, "", []string{"the NATS server 0 (" + monitors[0] + ") does not run JetStream. If its disk is full"}, nil)
	off.Store(2)
	err := check(t, monitors, 3, "", []string{"does not run JetStream", "does not run JetStream"}, []string{"2 of the 3 NATS servers"})
	if errors.Is(err, ErrUnsafe) {
		t.Error("servers that store nothing are not unsafe")
	}
}

// Servers of several clusters do not keep one log.
func TestServersOfTwoClusters(t *testing.T) {
	t.Parallel()
	var monitors []string
	for _, name := range []string{"A", "B"} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, `{"server_id":%q,"server_name":%q,"version":"2.15.0","cluster":{"name":%q},"jetstream":{"config":{"sync_always":true}}}`, name, name, name)
		}))
		t.Cleanup(s.Close)
		monitors = append(monitors, s.URL)
	}
	check(t, monitors, 2, "", nil, []string{"are not in the same cluster"})
}

// A server that is silent is given up after a time, or with the check: one that says nothing, and one that stops in its answer.
func TestSilentServer(t *testing.T) {
	t.Parallel()
	asked, done := make(chan struct{}, 4), make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/stops") {
			io.WriteString(w, `{"server_id":"A",`)
			w.(http.Flusher).Flush()
		}
		asked <- struct{}{}
		<-done
	}))
	defer s.Close()
	defer close(done)
	impatient := &Client{patience: 10 * time.Millisecond}
	for _, monitor := range []string{s.URL, s.URL + "/stops"} {
		ctx, cancel := context.WithCancel(context.Background())
		go func() { <-asked; cancel() }()
		if warnings, err := (&Client{patience: time.Minute}).Check(ctx, []string{monitor}, 1); !errors.Is(err, context.Canceled) || warnings != nil {
			t.Errorf("%s, given up: %q, %v", monitor, warnings, err)
		}
		if _, err := impatient.Check(context.Background(), []string{monitor}, 1); err == nil || !strings.Contains(err.Error(), "it did not answer in time") {
			t.Errorf("%s is silent: %v", monitor, err)
		}
	}
}

// What stands at a monitoring address instead of a server may send elsewhere, refuse, or not end.
func TestAnswersOfOthers(t *testing.T) {
	t.Parallel()
	const good = `{"server_id":"A","server_name":"a","version":"2.15.0","jetstream":{"config":{"sync_always":true}}}`
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/away/varz":
			http.Redirect(w, r, "/below/varz", http.StatusFound)
		case "/below/varz":
			io.WriteString(w, good)
		case "/long/varz":
			fmt.Fprintf(w, `{"a":%q,%s`, strings.Repeat("a", largest), good[1:])
		default:
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	defer s.Close()
	for _, c := range []struct{ monitor, warning string }{
		{s.URL + "/below", ""},
		{s.URL + "/below/", ""},
		{s.URL, `it answered "401 Unauthorized"`},
		{s.URL + "/away", `it answered "302 Found"`},
		{s.URL + "/long", "it did not answer as a NATS server does"},
	} {
		if c.warning == "" {
			check(t, []string{c.monitor}, 1, "", nil, nil)
		} else {
			check(t, []string{c.monitor}, 1, "", []string{c.warning}, []string{"must answer at its monitoring address"})
		}
	}
}
