//go:build !windows

package main

import (
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"sshchat/sshchat/attack"
	"sshchat/store/audit"
)

// resetKey makes a key and returns its file, and that of its public half.
func resetKey(t *testing.T) (private, public string) {
	t.Helper()
	private = writeKey(t)
	public = private + ".pub"
	if err := os.WriteFile(public, ssh.MarshalAuthorizedKey(signerOf(t, private).PublicKey()), 0o600); err != nil {
		t.Fatal(err)
	}
	return private, public
}

// The owner of a server who has lost the key of the only admin gets in again with a new one: while the server is stopped, and
// with a line in the audit log. The new key opens what is said from then on, and nothing older.
func TestAdminReset(t *testing.T) {
	t.Parallel()
	s := startServer(t, "")
	lost := writeKey(t)
	s.registerWith(t, "root", lost).must("claim " + s.claimCode())
	root := s.login("root", signerOf(t, lost))
	root.must("say general before the loss")
	private, public := resetKey(t)
	if _, errs, code := runHere(t, "admin", "reset", "root", public, "--data", s.data); code != 1 || !strings.Contains(errs, "stop the server first") {
		t.Errorf("while the server runs: exit %d, %s", code, errs)
	}
	s.stop()
	if _, errs, code := runHere(t, "admin", "reset", "nobody", public, "--data", s.data); code != 4 || !strings.Contains(errs, "--admin nobody=KEYFILE") {
		t.Errorf("an account that does not exist: exit %d, %s", code, errs)
	}
	if _, errs, code := runHere(t, "admin", "reset", "root", private, "--data", s.data); code != 1 || !strings.Contains(errs, "private key") {
		t.Errorf("a private key: exit %d, %s", code, errs)
	}
	elsewhere := filepath.Join(t.TempDir(), "none")
	if _, errs, code := runHere(t, "admin", "reset", "root", public, "--data", elsewhere); code != 1 || !strings.Contains(errs, "--data") {
		t.Errorf("a folder that does not exist: exit %d, %s", code, errs)
	}
	if _, err := os.Lstat(elsewhere); err == nil {
		t.Error("it was made")
	}
	for _, words := range [][]string{{"admin"}, {"admin", "reset", "root"}, {"admin", "reset", "0x", public}, {"admin", "remove"}} {
		if _, errs, code := runHere(t, append(words, "--data", s.data)...); code != 2 {
			t.Errorf("%s: exit %d, %s", words, code, errs)
		}
	}
	out, errs, code := runHere(t, "admin", "reset", "root", public, "--data", s.data)
	if code != 0 || !strings.Contains(out, ssh.FingerprintSHA256(signerOf(t, private).PublicKey())) ||
		!strings.Contains(out, ssh.FingerprintSHA256(signerOf(t, lost).PublicKey())) || !strings.Contains(out, "--only") {
		t.Fatalf("exit %d, %s%s", code, out, errs)
	}
	s = startServer(t, s.data)
	root = s.login("root", signerOf(t, private))
	root.must("say general after the loss")
	if got := root.must("audit"); !strings.Contains(got, "admin reset") || !strings.Contains(got, "the server stopped") {
		t.Errorf("the audit log:\n%s", got)
	}
	root.must("audit --verify")
	if log := s.log.String(); strings.Contains(log, "does not match its signature") {
		t.Errorf("the next start:\n%s", log)
	}
	s.login("root", signerOf(t, lost)).must("whoami")
	s.stop()
	for key, want := range map[string][]string{private: {"after"}, lost: {"before", "after"}} {
		got := strings.Join(linesOpened(t, s.data, key), "\n")
		for _, word := range []string{"before", "after"} {
			if strings.Contains(got, word+" the loss") != strings.Contains(strings.Join(want, " "), word) {
				t.Errorf("a key opens\n%s\nand should open %q", got, want)
			}
		}
	}
}

