package main

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// An alert as Alertmanager sends it reaches a room through the example, with a key that can do nothing else; one that comes
// while the server is away waits for it.
func TestAlertsReachARoom(t *testing.T) {
	t.Parallel()
	at := ownPort(t)
	s := startServer(t, "", "--listen", at)
	alice, bot, key := s.register("alice"), s.register("hookbot"), writeKey(t)
	alice.must("join ci")
	bot.must("join ci")
	bot.must("key add --only say:#ci " + line(signerOf(t, key)))
	if _, _, code := s.login("hookbot", signerOf(t, key)).exec("say general hi", ""); code != 3 {
		t.Errorf("with the bot's key #general is written to: %d", code)
	}
	program, known := exampleProgram(t, "hook"), filepath.Join(t.TempDir(), "known")
	host := "[127.0.0.1]:" + s.port() + " " + readText(t, filepath.Join(s.data, "ssh_host_ed25519_key.pub"))
	if err := os.WriteFile(known, []byte(host), 0o600); err != nil {
		t.Fatal(err)
	}
	hook, said := exec.Command(program, "-listen", "127.0.0.1:0", "-key", key, "-known", known, "-room", "#ci", "hookbot@"+s.addr), &logBuffer{}
	hook.Stderr = said
	if err := hook.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { hook.Process.Kill(); hook.Wait() })
	var url string
	waitFor(t, "hook that listens", func() bool {
		_, address, listens := strings.Cut(said.String(), "listening on ")
		address, _, whole := strings.Cut(address, "\n")
		url = "http://" + address
		return listens && whole
	})
	post := func(source, file string) int {
		t.Helper()
		body, err := os.Open("../../examples/hook/testdata/" + file)
		if err != nil {
			t.Fatal(err)
		}
		defer body.Close()
		answer, err := http.Post(url+"/"+source, "application/json", body)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		return answer.StatusCode
	}
	room := alice.pipe()
	if code := post("alertmanager", "alertmanager.json"); code != http.StatusOK {
		t.Errorf("answered with %d: %s", code, said)
	}
	room.sees("#ci hookbot: FIRING: ProbeFailed (job=probe, severity=critical)\n")
	room.sees("http://alerts.example.org:9093")
	if strings.Contains(said.String(), "warning") {
		t.Error(said) // the key can do nothing else
	}

	s.stop()
	if code := post("grafana", "grafana.json"); code != http.StatusAccepted {
		t.Errorf("answered with %d while the server is away: %s", code, said)
	}
	s = startServer(t, s.data, "--listen", at)
	alice = s.login("alice", alice.signer)
	if line := alice.must("follow ci --since ci/1 --count 1"); !strings.Contains(line, "hookbot: RESOLVED: Memory is short") {
		t.Error(line) // it came meanwhile
	}
	if err := hook.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := hook.Wait(); err != nil {
		t.Error(err, said)
	}
}
