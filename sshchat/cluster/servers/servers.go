// Package servers checks the NATS servers that a cluster keeps its log on: that what they have acknowledged survives a power
// cut. It asks their monitoring addresses, since clients cannot see it; it knows nothing of what the servers store.
package servers

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/semver"

	"sshchat/sshchat/text"
)

// ErrUnsafe is in the error of Check if a server has answered, and must not be used. If it is not, too few have answered.
var ErrUnsafe = errors.New("a NATS server is not safe to use")

// unsafeServer is an ErrUnsafe that says why, and what to do.
type unsafeServer string

func (u unsafeServer) Error() string        { return string(u) }
func (u unsafeServer) Is(target error) bool { return target == ErrUnsafe }

// oldest is the first version that sshchat works with. Since then, a server that syncs always does it once for each message.
const oldest = "2.15"

// largest is how long an answer may be, in bytes.
const largest = 1 << 20

// status is what a server says of itself at /varz.
type status struct {
	ID        string `json:"server_id"`
	Name      string `json:"server_name"`
	Version   string `json:"version"`
	JetStream struct {
		Config *struct { // nil: it is off
			SyncInterval time.Duration `json:"sync_interval"`
			SyncAlways   bool          `json:"sync_always"`
		} `json:"config"`
	} `json:"jetstream"`
	Cluster struct {
		Name string `json:"name"`
	} `json:"cluster"`
}

// Client asks servers about themselves.
type Client struct {
	tls      *tls.Config
	patience time.Duration // how long a server may take to answer
}

// NewClient makes a client that trusts servers whose certificates the authorities in a file of PEM have signed; with no file,
// those that the system trusts.
func NewClient(ca string) (*Client, error) {
	c := &Client{tls: &tls.Config{MinVersion: tls.VersionTLS12}, patience: 3 * time.Second}
	if ca != "" {
		text, err := os.ReadFile(ca)
		if err != nil {
			return nil, fmt.Errorf("read the certificates of the NATS servers' authority: %w", err)
		}
		c.tls.RootCAs = x509.NewCertPool()
		if !c.tls.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("%s has no certificate (PEM)", ca)
		}
	}
	return c, nil
}

// Check asks the servers at their monitoring addresses (http://HOST:PORT) at the same time. More than half of the servers
// must answer and run JetStream, which are as many as there are addresses or replicas of the stream, and each that answers must
// sync every write and be new enough. A server that does not answer is a warning, and so is one that does not run JetStream: it
// stores nothing, as it has just started, or its disk is full. The error has a line for each fault.
func (c *Client) Check(ctx context.Context, monitors []string, replicas int) (warnings []string, err error) {
	answers := make([]status, len(monitors))
	failures := make([]error, len(monitors))
	var all sync.WaitGroup
	for i, monitor := range monitors {
		all.Go(func() { answers[i], failures[i] = c.ask(ctx, monitor) })
	}
	all.Wait()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var faults []error
	at := make(map[string]string) // the addresses of the servers that answered, by their ID
	first := ""                   // the address of the first of them
	cluster, run := "", 0         // its cluster; how many run JetStream
	for i, monitor := range monitors {
		s := answers[i]
		if failures[i] != nil {
			warnings = append(warnings, fmt.Sprintf("the NATS server at %s was not checked: %v", monitor, failures[i]))
			continue
		}
		if other, twice := at[s.ID]; twice {
			warnings = append(warnings, fmt.Sprintf("%s and %s are the same NATS server, %s", other, monitor, s.label()))
			continue
		}
		at[s.ID] = monitor
		if first == "" {
			first, cluster = monitor, s.Cluster.Name
		}
		if s.Cluster.Name != cluster {
			faults = append(faults, unsafeServer(fmt.Sprintf("the NATS servers at %s and %s are not in the same cluster", first, monitor)))
		}
		for _, fault := range s.faults() {
			faults = append(faults, unsafeServer(fmt.Sprintf("the NATS server %s (%s) %s", s.label(), monitor, fault)))
		}
		if s.JetStream.Config == nil {
			warnings = append(warnings, fmt.Sprintf("the NATS server %s (%s) %s", s.label(), monitor, noJetStream))
		} else {
			run++
		}
	}
	if servers := max(len(monitors), replicas); len(faults) == 0 && run <= servers/2 {
		faults = append(faults, tooFew(run, servers, warnings))
	}
	return warnings, errors.Join(faults...)
}

// noJetStream is what to do about a server without it.
const noJetStream = "does not run JetStream. If its disk is full, make room and restart it. Else add this to its configuration, and restart it:\n" +
	"  jetstream {\n    store_dir: /var/lib/nats\n    sync_interval: always\n  }"

// tooFew is the error if not more than half of the servers have answered, and run JetStream.
func tooFew(answered, servers int, warnings []string) error {
	hint := strings.Join(append([]string{"check cluster-monitor, and http or https in the configuration of the servers"}, warnings...), "; ")
	if servers == 1 {
		return fmt.Errorf("the NATS server must answer at its monitoring address, and run JetStream: %s", hint)
	}
	return fmt.Errorf("%d of the %d NATS servers must answer at their monitoring addresses and run JetStream, and %d did: %s", servers/2+1, servers, answered, hint)
}

func (s *status) label() string { return text.Clean(s.Name, 64) }

// faults is what must be changed on a server, for people.
func (s *status) faults() (all []string) {
	if v := "v" + s.Version; !semver.IsValid(v) || semver.Compare(v, "v"+oldest) < 0 {
		all = append(all, fmt.Sprintf("is version %s: upgrade it to %s or newer", text.Clean(s.Version, 40), oldest))
	}
	if c := s.JetStream.Config; c != nil && !c.SyncAlways {
		all = append(all, fmt.Sprintf("writes to its disk only every %v: a power cut would lose messages that people have seen. Add this line to its jetstream block, and restart it:\n  sync_interval: always", c.SyncInterval))
	}
	return all
}

// ask reads what a server says of itself. It sends one request over a connection of its own, follows no redirection and uses no proxy;
// the answer has at most largest bytes. http.Client would add 0.4 MB to a program that has no other use for one.
func (c *Client) ask(ctx context.Context, monitor string) (s status, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.patience)
	defer cancel()
	defer func() {
		if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) {
			err = errors.New("it did not answer in time")
		}
	}()
	address, err := url.JoinPath(monitor, "varz")
	if err != nil {
		return s, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return s, err
	}
	request.Close = true
	conn, err := c.dial(ctx, request.URL)
	if err != nil {
		return s, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })()
	if err := request.Write(conn); err != nil {
		return s, err
	}
	response, err := http.ReadResponse(bufio.NewReader(io.LimitReader(conn, largest)), request)
	if err != nil {
		return s, err
	}
	if response.StatusCode != http.StatusOK {
		return s, fmt.Errorf("it answered %q", response.Status)
	}
	switch err := json.NewDecoder(response.Body).Decode(&s); {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return s, err
	case err != nil || s.ID == "" || s.Version == "":
		return s, errors.New("it did not answer as a NATS server does")
	}
	return s, nil
}

// dial connects to where a URL points; the port is that of its scheme if it has none.
func (c *Client) dial(ctx context.Context, at *url.URL) (net.Conn, error) {
	address := net.JoinHostPort(at.Hostname(), cmp.Or(at.Port(), at.Scheme))
	if at.Scheme == "https" {
		return (&tls.Dialer{Config: c.tls}).DialContext(ctx, "tcp", address)
	}
	return new(net.Dialer).DialContext(ctx, "tcp", address)
}
