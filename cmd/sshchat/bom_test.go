package main

import (
	"os"
	"path/filepath"
	"testing"
)

// Key files that an editor has put a byte-order mark before are read like others.
func TestKeyFilesWithAByteOrderMark(t *testing.T) {
	t.Parallel()
	key := keyFile(t, "-t", "ed25519")
	marked := func(path, before string) string {
		t.Helper()
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		path = filepath.Join(t.TempDir(), "marked")
		if err := os.WriteFile(path, append([]byte("\ufeff"+before), b...), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, before := range []string{"", "# mine\r\n"} {
		if keys, err := readKeys(marked(key+".pub", before)); err != nil || len(keys) != 1 {
			t.Errorf("%q: %d public keys, %v", before, len(keys), err)
		}
	}
	if ids, err := readIdentities(marked(key, "")); err != nil || len(ids) != 1 {
		t.Errorf("%d identities, %v", len(ids), err)
	}
	age := filepath.Join(t.TempDir(), "age")
	if err := os.WriteFile(age, []byte("AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if ids, err := readIdentities(marked(age, "")); err != nil || len(ids) != 1 {
		t.Errorf("%d age identities, %v", len(ids), err)
	}
}
