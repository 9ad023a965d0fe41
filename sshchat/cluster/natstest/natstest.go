// Package natstest runs real NATS servers for tests: processes on loopback addresses that can be killed, frozen, started
// again and asked to leave. They are configured as deploy/nats says: nkeys, the permissions of a node, every write synced.
// The servers are built by `go tool` from the version in go.mod, so that tests need nothing but Go.
package natstest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
)

// readyIn is how long servers may take to start, beside all other tests.
const readyIn = time.Minute

// settings is how the servers of a cluster differ from what deploy/nats says.
type settings struct {
	syncInterval string
	maxPayload   int
}

// An Option changes how servers are configured.
type Option func(*settings)

// DefaultSync leaves out sync_interval: the servers sync their files every two minutes. It is what a cluster of sshchat
// refuses, and the control of tests that cut the power.
func DefaultSync() Option { return func(s *settings) { s.syncInterval = "" } }

// MaxPayload is the largest message that the servers take, in bytes.
func MaxPayload(bytes int) Option { return func(s *settings) { s.maxPayload = bytes } }

// A Cluster is servers that run until the test ends. Its methods may be called from any goroutine.
type Cluster struct {
	t          testing.TB
	dir        string
	servers    []*server
	node       nkeys.KeyPair
	admin      nkeys.KeyPair
	monitoring http.Client
}

// Start starts three servers, and returns when each can reach the others and JetStream is ready on all of them.
func Start(t testing.TB, options ...Option) *Cluster {
	t.Helper()
	return start(t, 3, options)
}

// StartOne starts one server with JetStream: it takes less than half a second. Streams on it have one replica.
func StartOne(t testing.TB, options ...Option) *Cluster {
	t.Helper()
	return start(t, 1, options)
}

func start(t testing.TB, count int, options []Option) *Cluster {
	t.Helper()
	s := settings{syncInterval: "always"}
	for _, o := range options {
		o(&s)
	}
	binary, err := build()
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
		one, err := newServer(binary, c.dir, i)
		if err != nil {
			t.Fatal(err)
		}
		c.servers = append(c.servers, one)
	}
	for _, one := range c.servers {
		if err := os.WriteFile(one.configFile(), []byte(c.config(one, s)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(c.stop)
	for i := range c.servers {
		c.launch(i)
	}
	for i := range c.servers {
		c.WaitReady(i)
	}
	return c
}

// build makes the server's binary, once a process; Go's build cache keeps it between processes.
var build = sync.OnceValues(func() (string, error) {
	cmd := exec.Command("go", "tool", "-n", "nats-server")
	cmd.Env = append(os.Environ(), "GOEXPERIMENT=", "GOOS=", "GOARCH=") // the same binary for all of them
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("build nats-server: %w: %s", err, &errs)
	}
	path := strings.TrimSpace(string(out))
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("build nats-server: %w", err)
	}
	return path, nil
})

