// Package natstest runs real NATS servers for tests: processes on loopback addresses that can be killed, frozen, started
// again, asked to leave, and cut off from each other or from a client. They are configured as deploy/nats says: nkeys, the
// permissions of a node, every write synced. Their program is built by `go tool` from the version in go.mod, so that tests
// need nothing but Go.
package natstest

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
)

// patience is how long servers may take to start or to end, beside all other tests.
const patience = time.Minute

// A Cluster is servers that run until the test ends. Methods without a testing.TB may be called from any goroutine; what
// fails in them is an error of the test that started the servers.
type Cluster struct {
	t           testing.TB
	dir         string
	servers     []*server
	node, admin nkeys.KeyPair
	stranger    string     // the public key that Refuse puts in the node's place
	authority   *authority // nil without TLS
	routes      [][]*Link  // by the server that connects, and the server it connects to; nil without Routes
	monitoring  http.Client
}

// Start starts three servers, and returns when each can reach the others and JetStream is ready on all of them.
func Start(t testing.TB, options ...Option) *Cluster {
	t.Helper()
	return start(t, 3, options)
}

// StartOne starts one server with JetStream. Streams on it have one replica.
func StartOne(t testing.TB, options ...Option) *Cluster {
	t.Helper()
	return start(t, 1, options)
}

func start(t testing.TB, count int, options []Option) *Cluster {
	t.Helper()
	var s settings
	for _, o := range options {
		o(&s)
	}
	program, err := build()
	if err != nil {
		t.Fatal(err)
	}
	c := &Cluster{t: t, dir: t.TempDir(), node: newUser(t), admin: newUser(t)}
	c.monitoring.Timeout = time.Second
	seed, err := c.node.Seed()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(c.NKeyFile(), append(seed, '\n'), 0o600); err != nil {
		t.Fatal(err)
	}
	for i := range count {
		one, err := newServer(program, c.dir, i)
		if err != nil {
			t.Fatal(err)
		}
		if s.stores != nil {
			one.store = s.stores(i)
		}
		c.servers = append(c.servers, one)
	}
	c.configure(s)
	t.Cleanup(c.stop)
	for i := range c.servers {
		c.Restart(i)
	}
	for i := range c.servers {
		c.WaitReady(t, i)
	}
	c.waitTogether(t)
	return c
}

func newUser(t testing.TB) nkeys.KeyPair {
	t.Helper()
	pair, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

// Len is how many servers there are.
func (c *Cluster) Len() int { return len(c.servers) }

// URLs is where clients connect, in the order of the servers.
func (c *Cluster) URLs() []string {
	return urls(c, "nats", func(s *server) string { return s.client })
}

// MonitorURLs is where the servers report about themselves, in the order of the servers.
func (c *Cluster) MonitorURLs() []string {
	return urls(c, "http", func(s *server) string { return s.monitor })
}

// urls are addresses of the servers.
func urls(c *Cluster, scheme string, address func(*server) string) (all []string) {
	if c.authority != nil {
		scheme = map[string]string{"nats": "tls", "http": "https"}[scheme]
	}
	for _, one := range c.servers {
		all = append(all, scheme+"://"+address(one))
	}
	return all
}

// ServerName is the name of server i in its configuration, and where the servers name each other.
func (c *Cluster) ServerName(i int) string { return c.servers[i].name }

// StoreDir is the folder in which server i keeps its streams.
func (c *Cluster) StoreDir(i int) string { return c.servers[i].store }

// Pid is the process of server i, which must be running.
func (c *Cluster) Pid(i int) int { return c.servers[i].pid() }

// Connect connects to server i alone, with the permissions of a node. The connection is closed when the test ends.
func (c *Cluster) Connect(t testing.TB, i int, options ...nats.Option) *nats.Conn {
	t.Helper()
	return c.connect(t, c.URLs()[i], c.node, options)
}

// ConnectVia is Connect through a link.
func (c *Cluster) ConnectVia(t testing.TB, l *Link, options ...nats.Option) *nats.Conn {
	t.Helper()
	return c.connect(t, l.URL(), c.node, options)
}

// ConnectAdmin is Connect with every permission: for tests of what happens when somebody deletes or changes the stream.
func (c *Cluster) ConnectAdmin(t testing.TB, i int, options ...nats.Option) *nats.Conn {
	t.Helper()
	return c.connect(t, c.URLs()[i], c.admin, options)
}

func (c *Cluster) connect(t testing.TB, url string, user nkeys.KeyPair, options []nats.Option) *nats.Conn {
	t.Helper()
	standard := []nats.Option{
		nats.Nkey(public(t, user), user.Sign), nats.Timeout(10 * time.Second),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}), // nothing is printed; tests look at LastError
		nats.PingInterval(2 * time.Second), nats.MaxPingsOutstanding(2), nats.ReconnectWait(50 * time.Millisecond), nats.MaxReconnects(-1),
	}
	if c.authority != nil {
		standard = append(standard, nats.Secure(&tls.Config{RootCAs: c.authority.pool(), MinVersion: tls.VersionTLS13}))
	}
	nc, err := nats.Connect(url, append(standard, options...)...)
	if err != nil {
		t.Fatalf("connect to %s: %v", url, err)
	}
	t.Cleanup(nc.Close)
	return nc
}

