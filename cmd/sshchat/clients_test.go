package main

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

// The first admin is whoever shows the code that the server printed, once.
func TestClaim(t *testing.T) {
	t.Parallel()
	s := startServer(t, "")
	code := s.claimCode()
	alice := s.login("alice", newSigner(t))
	if _, _, exit := alice.exec("claim not-the-code", ""); exit != 3 {
		t.Errorf("a wrong code: exit %d", exit)
	}
	alice.must("claim " + code)
	alice = s.login("alice", alice.signer)
	if out := alice.must("whoami"); !strings.HasPrefix(out, "alice (admin)") {
		t.Errorf("alice is %s", out)
	}
	bob := s.register("bob")
	if _, _, exit := bob.exec("claim "+code, ""); exit != 3 {
		t.Errorf("the code a second time: exit %d", exit)
	}
}

// Stock clients get in, talk and run commands.
func TestStockClients(t *testing.T) {
	t.Parallel()
	s := startServer(t, "")
	key := keyFile(t, "-t", "ed25519")
	s.registerWith(t, "alice", key)
	openssh := []string{"-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR",
		"-o", "IdentitiesOnly=yes", "-i", key, "-p", s.port(), "alice@127.0.0.1"}

	out, errs, code := runClient(t, "hello from ssh -T\n/who\n", "ssh", append([]string{"-T"}, openssh...)...)
	if code != 0 || out != "alice: hello from ssh -T\n" || !strings.Contains(errs, "alice ") {
		t.Errorf("ssh -T: exit %d, %q, %q", code, out, errs)
	}
	if out, errs, code := runClient(t, "", "ssh", append(openssh, "say", "general", "by", "exec")...); code != 0 || out != "general/2\n" {
		t.Errorf("ssh say: exit %d, %q, %q", code, out, errs)
	}
	if _, errs, code := runClient(t, "", "sftp", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
		"-i", key, "-P", s.port(), "alice@127.0.0.1:x"); code == 0 || !strings.Contains(errs, "it has no files") {
		t.Errorf("sftp: exit %d, %q", code, errs)
	}
	dropbear := key + ".db"
	if _, errs, code := runClient(t, "", "dropbearconvert", "openssh", "dropbear", key, dropbear); code != 0 {
		t.Fatal(errs)
	}
	if out, errs, code := runClient(t, "", "dbclient", "-y", "-y", "-i", dropbear, "-p", s.port(), "alice@127.0.0.1", "whoami"); code != 0 || !strings.HasPrefix(out, "alice") {
		t.Errorf("dbclient: exit %d, %q, %q", code, out, errs)
	}
	hostKey, _, _ := strings.Cut(strings.TrimPrefix(s.log.String(), "host key "), "\n")
	if out, errs, code := runClient(t, "", "plink", "-batch", "-ssh", "-P", s.port(), "-hostkey", hostKey, "-l", "stranger",
		"-pw", "whatever it may be", "127.0.0.1", "whoami"); code != 3 {
		t.Errorf("plink as a stranger: exit %d, %q, %q", code, out, errs)
	}
}

// ssh-audit finds nothing to fail.
func TestAttackAlgorithmsPassTheAudit(t *testing.T) {
	t.Parallel()
	s := startServer(t, "")
	out, _, _ := runClient(t, "", "ssh-audit", "-n", "-p", s.port(), "127.0.0.1")
	if !strings.Contains(out, "(key) ssh-ed25519") || strings.Contains(out, "[fail]") {
		t.Errorf("ssh-audit:\n%s", out)
	}
}

// The window-change wedge, giant and zero terminals, a storm of sizes: the session lives, and at most 500x200.
func TestAttackTerminalsCannotHurt(t *testing.T) {
	t.Parallel()
	s := startServer(t, "")
	alice := s.register("alice")
	for _, size := range [][2]int{{65535, 65535}, {0, 0}, {1 << 31, 1}, {80, 24}} {
		sess, err := alice.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		if err := sess.RequestPty("xterm", size[1], size[0], ssh.TerminalModes{}); err != nil {
			t.Fatal(err)
		}
		for i := range 1000 {
			if err := sess.WindowChange(i, size[0]); err != nil {
				t.Fatal(err)
			}
		}
		if out, err := sess.Output("whoami"); err != nil || !strings.HasPrefix(string(out), "alice") {
			t.Errorf("%v: %q, %v", size, out, err)
		}
	}
}

