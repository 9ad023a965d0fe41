package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// aSeed is the seed of a NATS user that is nobody's.
const aSeed = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY"

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
