package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sshchat/hostkeys"

	"golang.org/x/crypto/ssh"
)

// knowing is an OpenSSH client that takes no host key but those it knows.
func (s *testServer) knowing(t *testing.T, known, update, key string, command ...string) (stdout, stderr string, code int) {
	t.Helper()
	return runClient(t, "", "ssh", append([]string{"-F", "none", "-T", "-o", "StrictHostKeyChecking=yes", "-o", "UserKnownHostsFile=" + known,
		"-o", "GlobalKnownHostsFile=/dev/null", "-o", "UpdateHostKeys=" + update, "-o", "IdentitiesOnly=yes", "-i", key,
		"-p", s.port(), "alice@127.0.0.1"}, command...)...)
}

// OpenSSH learns the next key before it is used, and forgets the former one; without that it would not get in any more.
func TestStockClientLearnsTheNextHostKey(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	s := startServer(t, data)
	key := keyFile(t, "-t", "ed25519")
	public := func(file string) string {
		b, err := os.ReadFile(filepath.Join(data, file))
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(b))
	}
	old := public("ssh_host_ed25519_key.pub")
	learning, control := filepath.Join(t.TempDir(), "learning"), filepath.Join(t.TempDir(), "control")
	for _, known := range []string{learning, control} {
		if err := os.WriteFile(known, []byte("[127.0.0.1]:"+s.port()+" "+old+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	must := func(known, update string, command ...string) {
		t.Helper()
		if _, errs, code := s.knowing(t, known, update, key, command...); code != 0 || strings.Contains(errs, "WARNING") {
			t.Fatalf("%v: exit %d, %s", command, code, errs)
		}
	}
	must(learning, "yes", "claim", s.claimCode())
	must(learning, "yes", "hostkey", "rotate")
	next := public("ssh_host_ed25519_key.next.pub")
	waitFor(t, "the next key", func() bool { // a client that ends before the key is proven learns it the next time
		must(learning, "yes", "whoami")
		return strings.Contains(readText(t, learning), next)
	})
	must(control, "no", "whoami")
	if known := readText(t, learning); !strings.Contains(known, old) {
		t.Fatalf("the client knows %s\nand not %s", known, old)
	}
	must(learning, "yes", "hostkey", "rotate", "--now")
	waitFor(t, "the former key to be forgotten", func() bool {
		must(learning, "yes", "whoami")
		return !strings.Contains(readText(t, learning), old)
	})
	if _, errs, code := s.knowing(t, control, "no", key, "whoami"); code != 255 || !strings.Contains(errs, "IDENTIFICATION HAS CHANGED") {
		t.Errorf("the control got in: exit %d, %s", code, errs)
	}
}

func readText(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Keys prove themselves over this session and no other, a stranger's key never, and not without end.
func TestProofsOfHostKeys(t *testing.T) {
	t.Parallel()
	s := startServer(t, "")
	alice := s.register("alice")
	client, err := s.dialAs("alice", ssh.PublicKeys(alice.signer))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	listed := strings.Fields(alice.must("hostkey list"))
	host, _, _, _, err := ssh.ParseAuthorizedKey([]byte(strings.Join(listed[6:8], " ")))
	if err != nil {
		t.Fatalf("%v in %q", err, listed)
	}
	const request = "hostkeys-prove-00@openssh.com"
	ask := func(keys ...[]byte) (bool, []byte) {
		var list []byte
		for _, k := range keys {
			list = append(list, ssh.Marshal(struct{ Key []byte }{k})...)
		}
		ok, reply, err := client.SendRequest(request, true, list)
		if err != nil {
			t.Fatal(err)
		}
		return ok, reply
	}
	ok, reply := ask(host.Marshal())
	var proof struct{ Signature []byte }
	var signature ssh.Signature
	if !ok || ssh.Unmarshal(reply, &proof) != nil || ssh.Unmarshal(proof.Signature, &signature) != nil {
		t.Fatalf("no proof: %v %x", ok, reply)
	}
	over := func(session []byte) error {
		return host.Verify(ssh.Marshal(struct {
			Request      string
			Session, Key []byte
		}{request, session, host.Marshal()}), &signature)
	}
	if err := over(client.SessionID()); err != nil {
		t.Error(err)
	}
	if over(bytes.Repeat([]byte{1}, 32)) == nil {
		t.Error("the proof serves another session")
	}
	if ok, _ := ask(newSigner(t).PublicKey().Marshal()); ok {
		t.Error("a stranger's key is proven")
	}
	if ok, _ := ask(host.Marshal(), host.Marshal()); ok {
		t.Error("a key is proven twice at once")
	}
	if ok, _ := ask(host.Marshal()); !ok {
		t.Error("the fourth time is refused")
	}
	if ok, _ := ask(host.Marshal()); ok {
		t.Error("proofs without end")
	}
}

// The host key may be a credential that systemd passes (LoadCredential=): it is in no backup of the data folder, and not the server's
// to rotate.
func TestHostKeyFromACredential(t *testing.T) {
	t.Parallel()
	credentials := t.TempDir()
	key := keyFile(t, "-t", "ed25519")
	content, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(credentials, "ssh-host-key"), content, 0o440); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s := newTestServer(t, "")
	cmd := exec.Command(self, s.args([]string{"--host-key", "ssh-host-key"})...)
	cmd.Env = append(os.Environ(), "CREDENTIALS_DIRECTORY="+credentials)
	s.start(cmd)
	signer, err := ssh.ParsePrivateKey(content)
	if err != nil {
		t.Fatal(err)
	}
	boss := s.register("boss")
	boss.must("claim " + s.claimCode())
	if out := boss.must("hostkey list"); !strings.Contains(out, ssh.FingerprintSHA256(signer.PublicKey())) {
		t.Errorf("hostkey list: %s", out)
	}
	for _, line := range []string{"hostkey rotate", "hostkey rotate --now"} {
		if _, errs, code := boss.exec(line, ""); code != 1 || !strings.Contains(errs, "replace the file that the setting host-key names") && !strings.Contains(errs, "no next host key") {
			t.Errorf("%s: exit %d, %s", line, code, errs)
		}
	}
	boss.must("reload")
	s.stop()
	if _, err := os.Stat(filepath.Join(s.data, hostkeys.File)); err == nil {
		t.Error("the private key is in the data folder")
	}
	if _, errs, code := runHere(t, "--data", s.data, "--listen", "127.0.0.1:0", "--host-key", "ssh-host-key"); code != 2 || !strings.Contains(errs, "write ./ssh-host-key") {
		t.Errorf("without credentials: exit %d, %s", code, errs)
	}
}
