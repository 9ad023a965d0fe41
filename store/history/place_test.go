package history

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"filippo.io/age"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
	"sshchat/store/agesplit/agetest"
)

// reader is a person of the tests with one key.
type reader struct {
	name chat.Name
	to   age.Recipient
	id   age.Identity
	file string // the private key, as stock age takes it
}

func newReader(t testing.TB, name string, k agetest.Key) reader {
	return reader{mustName(t, name), k.Recipient, k.Identity, k.File}
}

func ed25519Reader(t testing.TB, name string) reader { return newReader(t, name, agetest.Ed25519(t)) }
func rsaReader(t testing.TB, name string) reader     { return newReader(t, name, agetest.RSA(t)) }
func ageReader(t testing.TB, name string) reader     { return newReader(t, name, agetest.X25519(t)) }

func mustName(t testing.TB, s string) chat.Name {
	t.Helper()
	n, err := text.ParseName(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func mustRoom(t testing.TB, s string) chat.RoomName {
	t.Helper()
	var r chat.RoomName
	if err := r.UnmarshalText([]byte(s)); err != nil {
		t.Fatal(err)
	}
	return r
}

// place is a data folder, the people who have keys, and what is said there.
type place struct {
	t    testing.TB
	dir  string
	opt  Options
	h    *History
	log  bytes.Buffer // guarded by logMu
	mu   sync.Mutex   // guards people, which Recipients reads from other goroutines, and log
	keys map[chat.Name][]age.Recipient
	seqs map[chat.RoomName]uint64
	now  time.Time
}

// newPlace opens a history where the given readers are in #general.
func newPlace(t testing.TB, readers ...reader) *place {
	t.Helper()
	p := &place{t: t, dir: t.TempDir(), keys: make(map[chat.Name][]age.Recipient), seqs: make(map[chat.RoomName]uint64),
		now: time.Date(2026, 11, 23, 21, 38, 56, 123e6, time.UTC)}
	general := chat.RoomState{Name: chat.General}
	for _, r := range readers {
		p.keys[r.name] = []age.Recipient{r.to}
		general.Members = append(general.Members, chat.Member{Name: r.name, Since: 1})
	}
	p.opt = Options{
		Recipients: func(_ *chat.State, _ chat.RoomName, n chat.Name) []age.Recipient {
			p.mu.Lock()
			defer p.mu.Unlock()
			return p.keys[n]
		},
		Rooms: []chat.RoomState{general},
		Log:   slog.New(slog.NewTextHandler(p, nil)),
		Now:   func() time.Time { return p.now },
	}
	return p
}

// Write takes the log.
func (p *place) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.Write(b)
}

func (p *place) logged() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

func (p *place) open() *History {
	p.t.Helper()
	h, err := Open(p.dir, p.opt)
	if err != nil {
		p.t.Fatal(err)
	}
	p.h = h
	for room, seq := range h.Last() {
		p.seqs[room] = seq
	}
	p.t.Cleanup(func() { h.Close() })
	return h
}

func (p *place) path() string { return filepath.Join(p.dir, "message_history.json") }

// halt has no more heads made, as when the process ends.
func (h *History) halt() {
	h.workers.stop()
	h.workers.wait()
}

// kill ends the history as a power cut would: nothing more is written.
func (p *place) kill() {
	p.t.Helper()
	p.h.committing.Lock()
	defer p.h.committing.Unlock()
	if p.h.closed {
		return
	}
	p.h.closed = true
	p.h.halt()
	if err := p.h.segment.close(); err != nil {
		p.t.Fatal(err)
	}
}

// message drafts what from says next in the room.
func (p *place) message(room chat.RoomName, from chat.Name, words string) chat.Event {
	p.t.Helper()
	said, err := text.ParseText(words)
	if err != nil {
		p.t.Fatal(err)
	}
	p.seqs[room]++
	return chat.Event{Room: room, Message: chat.Message{
		Room: room, Seq: p.seqs[room], At: p.now, From: from, Kind: chat.Say, Text: said,
	}}
}

func change(room chat.RoomName, c chat.Change, name chat.Name) chat.Event {
	return chat.Event{Room: room, Change: c, Name: name}
}

func (p *place) commit(batch ...chat.Event) {
	p.t.Helper()
	if err := p.h.Commit(batch); err != nil {
		p.t.Fatal(err)
	}
}

// say commits one message in #general.
func (p *place) say(from reader, text string) {
	p.t.Helper()
	p.commit(p.message(chat.General, from.name, text))
}

func (p *place) sayMany(from reader, n int) {
	p.t.Helper()
	for range n {
		p.say(from, fmt.Sprintf("message %d", p.seqs[chat.General]+1))
	}
}

// texts is what the reader's key opens of the history in the file.
func (p *place) texts(r reader) []string {
	p.t.Helper()
	f, err := os.Open(p.path())
	if err != nil {
		p.t.Fatal(err)
	}
	defer f.Close()
	lines, err := openAll(f, &Opener{Identities: []age.Identity{r.id}})
	if err != nil {
		p.t.Fatal(err)
	}
	var texts []string
	for _, l := range lines {
		texts = append(texts, l.Text)
	}
	return texts
}

func openAll(r io.Reader, o *Opener) ([]Line, error) {
	var lines []Line
	for l, err := range o.Lines(r) {
		if err != nil {
			return lines, err
		}
		lines = append(lines, l)
	}
	return lines, nil
}

// needs skips the test where a program is missing, unless all must be there.
func needs(t testing.TB, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err == nil {
			continue
		}
		if os.Getenv("SSHCHAT_REQUIRE_CLIENTS") == "1" {
			t.Fatalf("%s is not installed", p)
		}
		t.Skipf("%s is not installed", p)
	}
}

func wantErr(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("got %v, want %v", err, want)
	}
}
