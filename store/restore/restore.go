// Package restore puts a backup in the place of a data folder. A backup comes from outside, and may have been cut short or
// changed: nothing is in place before all of it was read and checked. It knows what files a backup has, and not what is in them.
package restore

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"sshchat/sshchat/text"
)

// Why a backup is not restored. Nothing has been changed then.
var (
	ErrNotEmpty = errors.New("it is not empty")
	ErrBackup   = errors.New("this is not an intact backup")
)

// kinds are the files that a backup may have, and how large each may be, in bytes; 0: as large as the disk.
var kinds = []struct {
	name *regexp.Regexp
	most int64
}{
	{regexp.MustCompile(`^users\.json(\.bak)?$|^changes\.jsonl$|^message_history(\.\d{4,9})?\.json$|^audit(\.\d{4,9})?\.jsonl$`), 0},
	{regexp.MustCompile(`^state\.json$`), 256 << 20},
	{regexp.MustCompile(`^(motd|clock|audit\.tip|cluster\.(json|key)|ssh_host_[a-z0-9]+_key[a-zA-Z0-9._-]{0,100})$`), 1 << 20},
}

// needed are what each backup has.
var needed = []string{"users.json", "message_history.json", "audit.jsonl"}

const (
	maxFiles  = 100_000
	blockSize = 512
	endSize   = 2 * blockSize // zero bytes that end a tar
)

// Restore reads a tar as the command backup prints it, and makes the data folder dir of it, which must not exist or be empty.
// The files are first in a new folder beside dir; check looks at them there, and its error is returned. Then that folder is
// renamed, so that dir has all or nothing. Files are for their owner alone, whatever the tar says. Errors: ErrNotEmpty, ErrBackup
// with details, check's, r's and the disk's.
func Restore(r io.Reader, dir string, check func(folder string) error) (names []string, err error) {
	dir = filepath.Clean(dir)
	if err := vacant(dir); err != nil {
		return nil, err
	}
	parent := filepath.Dir(dir)
	temporary, err := os.MkdirTemp(parent, ".sshchat-restore-*") // with mode 0700
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(temporary))
		}
	}()
	if names, err = unpack(r, func(name string, from io.Reader, size int64) error {
		return write(filepath.Join(temporary, name), from, size)
	}); err != nil {
		return nil, err
	}
	if err := check(temporary); err != nil {
		return nil, err
	}
	if err := vacant(dir); err != nil { // checking takes a while
		return nil, err
	}
	if err := syncDir(temporary); err != nil {
		return nil, err
	}
	if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) { // it is empty
		return nil, fmt.Errorf("%w; if it is where a disk is mounted, name a new folder in it", err)
	}
	if err := os.Rename(temporary, dir); err != nil {
		return nil, err
	}
	return names, syncDir(parent)
}

// vacant refuses a folder that has something in it, and what is no folder.
func vacant(dir string) error {
	info, err := os.Lstat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%s is not a folder", dir)
	}
	entries, err := os.ReadDir(dir)
	if err == nil && len(entries) > 0 {
		err = fmt.Errorf("%s: %w: name a new one, or move away what is in it", dir, ErrNotEmpty)
	}
	return err
}

// counter counts what is read.
type counter struct {
	io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += int64(n)
	return n, err
}

// unpack has each file of a tar written.
func unpack(r io.Reader, write func(name string, from io.Reader, size int64) error) (names []string, err error) {
	read := &counter{Reader: r}
	archive, seen := tar.NewReader(read), make(map[string]bool)
	end := int64(0) // of the last file
	for {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w; a compressed one must be decompressed first", ErrBackup, err)
		}
		if err := acceptable(h, seen); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrBackup, err)
		}
		if err := write(h.Name, archive, h.Size); err != nil {
			return nil, fmt.Errorf("%s: %w", h.Name, err)
		}
		names, seen[h.Name] = append(names, h.Name), true
		end = read.n
	}
	// A tar that is cut off after a file has no end. The reader passes that over.
	if len(names) > 0 && read.n-end < endSize {
		return nil, fmt.Errorf("%w: it is cut short after %s", ErrBackup, names[len(names)-1])
	}
	for _, name := range needed {
		if !seen[name] {
			return nil, fmt.Errorf("%w: it has no %s", ErrBackup, name)
		}
	}
	return names, zerosOnly(r)
}

// acceptable refuses what the command backup does not write.
func acceptable(h *tar.Header, seen map[string]bool) error {
	quoted := fmt.Sprintf("%q", text.Clean(h.Name, 100))
	sparse := func() bool {
		for key := range h.PAXRecords {
			if strings.HasPrefix(key, "GNU.sparse") {
				return true
			}
		}
		return false
	}
	most := int64(-1)
	for _, kind := range kinds {
		if kind.name.MatchString(h.Name) {
			most = kind.most
		}
	}
	switch {
	case h.Typeflag != tar.TypeReg || sparse() || h.Linkname != "":
		return fmt.Errorf("%s is not a regular file", quoted)
	case most < 0:
		return fmt.Errorf("%s is not a file of a backup", quoted)
	case h.Mode&^0o777 != 0:
		return fmt.Errorf("%s has the mode %o", quoted, h.Mode)
	case h.Size < 0 || most > 0 && h.Size > most:
		return fmt.Errorf("%s has %d bytes; the limit is %d", quoted, h.Size, most)
	case seen[h.Name]:
		return fmt.Errorf("%s is in it twice", quoted)
	case len(seen) >= maxFiles:
		return fmt.Errorf("it has more than %d files", maxFiles)
	}
	return nil
}

// write writes a new file of that size, durably.
func write(path string, from io.Reader, size int64) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	n, err := io.Copy(f, from)
	if errors.Is(err, io.ErrUnexpectedEOF) || err == nil && n != size {
		err = fmt.Errorf("%w: it is cut short", ErrBackup)
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// zerosOnly reads the rest, which programs fill up with zeros.
func zerosOnly(r io.Reader) error {
	b := make([]byte, 32<<10)
	for {
		n, err := r.Read(b)
		if strings.Trim(string(b[:n]), "\x00") != "" {
			return fmt.Errorf("%w: something follows its end", ErrBackup)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
