package main

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"sshchat/sshchat/text"
	"sshchat/store"
)

// A server may be one of several nodes, whose log is a stream of NATS. This file is what is set for that, and what is checked of it.
// Without the setting cluster, none of it is used.

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
	port    string // if none is given; empty: that of the scheme
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

var nodeName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)

func checkNode(word string) error {
	if word != "" && !nodeName.MatchString(word) {
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
		all = append(all, "cluster-nkey is not set: whoever reaches the NATS servers can stop this chat; set it to the file with the seed of a NATS user")
	}
	for _, server := range c.servers {
		at, err := url.Parse(server)
		if err != nil || at.Scheme == "tls" {
			continue
		}
		if ip, err := netip.ParseAddr(at.Hostname()); at.Hostname() != "localhost" && (err != nil || !ip.IsLoopback()) {
			all = append(all, fmt.Sprintf("cluster: the connection to %s is not encrypted; who is in between can stop this chat. Use tls://", server))
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
			return s.bad("cluster-nkey", "%v", err)
		}
	}
	if c.ca != "" {
		pem, err := os.ReadFile(c.ca)
		if err == nil && !strings.Contains(string(pem), "-----BEGIN CERTIFICATE-----") {
			err = fmt.Errorf("%s has no certificate in PEM", c.ca)
		}
		if err != nil {
			return s.bad("cluster-ca", "%v", err)
		}
	}
	return nil
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
