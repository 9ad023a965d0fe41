package main

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// sample is a file of testdata: its source, and the header that names its event.
func sample(t testing.TB, path string) (source string, header http.Header, body []byte) {
	t.Helper()
	body, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	source, event, _ := strings.Cut(strings.TrimSuffix(filepath.Base(path), ".json"), "-")
	return source, http.Header{"X-Github-Event": {event}}, body
}

func samples(t testing.TB) []string {
	t.Helper()
	paths, err := filepath.Glob("testdata/*.json")
	if err != nil || len(paths) < 8 {
		t.Fatalf("%d samples, %v", len(paths), err)
	}
	return paths
}

// Each source's payload is a message of a few lines.
func TestPayloadsAreSummed(t *testing.T) {
	t.Parallel()
	for _, path := range samples(t) {
		source, header, body := sample(t, path)
		got, err := readers[source](header, body)
		want, fail := os.ReadFile(strings.TrimSuffix(path, ".json") + ".txt")
		if err != nil || fail != nil || got+"\n" != string(want) {
			t.Errorf("%s: %v %v\n%s\nwant\n%s", path, err, fail, got, want)
		}
	}
}

func TestPayloadsThatAreRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		source, event, body string
		want                error
	}{
		{"alertmanager", "", `{"version":"3","status":"firing","alerts":[{}]}`, errPayload},
		{"alertmanager", "", `{"version":"4","status":"firing","alerts":[]}`, errPayload},
		{"alertmanager", "", `{"version":"4","status":"odd","alerts":[{}]}`, errPayload},
		{"alertmanager", "", `{"version":"4","status":"firing","alerts":[{}]} x`, errPayload},
		{"grafana", "", `[]`, errPayload},
		{"grafana", "", `{"title":"an alert of the old kind","state":"alerting"}`, errPayload},
		{"github", "push", `{}`, errPayload},
		{"github", "issues", `{"action":"opened"}`, errPayload},
		{"github", "issues", `{"action":"labeled","issue":{"number":1}}`, errIgnored},
		{"github", "pull_request", `{"action":"synchronize","pull_request":{}}`, errIgnored},
		{"github", "star", `{"action":"created"}`, errIgnored},
		{"github", "", `{}`, errIgnored},
		{"json", "", `{"text":""}`, errPayload},
		{"json", "", `{"text":"\u001b \u200b"}`, errPayload},
		{"json", "", `{"text":5}`, errPayload},
		{"json", "", `text=hi`, errPayload},
	} {
		if said, err := readers[c.source](http.Header{"X-Github-Event": {c.event}}, []byte(c.body)); !errors.Is(err, c.want) {
			t.Errorf("/%s %s %s: %q, %v; want %v", c.source, c.event, c.body, said, err, c.want)
		}
	}
}

// What a payload holds can neither write escapes nor fill a screen, and links lead to web pages.
func TestHostilePayloads(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é", 100_000)
	for _, c := range []struct{ source, event, body, want, not string }{
		{"alertmanager", "", `{"version":"4","status":"firing","externalURL":"javascript:alert(1)","alerts":[{"labels":{"alertname":"a\u001b[2Jb\u202e\nc"},"annotations":{"summary":"` + long + `"}}]}`, "FIRING: a[2Jb c", "javascript"},
		{"alertmanager", "", `{"version":"4","status":"firing","truncatedAlerts":9223372036854775807,"externalURL":"https://user:pw@h/","alerts":[{}]}`, "- and 1000000 more", "pw"},
		{"grafana", "", `{"status":"firing","title":"` + long + `","alerts":[` + strings.Repeat(`{"labels":{"x":"`+long[:3000]+`"}},`, 40) + `{}]}`, "…", "\x00"},
		{"github", "push", `{"ref":"refs/heads/x\r\nADMIN: hi","deleted":true}`, "the branch x ADMIN: hi", "\n"},
		{"github", "issues", `{"action":"opened","issue":{"title":"t","html_url":"https://h/` + long[:2000] + `"}}`, "#0: t", "https"},
		{"json", "", `{"text":"` + strings.Repeat(`line\n`, 5000) + `"}`, "line", "\r"},
	} {
		said, err := readers[c.source](http.Header{"X-Github-Event": {c.event}}, []byte(c.body))
		if err != nil || !strings.Contains(said, c.want) || strings.Contains(said, c.not) {
			t.Errorf("/%s: %q, %v; want %q, not %q", c.source, said, err, c.want, c.not)
		}
		bounded(t, said)
	}
}

// bounded checks what every message is.
func bounded(t *testing.T, said string) {
	t.Helper()
	if len(said) > maxMessage+len("\n…") || strings.Count(said, "\n") > maxLines || !utf8.ValidString(said) {
		t.Errorf("%d bytes in %d lines: %q", len(said), strings.Count(said, "\n")+1, said)
	}
	for _, r := range said {
		if r != '\n' && (unicode.Is(unicode.C, r) || !unicode.IsGraphic(r)) {
			t.Errorf("%U in %q", r, said)
		}
	}
}

func FuzzPayloads(f *testing.F) {
	for _, path := range samples(f) {
		source, header, body := sample(f, path)
		f.Add(source, header.Get("X-GitHub-Event"), body)
	}
	f.Fuzz(func(t *testing.T, source, event string, body []byte) {
		read := readers[source]
		if read == nil {
			return
		}
		said, err := read(http.Header{"X-Github-Event": {event}}, body)
		switch {
		case err == nil && strings.TrimSpace(said) == "":
			t.Error("an empty message")
		case err != nil && !errors.Is(err, errIgnored) && !errors.Is(err, errPayload):
			t.Errorf("%v", err)
		}
		bounded(t, said)
	})
}