func newUser(t testing.TB) nkeys.KeyPair {
	t.Helper()
	pair, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

// config is a server's configuration file.
func (c *Cluster) config(one *server, s settings) string {
	var b strings.Builder
	fmt.Fprintf(&b, "server_name: %s\nlisten: %q\nhttp: %q\n", one.name, one.client, one.monitor)
	fmt.Fprintf(&b, "lame_duck_grace_period: 200ms\n")
	if s.maxPayload > 0 {
		fmt.Fprintf(&b, "max_payload: %d\n", s.maxPayload)
	}
	fmt.Fprintf(&b, "jetstream {\n  store_dir: %q\n", filepath.ToSlash(one.storeDir()))
	if s.syncInterval != "" {
		fmt.Fprintf(&b, "  sync_interval: %s\n", s.syncInterval)
	}
	fmt.Fprint(&b, "}\n")
	fmt.Fprintf(&b, "authorization {\n  users: [\n    { nkey: %s, %s }\n    { nkey: %s }\n  ]\n}\n",
		c.public(c.node), nodePermissions(c.t), c.public(c.admin))
	if len(c.servers) > 1 {
		fmt.Fprintf(&b, "cluster {\n  name: sshchat\n  listen: %q\n  routes: [\n", one.route)
		for _, other := range c.servers {
			fmt.Fprintf(&b, "    nats://%s\n", other.route)
		}
		fmt.Fprint(&b, "  ]\n}\n")
	}
	return b.String()
}

func (c *Cluster) public(pair nkeys.KeyPair) string {
	key, err := pair.PublicKey()
	if err != nil {
		c.t.Fatal(err)
	}
	return key
}

// nodePermissions is what deploy/nats lets a node do.
func nodePermissions(t testing.TB) string {
	t.Helper()
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(filepath.Dir(strings.TrimSpace(string(out))), "deploy", "nats", "permissions.conf"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Len is how many servers there are.
func (c *Cluster) Len() int { return len(c.servers) }

// NKeyFile is the path of the seed with which a node logs in.
func (c *Cluster) NKeyFile() string { return filepath.Join(c.dir, "node.nk") }

// URLs is where clients connect, in the order of the servers.
func (c *Cluster) URLs() []string {
	var all []string
	for _, one := range c.servers {
		all = append(all, "nats://"+one.client)
	}
	return all
}

// MonitorURLs is where the servers report about themselves, in the order of the servers.
func (c *Cluster) MonitorURLs() []string {
	var all []string
	for _, one := range c.servers {
		all = append(all, "http://"+one.monitor)
	}
	return all
}

// StoreDir is the folder in which server i keeps its streams.
func (c *Cluster) StoreDir(i int) string { return c.servers[i].storeDir() }

// Connect connects to server i alone, with the permissions of a node. The connection is closed when the test ends.
func (c *Cluster) Connect(t testing.TB, i int, options ...nats.Option) *nats.Conn {
	t.Helper()
	return c.connect(t, i, c.node, options)
}

// ConnectAdmin is Connect with every permission: for tests of what happens when somebody deletes or changes the stream.
func (c *Cluster) ConnectAdmin(t testing.TB, i int, options ...nats.Option) *nats.Conn {
	t.Helper()
	return c.connect(t, i, c.admin, options)
}

func (c *Cluster) connect(t testing.TB, i int, user nkeys.KeyPair, options []nats.Option) *nats.Conn {
	t.Helper()
	options = append([]nats.Option{
		nats.Nkey(c.public(user), user.Sign), nats.IgnoreDiscoveredServers(),
		nats.PingInterval(2 * time.Second), nats.MaxPingsOutstanding(2), nats.ReconnectWait(50 * time.Millisecond), nats.MaxReconnects(-1),
	}, options...)
	nc, err := nats.Connect(c.URLs()[i], options...)
	if err != nil {
		t.Fatalf("connect to %s: %v", c.servers[i].name, err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// launch starts the process of server i.
func (c *Cluster) launch(i int) {
	c.t.Helper()
	if err := c.servers[i].launch(); err != nil {
		c.t.Fatalf("start %s: %v", c.servers[i].name, err)
	}
}

// Kill ends server i at once, as SIGKILL does.
func (c *Cluster) Kill(i int) {
	c.t.Helper()
	if err := c.servers[i].kill(); err != nil {
		c.t.Fatal(err)
	}
}

// Restart starts server i, which has ended, again with what it has stored. It does not wait until the server is ready.
func (c *Cluster) Restart(i int) {
	c.t.Helper()
	c.launch(i)
}

// Freeze stops the process of server i without ending it: its connections stay open, and nothing answers on them.
func (c *Cluster) Freeze(i int) {
	c.t.Helper()
	if err := c.servers[i].freeze(); err != nil {
		c.t.Fatal(err)
	}
}

// Thaw lets server i go on.
func (c *Cluster) Thaw(i int) {
	c.t.Helper()
	if err := c.servers[i].thaw(); err != nil {
		c.t.Fatal(err)
	}
}

// LameDuck asks server i to give away what it leads and to send its clients away, and waits until it has ended.
func (c *Cluster) LameDuck(i int) {
	c.t.Helper()
	if err := c.servers[i].lameDuck(readyIn); err != nil {
		c.t.Fatal(err)
	}
}

// WaitReady waits until server i says that it is healthy: JetStream is ready, and every stream on it is current.
func (c *Cluster) WaitReady(i int) {
	c.t.Helper()
	var health struct{ Status, Error string }
	for end := time.Now().Add(readyIn); ; time.Sleep(10 * time.Millisecond) {
		err := c.ask(i, "/healthz", &health)
		if err == nil && health.Status == "ok" {
			return
		}
		if c.servers[i].ended() || time.Now().After(end) {
			c.t.Fatalf("%s is not ready: %v %s\n%s", c.servers[i].name, err, health.Error, c.Log(i))
		}
	}
}

// Leader is which server leads a stream, as that server itself says; -1 if none does at the moment.
func (c *Cluster) Leader(stream string) int {
	for i, one := range c.servers {
		var jsz struct {
			Accounts []struct {
				Streams []struct {
					Name    string
					Cluster *struct{ Leader string }
				} `json:"stream_detail"`
			} `json:"account_details"`
		}
		if one.stopped() || c.ask(i, "/jsz?accounts=true&streams=true", &jsz) != nil {
			continue
		}
		for _, account := range jsz.Accounts {
			for _, s := range account.Streams {
				if s.Name == stream && (s.Cluster == nil || cmp.Or(s.Cluster.Leader, one.name) == one.name && (s.Cluster.Leader != "" || len(c.servers) == 1)) {
					return i
				}
			}
		}
	}
	return -1
}

// ask reads what server i reports at a path.
func (c *Cluster) ask(i int, path string, into any) error {
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
		if err := one.kill(); err != nil {
			c.t.Error(err)
		}
		if c.t.Failed() {
			c.t.Logf("the end of the log of %s:\n%s", one.name, c.Log(i))
		}
	}
}
