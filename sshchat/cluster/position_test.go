package cluster

import (
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
