package main

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// Two people run jq over the history again and again, while everybody writes as fast as the server takes it: the file
// fills, grows from 64 KiB and is continued in a new one, all the time. Everyone gets a whole document, except who reads
// a page in the very microsecond in which it is written, which only a few file systems prevent; then the next read
// is whole. It is looked at SSHCHAT_READS times.
func TestJQMeetsNoTornFile(t *testing.T) {
	t.Parallel()
	jq := client(t, "jq")
	wanted := int64(rounds(t, "SSHCHAT_READS", 10, 200))
	rotate, keep, atOnce := "256KiB", "1MiB", 100
	if many {
		rotate, keep, atOnce = "1MiB", "4MiB", 500
	}
	s := startProcess(t, "", "--history-rotate", rotate, "--history-keep", keep)
	path := filepath.Join(s.data, "message_history.json")
	s.register("alice").must("say general the first")
	var reads, torn, records, said atomic.Int64
	var working sync.WaitGroup
	for i := range 4 {
		u := s.register(fmt.Sprintf("sender%d", i))
		working.Go(func() {
			for reads.Load() < wanted || !strings.Contains(s.log.String(), "history: rotated") {
				said.Add(int64(atOnce))
				if _, errs, code := u.exec("say general -", strings.Repeat("a line of what is said at full speed\n", atOnce)); code != 0 {
					t.Errorf("say: exit %d, %s", code, errs)
					return
				}
			}
		})
	}
	for range 2 {
		working.Go(func() {
			for ; reads.Load() < wanted; reads.Add(1) {
				n, err := recordsBy(jq, path)
				if err != nil {
					torn.Add(1)
					t.Logf("a torn page: %v", err)
					if n, err = recordsBy(jq, path); err != nil {
						t.Errorf("torn twice: %v", err)
					}
				}
				records.Add(n)
			}
		})
	}
	working.Wait()
	rotated := strings.Count(s.log.String(), "history: rotated")
	if rotated == 0 || records.Load() == 0 {
		t.Errorf("the file did not go on in a new one: %d archives, %d records read", rotated, records.Load())
	}
	if most := 2 + wanted/500; torn.Load() > most {
		t.Errorf("torn %d times in %d reads", torn.Load(), reads.Load())
	}
	t.Logf("figure: jq read the history %d times while %d messages were written and it went on in a new file %d times: torn %d, again at once 0",
		reads.Load(), said.Load(), rotated, torn.Load())
}

// recordsBy counts the records in the file with jq.
func recordsBy(jq, path string) (n int64, err error) {
	out, err := exec.Command(jq, "-e", ".records|length", path).Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return 0, fmt.Errorf("%w: %s", err, exit.Stderr)
	}
	if err == nil {
		_, err = fmt.Sscan(string(out), &n)
	}
	return n, err
}
