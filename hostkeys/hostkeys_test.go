package hostkeys

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"sshchat/sshchat/attack"
)

func TestLoadMakesOnceAndKeeps(t *testing.T) {
	dir := t.TempDir()
	first, made, err := Load(dir)
	if err != nil || !made {
		t.Fatalf("made %v, %v", made, err)
	}
	again, made, err := Load(dir)
	if err != nil || made {
		t.Fatalf("made %v, %v", made, err)
	}
	if !bytes.Equal(first.PublicKey().Marshal(), again.PublicKey().Marshal()) {
		t.Error("another key the second time")
	}
	info, err := os.Stat(filepath.Join(dir, File))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	public, err := os.ReadFile(filepath.Join(dir, File+".pub"))
	if err != nil || !bytes.Equal(public, ssh.MarshalAuthorizedKey(first.PublicKey())) {
		t.Errorf("public half %q, %v", public, err)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 2 {
		t.Errorf("left behind: %v, %v", files, err)
	}
}

// goodKey is the file that Load makes.
func goodKey(t *testing.T) []byte {
	t.Helper()
	dir := t.TempDir()
	if _, _, err := Load(dir); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(dir, File))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// A key that is not as it should be is refused with words for its operator, and stays as it is.
func TestAttackLoadRefuses(t *testing.T) {
	row := attack.On(t, attack.Files, "damaged host keys, or host keys that others can read")
	good := goodKey(t)
	bad := map[string]struct {
		data []byte
		mode os.FileMode
		want string
	}{
		"readable-by-group":  {good, 0o640, "chmod 600"},
		"readable-by-others": {good, 0o604, "chmod 600"},
		"empty":              {nil, 0o600, "empty"},
		"cut-short":          {good[:len(good)/2], 0o600, "damaged"},
		"one-byte-wrong":     {append([]byte("x"), good[1:]...), 0o600, "damaged"},
		"huge":               {bytes.Repeat([]byte("x"), maxFile+1), 0o600, "too large"},
	}
	for name, c := range bad {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, File)
			if err := os.WriteFile(path, c.data, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, c.mode); err != nil {
				t.Fatal(err)
			}
			_, made, err := Load(dir)
			if err == nil || made || !strings.Contains(err.Error(), c.want) {
				t.Errorf("made %v, error %v, want one about %q", made, err, c.want)
			}
			after, err := os.ReadFile(path)
			if err != nil || !bytes.Equal(after, c.data) {
				t.Errorf("the file was changed: %v", err)
			}
		})
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, File), good, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, made, err := Load(dir); err != nil || made {
		t.Errorf("control: made %v, %v", made, err)
	}
	row.Tried("%d ways", len(bad))
	row.Held("refused with advice, and left unchanged")
	row.Control("an intact key is loaded")
}

func TestLoadRefusesWhatIsNoPlainFile(t *testing.T) {
	t.Run("folder-in-its-place", func(t *testing.T) {
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, File), 0o700); err != nil {
			t.Fatal(err)
		}
		if _, _, err := Load(dir); err == nil || !strings.Contains(err.Error(), "not a regular file") {
			t.Errorf("error %v", err)
		}
	})
	t.Run("link-to-elsewhere", func(t *testing.T) {
		dir := t.TempDir()
		elsewhere := filepath.Join(t.TempDir(), "key")
		if err := os.WriteFile(elsewhere, goodKey(t), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(elsewhere, filepath.Join(dir, File)); err != nil {
			t.Fatal(err)
		}
		if _, _, err := Load(dir); err == nil {
			t.Error("taken")
		}
	})
}

func TestParseRefusesAKeyCutAnywhere(t *testing.T) {
	good := goodKey(t)
	for n := range len(good) - len("-\n") { // the last newline is not missed
		if _, err := parse(File, good[:n]); err == nil {
			t.Fatalf("the first %d of %d bytes are taken", n, len(good))
		}
	}
}

func sshKeygen(t *testing.T) string {
	path, err := exec.LookPath("ssh-keygen")
	if err != nil && os.Getenv("SSHCHAT_REQUIRE_CLIENTS") == "1" {
		t.Fatal("ssh-keygen is required and not installed")
	}
	if err != nil {
		t.Skip("ssh-keygen is not installed")
	}
	return path
}

func TestLoadRefusesOtherTypesAndLocks(t *testing.T) {
	for want, args := range map[string][]string{
		"passphrase": {"-t", "ed25519", "-N", "locked"},
		"ed25519":    {"-t", "ecdsa", "-N", ""},
	} {
		dir := t.TempDir()
		args = append([]string{"-q", "-f", filepath.Join(dir, File)}, args...)
		if out, err := exec.Command(sshKeygen(t), args...).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if _, _, err := Load(dir); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v", args, err)
		}
	}
}

func TestStockToolVerifies(t *testing.T) {
	keygen := sshKeygen(t)
	dir := t.TempDir()
	signer, _, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	message := []byte("a head\n")
	signature, err := Sign(signer, "sshchat-history", message)
	if err != nil {
		t.Fatal(err)
	}
	allowed, sig := filepath.Join(dir, "allowed"), filepath.Join(dir, "sig")
	line := append([]byte("sshchat "), ssh.MarshalAuthorizedKey(signer.PublicKey())...)
	for file, data := range map[string][]byte{allowed: line, sig: signature} {
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	verify := func(namespace string, message []byte) error {
		cmd := exec.Command(keygen, "-Y", "verify", "-f", allowed, "-I", "sshchat", "-n", namespace, "-s", sig)
		cmd.Stdin = bytes.NewReader(message)
		return cmd.Run()
	}
	if err := verify("sshchat-history", message); err != nil {
		t.Errorf("verify: %v", err)
	}
	check := exec.Command(keygen, "-Y", "check-novalidate", "-n", "sshchat-history", "-s", sig)
	check.Stdin = bytes.NewReader(message)
	out, err := check.CombinedOutput()
	if fingerprint := ssh.FingerprintSHA256(signer.PublicKey()); err != nil || !bytes.Contains(out, []byte(fingerprint)) {
		t.Errorf("check-novalidate: %v\n%s", err, out)
	}
	if verify("sshchat-history", []byte("another head\n")) == nil {
		t.Error("verifies another message")
	}
	if verify("file", message) == nil {
		t.Error("verifies for another purpose")
	}
}

// A server that makes its key beside another one does not replace the other's.
func TestCreateReplacesNothing(t *testing.T) {
	dir := t.TempDir()
	if _, _, err := Load(dir); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, File)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := create(path); err == nil {
		t.Error("made a second key")
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, before) {
		t.Errorf("the key was replaced: %v", err)
	}
}

func TestSignNeedsANamespace(t *testing.T) {
	signer, _, err := Load(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Sign(signer, "", []byte("x")); err == nil {
		t.Error("signed for no purpose")
	}
}
