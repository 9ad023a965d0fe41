package main

import (
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sshchat/sshchat/cluster/natstest"
	"sshchat/sshchat/fence"
	"sshchat/store/owner"

	"golang.org/x/crypto/ssh"
)

// aSeed is the seed of a NATS user that is nobody's.
const aSeed = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY"

// aNodeKey is the public key of a node that is nobody's.
const aNodeKey = "CAkKCwwNDg8QERITFBUWFxgZGhscHR4fICEiIyQlJic="

func seedFile(t testing.TB, content string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "node.nk")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestClusterAddresses(t *testing.T) {
	t.Parallel()
	for words, want := range map[string]string{
		"nats://a:4222":                        "nats://a:4222",
		"nats://a":                             "nats://a:4222",
		"nats://a:4222,b:4223 c":               "nats://a:4222,nats://b:4223,nats://c:4222",
		"tls://nats.example.org/,10.0.0.1:1":   "tls://nats.example.org:4222,tls://10.0.0.1:1",
		"nats://[::1]:4222,tls://[2001:db8::]": "nats://[::1]:4222,tls://[2001:db8::]:4222",
		"a":                                    "nats://a:4222",
	} {
		s, err := configured(t, "", nil, "--cluster", words)
		if err != nil || strings.Join(s.cluster.servers, ",") != want {
			t.Errorf("%q is %v, %v", words, s, err)
			continue
		}
		again, err := configured(t, "", []string{"SSHCHAT_CLUSTER=" + words})
		if strings.Contains(words, " ") {
			continue // a variable has commas
		}
		if err != nil || !slices.Equal(again.cluster.servers, s.cluster.servers) {
			t.Errorf("%q in the environment is %v, %v", words, again, err)
		}
	}
	for words, why := range map[string]string{
		"http://a:8222": "is not an address", "nats://": "is not an address", "nats://a/b": "is not an address", "nats://a?x=1": "is not an address",
		"nats://a:0": "is not a port", "nats://a:65536": "is not a port", "nats://a:x": "is not an address",
		"nats://a,nats://a:4222": "set twice", ",": "is not an address", "nats://me:hunter2@a": "cluster-nkey",
	} {
		_, err := configured(t, "", nil, "--cluster", words)
		if err == nil || !strings.Contains(err.Error(), why) || !strings.HasPrefix(err.Error(), "--cluster: ") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v", words, err)
		}
	}
	for words, want := range map[string]string{"https://a:8223/": "https://a:8223", "a:8222": "http://a:8222", "http://a": "http://a"} {
		if s, err := configured(t, "", nil, "--cluster-monitor", words); err != nil || strings.Join(s.cluster.monitoring(), ",") != want {
			t.Errorf("%q is %v, %v", words, s, err)
		}
	}
	s := must(configured(t, "", nil, "--cluster", "tls://a:1,tls://[::1]"))
	if got := s.cluster.monitoring(); !slices.Equal(got, []string{"http://a:8222", "http://[::1]:8222"}) {
		t.Errorf("monitoring by default: %v", got)
	}
}

func TestNodeNames(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]string{
		"chat1": "chat1", "Chat1.example.org": "chat1", "my_host": "my-host", "": "node", "...": "node", "-a-": "a", "été": "t",
		strings.Repeat("a", 63): strings.Repeat("a", 32), strings.Repeat("a", 31) + "-b": strings.Repeat("a", 31),
	} {
		if got := nodeOf(host); got != want || checkNode(got) != nil {
			t.Errorf("%q is node %q", host, got)
		}
	}
	for _, word := range []string{"A", "a.b", "a_b", "a b", strings.Repeat("a", 33), "é"} {
		if _, err := configured(t, "", nil, "--node", word); err == nil {
			t.Errorf("%q is a node", word)
		}
	}
	if s := must(configured(t, "", nil, "--node", "n-1")); s.cluster.name() != "n-1" {
		t.Error(s.cluster.name())
	}
	if s := must(configured(t, "", nil)); checkNode(s.cluster.name()) != nil || s.cluster.name() == "" {
		t.Error(s.cluster.name())
	}
}

