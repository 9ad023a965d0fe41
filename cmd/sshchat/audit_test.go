package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The host key signs the audit log's tip at a start and at a stop, as ssh-keygen checks it, and a log that was taken back to
// an older one while the server was down is told of: to the operator, and in the log itself.
func TestAuditLogIsSigned(t *testing.T) {
	t.Parallel()
	s := startServer(t, "")
	alice := s.register("alice")
	alice.must("claim " + s.claimCode())
	alice = alice.again(t)
	if out := alice.must("audit --verify"); !strings.Contains(out, "first 0 signed by SHA256:") || !strings.Contains(out, "at server start") {
		t.Errorf("at the start: %s", out)
	}
	path := filepath.Join(s.data, "audit.jsonl")
	earlier, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	alice.must("room create ops")
	s.stop()
	if !strings.Contains(s.log.String(), "audit log signed") {
		t.Errorf("the operator's log: %s", s.log)
	}
	checkTip(t, s.data)

	s = startProcess(t, s.data)
	if log := s.log.String(); strings.Contains(log, "WARN") {
		t.Errorf("control: %s", log)
	}
	s.kill()
	s = startServer(t, s.data) // as after a crash
	alice = alice.at(s).again(t)
	alice.must("room create dev")
	if out := alice.must("audit --verify"); !strings.Contains(out, "hash chain intact") || strings.Contains(s.log.String(), "WARN") {
		t.Errorf("control after a crash: %s%s", out, s.log)
	}
	s.stop()
	if err := os.WriteFile(path, earlier, 0o600); err != nil {
		t.Fatal(err)
	}
	s = startServer(t, s.data)
	if log := s.log.String(); !strings.Contains(log, "the audit log does not match its signature") {
		t.Errorf("the operator's log: %s", log)
	}
	alice = alice.at(s).again(t)
	if out := alice.must("audit"); !strings.Contains(out, "the server  audit check") || strings.Contains(out, "ops") {
		t.Errorf("the log: %s", out)
	}
	if out, errs, code := alice.exec("audit --verify", ""); code != 0 {
		t.Errorf("it is not signed as it is now: %s%s", out, errs)
	}
}

// checkTip has the stock tool check the signature.
func checkTip(t *testing.T, data string) {
	t.Helper()
	tip, err := os.ReadFile(filepath.Join(data, "audit.tip"))
	if err != nil {
		t.Fatal(err)
	}
	line, signature, _ := bytes.Cut(tip, []byte("\n"))
	dir := t.TempDir()
	allowed, sig := filepath.Join(dir, "allowed"), filepath.Join(dir, "sig")
	key := readText(t, filepath.Join(data, "ssh_host_ed25519_key.pub"))
	for path, text := range map[string]string{allowed: "sshchat " + key, sig: string(signature)} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	verify := []string{"-Y", "verify", "-f", allowed, "-I", "sshchat", "-n", "sshchat-audit", "-s", sig}
	if out, errs, code := runClient(t, string(line)+"\n", "ssh-keygen", verify...); code != 0 {
		t.Errorf("ssh-keygen: %s%s", out, errs)
	}
	if _, _, code := runClient(t, strings.Replace(string(line), `"n":`, `"n":1`, 1)+"\n", "ssh-keygen", verify...); code == 0 {
		t.Error("control: ssh-keygen takes another line")
	}
}
