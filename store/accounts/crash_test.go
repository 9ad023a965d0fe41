package accounts

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"testing"

	"sshchat/sshchat/chat"
	"sshchat/store/changes"
	"sshchat/store/durable"
	"sshchat/store/durable/powercut"
)

var errCrash = errors.New("crashed")

// crashing is a file system on which a process crashes before something is named so.
type crashing struct {
	durable.OS
	before string
}

func (c crashing) Link(from, to string) error {
	if to == c.before {
		return errCrash
	}
	return c.OS.Link(from, to)
}

func (c crashing) Rename(from, to string) error {
	if to == c.before {
		return errCrash
	}
	return c.OS.Rename(from, to)
}

// crashed is nil if the crash was met.
func crashed(_ fs.FileInfo, err error) error {
	if errors.Is(err, errCrash) {
		return nil
	}
	return fmt.Errorf("no crash: %w", err)
}

func TestCrashBeforeTheRenameLeavesTheOld(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	u := open(t, dir)
	create(t, u, "alice", "")
	create(t, u, "bob", "")
	if err := u.Close(); err != nil {
		t.Fatal(err)
	}
	old := mustRead(t, u.files.path)
	torn := []byte(old[:len(old)/2])
	remains := []byte(`{"users":[]}`)
	crashes := map[string]func() error{
		"while writing": func() error { return os.WriteFile(u.files.path+".tmp", torn, 0o600) },
		"before the backup": func() error {
			return crashed(durable.ReplaceOn(crashing{before: u.files.path + ".bak.tmp"}, u.files.path, remains))
		},
		"after the backup": func() error { return crashed(durable.ReplaceOn(crashing{before: u.files.path}, u.files.path, remains)) },
	}
	for when, crash := range crashes {
		t.Run(when, func(t *testing.T) {
			if err := crash(); err != nil {
				t.Fatal(err)
			}
			if mustRead(t, u.files.path) != old {
				t.Fatal("the old content is gone")
			}
			again := open(t, dir)
			if err := again.SaveRoom(chat.General, when, chat.Name{}); err != nil { // the remains are in nobody's way
				t.Fatal(err)
			}
			if n := len(again.Accounts()); n != 2 {
				t.Errorf("%d accounts", n)
			}
			if err := again.Close(); err != nil {
				t.Fatal(err)
			}
			old = mustRead(t, u.files.path)
		})
	}
}

// TestKilledWhileCreating kills a process that makes accounts as fast as it can: what it acknowledged must be there.
func TestKilledWhileCreating(t *testing.T) {
	if dir := os.Getenv("SSHCHAT_TEST_CREATE_IN"); dir != "" {
		createUntilKilled(t, dir, os.Getenv("SSHCHAT_TEST_LIE") != "")
	}
	for round := range powercut.Points(2, 5) {
		if lost := lostByKill(t, 20*round+1); len(lost) > 0 {
			t.Errorf("round %d: acknowledged and lost: %v", round, lost)
		}
	}
	// A server that acknowledges what it has not written must be found out.
	if lost := lostByKill(t, 10, "SSHCHAT_TEST_LIE=1"); len(lost) == 0 {
		t.Error("nothing is lost of what was never written")
	}
}

// lostByKill kills such a process once it has acknowledged so many, and returns which of them are lost.
func lostByKill(t *testing.T, after int, env ...string) (lost []string) {
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0], "-test.run=^TestKilledWhileCreating$")
	cmd.Env = append(append(os.Environ(), "SSHCHAT_TEST_CREATE_IN="+dir), env...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var acknowledged []string
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if s, ok := strings.CutPrefix(lines.Text(), "created "); ok {
			acknowledged = append(acknowledged, s)
		}
		if len(acknowledged) == after {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err == nil || len(acknowledged) < after {
		t.Fatalf("it ended by itself after %d: %v", len(acknowledged), err)
	}
	u := open(t, dir)
	for _, s := range acknowledged {
		if _, ok := u.ByName(name(s)); !ok {
			lost = append(lost, s)
		}
	}
	return lost
}

// createUntilKilled makes accounts and says so. With lie, the file is not written.
func createUntilKilled(t *testing.T, dir string, lie bool) {
	u := open(t, dir)
	if lie {
		u.write = func(changes.Line) error { return nil }
		u.files.now = func() point { return point{chat.NewState(chat.Parts{}), 0} }
	}
	k := newKey(t)
	for i := 0; ; i++ {
		s := fmt.Sprintf("n%x", i+0xa0000)
		_, err := u.Create(name(s), chat.User, []chat.Key{k}, nil, 1)
		switch {
		case errors.Is(err, chat.ErrNameTaken): // n-0 looks like n-o
			continue
		case err != nil:
			t.Fatal(err)
		}
		fmt.Println("created", s)
	}
}
