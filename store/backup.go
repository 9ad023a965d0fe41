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

// The files of a node of a cluster.
const (
	PositionFile   = "cluster.json" // which cluster, and how far in its log this folder is
	ClusterKeyFile = "cluster.key"  // the secret of all nodes
	NodeKeyFile    = "node.key"     // this node's own, which no backup has: a node made of one would be taken for this node
)

// InCluster reports whether a data folder belongs to a node of a cluster. A folder that cannot be read says so elsewhere.
func InCluster(dir string) bool {
	_, err := os.Lstat(filepath.Join(dir, PositionFile))
	return err == nil
}

// Position is the part that says how far a node of a cluster is. It comes before all that it must not be ahead of. Without a cluster it
// is empty.
func Position(dir string) Part { return keyFiles(dir, PositionFile) }

// Keys is the part of the server's host keys, and of the cluster's key if there is a cluster.
func Keys(dir string) Part { return keyFiles(dir, "ssh_host_*", ClusterKeyFile) }

// keyFiles is the part of small files that are replaced whole, by patterns; those that do not exist are left out.
func keyFiles(dir string, patterns ...string) Part {
	return func() iter.Seq2[durable.Snapshot, error] {
		var files []func() (durable.Snapshot, error)
		for _, pattern := range patterns {
			paths, err := filepath.Glob(filepath.Join(dir, pattern))
			if err != nil {
				return durable.Each(func() (durable.Snapshot, error) { return durable.Snapshot{}, err })
			}
			for _, path := range paths {
				files = append(files, func() (durable.Snapshot, error) { return keyFile(path) })
			}
		}
		return durable.Each(files...)
	}
}

func keyFile(path string) (durable.Snapshot, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return durable.Snapshot{}, fmt.Errorf("back up %s: %w", filepath.Base(path), err)
	}
	s := durable.InMemory(filepath.Base(path), b)
	s.Release = func() error { clear(b); return nil }
	return s, nil
}
