package main

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// Two people run jq over the history again and again, while everybody writes as fast as the server takes it: the file
// fills, grows from 64 KiB to 1 MiB and goes on in a new one, all the time. Each must get a whole document. Without
// SSHCHAT_READS it is looked at 200 times.
func TestJQMeetsNoTornFile(t *testing.T) {
	jq := client(t, "jq")
	wanted := max(200, loadReads(t))
	s := startServer(t, "", "--history-rotate", "1MiB", "--history-keep", "4MiB")
	path := filepath.Join(s.data, "message_history.json")
	var reads, torn, records atomic.Int64
	var reading, sending sync.WaitGroup
	alice := s.register("alice")
	alice.must("say general the first")
	said := make([]int, 4)
	for i := range said {
		u := s.register(fmt.Sprintf("sender%d", i))
		sending.Go(func() {
			for reads.Load() < wanted {
				said[i] += 2000
				if _, errs, code := u.exec("say general -", strings.Repeat("a line of what is said at full speed\n", 2000)); code != 0 {
					t.Errorf("say: exit %d, %s", code, errs)
					return
				}
			}
		})
	}
	for range 2 {
		reading.Go(func() {
			for n := int64(0); n < wanted; n = reads.Add(1) {
				out, err := exec.Command(jq, "-e", ".records|length", path).Output()
				if err != nil {
					torn.Add(1)
					t.Errorf("read %d: %v", n, err)
				}
				var length int64
				fmt.Sscan(string(out), &length)
				records.Add(length)
			}
		})
	}
	reading.Wait()
	sending.Wait()
	total := 1
	for _, n := range said {
		total += n
	}
	var archive int
	for line := range strings.Lines(s.log.String()) {
		if strings.Contains(line, "history: rotated") {
			archive++
		}
	}
	if archive == 0 || records.Load() == 0 {
		t.Errorf("the file did not go on in a new one: %d archives, %d records read", archive, records.Load())
	}
	t.Logf("figure: jq read the history %d times while %d messages were written and it went on in a new file %d times: torn %d",
		reads.Load(), total, archive, torn.Load())
}
