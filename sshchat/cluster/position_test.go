package cluster

import (
	"bytes"
	"encoding/json"
	"reflect"
	"regexp"
	"testing"
)

// The code of the first admin is that of the key and the number, and nothing else.
func TestClaimCode(t *testing.T) {
	t.Parallel()
	one, other := t.TempDir(), t.TempDir()
	if _, err := ClaimCode(one, 0); err == nil {
		t.Error("a code without a key")
	}
	for _, dir := range []string{one, other} {
		if _, err := makeKey(dir); err != nil {
			t.Fatal(err)
		}
	}
	seen := make(map[string]bool)
	for _, dir := range []string{one, other} {
		for n := range uint64(50) {
			code, err := ClaimCode(dir, n)
			again, _ := ClaimCode(dir, n)
			if err != nil || code != again || !regexp.MustCompile(`^[a-z2-7]{20}$`).MatchString(code) || seen[code] {
				t.Fatalf("number %d: %q, then %q, %v", n, code, again, err)
			}
			seen[code] = true
		}
	}
}

// Whatever cluster.json is, it is refused, or says the same once it is written again.
func FuzzPosition(f *testing.F) {
	f.Add([]byte(`{"format":"sshchat-cluster/1","genesis":"5f0c","seq":4711,"sum":"e3b0","batch":1200,"epoch":7,"record":9,"former":["a"],"nodes":{"n2":{"change":1,"record":2}}}`))
	f.Add([]byte(`{"format":"sshchat-cluster/1","genesis":"5f0c"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := parsePosition(b)
		if err != nil {
			return
		}
		dir := t.TempDir()
		if err := p.write(dir); err != nil {
			t.Fatal(err)
		}
		again, err := ReadPosition(dir)
		if len(p.Former) == 0 { // as if it were absent
			p.Former = nil
		}
		if len(p.Nodes) == 0 {
			p.Nodes = nil
		}
		if err != nil || !reflect.DeepEqual(p, again) {
			t.Errorf("%+v, then %+v, %v", p, again, err)
		}
	})
}

// Whatever a message of the log says, it is refused, or says the same once it is encoded again.
func FuzzEntry(f *testing.F) {
	for _, e := range []entry{{Kind: genesis, By: "n1"}, {Kind: batch, Epoch: 3, N: 7, Part: 1, Parts: 2, Prev: "e3b0", body: []byte("sealed\n")}, {Kind: "of a newer version"}} {
		head, err := json.Marshal(e)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(append(append(head, '\n'), e.body...))
	}
	f.Add([]byte(`{"kind":"batch","part":3,"parts":2}` + "\n"))
	seal, err := newSealer(bytes.Repeat([]byte{1}, 32), "5f0c")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, plain []byte) {
		e, err := parseEntry(plain)
		if err != nil {
			return
		}
		if e.Kind == batch && (e.Part < 1 || e.Part > e.Parts || e.Parts > maxParts) {
			t.Errorf("it is part %d of %d", e.Part, e.Parts)
		}
		payload, err := seal.encode(e, 1)
		if err != nil {
			return // a time that JSON does not have
		}
		again, err := seal.decode(payload, 1)
		if err == nil && again.At.Equal(e.At) {
			again.At = e.At
		}
		if err != nil || !reflect.DeepEqual(e, again) {
			t.Errorf("%+v, then %+v, %v", e, again, err)
		}
	})
}

// Whatever the first message of a log that was made anew says, it is refused, or says how many follow, within bounds.
func FuzzAnew(f *testing.F) {
	f.Add([]byte(`{"former":["5f0c"],"parts":2,"sum":"e3b0","batch":7,"epoch":3,"change":1,"record":2}`))
	f.Add([]byte(`{"parts":1000000}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if says, err := parseAnew(b); err == nil && (says.Parts < 1 || says.Parts > maxFileParts) {
			t.Errorf("%d messages", says.Parts)
		}
	})
}
