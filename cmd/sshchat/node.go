package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"sshchat/sshchat"
	"sshchat/sshchat/chat"
	"sshchat/sshchat/cluster"
	"sshchat/sshchat/cluster/online"
	"sshchat/sshchat/cluster/servers"
	"sshchat/sshchat/cluster/sessions"
	"sshchat/sshchat/command"
	"sshchat/sshchat/fence"
	"sshchat/sshchat/text"
	"sshchat/store"
	"sshchat/store/owner"

	"github.com/prometheus/client_golang/prometheus"
)

// A server may be one of several nodes, whose log is a stream of NATS. This file is what is set for that, what is checked of it, and the
// node while the server runs. Without the setting cluster, none of it is used.

// clusterSettings are what a node of a cluster needs.
type clusterSettings struct {
	servers  []string // of NATS, as nats://HOST:PORT or tls://HOST:PORT
	nkey, ca string   // files
	monitors []string
	keep     time.Duration
	node     string // empty: the host's name
}

func (s *settings) clusterSettings() []setting {
	c := &s.cluster
	return []setting{
		{name: "cluster", group: clusterGroup, value: &urls{&c.servers, []string{"nats", "tls"}, "4222", "nats://192.0.2.1:4222 or tls://nats.example.org"}, help: "NATS servers that connect this node with the others of its cluster, such as nats://192.0.2.1:4222 (repeatable); if empty, there is no cluster"},
		{name: "cluster-nkey", group: clusterGroup, value: &textual{&c.nkey, "FILE", checkFileName}, help: "file with the seed of the NATS user (nkey) that this node logs in to the NATS servers as"},
		{name: "cluster-ca", group: clusterGroup, value: &textual{&c.ca, "FILE", checkFileName}, help: "certificates (PEM) of the authority that signed those of the NATS servers; if empty, the system's authorities"},
		{name: "cluster-monitor", group: clusterGroup, value: &urls{&c.monitors, []string{"http", "https"}, "", "http://192.0.2.1:8222"}, help: "monitoring addresses of the NATS servers, such as http://192.0.2.1:8222 (repeatable), where their settings are checked; if empty, port 8222 of each server"},
		{name: "cluster-keep", group: clusterGroup, value: &span{d: &c.keep}, help: "how long NATS keeps what nodes may have missed; a node that was stopped for longer needs a new copy of the data"},
		{name: "node", group: clusterGroup, value: &textual{&c.node, "NAME", checkNode}, help: "name of this node in its cluster: up to 32 of a-z, 0-9 and -, not - at the beginning; if empty, made of the host's name"},
	}
}

// urls are addresses of servers, several in one word if commas or spaces separate them. Those after the first need no scheme, as in
// NATS's own clients.
type urls struct {
	all     *[]string
	schemes []string
	port    string // of an address without one; empty: that of the scheme
	example string
}

func (u *urls) Set(words string) error {
	all := inList(words)
	if len(all) == 0 && words != "" {
		return notA(words, u.form())
	}
	for _, typed := range all {
		word := typed
		if !strings.Contains(word, "://") {
			scheme := u.schemes[0]
			if n := len(*u.all); n > 0 {
				scheme, _, _ = strings.Cut((*u.all)[n-1], "://")
			}
			word = scheme + "://" + word
		}
		address, err := u.parse(typed, word)
		if err != nil {
			return err
		}
		if slices.Contains(*u.all, address) {
			return fmt.Errorf("%s is set twice", address)
		}
		*u.all = append(*u.all, address)
	}
	return nil
}

// parse returns the address word, which was typed so, in the form in which it is kept. What else a URL may have would be passed over, or is a secret.
func (u *urls) parse(typed, word string) (string, error) {
	at, err := url.Parse(word)
	if err == nil && at.User != nil { // which must not be quoted
		return "", errors.New("it has a user or password, which do not belong into a URL; use an nkey (cluster-nkey)")
	}
	if err != nil || !slices.Contains(u.schemes, at.Scheme) || at.Hostname() == "" || strings.Trim(at.Path, "/") != "" || at.RawQuery != "" || at.Fragment != "" {
		return "", notA(typed, u.form())
	}
	host := at.Host
	if strings.HasSuffix(host, ":") || at.Port() == "" {
		host = strings.TrimSuffix(host, ":")
		if u.port != "" {
			host += ":" + u.port
		}
	} else if port, err := strconv.ParseUint(at.Port(), 10, 16); err != nil || port == 0 {
		return "", fmt.Errorf("%s is not a port", text.Clean(at.Port(), 40))
	}
	return at.Scheme + "://" + host, nil
}

