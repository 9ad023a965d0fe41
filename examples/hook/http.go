package main

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log"
	"mime"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Bounds of what others can make this program hold.
const (
	maxBody    = 2 << 20 // bytes of a request
	maxWorking = 16      // requests at once
	maxQueue   = 1000    // messages that wait for the chat
)

// handler takes webhooks, a path for each source. It answers
//
//	200  the message is stored in the room; the body has its ID
//	202  it waits in memory, because the chat is slow or cannot be reached
//	204  there is nothing to post about this event
//	400  the body is no payload of that source
//	401  the secret is missing or wrong
//	502  the chat refused it, as it does if the key may not post in the room
//	503  it is not accepted: too much is waiting. Try again later
//
// and 403, 404, 405, 413 or 415 as usual.
type handler struct {
	sources map[string][]byte // their secrets
	open    bool              // only this machine can reach it: sources without a secret are open
	wait    time.Duration     // for the chat, before a message is answered with 202
	working chan struct{}     // a semaphore

	mu     sync.RWMutex
	queue  *queue
	closed bool // nothing is added to the queue any more
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	select {
	case h.working <- struct{}{}:
		defer func() { <-h.working }()
	default:
		later(w, "too many requests at once")
		return
	}
	source := strings.TrimPrefix(r.URL.Path, "/")
	read, known := readers[source]
	secret, protected := h.sources[source]
	switch {
	case !known || !protected && !h.open:
		http.Error(w, "no such source", http.StatusNotFound)
	case r.Method != http.MethodPost:
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "use POST", http.StatusMethodNotAllowed)
	case !isJSON(r): // a web page can have its reader's browser send anything else here
		http.Error(w, "use Content-Type: application/json", http.StatusUnsupportedMediaType)
	case !protected && !isHere(r.Host): // nor from a page whose name was made to mean this machine
		http.Error(w, "use the address, not a name", http.StatusForbidden)
	case protected && source != "github" && !bearer(r, secret):
		w.Header().Set("WWW-Authenticate", "Bearer")
		http.Error(w, "the token is missing or wrong", http.StatusUnauthorized)
	default:
		h.take(w, r, source, secret, read)
	}
}

// take reads a request's body, which may be signed, and posts what it says.
func (h *handler) take(w http.ResponseWriter, r *http.Request, source string, secret []byte, read func(http.Header, []byte) (string, error)) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		code := http.StatusBadRequest
		if errors.As(err, new(*http.MaxBytesError)) {
			code = http.StatusRequestEntityTooLarge
		}
		http.Error(w, "the body cannot be read", code)
		return
	}
	if source == "github" && secret != nil && !signed(r.Header.Get("X-Hub-Signature-256"), body, secret) {
		http.Error(w, "the signature is missing or wrong", http.StatusUnauthorized)
		return
	}
	message, err := read(r.Header, body)
	switch {
	case errors.Is(err, errIgnored):
		w.WriteHeader(http.StatusNoContent)
	case err != nil:
		log.Printf("/%s: %s", source, one(err.Error()))
		http.Error(w, one(err.Error()), http.StatusBadRequest)
	default:
		h.post(w, r, message)
	}
}

// post queues a message, and waits a while for what becomes of it.
func (h *handler) post(w http.ResponseWriter, r *http.Request, message string) {
	p, ok := h.add(message)
	if !ok {
		later(w, "too many messages are waiting")
		return
	}
	timer := time.NewTimer(h.wait)
	defer timer.Stop()
	select {
	case <-p.done:
		if p.err != nil {
			http.Error(w, p.err.Error(), http.StatusBadGateway)
			return
		}
		fmt.Fprintf(w, "%s\n", p.id)
	case <-timer.C:
		w.WriteHeader(http.StatusAccepted)
	case <-r.Context().Done():
	}
}

func (h *handler) add(message string) (*post, bool) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if h.closed {
		return nil, false
	}
	return h.queue.add(message)
}

// close ends the queue. A request that is still there, because err has cut it off, is not accepted.
func (h *handler) close(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	close(h.queue.posts)
	if err != nil {
		log.Printf("requests were cut off: %v", err)
	}
}

func later(w http.ResponseWriter, why string) {
	w.Header().Set("Retry-After", "30")
	http.Error(w, why, http.StatusServiceUnavailable)
}

func isJSON(r *http.Request) bool {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && kind == "application/json"
}

// isHere reports whether a Host header names this machine by a loopback address or as localhost.
func isHere(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = strings.Trim(host, "[]")
	}
	return name == "localhost" || net.ParseIP(name).IsLoopback()
}

// bearer reports whether the request has the token. How long that takes says nothing about it.
func bearer(r *http.Request, token []byte) bool {
	scheme, got, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	is, want := sha256.Sum256([]byte(strings.TrimSpace(got))), sha256.Sum256(token)
	return strings.EqualFold(scheme, "Bearer") && subtle.ConstantTimeCompare(is[:], want[:]) == 1
}

// signed reports whether the header is the body's signature, as GitHub makes it: sha256= and the HMAC in hexadecimal.
func signed(header string, body, secret []byte) bool {
	got, err := hex.DecodeString(cmp.Or(strings.TrimPrefix(header, "sha256="), "-"))
	mac := hmac.New(sha256.New, secret)
	mac.Write(body)
	return err == nil && strings.HasPrefix(header, "sha256=") && hmac.Equal(got, mac.Sum(nil))
}
