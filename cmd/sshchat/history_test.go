package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"
)

// keyFile makes a key with the stock tool and returns its path.
func keyFile(t *testing.T, args ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	if _, errs, code := runClient(t, "", "ssh-keygen", append([]string{"-q", "-N", "", "-f", path}, args...)...); code != 0 {
		t.Fatalf("ssh-keygen: %s", errs)
	}
	return path
}

// rsaFile is keyFile of an RSA key of 2 048 bits: the same key everywhere, as it takes up to a second to make one.
func rsaFile(t *testing.T, args ...string) string {
	t.Helper()
	key, err := rsaKey()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "key")
	for name, text := range map[string]string{path: key[0], path + ".pub": key[1]} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if len(args) > 0 {
		if _, errs, code := runClient(t, "", "ssh-keygen", append([]string{"-q", "-p", "-P", "", "-f", path}, args...)...); code != 0 {
			t.Fatalf("ssh-keygen: %s", errs)
		}
	}
	return path
}

// rsaKey is the private and the public half, as ssh-keygen writes them.
var rsaKey = sync.OnceValues(func() (key [2]string, err error) {
	dir, err := os.MkdirTemp("", "sshchat-rsa-")
	if err != nil {
		return key, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "key")
	if out, err := exec.Command("ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", path).CombinedOutput(); err != nil {
		return key, fmt.Errorf("ssh-keygen: %w: %s", err, out)
	}
	for i, name := range []string{path, path + ".pub"} {
		text, err := os.ReadFile(name)
		if err != nil {
			return key, err
		}
		key[i] = string(text)
	}
	return key, nil
})

func signerOf(t *testing.T, path string) ssh.Signer {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.ParsePrivateKey(data)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

// registerWith makes an account with the key in a file.
func (s *testServer) registerWith(t *testing.T, name, key string) *user {
	t.Helper()
	s.login(name, signerOf(t, key)).must("register")
	return s.login(name, signerOf(t, key))
}

// decrypt opens an age file with the stock tool.
func decrypt(t *testing.T, file, key string) (plain string, ok bool) {
	t.Helper()
	out, _, code := runClient(t, file, "age", "-d", "-i", key)
	return out, code == 0
}

// The promise, with stock tools: history opens with each kind of key, with the keys of those who were there alone,
// and across a restart and a kill.
func TestHistoryOpensWithStockAge(t *testing.T) {
	t.Parallel()
	client(t, "age")
	s := startProcess(t, "")
	ed, rsa := keyFile(t, "-t", "ed25519"), rsaFile(t)
	if long { // it takes seconds to make
		rsa = keyFile(t, "-t", "rsa", "-b", "4096")
	}
	alice, bob := s.registerWith(t, "alice", ed), s.registerWith(t, "bob", rsa)
	alice.must("say general hello from alice")
	bob.must("say general hello from bob")
	alice.must("join secret")
	alice.must("say secret for alice alone")

	for name, u := range map[string]*user{ed: alice, rsa: bob} {
		plain, ok := decrypt(t, u.must("history general"), name)
		if !ok || !strings.Contains(plain, `"from":"alice","kind":"say","text":"hello from alice"`) || strings.Count(plain, "\n") != 2 {
			t.Errorf("%s reads %q, %v", u.name, plain, ok)
		}
		for line := range strings.Lines(plain) {
			if !json.Valid([]byte(line)) {
				t.Errorf("not JSON: %q", line)
			}
		}
	}
	if _, ok := decrypt(t, alice.must("history secret"), rsa); ok {
		t.Error("bob's key opens a room he is not in")
	}
	if out, _, code := bob.exec("history secret", ""); code != 4 || out != "" {
		t.Errorf("bob asks for it: exit %d, %q", code, out)
	}

	s.kill()
	s = startServer(t, s.data)
	alice = s.login("alice", signerOf(t, ed))
	tarOpens(t, alice.must("history --tar general"), ed, 2)
	diskOpens(t, s.data, ed)
	alice.must("say general after the kill")
	s.stop()
	s = startServer(t, s.data)
	tarOpens(t, s.login("alice", signerOf(t, ed)).must("history --tar general"), ed, 3)
	s.stop()
	nothingInClear(t, s.data, "hello from", "alice alone", "after the kill")
}

// tarOpens pipes history --tar as the README says.
func tarOpens(t *testing.T, archive, key string, lines int) {
	t.Helper()
	out, errs, code := runClient(t, archive, "tar", "x", "--to-command=age -d -i "+key)
	if code != 0 || strings.Count(out, "\n") != lines {
		t.Errorf("tar: exit %d, %q, %s", code, out, errs)
	}
}

// diskOpens is the README's recipe with jq.
func diskOpens(t *testing.T, data, key string) {
	t.Helper()
	client(t, "jq")
	recipe := `{ jq -j '.records[0].heads.alice' "$F"; jq -j '.records[1].body' "$F" | base64 -d; } | age -d -i "$KEY"`
	cmd := exec.Command("bash", "-c", recipe)
	cmd.Env = append(os.Environ(), "F="+filepath.Join(data, "message_history.json"), "KEY="+key)
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), `"text":"hello from alice"`) {
		t.Errorf("from the disk: %v\n%s", err, out)
	}
}