// A file that a node needs and cannot use is named before anything is made, by config check as by the server.
func TestClusterFilesAreChecked(t *testing.T) {
	t.Parallel()
	good := seedFile(t, "# of node 1\n"+aSeed+"\n", 0o600)
	for name, c := range map[string]struct{ nkey, ca, why string }{
		"good":                {good, "", ""},
		"no such file":        {filepath.Join(t.TempDir(), "none"), "", "--cluster-nkey: .*no such file"},
		"a folder":            {t.TempDir(), "", "--cluster-nkey: .* is not a regular file"},
		"open to others":      {seedFile(t, aSeed, 0o640), "", "--cluster-nkey: .*chmod 600 /"},
		"a public key":        {seedFile(t, "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4\n", 0o600), "", "--cluster-nkey: .* has no seed"},
		"of an account":       {seedFile(t, strings.Replace(aSeed, "SU", "SA", 1), 0o600), "", "--cluster-nkey: .* has no seed"},
		"an authority's file": {good, seedFile(t, "hello", 0o600), "--cluster-ca: .* no certificate"},
		"no authority":        {good, filepath.Join(t.TempDir(), "none"), "--cluster-ca: .*no such file"},
	} {
		data := filepath.Join(t.TempDir(), "data")
		words := []string{"--data", data, "--listen", "127.0.0.1:0", "--cluster", "nats://127.0.0.1:1", "--cluster-nkey", c.nkey}
		if c.ca != "" {
			words = append(words, "--cluster-ca", c.ca)
		}
		out, errs, code := runHere(t, append([]string{"config", "check"}, words...)...)
		if c.why == "" {
			if code != 0 {
				t.Errorf("%s: exit %d, %s%s", name, code, out, errs)
			}
			continue
		}
		for _, as := range [][]string{{"config", "check"}, nil} {
			if _, errs, code := runHere(t, append(as, words...)...); code != 2 || !regexp.MustCompile(c.why).MatchString(errs) {
				t.Errorf("%s, %v: exit %d, %s", name, as, code, errs)
			}
		}
		if _, err := os.Lstat(data); err == nil {
			t.Errorf("%s: the folder was made", name)
		}
		if out := findings(t, append([]string{}, words...)...); !regexp.MustCompile(`(?m)^fail  ` + c.why).MatchString(out) {
			t.Errorf("%s: the doctor does not find it:\n%s", name, out)
		}
	}
	if _, errs, code := runHere(t, "config", "check", "--cluster", "nats://127.0.0.1:1", "--cluster-keep", "10m"); code != 0 ||
		!strings.Contains(errs, "cluster-nkey is not set") || !strings.Contains(errs, "cluster-keep is 10m") {
		t.Errorf("exit %d, %s", code, errs)
	}
}

