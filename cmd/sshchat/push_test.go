package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
)

// The example script pushes counts, once each, with a key that can do nothing else, and no word of what was said.
func TestInboxIsPushed(t *testing.T) {
	t.Parallel()
	for _, needed := range []string{"ssh", "jq", "curl"} {
		client(t, needed)
	}
	var mu sync.Mutex
	var pushed []string
	ntfy := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		pushed = append(pushed, string(body))
	}))
	defer ntfy.Close()
	s := startServer(t, "")
	alice, bob, key := s.register("alice"), s.register("bob"), keyFile(t, "-t", "ed25519")
	alice.must("key add --only inbox " + readText(t, key+".pub"))
	to := []string{"-F", "none", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "-p", s.port(), "alice@127.0.0.1"}
	run := func() {
		t.Helper()
		args := append([]string{key, filepath.Join(filepath.Dir(key), "inbox.state"), ntfy.URL}, to...)
		if out, err := exec.Command("../../examples/inbox-push.sh", args...).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	run() // nothing to push
	bob.must("say general alice, the secret word")
	run()
	run() // nothing new
	bob.must("msg alice another secret")
	run()
	mu.Lock()
	defer mu.Unlock()
	if want := []string{"1 unread, 1 to you", "2 unread, 2 to you"}; !slices.Equal(pushed, want) {
		t.Errorf("pushed %q, not %q", pushed, want)
	}
	for _, line := range []string{"follow", "mentions", "history general"} {
		args := append([]string{"-i", key, "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes"}, append(slices.Clone(to), line)...)
		if out, err := exec.Command("ssh", args...).Output(); err == nil || len(out) > 0 {
			t.Errorf("the key runs %s: %q", line, out)
		}
	}
}