// One connection has four sessions at once; with the limit raised the same attack gets more.
func TestAttackSessionsOfOneConnection(t *testing.T) {
	t.Parallel()
	for flag, want := range map[string]int{"4": 4, "50": 30} {
		s := startServer(t, "", "--sessions", flag)
		alice := s.register("alice")
		opened := 0
		for range 30 {
			sess, err := alice.NewSession()
			if err != nil {
				continue
			}
			if _, err := sess.StdinPipe(); err != nil { // kept open, and so the session
				t.Fatal(err)
			}
			if err := sess.Shell(); err != nil {
				t.Fatal(err)
			}
			opened++
		}
		if opened != want {
			t.Errorf("--sessions %s: %d opened", flag, opened)
		}
	}
}

// Whoever offers alice's key and signs with another is not alice; nor is bob, who is known by his own.
func TestAttackNobodyIsAliceWithoutHerKey(t *testing.T) {
	t.Parallel()
	s := startServer(t, "")
	alice, bob := s.register("alice"), s.register("bob")
	for attack, method := range map[string]ssh.AuthMethod{
		"alice's key, signed with bob's": ssh.PublicKeys(&unproven{alice.signer, bob.signer}),
		"bob's key":                      ssh.PublicKeys(bob.signer),
		"a password she does not have":   ssh.Password("she has none at all"),
	} {
		if c, err := s.dialAs("alice", method); err == nil {
			c.Close()
			t.Errorf("in as alice with %s", attack)
		}
	}
	if out := s.login("alice", alice.signer).must("whoami"); !strings.HasPrefix(out, "alice ") {
		t.Errorf("with her key: %s", out)
	}
}

// unproven offers one key and signs with another.
type unproven struct {
	ssh.Signer
	other ssh.Signer
}

func (u *unproven) Sign(rand io.Reader, data []byte) (*ssh.Signature, error) {
	return u.other.Sign(rand, data)
}

// Two who register a name at once: one gets it, and the other's session is nobody's.
func TestAttackOneWinsTheName(t *testing.T) {
	t.Parallel()
	s := startServer(t, "")
	for _, name := range []string{"ann", "ben", "cat", "dan", "eva"} {
		first, second := s.login(name, newSigner(t)), s.login(name, newSigner(t))
		codes := make(chan int, 2)
		for _, u := range []*user{first, second} {
			go func() { _, _, code := u.exec("register", ""); codes <- code }()
		}
		if a, b := <-codes, <-codes; (a == 0) == (b == 0) {
			t.Errorf("%s: exit codes %d and %d", name, a, b)
		}
		for _, u := range []*user{first, second} { // also the winner's other channels must log in again
			if _, _, code := u.exec("whoami", ""); code != 3 {
				t.Errorf("%s: a connection without a proof acts: exit %d", name, code)
			}
		}
	}
}

// A key that is removed while a session is open ends it.
func TestAttackRemovedKeyIsOut(t *testing.T) {
	t.Parallel()
	s := startServer(t, "")
	alice := s.register("alice")
	other := newSigner(t)
	alice.must("key add " + string(ssh.MarshalAuthorizedKey(other.PublicKey())))
	second := s.login("alice", other)
	o := second.plain(80, 24)
	o.sees("Welcome")
	alice.must("key remove " + ssh.FingerprintSHA256(other.PublicKey()))
	o.sees("The key of this session has been removed.")
	closes(t, "a session whose key is removed", func() error { return <-o.ended })
}

// A connection tries three passwords; the fourth ends it.
func TestPasswordsOfOneConnection(t *testing.T) {
	t.Parallel()
	for flag, want := range map[string]int{"3": 3, "6": 6} {
		s := startServer(t, "", "--passwords", flag)
		s.register("alice")
		tried := 0
		_, err := s.dialAs("alice", ssh.RetryableAuthMethod(ssh.PasswordCallback(func() (string, error) {
			tried++
			return "a wrong but long enough one", nil
		}), 6))
		if err == nil {
			t.Fatal("in")
		}
		failed := func() int { return strings.Count(s.log.String(), "login failed") }
		waitFor(t, fmt.Sprintf("%d failures in the log, of %d tried", want, tried), func() bool { return failed() >= want })
		if n := failed(); n > want+1 {
			t.Errorf("--passwords %s: %d tried, %d failures logged", flag, tried, n)
		}
	}
}