// What is written to a node's folder alone, the other nodes do not have. So nothing writes to it without the setting cluster.
func TestFolderOfAClusterNeedsTheSetting(t *testing.T) {
	t.Parallel()
	data, _, _ := keptFolder(t, "format-2")
	public := keyFile(t, "-t", "ed25519") + ".pub"
	position := filepath.Join(data, "cluster.json")
	start := []string{"--data", data, "--listen", "127.0.0.1:0"}
	reset := []string{"admin", "reset", "alice", public, "--data", data}
	if err := os.WriteFile(position, []byte("{}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	before := filesOf(t, data)
	delete(before, "lock")
	for _, words := range [][]string{start, reset} {
		_, errs, code := runHere(t, words...)
		if code != 1 || !strings.Contains(errs, "sshchat cluster leave --data "+data) || !strings.Contains(errs, "cluster is empty") {
			t.Errorf("%s: exit %d, %s", words, code, errs)
		}
		after := filesOf(t, data)
		delete(after, "lock")
		if fmt.Sprint(after) != fmt.Sprint(before) {
			t.Errorf("%s changed the folder: %v, and before %v", words, after, before)
		}
	}
	found := findings(t, start...)
	if !strings.Contains(found, "fail  "+data+" belongs to a cluster, and the setting cluster is empty") {
		t.Errorf("the doctor does not find it:\n%s", found)
	}
	found = findings(t, append(start, "--cluster", "nats://127.0.0.1:1")...)
	if !strings.Contains(found, "fail  the key of the cluster is missing") || strings.Contains(found, "setting cluster is empty") {
		t.Errorf("with the setting:\n%s", found)
	}
	key := filepath.Join(data, "cluster.key")
	if err := os.WriteFile(key, nil, 0o640); err != nil || os.Chmod(key, 0o640) != nil {
		t.Fatal(err)
	}
	found = findings(t, append(start, "--cluster", "nats://127.0.0.1:1")...)
	if !strings.Contains(found, "ok    the folder belongs to a cluster") || !strings.Contains(found, "cluster.key is open to other users") {
		t.Errorf("with the key:\n%s", found)
	}
	for _, words := range [][]string{{"verify", data}} { // which only read
		if _, errs, code := runHere(t, words...); code != 0 {
			t.Errorf("%s: exit %d, %s", words, code, errs)
		}
	}
	if err := os.Remove(position); err != nil {
		t.Fatal(err)
	}
	if _, errs, code := runHere(t, reset...); code != 0 { // the control
		t.Errorf("a folder that is no node: exit %d, %s", code, errs)
	}
}

// A backup of a node says first how far the node is, so that its files are never behind that. The cluster's key is in it with the host
// keys alone, and the node's own never: who has it is this node.
func TestBackupOfANode(t *testing.T) {
	t.Parallel()
	s := startServer(t, "")
	alice := s.register("alice")
	alice.must("claim " + s.claimCode())
	for _, name := range []string{"cluster.json", "cluster.key", "node.key"} {
		if err := os.WriteFile(filepath.Join(s.data, name), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for words, key := range map[string]bool{"backup": false, "backup --with-host-keys": true} {
		tar := alice.must(words)
		folder, names := unpack(t, tar)
		if names[0] != "cluster.json" || slices.Contains(names, "cluster.key") != key || slices.Contains(names, "node.key") {
			t.Errorf("%s: %v", words, names)
		}
		if got := readText(t, filepath.Join(folder, "cluster.json")); got != "cluster.json" {
			t.Errorf("%s: %q", words, got)
		}
		restored := filepath.Join(t.TempDir(), "restored")
		out, errs, code := restoreHere(t, tar, restored)
		if code != 0 || !strings.Contains(out, "sshchat cluster leave --data "+restored) || strings.Contains(out, "Stop the old server") || strings.Contains(out, "does not have the cluster's key") == key {
			t.Errorf("restore: exit %d, %s%s", code, out, errs)
		}
		if _, errs, code := runHere(t, "--data", restored, "--listen", "127.0.0.1:0"); code != 1 || !strings.Contains(errs, "belongs to a cluster") {
			t.Errorf("started without the setting: exit %d, %s", code, errs)
		}
	}
}

// testCluster is a chat on several nodes, over real NATS servers.
type testCluster struct {
	t       testing.TB
	program string // empty: this one
	servers *natstest.Cluster
	flags   []string // of every node
	nodes   []*testServer
}

// startCluster makes a cluster of a chat that had none, adds nodes to it while none runs, and starts them all.
func startCluster(t *testing.T, servers *natstest.Cluster, nodes int, flags ...string) *testCluster {
	t.Helper()
	return startClusterOf(t, "", servers, nodes, flags...)
}

// startClusterOf is startCluster with another build of the program.
func startClusterOf(t *testing.T, program string, servers *natstest.Cluster, nodes int, flags ...string) *testCluster {
	t.Helper()
	folders := make([]string, nodes)
	for i := range folders {
		folders[i] = filepath.Join(t.TempDir(), "data")
	}
	c := makeCluster(t, servers, servers.MonitorURLs(), folders, flags...)
	c.program = program
	return c.begin(folders)
}

// begin starts the nodes, at the same time.
func (c *testCluster) begin(folders []string) *testCluster {
	c.t.Helper()
	c.nodes = make([]*testServer, len(folders))
	atOnce(c.t, len(folders), func(i int) { c.nodes[i] = c.start(folders[i], i+1) })
	return c
}

// atOnce does something for 0 to n-1 at the same time. It ends the test if one of them has failed.
func atOnce(t testing.TB, n int, do func(i int)) {
	t.Helper()
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { do(i) })
	}
	all.Wait()
	if t.Failed() {
		t.FailNow()
	}
}

// makeCluster makes the folders of a cluster's nodes, of which none runs. monitors are where the servers report about themselves.
func makeCluster(t testing.TB, servers *natstest.Cluster, monitors, folders []string, flags ...string) *testCluster {
	t.Helper()
	c := &testCluster{t: t, servers: servers, flags: []string{"--cluster", strings.Join(servers.URLs(), ","), "--cluster-nkey", servers.NKeyFile(), "--cluster-monitor", strings.Join(monitors, ",")}}
	first := startServer(t, folders[0], flags...)
	first.stop()
	c.must("cluster", "init", "--node", "n1", "--data", first.data, "--replicas", fmt.Sprint(servers.Len()))
	for _, data := range folders[1:] {
		if err := os.Mkdir(data, 0o700); err != nil {
			t.Fatal(err)
		}
		for name := range filesOf(t, first.data) {
			if name == "lock" || name == "node.key" {
				continue
			}
			if err := os.WriteFile(filepath.Join(data, name), []byte(readText(t, filepath.Join(first.data, name))), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i, data := range folders[1:] {
		listed := strings.Fields(c.must("cluster", "node", "key", "--node", fmt.Sprint("n", i+2), "--data", data))
		c.must("cluster", "node", "add", listed[0], listed[1], "--node", "n1", "--data", first.data)
	}
	c.flags = append(c.flags, flags...)
	return c
}

// must runs a command of the program with the cluster's settings.
func (c *testCluster) must(words ...string) string {
	c.t.Helper()
	out, errs, code := c.run(words...)
	if code != 0 {
		c.t.Fatalf("%s: exit %d, %s%s", words, code, out, errs)
	}
	return out
}

func (c *testCluster) run(words ...string) (out, errs string, code int) {
	c.t.Helper()
	return runHere(c.t, append(words, c.flags[:6]...)...)
}

func (c *testCluster) start(data string, number int) *testServer {
	c.t.Helper()
	return c.startAt(data, number, c.flags[1])
}

// startAt starts a node that reaches the NATS servers at those addresses, with flags of its own.
func (c *testCluster) startAt(data string, number int, cluster string, own ...string) *testServer {
	c.t.Helper()
	flags := slices.Concat([]string{"--node", fmt.Sprint("n", number), "--cluster", cluster}, c.flags[2:], own)
	if c.program != "" {
		return startProgram(c.t, c.program, data, flags...)
	}
	return startServer(c.t, data, flags...)
}

// A chat on three nodes: what is said, decided and listed on one is so on the others; a ban ends sessions there; who followed on one
// resumes on another; a node is added by a backup and its key while the others run, and removed; nodes stop, and the others go on.
func TestClusterIsOneChat(t *testing.T) {
	t.Parallel()
	servers := natstest.StartOne
	if long { // as people have it; TestClusterChecksItsServers has three by default
		servers = natstest.Start
	}
	c := startCluster(t, servers(t), 3)
	n1, n2, n3 := c.nodes[0], c.nodes[1], c.nodes[2]
	alice := n1.register("alice")
	alice.must("claim " + n1.claimCode())
	alice = n1.login("alice", alice.signer)
	bob, carol := n2.register("bob"), n3.register("carol")
	screen := bob.plain(80, 24)
	screen.sees("Welcome")
	follows := carol.run("follow --json")
	never := carol.run("follow general --since general/99999") // as after an old backup was restored: no node has that message
	never.sees("There is no message general/99999: following from the beginning.")
	alice.must("say general first on n1")
	never.sees("alice: first on n1")
	screen.sees("first on n1")
	follows.sees(`"text":"first on n1"`)
	screen.typeln("then on n2")
	follows.sees(`"text":"then on n2"`)
	if out := alice.must("follow general --since general/0 --count 2"); !strings.Contains(out, "bob: then on n2") {
		t.Errorf("on n1: %s", out)
	}
	carol.must("join lab")
	bob.must("join lab")
	alice.must("join lab")
	bob.must("say lab in a new room")
	since := "general/1"
	if out := carol.at(n1).login().must("follow general --json --since " + since + " --count 1"); !strings.Contains(out, "then on n2") || strings.Contains(out, "missed") {
		t.Errorf("follow --since on another node: %s", out)
	}
	alice.must("ban bob")
	if err := <-screen.ended; err == nil {
		t.Error("bob's session on n2 ended as if bob had left")
	}
	for _, s := range c.nodes {
		if client, err := s.dialAs("bob", ssh.PublicKeys(bob.signer)); err == nil {
			sess, err := client.NewSession()
			if err == nil {
				err = sess.Run("whoami")
			}
			if err == nil {
				t.Errorf("bob is let in at %s", s.addr)
			}
			client.Close()
		}
	}
	list := alice.must("node list")
	for _, name := range []string{"n1", "n2", "n3"} {
		if !strings.Contains(list, name+" ") {
			t.Errorf("the nodes:\n%s", list)
		}
	}
	if got := c.must("cluster", "status", "--node", "n2", "--data", n2.data); strings.Count(got, "  node n") != 3 || strings.Contains(got, "not heard") || !strings.Contains(got, "NATS server") {
		t.Errorf("status:\n%s", got)
	}
	n4 := c.added(alice, 4)
	if out := carol.at(n4).login().must("follow general --since general/0 --count 1"); !strings.Contains(out, "first on n1") {
		t.Errorf("a node that was added has not what rooms had in memory: %s", out)
	}
	carol.at(n4).login().must("say general from a new node")
	n1.stop()
	carol.must("say general without n1")
	follows.sees(`"text":"without n1"`)
	n1 = c.start(n1.data, 1)
	if out := carol.at(n1).login().must("follow general --json --since " + since + " --count 3"); !strings.Contains(out, "without n1") || strings.Contains(out, "missed") {
		t.Errorf("a node that was restarted: %s", out)
	}
	c.same(n1, n2, n3, n4)
}

// added adds a node while the others run.
func (c *testCluster) added(admin *user, number int) *testServer {
	c.t.Helper()
	data, name := filepath.Join(c.t.TempDir(), "data"), fmt.Sprint("n", number)
	if out, errs, code := restoreHere(c.t, admin.must("backup --with-host-keys"), data); code != 0 {
		c.t.Fatalf("restore: exit %d, %s%s", code, out, errs)
	}
	_, errs, code := c.run(append([]string{"--node", name, "--data", data, "--listen", "127.0.0.1:0"}, unhurried...)...)
	_, line, found := strings.Cut(errs, "node add "+name+" ")
	if code != 1 || !found {
		c.t.Fatalf("a node that is not listed starts, or does not say how it is: exit %d, %s", code, errs)
	}
	admin.must("node add " + name + " " + strings.Fields(line)[0])
	return c.start(data, number)
}

// same stops the nodes, and checks that their folders hold the same history, accounts and audit log.
func (c *testCluster) same(nodes ...*testServer) {
	c.t.Helper()
	var before string
	var since time.Time
	waitFor(c.t, "the same audit log on all nodes", func() bool { // lines of strangers come to all within a second or so
		var all []string
		for _, s := range nodes {
			b, err := os.ReadFile(filepath.Join(s.data, "audit.jsonl"))
			if err != nil {
				c.t.Fatal(err)
			}
			all = append(all, string(b))
		}
		if all[0] != before || len(slices.Compact(all)) > 1 {
			before, since = all[0], time.Now()
		}
		return time.Since(since) > 3*noteEvery/2
	})
	atOnce(c.t, len(nodes), func(i int) { nodes[i].stop() })
	var first string
	for i, s := range nodes {
		out, errs, code := runHere(c.t, "verify", s.data)
		if code != 0 {
			c.t.Errorf("verify: exit %d, %s%s", code, out, errs)
		}
		if i == 0 {
			first = out
		} else if out != first {
			c.t.Errorf("the folders differ:\n%s\n%s", first, out)
		}
	}
}

// freezeNode stops a server without ending it, and thawNode lets it go on.
func freezeNode(t testing.TB, s *testServer) { signalNode(t, s, freezeSignal) }
func thawNode(t testing.TB, s *testServer)   { signalNode(t, s, thawSignal) }

func signalNode(t testing.TB, s *testServer, signal syscall.Signal) {
	t.Helper()
	if err := s.cmd.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
}

// login is that user's connection where they are.
func (u *user) login() *user { return u.server.login(u.name, u.signer) }

// While no node may store anything, people notice, can read on, and new connections are turned away after a while: whatever the reason is.
func TestFencedFor(t *testing.T) {
	t.Parallel()
	began := time.Now().Add(-time.Minute)
	for name, c := range map[string]struct {
		silent   time.Duration
		unsafe   *time.Time
		halted   bool
		min, max time.Duration
	}{
		"not at all":          {0, nil, false, 0, 0},
		"silent":              {time.Minute, nil, false, time.Minute, time.Minute},
		"unsafe":              {0, &began, false, fence.TurnAway + 1, fence.End},
		"silent and unsafe":   {time.Minute, &began, false, fence.TurnAway + 1, fence.End},
		"broken just now":     {0, nil, true, 1, fence.TurnAway},
		"broken for a minute": {time.Minute, nil, true, fence.TurnAway + 1, fence.End},
	} {
		if d := fencedFor(c.silent, c.unsafe, c.halted); d < c.min || d > c.max {
			t.Errorf("%s: for %v", name, d)
		}
	}
}

// A file that only others may read is named with the user who needs it, and what to do: root runs commands as the folder's owner.
func TestUnreadableFilesNameTheUser(t *testing.T) {
	t.Parallel()
	_, err := os.Open(filepath.Join(t.TempDir(), "none"))
	if got := readAs(err, "chmod a+r %s", "ca.pem"); got != err {
		t.Errorf("a file that is not there: %v", got)
	}
	if runtime.GOOS == "windows" {
		return
	}
	denied := &fs.PathError{Op: "open", Path: "/etc/ca.pem", Err: fs.ErrPermission}
	want := "the server runs as " + owner.Name(os.Geteuid()) + "; run: chmod a+r /etc/ca.pem"
	if got := readAs(denied, "chmod a+r %s", "/etc/ca.pem").Error(); !strings.Contains(got, "/etc/ca.pem: permission denied") || !strings.HasSuffix(got, want) {
		t.Errorf("%s", got)
	}
}

// A server does not start without servers that keep what is stored, and says what to change; with one of three gone it does.
func TestClusterChecksItsServers(t *testing.T) {
	t.Parallel()
	bad := natstest.StartOne(t, natstest.DefaultSync())
	flags := []string{"--cluster", bad.URLs()[0], "--cluster-nkey", bad.NKeyFile(), "--cluster-monitor", bad.MonitorURLs()[0]}
	alone := startServer(t, "")
	alone.stop()
	words := append([]string{"cluster", "init", "--node", "n1", "--replicas", "1", "--data", alone.data}, flags...)
	if _, errs, code := runHere(t, words...); code != 1 || !strings.Contains(errs, "sync_interval: always") {
		t.Errorf("cluster init: exit %d, %s", code, errs)
	}
	if _, errs, code := runHere(t, append([]string{"--data", alone.data, "--listen", "127.0.0.1:0"}, flags...)...); code != 1 || !strings.Contains(errs, "sync_interval: always") {
		t.Errorf("start: exit %d, %s", code, errs)
	}
	c := startCluster(t, natstest.Start(t), 1)
	c.nodes[0].stop()
	c.servers.Kill(2)
	s := c.startAt(c.nodes[0].data, 1, c.flags[1], "--metrics", "127.0.0.1:0")
	alice := s.register("alice")
	if !strings.Contains(s.log.String(), "was not checked") {
		t.Errorf("nothing is said of the server that is gone:\n%s", s.log)
	}
	// Without a second one nothing is stored, but there is no reason to restart the node, which leads.
	c.servers.Kill(1)
	posted := make(chan struct{})
	go func() { alice.exec("say general for which the chat waits", ""); close(posted) }()
	waitFor(t, "node that says why it is not ready", func() bool {
		if body, status := s.get("/healthz"); status != http.StatusOK {
			t.Errorf("the leader without NATS servers is not healthy: %d, %s", status, body)
		}
		body, status := s.get("/readyz")
		return status == http.StatusServiceUnavailable && (strings.Contains(body, "NATS servers do not store") || strings.Contains(body, "cannot reach the chat's log"))
	})
	s.stop() // also while somebody waits
	<-posted
	c.servers.Kill(0)
	go func() { // they need longer to elect one that leads than the node to start
		c.servers.Restart(0)
		c.servers.Restart(1)
	}()
	s = c.start(s.data, 1)
	if !strings.Contains(s.log.String(), "waiting for the NATS servers") {
		t.Errorf("the node did not wait:\n%s", s.log)
	}
	alice.at(s).login().must("say general again")
}

// A chat leaves its cluster with all it has, and goes on as that of one server; from there it can be a cluster again.
func TestClusterIsLeft(t *testing.T) {
	t.Parallel()
	c := startCluster(t, natstest.StartOne(t), 2)
	bob := c.nodes[0].register("bob")
	bob.must("say general in the cluster")
	data := c.nodes[1].data
	for _, words := range [][]string{{"add", "", ""}, {"add", "n3", "key"}, {"add", "n\u202e3", aNodeKey}, {"remove", ""}, {"remove", "n3", "n4"}} { // also while the server runs
		if _, errs, code := c.run(append(append([]string{"cluster", "node"}, words...), "--node", "n2", "--data", data)...); code != 2 || strings.Contains(errs, "an admin can use") {
			t.Errorf("node %q: exit %d, %s", words, code, errs)
		}
	}
	leave := []string{"cluster", "leave", "--node", "n2", "--data", data}
	c.nodes[1].stop()
	if _, errs, code := c.run("cluster", "node", "remove", "n2", "--node", "n2", "--data", data); code != 1 || !strings.Contains(errs, "remove it on another node") {
		t.Errorf("a node removes itself: exit %d, %s", code, errs)
	}
	if _, errs, code := c.run(leave...); code != 1 || !strings.Contains(errs, "stop all nodes first") {
		t.Errorf("while a node runs: exit %d, %s", code, errs)
	}
	c.nodes[0].stop()
	_, public := resetAdminKey(t)
	if _, errs, code := c.run("admin", "reset", "bob", public, "--node", "n2", "--data", data); code != 0 { // which is decided for all nodes
		t.Errorf("admin reset: exit %d, %s", code, errs)
	}
	c.must(leave...)
	if _, errs, code := c.run("--node", "n1", "--data", c.nodes[0].data, "--listen", "127.0.0.1:0"); code != 1 || !strings.Contains(errs, "left this cluster") {
		t.Errorf("another node starts after that: exit %d, %s", code, errs)
	}
	alone := startServer(t, data)
	if out := alone.login("bob", bob.signer).must("whoami"); !strings.Contains(out, "admin") {
		t.Errorf("an admin that was reset in the cluster: %s", out)
	}
	alone.login("bob", bob.signer).must("say general alone")
	alone.stop()
	again := natstest.StartOne(t)
	flags := []string{"--cluster", again.URLs()[0], "--cluster-nkey", again.NKeyFile(), "--cluster-monitor", again.MonitorURLs()[0]}
	if _, errs, code := runHere(t, append([]string{"cluster", "init", "--node", "n9", "--replicas", "1", "--data", data}, flags...)...); code != 0 {
		t.Errorf("cluster init again: exit %d, %s", code, errs)
	}
	if _, errs, code := runHere(t, "cluster", "leave", "--force", "--data", data); code != 0 {
		t.Errorf("leave --force: exit %d, %s", code, errs)
	}
	startServer(t, data).login("bob", bob.signer).must("say general alone again")
}

// The stream is lost while all nodes are stopped, and one of them had missed messages: the log is made anew from the folder of the other,
// and both go on with all that was said. While the old stream is there, or the node that has more is known, nothing is made.
func TestClusterIsRebuilt(t *testing.T) {
	t.Parallel()
	c := startCluster(t, natstest.StartOne(t), 2)
	n1, n2 := c.nodes[0], c.nodes[1]
	alice := n1.register("alice")
	alice.must("claim " + n1.claimCode())
	alice.must("say general heard by both")
	n2.stop()
	alice.must("say general n2 was stopped")
	alice.must("topic general rebuilt")
	rebuild := func(s *testServer, name string) []string {
		return []string{"cluster", "rebuild", "--replicas", "1", "--node", name, "--data", s.data}
	}
	if _, errs, code := c.run(rebuild(n2, "n2")...); code != 1 || !strings.Contains(errs, "still running: n1") && !strings.Contains(errs, "in order") {
		t.Errorf("while a node runs: exit %d, %s", code, errs)
	}
	n1.stop()
	if _, errs, code := c.run(rebuild(n1, "n1")...); code != 1 || !strings.Contains(errs, "the log is in order") {
		t.Errorf("a log that is in order: exit %d, %s", code, errs)
	}
	if _, errs, code := c.run(append(rebuild(n1, "n1"), "--force")...); code != 1 || !strings.Contains(errs, "nats stream rm -f SSHCHAT") {
		t.Errorf("while the stream is there: exit %d, %s", code, errs)
	}
	if _, err := c.servers.ConnectAdmin(t, 0).Request("$JS.API.STREAM.DELETE.SSHCHAT", nil, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	if out := c.must(rebuild(n1, "n1")...); !strings.Contains(out, "Start this node") {
		t.Errorf("rebuild: %s", out)
	}
	n1, n2 = c.start(n1.data, 1), c.start(n2.data, 2)
	alice.at(n2).login().must("say general after that")
	if out := alice.at(n1).login().must("follow general --since general/2 --count 1"); !strings.Contains(out, "after that") {
		t.Errorf("on n1: %s", out)
	}
	if out := alice.at(n2).login().must("room info general"); !strings.Contains(out, "rebuilt") {
		t.Errorf("what was decided while n2 was stopped: %s", out)
	}
	c.same(n1, n2)
	for _, s := range []*testServer{n1, n2} {
		if n := strings.Count(readText(t, filepath.Join(s.data, "message_history.json")), `"t":"msg"`); n < 3 {
			t.Errorf("%d messages in %s", n, s.data)
		}
	}
}

// resetAdminKey makes a key, and returns its files.
func resetAdminKey(t *testing.T) (private, public string) {
	t.Helper()
	private = keyFile(t, "-t", "ed25519")
	return private, private + ".pub"
}
