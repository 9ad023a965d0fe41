package store

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"sshchat/store/durable"
)

// Part is some files of the data folder, as they stand when it is called.
type Part func() ([]durable.Snapshot, error)

// One makes a part of one file.
func One(snapshot func() (durable.Snapshot, error)) Part {
	return func() ([]durable.Snapshot, error) {
		s, err := snapshot()
		return []durable.Snapshot{s}, err
	}
}

// Backup writes a tar of the parts. Each is asked for its files when those before it are written, so the order of the
// parts is the order in which the files may be of different moments. Errors: ctx's, those of the parts, and w's.
func Backup(ctx context.Context, w io.Writer, parts ...Part) error {
	archive := tar.NewWriter(w)
	for _, part := range parts {
		files, err := part()
		for _, s := range files {
			if err == nil {
				err = pack(ctx, archive, s)
			}
			err = errors.Join(err, s.Close())
		}
		if err != nil {
			return err
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
	return func() ([]durable.Snapshot, error) {
		paths, err := filepath.Glob(filepath.Join(dir, "ssh_host_*"))
		if err != nil {
			return nil, err
		}
		var keys []durable.Snapshot
		for _, path := range paths {
			b, err := os.ReadFile(path)
			if err != nil {
				return nil, fmt.Errorf("back up %s: %w", filepath.Base(path), err)
			}
			s := durable.InMemory(filepath.Base(path), b)
			s.Release = func() error { clear(b); return nil }
			keys = append(keys, s)
		}
		return keys, nil
	}
}
