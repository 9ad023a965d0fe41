package natstest

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
)

// deployed is servers with the files in deploy/nats, in which only addresses, folders and keys were replaced.
type deployed struct {
	*Cluster
	t        *testing.T
	files    map[string]string // by name
	operator nkeys.KeyPair
}

func deploy(t *testing.T) *deployed {
	t.Helper()
	program, err := build()
	if err != nil {
		t.Fatal(err)
	}
	d := &deployed{&Cluster{t: t, dir: t.TempDir(), node: newUser(t), admin: newUser(t), authority: newAuthority(t)}, t, make(map[string]string), newUser(t)}
	d.monitoring.Transport = d.authority.transport()
	d.monitoring.Timeout = time.Second
	folder := filepath.Join(moduleDir(t), "deploy", "nats")
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(folder, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		d.files[e.Name()] = string(text)
	}
	for i := range 4 { // the fourth is a replacement
		s, err := newServer(program, d.dir, i)
		if err != nil {
			t.Fatal(err)
		}
		d.servers = append(d.servers, s)
	}
	return d
}

// edit replaces words in a file that must have them.
func (d *deployed) edit(file, old, new string) {
	d.t.Helper()
	if !strings.Contains(d.files[file], old) {
		d.t.Fatalf("deploy/nats/%s has no %q", file, old)
	}
	d.files[file] = strings.ReplaceAll(d.files[file], old, new)
}

// fill gives the files the addresses of the first three servers, and the keys.
func (d *deployed) fill(nodes []string, admin string) {
	d.t.Helper()
	for i, key := range nodes {
		d.edit("users.conf", fmt.Sprintf("UNODE%d", i+1), key)
	}
	d.edit("users.conf", "UADMIN", admin)
	for i, s := range d.servers[:3] {
		d.edit("common.conf", fmt.Sprintf("nats-%d.example.org:6222", i+1), s.route)
	}
}

// install copies the files to the folder of server i, as its name there.
func (d *deployed) install(i int) {
	d.t.Helper()
	s := d.servers[i]
	for name, text := range d.files {
		if name == s.name+".conf" {
			name = filepath.Base(s.configFile())
		}
		for _, edit := range [][2]string{
			{"0.0.0.0:4222", s.client}, {"0.0.0.0:8222", s.monitor}, {"0.0.0.0:6222", s.route},
			{"/etc/nats", filepath.ToSlash(s.dir)}, {"/var/lib/nats", filepath.ToSlash(s.store)},
		} {
			if name == "common.conf" && !strings.Contains(text, edit[0]) {
				d.t.Fatalf("deploy/nats/%s has no %q", name, edit[0])
			}
			text = strings.ReplaceAll(text, edit[0], edit[1])
		}
		if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
			d.t.Fatal(err)
		}
	}
}

// certify makes the certificates of server i.
func (d *deployed) certify(i int) {
	d.t.Helper()
	d.authority.certify(d.t, d.servers[i].dir, d.servers[i].host())
	d.authority.write(d.t, filepath.Join(d.servers[i].dir, "ca.pem"))
}

// run starts servers, and waits until they are ready.
func (d *deployed) run(servers ...int) {
	d.t.Helper()
	for _, i := range servers {
		d.Restart(i)
	}
	for _, i := range servers {
		d.WaitReady(d.t, i)
	}
	if len(servers) == 3 {
		d.waitTogether(d.t)
	}
}

// public makes the keys of three nodes, of which the test is the first.
func (d *deployed) public() (nodes []string, admin string) {
	for _, pair := range []nkeys.KeyPair{d.node, newUser(d.t), newUser(d.t), d.admin} {
		nodes = append(nodes, public(d.t, pair))
	}
	return nodes[:3], nodes[3]
}

// started is the servers of deploy/nats, running.
func started(t *testing.T) *deployed {
	t.Helper()
	d := deploy(t)
	d.fill(d.public())
	d.edit("users.conf", "# { nkey: \"UOPERATOR\"", "{ nkey: \""+public(t, d.operator)+"\"")
	for i := range 3 {
		d.certify(i)
		d.install(i)
	}
	t.Cleanup(d.stop)
	d.run(0, 1, 2)
	return d
}

// With the files that we ship, three servers sync every write, take nodes over TLS alone, and go on as they are stopped one
// after the other and started again, as for an upgrade.
func TestDeployAndUpgrade(t *testing.T) {
	t.Parallel()
	d := started(t)
	for i := range 3 {
		var v struct {
			Name      string `json:"server_name"`
			JetStream struct {
				Config struct {
					Always bool `json:"sync_always"`
				}
			}
			Cluster struct{ Name string }
		}
		if err := d.Ask(i, "/varz", &v); err != nil || v.Name != d.ServerName(i) || !v.JetStream.Config.Always || v.Cluster.Name != "sshchat" {
			t.Errorf("%s says %+v, %v", d.ServerName(i), v, err)
		}
	}
	if plain, err := nats.Connect("nats://" + d.servers[0].client); err == nil {
		plain.Close()
		t.Error("a client without a key is connected")
	}
	nc := d.Connect(t, 0, nats.DontRandomize())
	if !nc.TLSRequired() {
		t.Error("clients connect without TLS")
	}
	makeStreamOf(t, nc, 3)
	nc.Close()
	texts := 0
	say := func(i int) {
		t.Helper()
		texts++
		nc := d.Connect(t, i)
		defer nc.Close() // a server that leaves waits a second for each
		store(t, nc, fmt.Sprint(texts))
	}
	all := []int{0, 1, 2}
	if os.Getenv("SSHCHAT_LONG") == "" { // each takes three seconds, and this one has most to hand over
		all = []int{d.WaitLeader(t, "SSHCHAT")}
	}
	for _, i := range all {
		say(i)
		d.LameDuck(i)
		say((i + 1) % 3)
		d.run(i)
		for j := range 3 {
			d.WaitReady(t, j)
		}
	}
	for i := range 3 {
		nc := d.Connect(t, i)
		for n := 1; n <= texts; n++ {
			if said := ask(t, nc, "$JS.API.DIRECT.GET.SSHCHAT", fmt.Sprintf(`{"seq":%d}`, n)); said != fmt.Sprint(n) {
				t.Errorf("message %d is %q by %s", n, said, d.ServerName(i))
			}
		}
	}
	operator := d.connect(t, d.URLs()[0], d.operator, nil)
	if said := ask(t, operator, "$JS.API.STREAM.DELETE.SSHCHAT", ""); !strings.Contains(said, `"success":true`) {
		t.Errorf("the operator deletes the stream: %s", said)
	}
}

