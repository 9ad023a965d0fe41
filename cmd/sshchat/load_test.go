package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"sshchat/sshchat/attack"
)

const (
	loadSenders = 4
	loadAtOnce  = 40 // of each sender, before all readers have them: less than a room keeps
)

// loadMessages is how many each sender says, of 4 KiB each: more than 8 MiB in all with SSHCHAT_LONG=1, else (and under the race
// detector) more than 4, which is still twice what the client of a reader that stalls takes by itself.
func loadMessages() int {
	if many {
		return 520
	}
	return 280
}

// Megabytes are said while one reader reads nothing at all. Everybody else gets every message, whole and in one
// order; the reader that stalls is cut off and counted; and whoever reads the file meanwhile reads valid JSON.
func TestAttackLoadBesideAStalledReader(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Room, "a client that reads nothing")
	wanted := int64(rounds(t, "SSHCHAT_READS", 8, 60))
	s := startProcess(t, "", "--write-timeout", "2s")
	alice := s.register("alice")
	stalled := s.register("stan")
	stall(t, stalled)

	var readers []*collected
	for i := range 3 {
		readers = append(readers, collect(t, s.register(fmt.Sprintf("reader%d", i))))
	}
	reads := readWhileWritten(t, filepath.Join(s.data, "message_history.json"))

	var senders []*user
	for i := range loadSenders {
		senders = append(senders, s.register(fmt.Sprintf("sender%d", i)))
	}
	for said := 0; said < loadMessages(); said += loadAtOnce {
		reads.more()
		var sending sync.WaitGroup
		for _, u := range senders {
			sending.Go(func() { flood(u, said, said+loadAtOnce) })
		}
		sending.Wait()
		for _, r := range readers { // who is slow only because the machine is would miss some
			waitFor(t, "readers to have it all", func() bool { return r.n.Load() >= int64(loadSenders*(said+loadAtOnce)) })
		}
	}
	waitFor(t, "the stalled reader to be counted", func() bool {
		return strings.Contains(s.log.String(), "the client reads nothing") || strings.Contains(s.log.String(), "reader lagged")
	})
	for reads.n.Load() < wanted { // the file must go on being written to while it is read
		reads.more()
		alice.must("say general filler")
	}
	alice.must("say general the end")
	var first []string
	for i, r := range readers {
		got := <-r.done
		if i == 0 {
			first = got
			checkComplete(t, got)
		} else if strings.Join(got, "\n") != strings.Join(first, "\n") {
			t.Errorf("reader %d saw another order", i)
		}
	}
	row.Tried("more than %d MiB of messages meanwhile", loadSenders*loadMessages()*4096>>20)
	row.Held("only that client is disconnected")
	row.Control("%d clients that read get everything, in the same order", len(readers))
}

// stall opens a session that never reads: the client's own window fills, then the server's buffers.
func stall(t *testing.T, u *user) {
	t.Helper()
	sess, err := u.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sess.StdoutPipe(); err != nil { // nobody reads it
		t.Fatal(err)
	}
	if err := sess.Start("follow general --json"); err != nil {
		t.Fatal(err)
	}
}

// collected is sender and number of each message that somebody was shown.
type collected struct {
	n    atomic.Int64  // so many by now
	done chan []string // all of them, at the end
}

// collect follows a room until somebody says "the end".
func collect(t *testing.T, u *user) *collected {
	t.Helper()
	sess, err := u.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	out, err := sess.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := sess.Start("follow general --json"); err != nil {
		t.Fatal(err)
	}
	u.here(u.name)
	c := &collected{done: make(chan []string, 1)}
	go func() {
		var got []string
		scan := bufio.NewScanner(out)
		scan.Buffer(nil, 1<<20)
		for scan.Scan() {
			var m struct{ From, Text string }
			if json.Unmarshal(scan.Bytes(), &m) != nil {
				got = append(got, "not JSON")
				break
			}
			if m.Text == "the end" {
				break
			}
			if m.Text == "filler" {
				continue
			}
			word, _, _ := strings.Cut(m.Text, " ")
			got = append(got, fmt.Sprintf("%s %s %d", m.From, word, len(m.Text)))
			c.n.Add(1)
		}
		c.done <- got
	}()
	return c
}

