package main

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"sshchat/store/durable"
	"sshchat/store/history"
)

// backup writes a tar of the data folder. The history comes first and the accounts after it, in the order in which a crash
// may leave them: accounts may know of a change that the history does not have yet, and never the other way round.
func backup(ctx context.Context, w io.Writer, st *stores, data string, hostKeys bool) error {
	archive := tar.NewWriter(w)
	if err := packHistory(ctx, archive, st.history); err != nil {
		return err
	}
	users, err := st.users.Snapshot()
	if err != nil {
		return err
	}
	state, err := st.state.Snapshot()
	if err != nil {
		return err
	}
	audit, err := st.audit.Snapshots()
	if err != nil {
		return err
	}
	for _, s := range append(audit, users, state, st.motd.Snapshot()) {
		if err := pack(ctx, archive, s); err != nil {
			return err
		}
	}
	if hostKeys {
		if err := packHostKeys(ctx, archive, data); err != nil {
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

func packHistory(ctx context.Context, archive *tar.Writer, sealed *history.History) error {
	files, err := sealed.Snapshots()
	for _, s := range files {
		if err == nil {
			err = pack(ctx, archive, s)
		}
		err = errors.Join(err, s.Close())
	}
	return err
}

func packHostKeys(ctx context.Context, archive *tar.Writer, data string) error {
	keys, err := filepath.Glob(filepath.Join(data, "ssh_host_*"))
	if err != nil {
		return err
	}
	for _, path := range keys {
		b, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("back up %s: %w", filepath.Base(path), err)
		}
		s := durable.Snapshot{Name: filepath.Base(path), Size: int64(len(b)), Reader: strings.NewReader(string(b))}
		clear(b)
		if err := pack(ctx, archive, s); err != nil {
			return err
		}
	}
	return nil
}
