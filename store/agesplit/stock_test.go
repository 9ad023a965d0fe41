package agesplit

import (
	"bytes"
	"os"
	"os/exec"
	"testing"

	"filippo.io/age"

	"sshchat/store/agesplit/agetest"
)

// needsAge skips the test if the age command is missing, unless all clients must be there.
func needsAge(t testing.TB) {
	t.Helper()
	if _, err := exec.LookPath("age"); err != nil {
		if os.Getenv("SSHCHAT_REQUIRE_CLIENTS") == "1" {
			t.Fatal("age is not installed")
		}
		t.Skip("age is not installed")
	}
}

// What stock age wrote opens by our code, and what we write opens by stock age, at the sizes where STREAM turns.
func TestStockAgeBothWays(t *testing.T) {
	t.Parallel()
	needsAge(t)
	for i, r := range []agetest.Key{agetest.Ed25519(t), agetest.RSA(t), agetest.X25519(t)} {
		for _, size := range []int{0, 100, chunkSize, chunkSize + 1} {
			plain := bytes.Repeat([]byte("p"), size)
			cmd := exec.Command("age", "-d", "-i", r.File)
			key := NewFileKey()
			head, _ := key.Head([]age.Recipient{r.Recipient})
			once := &key.OnceKeys(1)[0]
			cmd.Stdin = Join(head, once.Seal(plain))
			if out, err := cmd.Output(); err != nil || !bytes.Equal(out, plain) {
				t.Errorf("age does not open our %d bytes for key %d: %v", size, i, err)
			}
			// -e -i: to the recipient of that identity.
			cmd = exec.Command("age", "-e", "-i", r.File)
			cmd.Stdin = bytes.NewReader(plain)
			file, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			head, body, err := Split(file)
			if err != nil {
				t.Fatal(err)
			}
			k, err := OpenHead(head, []age.Identity{r.Identity})
			if err != nil {
				t.Fatal(err)
			}
			if got, err := k.OpenBody(head, body); err != nil || !bytes.Equal(got, plain) {
				t.Errorf("age's %d bytes for key %d do not open here: %v", size, i, err)
			}
		}
	}
}
