package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// Accounts are stale by the last day they were used; one that never was, by that of its creation.
func TestStaleAccounts(t *testing.T) {
	t.Parallel()
	adminKey := newSigner(t)
	s := startServer(t, "", "--admin", "root="+writePublic(t, adminKey))
	for _, name := range []string{"long", "lately", "never", "young"} {
		s.register(name)
	}
	s.stop()
	path := filepath.Join(s.data, "users.json")
	users := readText(t, path)
	edit := func(name, created, seen string) {
		line := regexp.MustCompile(`("name":"` + name + `","role":"user","created":")[^"]*","seen":"[^"]*"`)
		edited := line.ReplaceAllString(users, "${1}"+created+`"`+seen)
		if edited == users {
			t.Fatalf("%s is not in\n%s", name, users)
		}
		users = edited
	}
	ago := func(days int) string { return time.Now().UTC().AddDate(0, 0, -days).Format(time.DateOnly) }
	edit("long", ago(400)+"T00:00:00Z", `,"seen":"`+ago(91)+`"`)
	edit("lately", ago(400)+"T00:00:00Z", `,"seen":"`+ago(89)+`"`)
	edit("never", ago(400)+"T00:00:00Z", "")
	edit("young", ago(3)+"T00:00:00Z", "")
	if err := os.WriteFile(path, []byte(users), 0o600); err != nil {
		t.Fatal(err)
	}
	root := startServer(t, s.data).login("root", adminKey)
	for line, want := range map[string]string{"user list --stale 90d": "long never", "user list --stale 12w": "long lately never", "user list --stale 2d": "long lately never young"} {
		var got []string
		for row := range strings.Lines(root.must(line)) {
			got = append(got, strings.Fields(row)[0])
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %q, want %s", line, got, want)
		}
	}
	if out := root.must("user list --stale 90d --json"); strings.Count(out, "\n") != 2 || !strings.Contains(out, `"name":"never"`) {
		t.Error(out)
	}
}