func (u *urls) form() string { return "an address, such as " + u.example }

func (*urls) arg() string       { return "URL,..." }
func (u *urls) clear()          { *u.all = nil }
func (u *urls) String() string  { return strings.Join(*u.all, ",") }
func (u *urls) words() []string { return *u.all }

func checkNode(word string) error {
	if word != "" && !chat.IsNodeName(word) {
		return is(strconv.Quote(text.Clean(word, 80)), "1 to 32 of a-z, 0-9 and -, and not begin with -")
	}
	return nil
}

// name is the node's name.
func (c *clusterSettings) name() string {
	if c.node != "" {
		return c.node
	}
	host, _ := os.Hostname() // which then is like one without a letter
	return nodeOf(host)
}

// nodeOf makes a node's name of a host's, without its domain.
func nodeOf(host string) string {
	host, _, _ = strings.Cut(strings.ToLower(host), ".")
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, host)
	name = strings.Trim(name[:min(len(name), 32)], "-")
	if name == "" {
		return "node"
	}
	return name
}

// monitoring is where the settings of the NATS servers are read.
func (c *clusterSettings) monitoring() []string {
	if len(c.monitors) > 0 {
		return c.monitors
	}
	var all []string
	for _, server := range c.servers {
		if at, err := url.Parse(server); err == nil { // it was parsed before
			all = append(all, "http://"+net.JoinHostPort(at.Hostname(), "8222"))
		}
	}
	return all
}

// warnings are about settings that work and may not be meant.
func (c *clusterSettings) warnings() (all []string) {
	if len(c.servers) > 0 && c.nkey == "" {
		all = append(all, "cluster-nkey is not set: anyone who reaches the NATS servers can stop this chat; set it to the file with the seed of a NATS user")
	}
	for _, server := range c.servers {
		at, err := url.Parse(server)
		if err != nil || at.Scheme == "tls" {
			continue
		}
		if ip, err := netip.ParseAddr(at.Hostname()); at.Hostname() != "localhost" && (err != nil || !ip.IsLoopback()) {
			all = append(all, fmt.Sprintf("cluster: the connection to %s is not encrypted; anyone in between can stop this chat. Use tls://", server))
			break
		}
	}
	if len(c.servers) > 0 && c.keep < time.Hour {
		all = append(all, fmt.Sprintf("cluster-keep is %s: a node that is stopped for longer needs a new copy of the data", timeWord(c.keep)))
	}
	return all
}

// checkClusterFiles refuses files that a node of a cluster needs and cannot use. Commands that do without them do not call it: they
// may run as a user who cannot read the seed.
func (s *settings) checkClusterFiles() error {
	c := &s.cluster
	if len(c.servers) == 0 {
		return nil
	}
	if c.nkey != "" {
		if err := checkSeed(c.nkey); err != nil {
			return s.bad("cluster-nkey", "%v", readAs(err, "chown %s %s", strconv.Itoa(os.Geteuid()), c.nkey))
		}
	}
	if c.ca != "" {
		pem, err := os.ReadFile(c.ca)
		if err == nil && !strings.Contains(string(pem), "-----BEGIN CERTIFICATE-----") {
			err = fmt.Errorf("%s has no certificate in PEM", c.ca)
		}
		if err != nil {
			return s.bad("cluster-ca", "%v", readAs(err, "chmod a+r %s", c.ca))
		}
	}
	return nil
}

// readAs is err, with the user who may not read the file, and what to do. That is the server's user, also if root runs a command.
func readAs(err error, format string, args ...any) error {
	if !errors.Is(err, fs.ErrPermission) || runtime.GOOS == "windows" {
		return err
	}
	return fmt.Errorf("%w: the server runs as %s; run: %s", err, owner.Name(os.Geteuid()), fmt.Sprintf(format, args...))
}

