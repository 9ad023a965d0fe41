package peer

import (
	"bytes"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestKeyIsMadeOnceAndKept(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), KeyFile)
	first, err := LoadOrCreate(path)
	if err != nil {
		t.Fatal(err)
	}
	again, err := LoadOrCreate(path)
	if err != nil || again.Public() != first.Public() || !bytes.Equal(again.pair.Private, first.pair.Private) {
		t.Errorf("another key the second time, %v", err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	files, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(files) != 1 {
		t.Errorf("left behind: %v, %v", files, err)
	}
	data, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(data), first.Public()) {
		t.Errorf("the comment does not have the public key: %v", err)
	}
	print, err := Fingerprint(first.Public())
	if err != nil || print != first.Fingerprint() || !strings.HasPrefix(print, "SHA256:") {
		t.Errorf("%q, %q, %v", print, first.Fingerprint(), err)
	}
	first.Wipe()
	if !bytes.Equal(first.pair.Private, make([]byte, KeySize)) {
		t.Error("it is not erased")
	}
}

func TestKeyFilesThatAreRefused(t *testing.T) {
	t.Parallel()
	good, err := os.ReadFile(func() string {
		path := filepath.Join(t.TempDir(), KeyFile)
		if _, err := LoadOrCreate(path); err != nil {
			t.Fatal(err)
		}
		return path
	}())
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		data []byte
		mode os.FileMode
		want string
	}{
		"readable by the group": {good, 0o640, "chmod 600"},
		"readable by others":    {good, 0o604, "chmod 600"},
		"empty":                 {nil, 0o600, "damaged"},
		"cut short":             {good[:len(good)-9], 0o600, "damaged"},
		"twice":                 {append(bytes.Clone(good), good...), 0o600, "more than one key"},
		"not base64":            {bytes.Replace(good, []byte("="), []byte("!"), -1), 0o600, "damaged"},
		"huge":                  {bytes.Repeat([]byte("#"), maxKeyFile+1), 0o600, "too large"},
	} {
		path := filepath.Join(t.TempDir(), KeyFile)
		if err := os.WriteFile(path, c.data, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, c.mode); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadOrCreate(path); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
		if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, c.data) {
			t.Errorf("%s: it was changed, %v", name, err)
		}
	}
	if _, err := LoadOrCreate(t.TempDir()); err == nil || !strings.Contains(err.Error(), "regular file") {
		t.Errorf("a folder: %v", err)
	}
	if _, err := LoadOrCreate(filepath.Join(t.TempDir(), "none", KeyFile)); err == nil {
		t.Error("a folder that is not there")
	}
}

// With a point of low order the shared secret is zero, whoever computes it.
func TestPublicKeysThatAreRefused(t *testing.T) {
	t.Parallel()
	one := append([]byte{1}, make([]byte, KeySize-1)...)
	for name, key := range map[string]string{
		"zero":      base64.StdEncoding.EncodeToString(make([]byte, KeySize)),
		"one":       base64.StdEncoding.EncodeToString(one),
		"short":     base64.StdEncoding.EncodeToString(make([]byte, KeySize-1)),
		"unpadded":  strings.TrimRight(newKey(t).Public(), "="),
		"a newline": newKey(t).Public() + "\n",
		"empty":     "",
	} {
		if _, err := Fingerprint(key); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

func FuzzKeyFile(f *testing.F) {
	f.Add([]byte("# comment\nAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\n"))
	f.Add([]byte("\n\n=\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		k, err := parseKey(data)
		if (k == nil) == (err == nil) {
			t.Fatalf("%v, %v", k, err)
		}
		if k != nil {
			if line := base64.StdEncoding.EncodeToString(k.pair.Private); !bytes.Contains(data, []byte(line)) {
				t.Errorf("%q is read as %s", data, line)
			}
			if _, err := Fingerprint(k.Public()); err != nil {
				t.Errorf("its public key is refused: %v", err)
			}
		}
		if _, err := Fingerprint(string(data)); err == nil && len(data) != 44 {
			t.Errorf("%q is taken for a public key", data)
		}
	})
}
