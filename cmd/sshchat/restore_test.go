package main

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"sshchat/sshchat/attack"
)

// restoreHere runs the command with a tar.
func restoreHere(t testing.TB, tar, folder string) (out, errs string, code int) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = run(t.Context(), []string{"restore", folder}, strings.NewReader(tar), &stdout, &stderr)
	return stdout.String(), stderr.String(), code
}

// A server that is restored elsewhere is the same to stock ssh, which refuses other host keys, if the backup has the host keys.
// If not, the command says so, and ssh refuses it. What was said is there, and goes on.
func TestRestoredElsewhere(t *testing.T) {
	t.Parallel()
	client(t, "ssh")
	s := startServer(t, "")
	key := writeKey(t)
	alice := s.registerWith(t, "alice", key)
	alice.must("claim " + s.claimCode())
	alice = s.login("alice", signerOf(t, key))
	alice.must("say general before the fire")
	fingerprint := ssh.FingerprintSHA256(hostKeyOf(t, s))
	backups := map[bool]string{}
	for _, with := range []bool{false, true} {
		words := "backup"
		if with {
			words += " --with-host-keys"
		}
		out, errs, code := alice.exec(words, "")
		if code != 0 || strings.Contains(errs, "not included") == with {
			t.Errorf("%s: exit %d, %s", words, code, errs)
		}
		backups[with] = out
	}
	known := filepath.Join(t.TempDir(), "known")
	if err := os.WriteFile(known, append([]byte("chat "), ssh.MarshalAuthorizedKey(hostKeyOf(t, s))...), 0o600); err != nil {
		t.Fatal(err)
	}
	whoami := func(s *testServer) (string, int) {
		_, errs, code := runClient(t, "", "ssh", "-F", "none", "-T", "-o", "StrictHostKeyChecking=yes", "-o", "UserKnownHostsFile="+known, "-o", "HostKeyAlias=chat",
			"-o", "GlobalKnownHostsFile=/dev/null", "-o", "IdentitiesOnly=yes", "-i", key, "-p", s.port(), "alice@127.0.0.1", "whoami")
		return errs, code
	}
	if errs, code := whoami(s); code != 0 {
		t.Fatalf("the first server: exit %d, %s", code, errs)
	}
	s.stop()
	for with, backup := range backups {
		folder := filepath.Join(t.TempDir(), "elsewhere")
		out, errs, code := restoreHere(t, backup, folder)
		if code != 0 || strings.Contains(out, "notice nothing") != with || strings.Contains(out, "refuse to connect") == with || !strings.Contains(out, fingerprint) {
			t.Fatalf("restore: exit %d, %s%s", code, out, errs)
		}
		for name := range filesOf(t, folder) {
			if info, err := os.Lstat(filepath.Join(folder, name)); err != nil || info.Mode() != 0o600 {
				t.Errorf("%s: %v, %v", name, info, err)
			}
		}
		s := startServer(t, folder)
		if errs, code := whoami(s); (code == 0) != with || !with && !strings.Contains(errs, "IDENTIFICATION HAS CHANGED") {
			t.Errorf("with host keys %v, ssh exits %d, %s", with, code, errs)
		}
		alice := s.login("alice", signerOf(t, key))
		alice.must("say general after the fire")
		alice.must("audit --verify")
		if with && strings.Contains(s.log.String(), "does not match its signature") {
			t.Errorf("the log:\n%s", s.log)
		}
		if _, errs, code := restoreHere(t, backup, folder); code != 1 || !strings.Contains(errs, "not empty") {
			t.Errorf("over a running server: exit %d, %s", code, errs)
		}
		s.stop()
		if got := strings.Join(linesOpened(t, folder, key), "\n"); !strings.Contains(got, "before the fire") || !strings.Contains(got, "after the fire") {
			t.Errorf("the history:\n%s", got)
		}
	}
	for _, words := range [][]string{{"restore"}, {"restore", "a", "b"}} {
		if _, errs, code := runHere(t, words...); code != 2 {
			t.Errorf("%s: exit %d, %s", words, code, errs)
		}
	}
}

