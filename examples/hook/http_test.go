package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sshchat/sshchat/attack"
)

// room stands for the chat.
type room struct {
	mu   sync.Mutex
	said []string // guarded by mu
	err  error    // guarded by mu; of the next messages
}

// fail has the next messages fail; nil ends that.
func (r *room) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = err
}

// messages are those said so far.
func (r *room) messages() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.said)
}

func (r *room) say(message string) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return "", r.err
	}
	r.said = append(r.said, message)
	return "ci/" + strconv.Itoa(len(r.said)), nil
}

// hook is a handler whose queue runs until the test ends. It is called in a bubble of synctest.
func hook(t *testing.T, r *room, open bool, secrets map[string][]byte) *handler {
	h := &handler{sources: secrets, open: open, wait: 5 * time.Second, working: make(chan struct{}, maxWorking)}
	h.queue = &queue{posts: make(chan *post, 2), keep: time.Hour, say: r.say, idle: func() {}, pause: time.Sleep}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); h.queue.run(ctx) }()
	t.Cleanup(func() { cancel(); h.close(nil); <-ended })
	return h
}

// request is one as the source of the sample sends it.
func request(t *testing.T, path string, change ...func(*http.Request)) *http.Request {
	source, header, body := sample(t, path)
	r := httptest.NewRequest(http.MethodPost, "http://127.0.0.1:9119/"+source, strings.NewReader(string(body)))
	r.Header = header
	r.Header.Set("Content-Type", "application/json; charset=utf-8")
	for _, change := range change {
		change(r)
	}
	return r
}

func answer(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func token(words string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("Authorization", words) }
}

func sign(secret string) func(*http.Request) {
	return func(r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write(body)
		r.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	}
}

// A message that is not in the room, and does not wait for it, is never answered with 200 or 202.
func TestAnswers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &room{}
		h := hook(t, r, true, nil)
		is := func(w *httptest.ResponseRecorder, code int, body string) {
			t.Helper()
			if w.Code != code || !strings.Contains(w.Body.String(), body) {
				t.Errorf("%d %q, want %d %q", w.Code, w.Body, code, body)
			}
		}
		send := func() *httptest.ResponseRecorder { return answer(h, request(t, "testdata/json.json")) }
		is(send(), 200, "ci/1")
		is(answer(h, request(t, "testdata/github-issues.json", func(r *http.Request) { r.Header.Set("X-GitHub-Event", "star") })), 204, "")
		is(answer(h, request(t, "testdata/github-issues.json", func(r *http.Request) { r.URL.Path = "/grafana" })), 400, "not a payload")
		is(answer(h, request(t, "testdata/json.json", func(r *http.Request) { r.URL.Path = "/else" })), 404, "")
		is(answer(h, request(t, "testdata/json.json", func(r *http.Request) { r.Method = http.MethodGet })), 405, "")
		is(answer(h, request(t, "testdata/json.json", func(r *http.Request) { r.Body = io.NopCloser(io.LimitReader(zeros{}, maxBody+1)) })), 413, "")
		r.fail(&refused{"this key may only be used for say:#dev"})
		is(send(), 502, "this key may only")
		if r.fail(errors.New("the connection is lost")); len(r.messages()) != 1 {
			t.Errorf("said: %q", r.messages())
		}
		is(send(), 202, "") // it is tried again
		is(send(), 202, "")
		is(send(), 202, "")
		w := send() // two wait behind the first
		is(w, 503, "too many")
		if w.Header().Get("Retry-After") == "" {
			t.Error("503 without Retry-After")
		}
		r.fail(nil)
		time.Sleep(time.Minute)
		if len(r.messages()) != 4 {
			t.Errorf("said: %q", r.messages())
		}
		r.fail(errors.New("away"))
		is(send(), 202, "")
		time.Sleep(2 * time.Hour) // it is given up
		r.fail(nil)
		is(send(), 200, "ci/5")
	})
}

