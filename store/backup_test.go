package store

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"sshchat/store/durable"
)

func TestBackupKeepsTheOrderAndLetsGo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "ssh_host_ed25519_key"), []byte("key"), 0o600); err != nil {
		t.Fatal(err)
	}
	held := 0
	file := func(name, content string) durable.Snapshot {
		if held++; held > 1 {
			t.Errorf("%d files are held at a time", held)
		}
		s := durable.InMemory(name, []byte(content))
		s.Release = func() error { held--; return nil }
		return s
	}
	two := func() iter.Seq2[durable.Snapshot, error] {
		return durable.Each(
			func() (durable.Snapshot, error) { return file("b", "first"), nil },
			func() (durable.Snapshot, error) { return file("a", "second"), nil },
		)
	}
	var out bytes.Buffer
	if err := Backup(context.Background(), &out, two, Keys(dir), One(func() (durable.Snapshot, error) {
		if held != 0 {
			t.Errorf("asked while %d files are held", held)
		}
		return file("c", "third"), nil
	})); err != nil {
		t.Fatal(err)
	}
	var got []string
	for r := tar.NewReader(&out); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil || h.Mode != 0o600 {
			t.Fatalf("%s: mode %o, %v", h.Name, h.Mode, err)
		}
		got = append(got, h.Name+" "+string(b))
	}
	if want := []string{"b first", "a second", "ssh_host_ed25519_key key", "c third"}; !slices.Equal(got, want) || held != 0 {
		t.Errorf("%q, %d held", got, held)
	}
	// Nobody waits for it any more.
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := Backup(ctx, io.Discard, two); !errors.Is(err, context.Canceled) || held != 0 {
		t.Errorf("%v, %d held", err, held)
	}
}