// hostKeyOf is the host key of a server.
func hostKeyOf(t *testing.T, s *testServer) ssh.PublicKey {
	t.Helper()
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(readText(t, filepath.Join(s.data, "ssh_host_ed25519_key.pub"))))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// I changed a backup before it is restored: it writes elsewhere, brings files of mine, lacks the end, or says what nobody said.
func TestAttackForgedBackup(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Files, "change a backup before it is restored")
	s := startServer(t, "")
	alice := s.register("alice")
	alice.must("claim " + s.claimCode())
	s = s.again() // which signs the audit log as it is
	alice = s.login("alice", alice.signer)
	alice.must("say general hello")
	whole := alice.must("backup --with-host-keys")
	s.stop()
	type entry struct {
		tar.Header
		content []byte
	}
	repack := func(change func(entry) []entry) string {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		for r := tar.NewReader(strings.NewReader(whole)); ; {
			h, err := r.Next()
			if err == io.EOF {
				break
			}
			content, readErr := io.ReadAll(r)
			if err != nil || readErr != nil {
				t.Fatal(err, readErr)
			}
			for _, e := range change(entry{*h, content}) {
				e.Size = int64(len(e.content))
				if err := w.WriteHeader(&e.Header); err != nil {
					t.Fatal(err)
				}
				if _, err := w.Write(e.content); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	beside := func(h tar.Header, content string) string {
		return repack(func(e entry) []entry {
			if e.Name != "users.json" {
				return []entry{e}
			}
			return []entry{{h, []byte(content)}, e}
		})
	}
	in := func(name, from, to string) string {
		return repack(func(e entry) []entry {
			if e.Name == name {
				changed := bytes.ReplaceAll(e.content, []byte(from), []byte(to))
				if bytes.Equal(changed, e.content) {
					t.Fatalf("%s has no %s:\n%s", name, from, e.content)
				}
				e.content = changed
			}
			return []entry{e}
		})
	}
	without := func(name string) string {
		return repack(func(e entry) []entry {
			if e.Name == name {
				return nil
			}
			return []entry{e}
		})
	}
	reg := tar.Header{Typeflag: tar.TypeReg, Mode: 0o600}
	named := func(name string) tar.Header { h := reg; h.Name = name; return h }
	link := func(kind byte, name, to string) tar.Header {
		return tar.Header{Typeflag: kind, Name: name, Linkname: to, Mode: 0o777}
	}
	tried := map[string]string{
		"above": beside(named("../authorized_keys"), "k"), "absolute": beside(named("/etc/cron.d/x"), "k"), "deeper": beside(named("a/b"), "k"),
		"a file of mine": beside(named("sshchat.toml"), `admin = ["mallory=/k"]`), "a symlink": beside(link(tar.TypeSymlink, "motd.tmp", "/etc/passwd"), ""),
		"a symlink of a known name": beside(link(tar.TypeSymlink, "state.json", "/etc/shadow"), ""), "a hard link": beside(link(tar.TypeLink, "state.json", "/etc/shadow"), ""),
		"a device": beside(link(tar.TypeBlock, "state.json", ""), ""), "twice": beside(named("audit.jsonl"), ""),
		"setuid":  beside(tar.Header{Typeflag: tar.TypeReg, Name: "clock", Mode: 0o4755}, "x"),
		"history": in("message_history.json", "general", "genera1"), "accounts": in("users.json", `"users"`, `"people"`), "audit log": in("audit.jsonl", `"n":1`, `"n":7`),
		"changes": in("changes.jsonl", `"upto":2`, `"upto":3`), "host key": in("ssh_host_ed25519_key", "OPENSSH", "OPENSSL"),
		"a newer format": in("users.json", "sshchat-users/2", "sshchat-users/9"), "without accounts": without("users.json"),
		"without the audit log": without("audit.jsonl"), "without history": without("message_history.json"),
		"half of it": whole[:len(whole)/2/512*512], "without its end": strings.TrimRight(whole, "\x00"), "more behind it": whole + "more", "nothing": "",
	}
	for name, forged := range tried {
		parent := t.TempDir()
		out, errs, code := restoreHere(t, forged, filepath.Join(parent, "data"))
		if code != 1 || !strings.Contains(errs, "nothing was restored") {
			t.Errorf("%s: exit %d, %s%s", name, code, out, errs)
		}
		if left, err := os.ReadDir(parent); err != nil || len(left) > 0 {
			t.Errorf("%s: it leaves %v, %v", name, left, err)
		}
	}
	row.Tried("%d ways: paths, links, devices, files of mine, damaged, missing and doubled files, cut short", len(tried))
	row.Held("only files of a backup, each once and whole, which `verify` accepts, are put in place, for their owner alone; else nothing. An audit log that its signature does not match is reported")
	emptied := repack(func(e entry) []entry {
		if e.Name == "audit.jsonl" {
			e.content = nil
		}
		return []entry{e}
	})
	if _, errs, code := restoreHere(t, emptied, filepath.Join(t.TempDir(), "data")); code != 0 || !strings.Contains(errs, "does not match its signature: ") {
		t.Errorf("without the lines of the audit log: exit %d, %s", code, errs)
	}
	if out, errs, code := restoreHere(t, repack(func(e entry) []entry { return []entry{e} }), filepath.Join(t.TempDir(), "data")); code != 0 || errs != "" {
		t.Errorf("the control: exit %d, %s%s", code, out, errs)
	}
	row.Control("unchanged, it is restored")
}

// What an older binary cannot read it refuses, with the file, its format and the one that this binary reads.
func TestNewerFilesAreNamed(t *testing.T) {
	t.Parallel()
	for name, format := range map[string]string{
		"users.json": "sshchat-users", "message_history.json": "sshchat-history", "message_history.0005.json": "sshchat-history", "changes.jsonl": "sshchat-changes",
	} {
		data, _, _ := keptFolder(t, fmt.Sprint("format-", 2))
		path := filepath.Join(data, name)
		content := readText(t, path)
		at := strings.Index(content, format+"/")
		if at < 0 {
			t.Fatalf("%s has no format", name)
		}
		at += len(format) + 1
		if err := os.WriteFile(path, []byte(content[:at]+"9"+content[at+1:]), 0o600); err != nil {
			t.Fatal(err)
		}
		before := filesOf(t, data)
		_, errs, code := runHere(t, "--listen", "127.0.0.1:0", "--data", data)
		if code != 1 || !strings.Contains(errs, name) || !strings.Contains(errs, "newer") && !strings.Contains(errs, "knows only") || !strings.Contains(errs, "9") || !strings.Contains(errs, content[at:at+1]) {
			t.Errorf("%s: exit %d, %s", name, code, errs)
		}
		for file, sum := range filesOf(t, data) {
			if was, there := before[file]; there && was != sum {
				t.Errorf("%s of a newer format: %s was changed", name, file)
			}
		}
	}
}