// flood says numbered messages of 4 KiB, through "say -", which is slowed by the disk and never refused.
func flood(u *user, from, to int) {
	var all bytes.Buffer
	for i := from; i < to; i++ {
		text := fmt.Sprintf("%d ", i)
		fmt.Fprintf(&all, "%s%s\n", text, strings.Repeat("x", 4096-len(text)))
	}
	if _, errs, code := u.exec("say general -", all.String()); code != 0 {
		u.t.Errorf("%s: exit %d, %s", u.name, code, errs)
	}
}

// checkComplete looks for every message of every sender, in the sender's order.
func checkComplete(t *testing.T, got []string) {
	t.Helper()
	if len(got) != loadSenders*loadMessages() {
		t.Errorf("%d messages of %d", len(got), loadSenders*loadMessages())
	}
	next := make(map[string]int)
	for _, line := range got {
		from, rest, _ := strings.Cut(line, " ")
		if rest != fmt.Sprintf("%d 4096", next[from]) {
			t.Fatalf("after %d messages of %s: %q", next[from], from, rest)
		}
		next[from]++
	}
}

// fileReads is somebody who reads the file again and again. Each read must be one valid JSON document.
type fileReads struct {
	t    *testing.T
	path string
	turn chan struct{} // a read for each; closed if it reads all the time, with SSHCHAT_LONG=1
	jq   string        // the stock tool; empty where it is not installed
	n    atomic.Int64
	stop chan struct{} // closed at the test's end
	done chan struct{} // closed by read
}

// readWhileWritten starts reading, by ourselves and, for one read in jqEvery, by jq: all by jq with SSHCHAT_JQ=1.
func readWhileWritten(t *testing.T, path string) *fileReads {
	r := &fileReads{t: t, path: path, turn: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{})}
	r.jq, _ = exec.LookPath("jq")
	every := int64(50)
	if os.Getenv("SSHCHAT_JQ") == "1" {
		every = 1
	}
	if many {
		close(r.turn)
	}
	go r.read(every)
	t.Cleanup(func() { close(r.stop); <-r.done })
	return r
}

// more has it read once, while the test goes on.
func (r *fileReads) more() {
	for !many && len(r.turn) < cap(r.turn) {
		r.turn <- struct{}{} // there is room, as nobody else sends
	}
}

func (r *fileReads) read(jqEvery int64) {
	defer close(r.done)
	byJQ, torn := 0, 0
	for ; ; r.n.Add(1) {
		select {
		case <-r.stop:
			r.t.Logf("%d reads, %d of them by jq, %d torn", r.n.Load(), byJQ, torn)
			return
		case <-r.turn:
		}
		read := r.readOnce
		if r.jq != "" && r.n.Load()%jqEvery == 0 {
			byJQ++
			read = func() error { _, err := recordsBy(r.jq, r.path); return err }
		}
		if err := read(); err != nil { // a page in the microsecond in which it is written: see TestJQMeetsNoTornFile
			torn++
			if err := read(); err != nil {
				r.t.Errorf("read %d: %v", r.n.Load(), err)
			}
		}
	}
}

// readOnce reads in whole pages, as jq, cat, cp and all of stdio do. Records do not cross pages; whoever reads a page
// in two parts can get an old first half and a new second one, from any file that is written in place.
func (r *fileReads) readOnce() error {
	f, err := os.Open(r.path)
	if err != nil {
		return err
	}
	defer f.Close()
	var data []byte
	for page := make([]byte, 64<<10); err == nil; {
		var n int
		n, err = f.Read(page)
		data = append(data, page[:n]...)
	}
	if !errors.Is(err, io.EOF) {
		return err
	}
	if !json.Valid(data) {
		return errors.New("it is not JSON")
	}
	return nil
}