var seed = regexp.MustCompile(`^SU[A-Z2-7]{56}$`)

// checkSeed refuses a file that other users can read, and one without the seed of a NATS user.
func checkSeed(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is not a regular file", path)
	case info.Mode().Perm()&0o077 != 0 && runtime.GOOS != "windows":
		return fmt.Errorf("%s can be read or written by other users; run: chmod 600 %s", path, path)
	}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if seed.MatchString(strings.TrimSpace(lines.Text())) {
			return nil
		}
	}
	return fmt.Errorf("%s has no seed of a NATS user, which is a line that begins with SU; nk -gen user makes one", path)
}

// inCluster refuses a data folder that is a node of a cluster, unless the setting cluster says so: what is written to it alone, the
// other nodes do not have.
func (s *settings) inCluster() error {
	if len(s.cluster.servers) > 0 || !store.InCluster(s.data) {
		return nil
	}
	return fmt.Errorf("data folder %s belongs to a cluster (it has the file %s), and the setting cluster is empty; set it to the NATS servers, or take the folder out of the cluster with: sshchat cluster leave --data %s", s.data, store.PositionFile, s.data)
}

// node is this server as one of a cluster. A nil node is a server that is alone.
type node struct {
	*cluster.Node
	check     func(context.Context) error // of the NATS servers' settings
	log       *slog.Logger
	unsafe    atomic.Pointer[time.Time] // since when the NATS servers may lose what is said; nil: they do not
	online    *online.Exchange          // nil: this is not a server, but a command
	lastNotes func()                    // appends lines of the audit log that wait; nil: there are none
	stop      context.CancelFunc
	ended     chan struct{} // closed when Run has returned
}

// nodeConfig is what a node is made of.
func (s *settings) nodeConfig(st *stores, logger *slog.Logger) cluster.Config {
	c := &s.cluster
	return cluster.Config{
		Servers: c.servers, NKey: c.nkey, CA: c.ca, Node: c.name(), Data: s.data, Keep: c.keep, Version: version(),
		Journal: st.journal, Accounts: st.users, Marks: st.state, Flush: st.state.Flush, Log: logger,
	}
}

// awaitTime is for how long a node that starts waits for the NATS servers: less than systemd waits for it.
const awaitTime = time.Minute

// awaitServers is adopt, once the NATS servers of a node answer.
func (s *settings) awaitServers(ctx context.Context, logger *slog.Logger) error {
	if len(s.cluster.servers) > 0 {
		if err := cluster.Await(ctx, s.nodeConfig(&stores{}, logger), awaitTime); err != nil {
			return fmt.Errorf("cluster: %w", err)
		}
	}
	return s.adopt(ctx, logger)
}