var encoded = regexp.MustCompile(`[A-Za-z0-9+/=]{16,}`)

// nothingInClear looks for what was said in every file, also in what base64 hides.
func nothingInClear(t *testing.T, data string, said ...string) {
	t.Helper()
	files, err := os.ReadDir(data)
	if err != nil || len(files) < 4 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, f := range files {
		content, err := os.ReadFile(filepath.Join(data, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range encoded.FindAll(content, -1) {
			if raw, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(string(word), "=")); err == nil {
				content = append(content, raw...)
			}
		}
		for _, words := range said {
			if bytes.Contains(content, []byte(words)) {
				t.Errorf("%s holds %q", f.Name(), words)
			}
		}
	}
}

func TestPasswordOpensHistory(t *testing.T) {
	t.Parallel()
	client(t, "age")
	const password = "a sufficiently long one"
	s := startServer(t, "")
	c, err := s.dialAs("paula", ssh.Password("anything at all"))
	if err != nil {
		t.Fatal(err)
	}
	u := &user{c, t, s, "paula", nil}
	o := u.plain(80, 24)
	for _, step := range [][2]string{
		{"Create it? [y/N]", "y"}, {"New password:", "short"}, {"at least 15 characters", password}, {"Repeat the password:", password},
	} {
		o.sees(step[0])
		o.typeln(step[1])
	}
	o.sees("Welcome to sshchat, paula")
	o.typeln("said by paula")
	o.sees("paula: said by paula")
	if strings.Contains(o.seen.String(), password) {
		t.Error("the password was shown")
	}
	c.Close()

	c, err = s.dialAs("paula", ssh.KeyboardInteractive(func(_, _ string, questions []string, _ []bool) ([]string, error) {
		return []string{password}[:len(questions)], nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	u = &user{c, t, s, "paula", nil}
	identity := u.must("identity")
	file := filepath.Join(t.TempDir(), "me.age")
	if err := os.WriteFile(file, []byte(identity), 0o600); err != nil {
		t.Fatal(err)
	}
	if plain := ageWithPassphrase(t, u.must("history general"), file, password); !strings.Contains(plain, "said by paula") {
		t.Errorf("opened %q", plain)
	}
	if _, err := s.dialAs("paula", ssh.Password("a wrong but long enough one")); err == nil {
		t.Error("a wrong password gets in")
	}
}

// A locked ed25519 key opens too; age asks for its passphrase on a terminal.
func TestLockedKeyOpensHistory(t *testing.T) {
	t.Parallel()
	client(t, "age")
	s := startServer(t, "")
	key := keyFile(t, "-t", "ed25519")
	alice := s.registerWith(t, "alice", key)
	alice.must("say general under lock")
	sealed := alice.must("history general")
	if _, errs, code := runClient(t, "", "ssh-keygen", "-p", "-P", "", "-N", "a passphrase", "-f", key); code != 0 {
		t.Fatal(errs)
	}
	if plain := ageWithPassphrase(t, sealed, key, "a passphrase"); !strings.Contains(plain, "under lock") {
		t.Errorf("opened %q", plain)
	}
}

// What is removed, changed or rolled back shows against a head that was remembered, which the stock tool verifies.
func TestRememberedHead(t *testing.T) {
	t.Parallel()
	s := startServer(t, "")
	key := keyFile(t, "-t", "ed25519")
	alice := s.registerWith(t, "alice", key)
	alice.must("say general one")
	early, err := os.ReadFile(filepath.Join(s.data, "message_history.json"))
	if err != nil {
		t.Fatal(err)
	}
	alice.must("say general two")
	head := alice.must("head general")
	s.stop()

	dir := t.TempDir()
	line, signature, _ := strings.Cut(head, "\n")
	public, err := os.ReadFile(filepath.Join(s.data, "ssh_host_ed25519_key.pub"))
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string]string{"head": head, "sig": signature, "allowed": "sshchat " + string(public), "early": string(early)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, errs, code := runClient(t, line+"\n", "ssh-keygen", "-Y", "verify", "-f", dir+"/allowed", "-I", "sshchat",
		"-n", "sshchat-history", "-s", dir+"/sig"); code != 0 {
		t.Errorf("verify: %s%s", out, errs)
	}
	var out, errs bytes.Buffer
	args := []string{"open", "-i", key, "--head", dir + "/head"}
	if code := run(t.Context(), append(args, s.data+"/message_history.json"), nil, &out, &errs); code != 0 {
		t.Errorf("open: exit %d, %s", code, errs.String())
	}
	if !strings.Contains(out.String(), "general/2 alice: two") {
		t.Errorf("opened %q", out.String())
	}
	if code := run(t.Context(), append(args, dir+"/early"), nil, &out, &errs); code == 0 || !strings.Contains(errs.String(), "the saved head") {
		t.Errorf("rolled back: exit %d, %s", code, errs.String())
	}
}

// otherReader runs testdata/read.py, a reader in another language: [--now] FILE... NAME KEY.
func otherReader(t *testing.T, args ...string) (out, errs string, code int) {
	t.Helper()
	python := "/usr/bin/python3" // where it is: the first in PATH may be a script that takes longer than the reader
	if _, err := os.Stat(python); err != nil {
		python = client(t, "python3")
	}
	return runClient(t, "", python, append([]string{"testdata/read.py"}, args...)...)
}

// A reader in another language, written from FORMAT.md alone, opens the file: short lines and long, messages that are
// closed and some that are not, also after damage it must notice.
func TestAnotherLanguageReadsTheFile(t *testing.T) {
	t.Parallel()
	client(t, "age")
	s := startProcess(t, "", "--window", "5")
	key := keyFile(t, "-t", "ed25519")
	alice := s.registerWith(t, "alice", key)
	var want []string
	for i := range 12 {
		text := fmt.Sprint("line ", i, strings.Repeat(" 長い", i*i*4))
		alice.must("say general " + text)
		want = append(want, text)
	}
	s.kill()
	path := filepath.Join(s.data, "message_history.json")
	out, errs, code := otherReader(t, path, "alice", key)
	var got []string
	for line := range strings.Lines(out) {
		var l struct{ Text string }
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatal(err)
		}
		got = append(got, l.Text)
	}
	if code != 0 || !slices.Equal(got, want) {
		t.Fatalf("exit %d, %q, %s", code, got, errs)
	}
	if out, _, code := otherReader(t, path, "alice", keyFile(t, "-t", "ed25519")); code != 0 || out != "" {
		t.Errorf("with another key: exit %d, %q", code, out)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	body := bytes.Index(content, []byte(`"body":"`)) + 20
	content[body] ^= 1
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, errs, code := otherReader(t, path, "alice", key); code == 0 || !strings.Contains(errs, "damaged") {
		t.Errorf("a flipped bit: exit %d, %s", code, errs)
	}
}