func public(t testing.TB, pair nkeys.KeyPair) string {
	t.Helper()
	key, err := pair.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// Kill ends server i at once, running or frozen, as SIGKILL does.
func (c *Cluster) Kill(i int) { c.check(c.servers[i].kill()) }

// Restart starts server i, which has ended, again with what it has stored. It does not wait until the server is ready.
func (c *Cluster) Restart(i int) { c.check(c.servers[i].start()) }

// Freeze stops the process of server i without ending it: its connections stay open, and nothing answers on them.
func (c *Cluster) Freeze(i int) { c.check(c.servers[i].freeze()) }

// Thaw lets server i go on.
func (c *Cluster) Thaw(i int) { c.check(c.servers[i].thaw()) }

// LameDuck asks server i to hand over what it leads and to send its clients away, and waits until it has ended.
func (c *Cluster) LameDuck(i int) { c.check(c.servers[i].lameDuck(patience)) }

func (c *Cluster) check(err error) {
	if err != nil {
		c.t.Error(err)
	}
}

// WaitReady waits until server i says that it is healthy: JetStream is ready, and every stream on it is current.
func (c *Cluster) WaitReady(t testing.TB, i int) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		var health struct{ Status, Error string }
		err := c.Ask(i, "/healthz", &health)
		if err == nil && health.Status == "ok" {
			return
		}
		if c.servers[i].ended() || time.Now().After(end) {
			t.Fatalf("%s is not ready: %v %s\n%s", c.servers[i].name, err, health.Error, c.Log(i))
		}
	}
}

// waitTogether waits until the server that places streams knows that all others are there: it refuses to place one before, even
// if each server is ready.
func (c *Cluster) waitTogether(t testing.TB) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		for i, one := range c.servers {
			var answer struct {
				Meta *struct { // nil on a server alone
					Leader   string
					Size     int `json:"cluster_size"`
					Replicas []struct{ Current, Offline bool }
				} `json:"meta_cluster"`
			}
			if one.silent() || c.Ask(i, "/jsz", &answer) != nil {
				continue
			}
			if answer.Meta == nil {
				return
			}
			there := 1
			for _, r := range answer.Meta.Replicas {
				if r.Current && !r.Offline {
					there++
				}
			}
			if answer.Meta.Leader == one.name && there == answer.Meta.Size {
				return
			}
		}
	}
	t.Fatal("the servers do not find each other")
}

// WaitLeader waits until one of the servers leads a stream, and returns which.
func (c *Cluster) WaitLeader(t testing.TB, stream string) int {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if i := c.Leader(stream); i >= 0 {
			return i
		}
	}
	t.Fatalf("nobody leads %s", stream)
	return -1
}

// Leader is which server leads a stream, as that server itself says; -1 if none does at the moment. One that is cut off from
// the others says so for some seconds longer.
func (c *Cluster) Leader(stream string) int {
	for i, one := range c.servers {
		var answer struct {
			Accounts []struct {
				Streams []struct {
					Name    string
					Cluster *struct{ Leader string } // nil on a server alone
				} `json:"stream_detail"`
			} `json:"account_details"`
		}
		if one.silent() || c.Ask(i, "/jsz?accounts=true&streams=true", &answer) != nil {
			continue
		}
		for _, account := range answer.Accounts {
			for _, s := range account.Streams {
				if s.Name == stream && (s.Cluster == nil || s.Cluster.Leader == one.name) {
					return i
				}
			}
		}
	}
	return -1
}

// Ask reads what server i reports about itself at a path such as /varz.
func (c *Cluster) Ask(i int, path string, into any) error {
	response, err := c.monitoring.Get(c.MonitorURLs()[i] + path)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	return json.NewDecoder(io.LimitReader(response.Body, 4<<20)).Decode(into)
}

// Log is the end of what server i has logged.
func (c *Cluster) Log(i int) string {
	text, err := os.ReadFile(c.servers[i].logFile())
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-8<<10):])
}

// stop ends all servers, and logs what they said if the test has failed.
func (c *Cluster) stop() {
	c.monitoring.CloseIdleConnections()
	for i, one := range c.servers {
		c.check(one.kill())
		if c.t.Failed() {
			c.t.Logf("the end of the log of %s:\n%s", one.name, c.Log(i))
		}
	}
}

// Refuse has server i refuse the nodes' nkey, or take it again, as when the line of a node in users.conf is deleted and the server reloaded.
func (c *Cluster) Refuse(t testing.TB, i int, refuse bool) {
	t.Helper()
	s, node := c.servers[i], public(t, c.node)
	if c.stranger == "" {
		c.stranger = public(t, newUser(t))
	}
	old, now := node, c.stranger
	if !refuse {
		old, now = now, old
	}
	text, err := os.ReadFile(s.configFile())
	if err == nil && !strings.Contains(string(text), old) {
		t.Fatalf("%s has no %s", s.configFile(), old)
	}
	if err == nil {
		err = os.WriteFile(s.configFile(), []byte(strings.ReplaceAll(string(text), old, now)), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	reload(t, s)
}

// reload has a server read its configuration again.
func reload(t testing.TB, s *server) {
	t.Helper()
	if out, err := exec.Command(s.program, "--signal", fmt.Sprintf("reload=%d", s.pid())).CombinedOutput(); err != nil {
		t.Fatalf("reload: %v: %s", err, out)
	}
}