// The host key signs the line about a reset, even if it is not in the data folder. Only the service has its credentials: without them
// the account is reset all the same, and the line is signed at the next start.
func TestAdminResetIsSigned(t *testing.T) {
	t.Parallel()
	hostKey := keyFile(t, "-t", "ed25519")
	s := startServer(t, "", "--host-key", hostKey)
	s.register("root").must("claim " + s.claimCode())
	s.stop()
	for named, signed := range map[string]bool{hostKey: true, "credential": false} {
		_, public := resetKey(t)
		if out, errs, code := runHere(t, "admin", "reset", "root", public, "--data", s.data, "--host-key", named); code != 0 {
			t.Fatalf("--host-key %s: exit %d, %s%s", named, code, out, errs)
		}
		entries, err := audit.Open(s.data, time.Now, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		tip, later, err := entries.CheckTip(anyKey{})
		if want := ssh.FingerprintSHA256(signerOf(t, hostKey).PublicKey()); err != nil || tip.By != want || (later == 0) != signed {
			t.Errorf("--host-key %s: %d lines are not signed, the others by %q, %v", named, later, tip.By, err)
		}
		if err := entries.Close(); err != nil {
			t.Error(err)
		}
	}
}

// I stole the only admin's account: I have a key of it, know its password, or have demoted, disabled and banned its owner. The
// owner, on the machine, takes it back.
func TestAttackStolenAdminIsTakenBack(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Identity, "keep an account that was stolen from the only admin")
	s := startServer(t, "")
	mine, _ := resetKey(t)
	owners, ownersPublic := resetKey(t)
	s.registerByPassword("root")
	s.byPassword("root", goodPassword).must("claim " + s.claimCode())
	s.byPassword("root", goodPassword).must("key add " + publicKey(t, mine))
	s.registerWith(t, "owner", owners)
	me := s.login("root", signerOf(t, mine))
	me.must("ban owner")
	me.must("user disable owner")
	s.stop()
	fresh, public := resetKey(t)

	if out, errs, code := runHere(t, "admin", "reset", "root", public, "--data", s.data); code != 0 || !strings.Contains(out, "a password") {
		t.Fatalf("exit %d, %s%s", code, out, errs)
	}
	s = startServer(t, s.data) // the control
	s.login("root", signerOf(t, mine)).must("whoami")
	s.byPassword("root", goodPassword).must("whoami")
	row.Control("without --only, both still get in, and the command says so")
	s.stop()

	for _, words := range [][]string{{"root", public, "--only"}, {"owner", ownersPublic}} {
		if out, errs, code := runHere(t, append([]string{"admin", "reset", "--data", s.data}, words...)...); code != 0 {
			t.Fatalf("exit %d, %s%s", code, out, errs)
		}
	}
	s = startServer(t, s.data)
	if _, err := s.dialAs("root", ssh.PublicKeys(signerOf(t, mine))); err == nil {
		t.Error("the thief's key still opens the account")
	}
	if _, err := s.dialAs("root", ssh.Password(goodPassword)); err == nil {
		t.Error("the password still opens the account")
	}
	for name, key := range map[string]string{"root": fresh, "owner": owners} {
		if got := s.login(name, signerOf(t, key)).must("whoami"); !strings.Contains(got, "admin") {
			t.Errorf("%s is\n%s", name, got)
		}
	}
	row.Tried("a key, the password; the owner's other account disabled and banned")
	row.Held("`sshchat admin reset --only` on the machine removes both, and enables and unbans who it makes an admin")
}

// Root runs it on a folder that is another user's, as of a service: the files stay that user's.
func TestAdminResetByRoot(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can become another user")
	}
	const nobody = 65534
	s := startServer(t, "")
	s.register("root").must("claim " + s.claimCode())
	s.stop()
	_, public := resetKey(t)
	if err := os.Chmod(filepath.Dir(s.data), 0o700); err != nil { // as /var/lib/private
		t.Fatal(err)
	}
	chown := func(path string) {
		if err := os.Lchown(path, nobody, nobody); err != nil {
			t.Fatal(err)
		}
	}
	chown(s.data)
	for name := range filesOf(t, s.data) {
		chown(filepath.Join(s.data, name))
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "admin", "reset", "root", public, "--data", s.data)
	cmd.Env = append(os.Environ(), "SSHCHAT_TEST_MAIN=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for name := range filesOf(t, s.data) {
		info, err := os.Lstat(filepath.Join(s.data, name))
		if err != nil {
			t.Fatal(err)
		}
		if uid := info.Sys().(*syscall.Stat_t).Uid; uid != nobody {
			t.Errorf("%s belongs to user %d", name, uid)
		}
	}
}
