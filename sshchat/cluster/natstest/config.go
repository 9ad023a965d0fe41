package natstest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// settings is how the servers of a test differ from what deploy/nats says.
type settings struct {
	tls, routes   bool
	notSynced     bool
	notSyncedOnly []int // servers; empty: all of them
	maxPayload    int
	stores        func(i int) string
}

// An Option changes how servers are configured.
type Option func(*settings)

// DefaultSync leaves sync_interval out on some servers, or on all: they sync their files every two minutes. It is what
// sshchat refuses, and the control of tests that cut the power.
func DefaultSync(servers ...int) Option {
	return func(s *settings) { s.notSynced, s.notSyncedOnly = true, servers }
}

// syncs is whether server i syncs every write.
func (s *settings) syncs(i int) bool {
	return !s.notSynced || len(s.notSyncedOnly) > 0 && !slices.Contains(s.notSyncedOnly, i)
}

// MaxPayload is the largest message that the servers take, in bytes; 1 MiB without it.
func MaxPayload(bytes int) Option { return func(s *settings) { s.maxPayload = bytes } }

// TLS makes servers that take encrypted connections only, with certificates that Cluster.CAFile vouches for.
func TLS() Option { return func(s *settings) { s.tls = true } }

// Routes leads the connections between the servers through the test, so that Cluster.CutRoute and the like work.
func Routes() Option { return func(s *settings) { s.routes = true } }

// StoreIn keeps the streams of server i in a folder of the test's, such as a disk whose power it can cut.
func StoreIn(folder func(i int) string) Option { return func(s *settings) { s.stores = folder } }

// NKeyFile is the path of the seed with which a node logs in.
func (c *Cluster) NKeyFile() string { return filepath.Join(c.dir, "node.nk") }

// CAFile is the path of the certificate to trust, if the servers were started with TLS.
func (c *Cluster) CAFile() string { return filepath.Join(c.dir, "ca.pem") }

// configure writes the configuration files of all servers.
func (c *Cluster) configure(s settings) {
	c.t.Helper()
	if s.tls {
		c.authority = newAuthority(c.t)
		c.monitoring.Transport = c.authority.transport()
		c.authority.write(c.t, c.CAFile())
	}
	if s.routes {
		c.linkRoutes()
	}
	permissions := nodePermissions(c.t)
	for i, one := range c.servers {
		if c.authority != nil {
			c.authority.certify(c.t, one.dir, one.host())
		}
		if err := os.WriteFile(one.configFile(), []byte(c.config(i, s, permissions)), 0o600); err != nil {
			c.t.Fatal(err)
		}
	}
}

// config is the configuration file of server i.
func (c *Cluster) config(i int, s settings, permissions string) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	one := c.servers[i]
	line("server_name: %s", one.name)
	line("listen: %q", one.client)
	line("lame_duck_grace_period: 200ms")
	if s.maxPayload > 0 {
		line("max_payload: %d", s.maxPayload)
	}
	if s.tls {
		line("https: %q", one.monitor)
		line("tls { cert_file: %q, key_file: %q }", one.path("cert.pem"), one.path("key.pem"))
	} else {
		line("http: %q", one.monitor)
	}
	line("jetstream {")
	line("store_dir: %q", filepath.ToSlash(one.store))
	if s.syncs(i) {
		line("sync_interval: always")
	}
	line("}")
	line("authorization { users: [")
	line("{ nkey: %s, permissions: {\n%s} }", public(c.t, c.node), permissions)
	line("{ nkey: %s }", public(c.t, c.admin))
	line("] }")
	if len(c.servers) > 1 {
		line("cluster {")
		line("name: sshchat")
		line("listen: %q", one.route)
		line("no_advertise: true")
		line("routes: [")
		for j, other := range c.servers {
			to := other.route
			if s.routes && j != i {
				to = c.routes[i][j].address()
			}
			line("%q", "nats://"+to)
		}
		line("]")
		if s.routes {
			line("advertise: %q", "127.0.0.1:1") // so that no server finds another way to this one than its link
		}
		if s.tls {
			line("tls { cert_file: %q, key_file: %q, ca_file: %q }", one.path("cert.pem"), one.path("key.pem"), filepath.ToSlash(c.CAFile()))
		}
		line("}")
	}
	return b.String()
}

// nodePermissions is what deploy/nats lets a node do.
func nodePermissions(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(moduleDir(t), "deploy", "nats", "permissions.conf"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func moduleDir(t testing.TB) string {
	t.Helper()
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Dir(strings.TrimSpace(string(out)))
}
