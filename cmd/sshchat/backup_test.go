package main

import (
	"archive/tar"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"
)

// unpack unpacks a tar into a new folder, as "tar x" does, and returns the folder and what is in it.
func unpack(t *testing.T, archive string) (folder string, names []string) {
	t.Helper()
	folder = t.TempDir()
	if err := os.Chmod(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	r := tar.NewReader(strings.NewReader(archive))
	for {
		h, err := r.Next()
		if err == io.EOF {
			return folder, names
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, h.Name), b, os.FileMode(h.Mode)); err != nil {
			t.Fatal(err)
		}
		names = append(names, h.Name)
	}
}

// A backup taken while people talk is a server as it stood at one moment: it starts, everybody logs in, what was said
// before is there, and the chain of it verifies. Host keys are in it only where asked for.
func TestBackupWhilePeopleTalk(t *testing.T) {
	t.Parallel()
	s := startProcess(t, "", "--window", "25") // a file of the tar, and an age, for each
	key := writeKey(t)
	pem, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.ParsePrivateKey(pem)
	if err != nil {
		t.Fatal(err)
	}
	register(t, s, "alice", signer, "127.0.0.1")
	alice, bob := s.login("alice", signer), s.register("bob")
	alice.must("claim " + s.claimCode())
	if _, _, code := bob.exec("backup", ""); code != 3 {
		t.Errorf("bob backs up: exit %d", code)
	}
	var before strings.Builder
	for i := range 300 {
		fmt.Fprintf(&before, "before %d\n", i)
	}
	if _, errs, code := bob.exec("say general -", before.String()); code != 0 {
		t.Fatalf("exit %d, %s", code, errs)
	}
	var talk sync.WaitGroup
	stop, begun := make(chan struct{}), make(chan struct{})
	talker := s.login("bob", bob.signer)
	talk.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				talker.exec(fmt.Sprintf("say general meanwhile %d", i), "")
			}
			if i == 0 {
				close(begun)
			}
		}
	})
	<-begun
	var last string
	for range 5 {
		last = alice.must("backup")
	}
	close(stop)
	talk.Wait()
	folder, names := unpack(t, last)
	if strings.Contains(strings.Join(names, " "), "host") {
		t.Errorf("host keys are in it: %v", names)
	}
	if _, with := unpack(t, alice.must("backup --with-host-keys")); !strings.Contains(strings.Join(with, " "), "ssh_host_ed25519_key") {
		t.Errorf("no host key in it: %v", with)
	}
	h, u, a := slices.Index(names, "message_history.json"), slices.Index(names, "users.json"), slices.Index(names, "audit.jsonl")
	if h < 0 || h > u || u > a { // none may stand on what is not in the next
		t.Errorf("order: %v", names)
	}
	var out, errs strings.Builder
	if code := run(t.Context(), []string{"open", "-i", key, filepath.Join(folder, "message_history.json")}, strings.NewReader(""), &out, &errs); code != 0 {
		t.Fatalf("open: exit %d, %s", code, errs.String())
	}
	if n := strings.Count(out.String(), "before "); n != 300 || !strings.Contains(out.String(), "meanwhile ") {
		t.Errorf("%d of 300 messages, %d bytes", n, out.Len())
	}
	again := startServer(t, folder)
	restored := again.login("alice", alice.signer)
	restored.must("say general on we go")
	t.Run("stock age", func(t *testing.T) {
		for _, needed := range []string{"age", "tar"} {
			client(t, needed)
		}
		out, errs, _ := runClient(t, restored.must("history --tar general"), "tar", "x", "--to-command=age -d -i "+key)
		if n := strings.Count(out, `"before `); n != 300 || !strings.Contains(out, `"meanwhile `) || !strings.Contains(out, `"on we go"`) {
			t.Errorf("%d of 300 messages, %s", n, errs)
		}
	})
	if out := restored.must("audit --verify"); !strings.Contains(out, "hash chain intact") {
		t.Error(out)
	}
}