// README.md, "Replace a server": a new server with a new name takes the place of one that is lost, and then stores the log:
// it goes on without one of the others.
func TestReplaceAServer(t *testing.T) {
	t.Parallel()
	d := started(t)
	makeStreamOf(t, d.Connect(t, 1), 3)
	store(t, d.Connect(t, 1), "before")
	d.Kill(0)
	if err := os.RemoveAll(d.servers[0].store); err != nil {
		t.Fatal(err)
	}
	d.files["nats-4.conf"] = strings.ReplaceAll(d.files["nats-1.conf"], "nats-1", "nats-4")
	d.edit("common.conf", d.servers[0].route, d.servers[3].route)
	d.certify(3)
	for _, i := range []int{1, 2, 3} {
		d.install(i)
	}
	for _, i := range []int{1, 2} {
		reload(t, d.servers[i])
	}
	d.run(3)
	for _, i := range []int{1, 2} {
		d.WaitReady(t, i)
	}
	if said := ask(t, d.ConnectAdmin(t, 1), "$JS.API.SERVER.REMOVE", `{"peer":"nats-1"}`); !strings.Contains(said, `"success":true`) {
		t.Fatalf("remove nats-1: %s", said)
	}
	d.waitReplicas("nats-2", "nats-3", "nats-4")
	d.Kill(1)
	store(t, d.Connect(t, 3), "after")
	if said := ask(t, d.Connect(t, 3), "$JS.API.DIRECT.GET.SSHCHAT", `{"seq":1}`); said != "before" {
		t.Errorf("message 1 is %q", said)
	}
}

// waitReplicas waits until the stream is on these servers and current on all.
func (d *deployed) waitReplicas(want ...string) {
	d.t.Helper()
	nc := d.Connect(d.t, 3)
	var last string
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		last = ask(d.t, nc, "$JS.API.STREAM.INFO.SSHCHAT", "")
		var info struct {
			Cluster struct {
				Leader   string
				Replicas []struct {
					Name    string
					Current bool
				}
			}
		}
		if err := json.Unmarshal([]byte(last), &info); err != nil {
			d.t.Fatal(err)
		}
		have := []string{info.Cluster.Leader}
		for _, r := range info.Cluster.Replicas {
			if r.Current {
				have = append(have, r.Name)
			}
		}
		if slices.Sort(have); slices.Equal(have, want) {
			return
		}
	}
	d.t.Fatalf("the stream is not on %v: %s", want, last)
}

var shellBlock = regexp.MustCompile("(?s)```sh\n(.*?)```")

// The commands in README.md make keys and certificates with which the servers start, and a node and the administrator log in.
func TestReadmeMakesKeysAndCertificates(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"sh", "openssl"} {
		if _, err := exec.LookPath(tool); err != nil && os.Getenv("SSHCHAT_REQUIRE_CLIENTS") == "" {
			t.Skipf("%s is not here", tool)
		}
	}
	d := deploy(t)
	bin, dir := t.TempDir(), t.TempDir()
	if out, err := exec.Command("go", "build", "-o", bin, "github.com/nats-io/nkeys/nk").CombinedOutput(); err != nil {
		t.Fatalf("build nk: %v: %s", err, out)
	}
	var script strings.Builder
	for _, block := range shellBlock.FindAllStringSubmatch(d.files["README.md"], -1) {
		script.WriteString(block[1])
	}
	text := strings.ReplaceAll(script.String(), "DNS:", "IP:")
	for i, s := range d.servers[:3] {
		text = strings.ReplaceAll(text, fmt.Sprintf("nats-%d.example.org", i+1), s.host())
	}
	cmd := exec.Command("sh", "-euc", text)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, &errs)
	}
	lines := strings.Fields(string(out)) // name and public key, five times
	if len(lines) != 10 || lines[6] != "admin" || lines[8] != "operator" {
		t.Fatalf("the commands print %q", out)
	}
	d.fill([]string{lines[1], lines[3], lines[5]}, lines[7])
	for i, s := range d.servers[:3] {
		d.install(i)
		for _, path := range []string{s.host() + "/cert.pem", s.host() + "/key.pem", "ca.pem"} {
			bytes, err := os.ReadFile(filepath.Join(dir, path))
			if err == nil {
				err = os.WriteFile(filepath.Join(s.dir, filepath.Base(path)), bytes, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	pem, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	d.monitoring.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS13}}
	t.Cleanup(d.stop)
	d.run(0, 1, 2)
	for _, name := range []string{"n1", "n3", "admin"} {
		key, err := nats.NkeyOptionFromSeed(filepath.Join(dir, name+".nk"))
		if err != nil {
			t.Fatal(err)
		}
		nc, err := nats.Connect(d.URLs()[1], key, nats.RootCAs(filepath.Join(dir, "ca.pem")))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		nc.Close()
	}
}
