//go:build !windows

package history

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sshchat/sshchat/chat"
)

// startUpIn is set in the process that is measured: the folder it is to open.
const startUpIn = "SSHCHAT_TEST_START_UP"

// TestStartUpChild is the process that BenchmarkStartUp measures, and nothing by itself.
func TestStartUpChild(t *testing.T) {
	dir := os.Getenv(startUpIn)
	if dir == "" {
		t.Skip("it is a part of BenchmarkStartUp")
	}
	begun := time.Now()
	h, err := Open(dir, Options{Rotate: 32 << 20})
	if err != nil {
		t.Fatal(err)
	}
	took := time.Since(begun)
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		t.Fatal(err)
	}
	peak := usage.Maxrss >> 10
	begun = time.Now()
	sealed := h.Sealed(mustName(t, "alice"), chat.General)
	looked := time.Since(begun)
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		t.Fatal(err)
	}
	fmt.Printf("measured %.2f s peak %d MiB; first look at %d of %d messages %.2f s peak %d MiB\n",
		took.Seconds(), peak, sealed, h.Last()[chat.General], looked.Seconds(), usage.Maxrss>>10)
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
}

// BenchmarkStartUp opens a history of a million messages in a process of its own. The file that is read in whole is
// about as large as it becomes before it is rotated.
func BenchmarkStartUp(b *testing.B) {
	const messages, batch = 1_000_000, 200
	alice := ed25519Reader(b, "alice")
	p := newPlace(b, alice)
	p.opt.Rotate = 32 << 20
	p.open()
	events := make([]chat.Event, batch)
	for said := 0; said < messages || p.h.segment.end < 30<<20; said += batch {
		for i := range events {
			events[i] = p.message(chat.General, alice.name, "a line of talk as people say it")
		}
		p.commit(events...)
	}
	count := p.seqs[chat.General]
	p.kill()
	files, err := filepath.Glob(filepath.Join(p.dir, "message_history*.json"))
	if err != nil {
		b.Fatal(err)
	}
	var bytes int64
	for _, f := range files {
		info, err := os.Stat(f)
		if err != nil {
			b.Fatal(err)
		}
		bytes += info.Size()
	}
	for b.Loop() {
		cmd := exec.Command(os.Args[0], "-test.run=^TestStartUpChild$", "-test.count=1")
		cmd.Env = append(os.Environ(), startUpIn+"="+p.dir)
		out, err := cmd.CombinedOutput()
		if err != nil {
			b.Fatalf("%v: %s", err, out)
		}
		_, line, _ := strings.Cut(string(out), "measured ")
		line, _, _ = strings.Cut(line, "\n")
		now, later, _ := strings.Cut(line, "; ")
		b.Logf("start-up %d messages %s bytes per stored message %d\n%s; %d files", count, now, bytes/int64(count), later, len(files))
	}
	begun := time.Now()
	if _, err := Verify(p.dir, nil); err != nil {
		b.Fatal(err)
	}
	stops := p.logged()
	at := strings.LastIndex(stops, "stop=")
	b.Logf("verify %.1f s; the last rotation: %.12s", time.Since(begun).Seconds(), stops[at:])
}
