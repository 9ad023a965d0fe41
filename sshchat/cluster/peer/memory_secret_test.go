//go:build goexperiment.runtimesecret && linux && (amd64 || arm64)

package peer

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"sshchat/store/agesplit"
)

// hidden is a key as the search keeps it, or the search would find itself.
type hidden [KeySize]byte

func hide(key *[KeySize]byte) (h hidden) {
	for i := range key {
		h[i] = ^key[i]
	}
	return h
}

// A build that erases leaves no key that was used in the memory of the process: this one, which is both nodes and their user.
func TestMemoryHasNoUsedKey(t *testing.T) {
	r := newRig(t)
	a := r.process("a")
	b := r.silent("b")
	chain := NewChain()
	b.HandleSecret("chain", func(context.Context, string, []byte) ([]byte, error) {
		_, key := chain.Key()
		return key, nil
	})
	b.Handle("post", func(_ context.Context, _ string, request []byte) ([]byte, error) { return request, nil })
	r.listen(b)
	tap := r.tap()
	s, err := a.sessionWith(wait(t), a.linkTo("b", true), &call{})
	if err != nil {
		t.Fatal(err)
	}
	const calls = 30
	used := make(map[hidden]string)
	agesplit.InSecret(func() {
		for name, r := range map[string]ratchet{"request": {key: s.send.key}, "reply": {key: s.receive.key}, "chain": chain.r} {
			for range calls {
				var once [KeySize]byte
				used[hide(&r.key)] = fmt.Sprintf("%s %d: the ratchet's", name, r.n)
				r.step(&once)
				used[hide(&once)] = fmt.Sprintf("%s %d: the packet's", name, r.n-1)
				clear(once[:])
			}
			clear(r.key[:])
		}
	})
	if n := search(t, map[hidden]string{hide(&s.send.key): "the next"}); len(n) == 0 {
		t.Fatal("the search does not find a key that is there")
	}
	key, err := a.Call(wait(t), "b", "chain", nil)
	if err != nil {
		t.Fatal(err)
	}
	reader, err := NewReceiver(0, key)
	if err != nil {
		t.Fatal(err)
	}
	clear(key)
	for range calls {
		mustPost(t, a, "b")
		n, packet := chain.Seal(nil, make([]byte, 300))
		if _, err := reader.Open(nil, n, packet); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(tap.taken()); n < 2*calls {
		t.Errorf("%d packets", n)
	}
	var found []string
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(time.Second) { // the collector erases within a second or two
		if found = search(t, used); len(found) == 0 {
			break
		}
	}
	if len(found) > 0 {
		t.Errorf("%d copies of %d used keys: %q", len(found), len(used), found)
	}
	b.Close()
}

// search returns what is found of the keys in all memory that can be written.
func search(t *testing.T, keys map[hidden]string) (found []string) {
	t.Helper()
	begins := make(map[uint64][]hidden)
	var may [1 << 16]bool
	for k := range keys {
		begins[binary.NativeEndian.Uint64(k[:])] = append(begins[binary.NativeEndian.Uint64(k[:])], k)
		may[binary.NativeEndian.Uint16(k[:])] = true
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	mem, err := os.Open("/proc/self/mem")
	if err != nil {
		t.Fatal(err)
	}
	defer mem.Close()
	block := make([]byte, 1<<20)
	defer clear(block)
	for line := range strings.Lines(string(maps)) {
		var from, to uint64
		var mode string
		if _, err := fmt.Sscanf(line, "%x-%x %s", &from, &to, &mode); err != nil || !strings.HasPrefix(mode, "rw") {
			continue
		}
		for ; from < to; from += uint64(len(block)) - KeySize {
			n, err := io.ReadFull(io.NewSectionReader(mem, int64(from), int64(to-from)), block)
			if n < KeySize {
				if err != nil && n == 0 {
					break // not readable
				}
				break
			}
			for i := range n {
				block[i] = ^block[i]
			}
			for i := 0; i+KeySize <= n; i++ {
				if !may[binary.NativeEndian.Uint16(block[i:])] {
					continue
				}
				for _, k := range begins[binary.NativeEndian.Uint64(block[i:])] {
					if hidden(block[i:]) == k {
						found = append(found, keys[k])
					}
				}
			}
			if n < len(block) {
				break
			}
		}
	}
	return found
}