// stopped is nil if ctx has ended, and with it what the server waited for.
func stopped(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// adopt has the folder follow the cluster's log if that was made anew from another node's. It refuses a folder that is a node of a cluster
// without the setting. The stores are not open.
func (s *settings) adopt(ctx context.Context, logger *slog.Logger) error {
	if len(s.cluster.servers) == 0 {
		return s.inCluster()
	}
	if _, err := cluster.Adopt(ctx, s.nodeConfig(&stores{}, logger)); err != nil {
		return fmt.Errorf("cluster: %w", err)
	}
	return nil
}

// openNode takes what the folder lacks of the cluster's log. Without the setting cluster it returns nil.
func openNode(ctx context.Context, s *settings, st *stores, logger *slog.Logger) (*node, error) {
	c := &s.cluster
	if len(c.servers) == 0 {
		return nil, nil
	}
	check, err := c.serverCheck(0, logger)
	if err != nil {
		return nil, err
	}
	if err := check(ctx); err != nil {
		return nil, err
	}
	n, err := cluster.Open(ctx, s.nodeConfig(st, logger))
	switch {
	case errors.Is(err, fs.ErrNotExist) && !store.InCluster(s.data):
		return nil, fmt.Errorf("data folder %s does not belong to a cluster. For the first node, stop the server and run: sshchat cluster init. For another, make the folder of a backup of a node (backup --with-host-keys)", s.data)
	case err != nil:
		return nil, fmt.Errorf("cluster: %w", err)
	}
	return &node{Node: n, check: check, log: logger}, nil
}

// serverCheck is what refuses NATS servers that may lose what is stored. replicas is on how many the log is; 0: on all that are named. What
// is not sure is a warning, once.
func (c *clusterSettings) serverCheck(replicas int, logger *slog.Logger) (func(context.Context) error, error) {
	client, err := servers.NewClient(c.ca)
	if err != nil {
		return nil, err
	}
	warned := make(map[string]bool)
	return func(ctx context.Context) error {
		warnings, err := client.Check(ctx, c.monitoring(), replicas)
		now := make(map[string]bool)
		for _, w := range warnings {
			if now[w] = true; !warned[w] {
				logger.Warn("cluster: " + w)
			}
		}
		warned = now
		return err
	}, nil
}

// run follows the log until end is called.
func (n *node) run() {
	if n == nil {
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	n.stop, n.ended = stop, make(chan struct{})
	go func() {
		defer close(n.ended)
		if err := n.Run(ctx); err != nil { // the log has it; what is in memory can be read
			n.log.Error("cluster: this server stores nothing more, and reading goes on for a while; restart it once the log is in order", "err", err)
		}
	}()
	go every(ctx, checkServersEvery, func() { n.checkServers(ctx) })
	if n.online != nil {
		go n.online.Run(ctx)
	}
}

// note has lines of the audit log that wait be stored before the hub ends, if the log can be reached.
func (n *node) note() {
	if n != nil && n.lastNotes != nil && n.Fenced() == nil {
		n.lastNotes()
	}
}

// stopping has the hub end after some time, also if the NATS servers do not take what it orders.
func (n *node) stopping(after time.Duration) {
	if n != nil {
		n.Stop(after)
	}
}

// end leaves the lead to another node. The hub has ended: what still comes is for the next start.
func (n *node) end() error {
	if n == nil {
		return nil
	}
	n.stop()
	for {
		select {
		case <-n.Events():
		case <-n.ended:
			return n.Close()
		}
	}
}

// checkServersEvery is how often the settings of the NATS servers are read.
const checkServersEvery = time.Minute

// every calls f at the end of each span of time, until ctx ends.
func every(ctx context.Context, span time.Duration, f func()) {
	tick := time.NewTicker(span)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			f()
		}
	}
}

// checkServers stops what would be stored while the NATS servers are not set to keep it.
func (n *node) checkServers(ctx context.Context) {
	err := n.check(ctx)
	unsafe := errors.Is(err, servers.ErrUnsafe)
	switch was := n.unsafe.Load(); {
	case unsafe && was == nil:
		n.log.Error("cluster: posting stops: the NATS servers may lose what is stored", "err", err)
		now := time.Now()
		n.unsafe.Store(&now)
	case err == nil && was != nil:
		n.log.Info("cluster: the NATS servers are set to keep what is stored again")
		n.unsafe.Store(nil)
	}
}

// errUnsafe is why nothing is said or decided while the NATS servers may lose it.
var errUnsafe = &chat.Refusal{Code: chat.Failed, Text: "read-only: the settings of the NATS servers are not safe, so nothing is stored; an admin needs to correct them"}

// Fenced implements fence.Log.
func (n *node) Fenced() error {
	if n.unsafe.Load() != nil {
		return errUnsafe
	}
	return n.Node.Fenced()
}

// Cause implements fence.Log.
func (n *node) Cause() error {
	if n.unsafe.Load() != nil {
		return errUnsafe
	}
	return cluster.Cause(n.Node)
}

// CatchesUp implements fence.Log.
func (n *node) CatchesUp() bool { return n.Others.CatchesUp() }

// equip gives the services what they have on a node of a cluster, and else their own audit log. Until ctx ends each line of it goes to
// all nodes.
func (n *node) equip(ctx context.Context, services *command.Services, local signedLog) {
	services.Audit = local
	if n != nil {
		shared := local.share(ctx, services.Hub, n.log)
		n.lastNotes = shared.appendNoted
		services.Audit, services.Fence, services.Cluster = shared, fence.New(n, fence.LookEvery), n
		n.online = online.New(services.Hub, n.Others, n.log)
	}
}

