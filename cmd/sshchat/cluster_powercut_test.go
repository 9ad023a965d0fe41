//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sshchat/sshchat/cluster/natstest"

	"golang.org/x/sys/unix"
)

// disks are those of three NATS servers, and then of three nodes.
type disks []*realDisk

func newDisks(t *testing.T) (d disks) {
	t.Helper()
	for range 6 {
		d = append(d, newRealDisk(t))
	}
	return d
}

// start makes a cluster on the disks, and syncs those of the nodes: folders that were copied are safe some time later.
func (d disks) start(t *testing.T, servers *natstest.Cluster, monitors []string) *processes {
	t.Helper()
	p := newProcesses(t, servers, monitors, d.folders(), self(t, 3))
	for _, disk := range d[3:] {
		f, err := os.Open(disk.dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(unix.Syncfs(int(f.Fd())), f.Close()); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// servers starts the NATS servers on their disks.
func (d disks) servers(t *testing.T, options ...natstest.Option) *natstest.Cluster {
	t.Helper()
	return natstest.Start(t, append(options, natstest.StoreIn(func(i int) string { return filepath.Join(d[i].dir, "store") }))...)
}

// folders are those of the nodes.
func (d disks) folders() (all []string) {
	for _, disk := range d[3:] {
		all = append(all, filepath.Join(disk.dir, "data"))
	}
	return all
}

// cut cuts the power of all at once, and kills what runs.
func (d disks) cut(p *processes, c *crowd) {
	var cuts sync.WaitGroup
	for _, disk := range d {
		cuts.Go(disk.cut)
	}
	cuts.Wait()
	p.killAll(c)
}

// again mounts all.
func (d disks) again() {
	for _, disk := range d {
		disk.again()
	}
}

// The power of all disks, of three NATS servers and of three nodes, is cut while people talk: nothing that was acknowledged is lost or stored
// twice, and all nodes have the same. It is cut SSHCHAT_CUTS times.
func TestPowerCutOfACluster(t *testing.T) {
	t.Parallel()
	noRaces(t)
	if !long {
		t.Skip("it takes half a minute: SSHCHAT_LONG=1")
	}
	cuts := rounds(t, "SSHCHAT_CUTS", 1, 3)
	d := newDisks(t)
	servers := d.servers(t)
	p := d.start(t, servers, servers.MonitorURLs())
	c := newCrowd(t, p.listen, p.key, 24, 5*time.Millisecond)
	for range cuts {
		c.more(300)
		d.cut(p, c)
		d.again()
		p.startServers()
		p.startAll()
	}
	c.more(100)
	c.must(p.settled(c))
	p.same(p.nodes...)
	t.Logf("figure: power of 6 ext4 cut %d times: %s; 0 lost, 0 twice, one order", cuts, c.figures())
}

// The control is NATS servers that do not sync what they acknowledge, and say that they do. The stream loses what nodes have: they notice,
// and do not start.
func TestPowerCutOfAClusterFindsDefaultSync(t *testing.T) {
	t.Parallel()
	noRaces(t)
	if !long {
		t.Skip("it takes as long as the test: SSHCHAT_LONG=1")
	}
	d := newDisks(t)
	servers := d.servers(t, natstest.DefaultSync())
	var monitors []string
	for _, monitor := range servers.MonitorURLs() {
		monitors = append(monitors, sayingAlways(t, monitor))
	}
	p := d.start(t, servers, monitors)
	c := newCrowd(t, p.listen, p.key, 24, 5*time.Millisecond)
	c.more(300)
	d.cut(p, c)
	c.quiet()
	d.again()
	p.startServers()
	refused := 0
	for i := range p.folders {
		if says := p.refuses(i); strings.Contains(says, "the stream ends with message") || strings.Contains(says, "have no stream") {
			refused++
		} else {
			t.Logf("node %d: %s", i+1, says)
		}
	}
	if refused == 0 {
		t.Errorf("servers that do not sync lost nothing of %d messages, or no node noticed: this test cannot see a loss", c.acks.Load())
	}
	t.Logf("figure: without sync_interval: always %d of 3 nodes find after one cut that the log is lost: %s", refused, c.figures())
}

// sayingAlways is the address of a monitor that says of a server that it syncs always.
func sayingAlways(t *testing.T, monitor string) string {
	t.Helper()
	to, err := url.Parse(monitor)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(to)
	proxy.ModifyResponse = func(r *http.Response) error {
		var said map[string]any
		if err := json.NewDecoder(r.Body).Decode(&said); err != nil {
			return err
		}
		r.Body.Close()
		said["jetstream"].(map[string]any)["config"].(map[string]any)["sync_always"] = true
		b, err := json.Marshal(said)
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(b)), int64(len(b))
		r.Header.Del("Content-Length")
		return err
	}
	s := httptest.NewServer(proxy)
	t.Cleanup(s.Close)
	return s.URL
}
