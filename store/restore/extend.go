package restore

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"

	"sshchat/store"
	"sshchat/store/durable"
)

// ErrNotBeginning is wrapped where a folder has something that the copy lacks, or has in another form.
var ErrNotBeginning = errors.New("this folder is not a beginning of it")

// maxCopied is the largest file that Extend takes, in bytes.
const maxCopied = 1 << 30

// lines are the files of a copy of which a folder has the beginning, and how their lines begin. Those of other lines, which only make
// message_history.json one JSON value, are at its end.
var lines = []struct{ name, begin string }{{"message_history.json", `{"n":`}, {"audit.jsonl", "{"}}

// replaced are the files of a copy that take the place of the folder's, in the order in which a crash may leave them: accounts may know
// of more than the history, and the audit log of more than the accounts, and never the other way round.
var replaced = []string{"state.json", "audit.tip", "audit.jsonl", "users.json", "changes.jsonl", "message_history.json"}

// Current leaves the files that are written to: no archives, which do not change any more.
func Current(parts ...store.Part) (all []store.Part) {
	for _, part := range parts {
		all = append(all, func() iter.Seq2[durable.Snapshot, error] {
			return func(yield func(durable.Snapshot, error) bool) {
				for s, err := range part() {
					if (err != nil || isCurrent(s.Name)) && !yield(s, err) {
						return
					}
				}
			}
		})
	}
	return all
}

func isCurrent(name string) bool { return slices.Contains(replaced, name) }

// Extend makes a folder, which nobody has opened, have all that a copy of another's current files has, as store.Backup has written it.
// The folder has to be a beginning of the copy: the same archives, and in its current files the same lines as far as it has any. It may
// be called again if it was interrupted. What users.json and state.json say is taken as it is. Errors: ErrNotBeginning, ErrBackup, and the disk's;
// with the first two nothing has changed.
func Extend(dir string, r io.Reader) error {
	files := make(map[string][]byte)
	_, err := unpack(r, func(name string, from io.Reader, size int64) error {
		if !isCurrent(name) || size > maxCopied {
			return fmt.Errorf("%w: it has %s, with %d bytes", ErrBackup, name, size)
		}
		b, err := io.ReadAll(from)
		files[name] = b
		return err
	})
	if err != nil {
		return err
	}
	for _, l := range lines {
		mine, err := os.ReadFile(filepath.Join(dir, l.name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if err := begins(wholeLines(mine, l.begin), wholeLines(files[l.name], l.begin)); err != nil {
			return fmt.Errorf("%s: %w", l.name, err)
		}
	}
	for _, name := range replaced {
		b, is := files[name]
		if !is {
			continue
		}
		staged, err := durable.Stage(durable.OS{}, filepath.Join(dir, name), b, len(b))
		if err != nil {
			return err
		}
		if err := staged.Publish(false); err != nil {
			return err
		}
	}
	return nil
}

// wholeLines are the lines that begin so, without the blanks around them. A last one that was not written to its end counts for nothing.
func wholeLines(b []byte, begin string) (all [][]byte) {
	for line := range bytes.Lines(b) {
		ended := bytes.HasSuffix(line, []byte("\n"))
		line = bytes.TrimRight(bytes.TrimSpace(line), ",")
		if bytes.HasPrefix(line, []byte(begin)) && (ended || json.Valid(line)) {
			all = append(all, line)
		}
	}
	return all
}

// begins returns an error unless all begins with some lines.
func begins(some, all [][]byte) error {
	if len(some) > len(all) {
		return fmt.Errorf("%w: it has %d lines, and the copy has %d", ErrNotBeginning, len(some), len(all))
	}
	for i := range some {
		if !bytes.Equal(some[i], all[i]) {
			return fmt.Errorf("%w: line %d differs", ErrNotBeginning, i+1)
		}
	}
	return nil
}