// sessions are those of the server, and of all other nodes.
func (n *node) sessions(here *sshchat.Server) *sessions.Everywhere {
	if n == nil {
		return sessions.Alone(here)
	}
	return sessions.New(here, n.Others, n.Status().Node)
}

// others are the other nodes as the server sees them; nil: there are none.
func (n *node) others() sshchat.Others {
	if n == nil {
		return nil
	}
	return otherNodes{n.Node.Others}
}

// otherNodes implements sshchat.Others.
type otherNodes struct{ *cluster.Others }

// tellIn is how long a node has to take what it is told. One that needs longer does not know it.
const tellIn = time.Second

func (o otherNodes) Hear(kind string, f func([]byte) error) {
	o.Handle(kind, func(_ context.Context, _ string, request []byte) ([]byte, error) { return nil, f(request) })
}

func (o otherNodes) Tell(kind string, b []byte) {
	ctx, cancel := context.WithTimeout(context.Background(), tellIn)
	defer cancel()
	o.Ask(ctx, o.Alive(), kind, b)
}

// FencedFor implements fence.Log. If the log is broken for all nodes, or the NATS servers are not safe, nobody decides anything, and those
// who are there can read on; new connections are turned away.
func (n *node) FencedFor() time.Duration {
	return fencedFor(n.Node.FencedFor(), n.unsafe.Load(), n.Status().Halted)
}

func fencedFor(silent time.Duration, unsafe *time.Time, halted bool) time.Duration {
	if unsafe == nil && !halted {
		return silent
	}
	if unsafe != nil {
		silent = max(silent, time.Since(*unsafe))
	}
	return min(max(silent, time.Nanosecond), fence.End)
}

// Nodes implements command.Cluster.
func (n *node) Nodes() (all []command.NodeStatus) {
	s := n.Status()
	for _, o := range s.Nodes {
		all = append(all, command.NodeStatus{
			Name: o.Name, Here: o.Name == s.Node, Leader: o.Leads, Alive: o.Alive, Heard: o.Heard, Applied: o.Seq, Version: o.Version,
		})
	}
	return all
}

// muchBehind is how many messages of the log a node lacks when it is not ready.
const muchBehind = 1000

// storing is for how long this node has waited for the NATS servers to store what it has ordered; 0: it does not wait.
func (n *node) storing() time.Duration {
	if n == nil {
		return 0
	}
	return n.Status().Storing
}

// ready returns nil if the node follows the log.
func (n *node) ready() error {
	if n == nil {
		return nil
	}
	switch s := n.Status(); {
	case s.Broken != nil:
		return s.Broken
	case n.Fenced() != nil:
		return n.Fenced()
	case s.Storing > answerTime:
		return errors.New("the NATS servers do not store what this node sends them")
	case s.Lag > muchBehind:
		return fmt.Errorf("this node lacks %d messages of the log that other nodes have", s.Lag)
	}
	return nil
}

// collect sends the node's figures to Prometheus.
func (n *node) collect(ch chan<- prometheus.Metric) {
	if n == nil {
		return
	}
	s := n.Status()
	is := func(b bool) float64 {
		if b {
			return 1
		}
		return 0
	}
	gauge(ch, "cluster_applied", "The last message of the cluster's log that this node has applied.", float64(s.Seq))
	gauge(ch, "cluster_lag", "Messages of the log that another node has and this one has not.", float64(s.Lag))
	gauge(ch, "cluster_epoch", "How many leaders the cluster has had.", float64(s.Epoch))
	gauge(ch, "cluster_leader", "Whether this node leads (1) or not (0).", is(s.Leads))
	gauge(ch, "cluster_fenced", "Whether this node is read-only (1), because it cannot follow the log or the NATS servers are not safe, or not (0).", is(n.Fenced() != nil))
	counter(ch, "cluster_text_gaps", "Messages whose text no node had when they were applied here.", nil, nil, float64(s.TextGaps))
	gauge(ch, "cluster_clock_skew", "Seconds by which this machine's clock is ahead of the median of all nodes.", s.Skew.Seconds())
}
