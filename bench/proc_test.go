package main

import (
	"os"
	"testing"
	"time"
)

func TestParseCPU(t *testing.T) {
	const stat = "42 (a (b) c) S 1 42 42 0 -1 4194560 512 0 0 0 123 77 0 0 20 0 9 0 100 1 2"
	if d, err := parseCPU(stat); err != nil || d != 2*time.Second {
		t.Errorf("%v, %v", d, err)
	}
	for _, bad := range []string{"", "42 (x) S 1", "42 (x) S 1 42 42 0 -1 4194560 512 0 0 0 a 77 0"} {
		if d, err := parseCPU(bad); err == nil {
			t.Errorf("%q: %v", bad, d)
		}
	}
}

func TestParseSize(t *testing.T) {
	const smaps = "0-f ---p 00000000 00:00 0 [rollup]\nRss:               2048 kB\nPss_Anon:           512 kB\nPss:               1024 kB\n"
	if n, err := parseSize(smaps, "Pss"); err != nil || n != 1<<20 {
		t.Errorf("%v, %v", n, err)
	}
	if n, err := parseSize(smaps, "Swap"); err == nil {
		t.Errorf("found %v", n)
	}
}

func TestParseUnsent(t *testing.T) {
	const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:08AE 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1
   1: 0100007F:08AE 0100007F:C001 01 0000F00D:00000003 00:00000000 00000000     0        0 2 1
   2: 0100007F:C001 0100007F:08AE 01 00000000:00000001 00:00000000 00000000     0        0 3 1
`
	if n, err := parseUnsent(table, 0x8AE, 0xC001); err != nil || n != 0xF00D {
		t.Errorf("%v, %v", n, err)
	}
	if n, err := parseUnsent(table, 0x8AE, 0xC002); err == nil {
		t.Errorf("found %v", n)
	}
}

func TestParseBusy(t *testing.T) {
	if d, err := parseBusy("cpu  100 200 300 9999 8888 10 20 70 5 5\ncpu0 1 1 1 1 1 1 1 1 0 0\n"); err != nil || d != 7*time.Second {
		t.Errorf("%v, %v", d, err)
	}
	for _, bad := range []string{"", "cpu 1 2 3", "intr 1 2 3 4 5 6 7 8", "cpu 1 2 3 4 5 6 7 x"} {
		if d, err := parseBusy(bad); err == nil {
			t.Errorf("%q: %v", bad, d)
		}
	}
}

func TestOurselves(t *testing.T) {
	if n, err := resident(os.Getpid()); err != nil || n < 1<<20 {
		t.Errorf("we take %v bytes, %v", n, err)
	}
	before, err := cpuTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(10 * time.Second); ; {
		now, err := cpuTime(os.Getpid())
		if err != nil || now > before {
			return
		}
		if time.Now().After(end) {
			t.Fatal("ten seconds of work, and no time used")
		}
	}
}