// At its end the queue says what it can, and counts what it cannot.
func TestQueueEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, away := range []bool{false, true} {
			r := &room{}
			if away {
				r.fail(errors.New("away"))
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			q := &queue{posts: make(chan *post, 3), keep: time.Hour, say: r.say, idle: func() {}, pause: time.Sleep}
			for range 3 {
				q.add("x")
			}
			close(q.posts)
			left := q.run(ctx)
			cancel()
			if want := map[bool]int{true: 3}[away]; left != want || len(r.said) != 3-want {
				t.Errorf("away %v: %d left, said %q", away, left, r.said)
			}
		}
	})
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// Each source takes only what has its own secret; on a loopback address a source may have none, but takes nothing that a web
// page can make a browser send.
func TestAttackForgedWebhooks(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Room, "post in a room as a webhook's sender (`examples/hook`)")
	synctest.Test(t, func(t *testing.T) {
		const am, gh = "a secret of alertmanager", "a secret of GitHub's webhook"
		r := &room{}
		h := hook(t, r, false, map[string][]byte{"alertmanager": []byte(am), "github": []byte(gh)})
		here := hook(t, r, true, nil)
		other := func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader(`{"zen":"other"}`)) }
		const alert, push = "testdata/alertmanager.json", "testdata/github-push.json"
		tried := 0
		for _, forged := range []struct {
			h    *handler
			r    *http.Request
			code int
		}{
			{h, request(t, alert), 401},
			{h, request(t, alert, token("Bearer "+gh)), 401},
			{h, request(t, alert, token("Bearer ")), 401},
			{h, request(t, alert, token("Basic "+am)), 401},
			{h, request(t, alert, token("Bearer "+am+"x")), 401},
			{h, request(t, alert, token("Bearer "+am[:len(am)-1])), 401},
			{h, request(t, alert, sign(am)), 401},
			{h, request(t, push), 401},
			{h, request(t, push, token("Bearer "+gh)), 401},
			{h, request(t, push, sign(am)), 401},
			{h, request(t, push, sign(gh), other), 401},
			{h, request(t, push, func(r *http.Request) { r.Header.Set("X-Hub-Signature-256", "sha256=") }), 401},
			{h, request(t, push, sign(gh), func(r *http.Request) {
				r.Header.Set("X-Hub-Signature-256", strings.TrimPrefix(r.Header.Get("X-Hub-Signature-256"), "sha256="))
			}), 401},
			{h, request(t, "testdata/json.json"), 404}, // it has no secret, so it is off
			{here, request(t, alert, func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }), 415},
			{here, request(t, alert, func(r *http.Request) { r.Header.Del("Content-Type") }), 415},
			{here, request(t, alert, func(r *http.Request) { r.Host = "rebound.example.org:9119" }), 403},
			{here, request(t, alert, func(r *http.Request) { r.Method = http.MethodOptions }), 405},
		} {
			tried++
			if w := answer(forged.h, forged.r); w.Code != forged.code || len(r.said) > 0 {
				t.Errorf("forgery %d: %d %s, want %d; said %q", tried, w.Code, w.Body, forged.code, r.said)
			}
		}
		row.Tried("%d ways: no secret, another source's, a signature of other bytes, and what a web page can have a browser send", tried)
		row.Held("refused: bearer tokens and HMAC signatures are compared in constant time; without a secret only JSON by a loopback address is taken")
		for _, w := range []*httptest.ResponseRecorder{
			answer(h, request(t, alert, token("bearer "+am))), answer(h, request(t, push, sign(gh))), answer(here, request(t, alert)),
			answer(here, request(t, alert, func(r *http.Request) { r.Host = "localhost:9119" })),
		} {
			if w.Code != 200 {
				t.Errorf("true: %d %s", w.Code, w.Body)
			}
		}
		row.Control("with the secret, and from the machine itself, they are posted")
	})
}

func TestSecretFiles(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"0123456789abcdef\n": "0123456789abcdef", "  0123456789abcdef\r\nmore": "0123456789abcdef", "short\n": "", "": ""} {
		file := filepath.Join(t.TempDir(), "secret")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := readSecret(file); string(got) != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
}

func TestUsage(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{}, {"--no"}, {"-key", "x", "-known", "y", "-room", "ci", "nobody"}, {"-key", "x", "-room", "ci", "a@b:1"}, {"a@b:1", "c@d:1"}} {
		if err := run(args); !errors.Is(err, errUsage) {
			t.Errorf("%q: %v", args, err)
		}
	}
	if err := run([]string{"-key", "none", "-known", "none", "-room", "ci", "a@b:1"}); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}
