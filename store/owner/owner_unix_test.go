//go:build unix

package owner

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const becomes = "SSHCHAT_TEST_BECOME"

// TestMain is also the process that becomes the owner of a folder: there is no way back from that.
func TestMain(m *testing.M) {
	dir := os.Getenv(becomes)
	if dir == "" {
		os.Exit(m.Run())
	}
	reached, err := Become(dir)
	if err == nil {
		err = os.WriteFile(filepath.Join(reached, "made"), nil, 0o600)
	}
	fmt.Println(reached, os.Geteuid(), err)
}

// Root becomes the owner of a folder, and names it as it is, so that errors do. A folder that its owner cannot reach by that path is the
// folder that the process is in.
func TestBecome(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can become another user")
	}
	const nobody = 65534
	top, err := os.MkdirTemp("", "become") // t.TempDir is in a folder of root alone
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(top) })
	for name, c := range map[string]struct {
		mode os.FileMode // of the folder above
		want string
	}{
		"open":   {0o755, filepath.Join(top, "open", "data")},
		"closed": {0o700, "."},
	} {
		above := filepath.Join(top, name)
		data := filepath.Join(above, "data")
		for _, err := range []error{os.MkdirAll(data, 0o700), os.Chown(data, nobody, nobody), os.Chmod(top, 0o755), os.Chmod(above, c.mode)} {
			if err != nil {
				t.Fatal(err)
			}
		}
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(self)
		cmd.Dir = above
		cmd.Env = append(os.Environ(), becomes+"=data")
		out, err := cmd.CombinedOutput()
		if got := strings.TrimSpace(string(out)); err != nil || got != fmt.Sprintf("%s %d <nil>", c.want, nobody) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}
