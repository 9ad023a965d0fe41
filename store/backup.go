package store

import (
	"archive/tar"
	"context"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"time"

	"sshchat/store/durable"
)

// Part is some files of the data folder, as they stand when it is called. One is held at a time: durable.Each.
type Part func() iter.Seq2[durable.Snapshot, error]

// One makes a part of one file.
func One(snapshot func() (durable.Snapshot, error)) Part {
	return func() iter.Seq2[durable.Snapshot, error] { return durable.Each(snapshot) }
}

// Backup writes a tar of the parts. Each is asked for its files when those before it are written, so the order of the
// parts is the order in which the files may be of different moments. Errors: ctx's, those of the parts, and w's.
func Backup(ctx context.Context, w io.Writer, parts ...Part) error {
	archive := tar.NewWriter(w)
	for _, part := range parts {
		for s, err := range part() {
			if err == nil {
				err = pack(ctx, archive, s)
			}
			if err != nil {
				return err
			}
		}
	}
	return archive.Close()
}

// pack writes one file, for its owner alone.
func pack(ctx context.Context, archive *tar.Writer, s durable.Snapshot) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	header := &tar.Header{Name: s.Name, Mode: 0o600, Size: s.Size, ModTime: time.Now().Truncate(time.Second), Format: tar.FormatPAX}
	if err := archive.WriteHeader(header); err != nil {
		return fmt.Errorf("back up %s: %w", s.Name, err)
	}
	if _, err := io.Copy(archive, s.Reader); err != nil {
		return fmt.Errorf("back up %s: %w", s.Name, err)
	}
	return nil
}

// HostKeys is the part of the server's host keys.
func HostKeys(dir string) Part {
	return func() iter.Seq2[durable.Snapshot, error] {
		paths, err := filepath.Glob(filepath.Join(dir, "ssh_host_*"))
		if err != nil {
			return durable.Each(func() (durable.Snapshot, error) { return durable.Snapshot{}, err })
		}
		var keys []func() (durable.Snapshot, error)
		for _, path := range paths {
			keys = append(keys, func() (durable.Snapshot, error) { return hostKey(path) })
		}
		return durable.Each(keys...)
	}
}

func hostKey(path string) (durable.Snapshot, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return durable.Snapshot{}, fmt.Errorf("back up %s: %w", filepath.Base(path), err)
	}
	s := durable.InMemory(filepath.Base(path), b)
	s.Release = func() error { clear(b); return nil }
	return s, nil
}
