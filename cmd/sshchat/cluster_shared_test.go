package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sshchat/sshchat/cluster/natstest"

	"golang.org/x/crypto/ssh"
)

// served is the host key that a server proves itself with.
func served(t *testing.T, s *testServer) string {
	t.Helper()
	key := ""
	_, err := ssh.Dial("tcp", s.addr, &ssh.ClientConfig{User: "nobody", Timeout: 10 * time.Second, HostKeyCallback: func(_ string, _ net.Addr, k ssh.PublicKey) error {
		key = ssh.FingerprintSHA256(k)
		return nil
	}})
	if key == "" {
		t.Fatalf("no host key: %v", err)
	}
	return key
}

// sameFile fails unless a file of all those nodes is the same.
func sameFile(t *testing.T, name string, nodes ...*testServer) {
	t.Helper()
	first := readText(t, filepath.Join(nodes[0].data, name))
	for _, s := range nodes[1:] {
		if got := readText(t, filepath.Join(s.data, name)); got != first {
			t.Errorf("%s of %s and %s differ", name, nodes[0].data, s.data)
		}
	}
}

// What is one server's by nature is the chat's: the code of the first admin, how far people have read, the host keys. A node that was away
// while the host key was rotated serves the new one; if no other node can give it that, it serves nobody.
func TestClusterSharesWhatServersHave(t *testing.T) {
	t.Parallel()
	c := startCluster(t, natstest.StartOne(t), 3)
	n1, n2, n3 := c.nodes[0], c.nodes[1], c.nodes[2]
	code := n1.claimCode()
	for _, s := range c.nodes[1:] {
		if got := s.claimCode(); got != code {
			t.Errorf("another code, %s, and not %s", got, code)
		}
	}
	alice, bob := n1.register("alice"), n1.register("bob")
	if out, errs, status := bob.at(n3).login().exec("claim "+strings.Repeat("x", 20), ""); status == 0 {
		t.Errorf("control: a wrong code makes an admin: %s%s", out, errs)
	}
	alice.at(n2).login().must("claim " + code)
	for _, s := range c.nodes {
		waitFor(t, "the code to serve no more", func() bool {
			_, errs, status := bob.at(s).login().exec("claim "+code, "")
			return status != 0 && strings.Contains(errs, "already has an admin")
		})
	}

	alice.must("say general first")
	onTwo := bob.at(n2).login()
	inbox := func() string { return onTwo.must("inbox --json") }
	waitFor(t, "the message on n2", func() bool { return strings.Contains(inbox(), `"unread":1`) })
	screen := bob.plain(80, 24) // on n1: what it shows is read
	screen.sees("first")
	waitFor(t, "the message to be read on n2", func() bool { return !strings.Contains(inbox(), `"unread":1`) })

	reloadsForAll(t, alice, n1, n2, n3)

	old, folder := served(t, n1), filepath.Join(t.TempDir(), "old")
	n3.stop()
	if err := os.CopyFS(folder, os.DirFS(n3.data)); err != nil {
		t.Fatal(err)
	}
	for name := range filesOf(t, folder) {
		if err := os.Chmod(filepath.Join(folder, name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out := must3(t, alice, "hostkey rotate"); !strings.Contains(out, "Node n3 does not answer") {
		t.Errorf("nothing is said of the node that is down: %s", out)
	}
	sameFile(t, "ssh_host_ed25519_key.next", n1, n2)
	must3(t, alice.at(n2).login(), "hostkey rotate --now")
	now := served(t, n1)
	if now == old || served(t, n2) != now {
		t.Errorf("n1 serves %s, n2 %s; before it was %s", now, served(t, n2), old)
	}
	if a, b := alice.must("hostkey list"), alice.at(n2).login().must("hostkey list"); a != b {
		t.Errorf("the lists differ:\n%s\n%s", a, b)
	}
	sameFile(t, "ssh_host_ed25519_key.1.rotation", n1, n2)
	n3 = c.start(n3.data, 3)
	if got := served(t, n3); got != now {
		t.Errorf("the node that was down serves %s", got)
	}
	for _, name := range []string{"ssh_host_ed25519_key", "ssh_host_ed25519_key.pub", "ssh_host_ed25519_key.1.rotation"} {
		sameFile(t, name, n1, n2, n3)
	}
	for _, s := range []*testServer{n1, n2, n3} {
		s.stop()
	}
	_, errs, status := c.run(append([]string{"--node", "n3", "--data", folder, "--listen", "127.0.0.1:0"}, unhurried...)...)
	if status != 1 || !strings.Contains(errs, old) || !strings.Contains(errs, now) || !strings.Contains(errs, "backup --with-host-keys") || strings.Contains(errs, "listening on") {
		t.Errorf("a node with the old key, alone: exit %d, %s", status, errs)
	}
	c.start(n1.data, 1)
}

// must3 runs a command, and returns all it prints.
func must3(t *testing.T, u *user, line string) string {
	t.Helper()
	out, errs, status := u.exec(line, "")
	if status != 0 {
		t.Fatalf("%s: exit %d, %s%s", line, status, out, errs)
	}
	return fmt.Sprint(out, errs)
}

// reloadsForAll edits files of two nodes by hand: what they say is then so on another.
func reloadsForAll(t *testing.T, admin *user, there, users, motd *testServer) {
	t.Helper()
	path := filepath.Join(users.data, "users.json")
	waitFor(t, "the accounts in users.json", func() bool { return strings.Contains(readText(t, path), `"name":"bob","role":"user"`) })
	edited := strings.Replace(readText(t, path), `"name":"bob","role":"user"`, `"name":"bob","role":"mod"`, 1)
	if err := os.WriteFile(path, []byte(edited), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(motd.data, "motd"), []byte("edited on a node\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := must3(t, admin.at(users).login(), "reload"); !strings.Contains(out, "users.json: read") || !strings.Contains(out, "host keys: read") {
		t.Errorf("reload: %s", out)
	}
	must3(t, admin.at(motd).login(), "reload")
	waitFor(t, "the edits on another node", func() bool {
		return strings.Contains(admin.at(there).login().must("whois bob"), "mod") && strings.Contains(admin.at(there).login().must("motd"), "edited on a node")
	})
}
