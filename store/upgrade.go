package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"sshchat/store/durable"
)

// Format is the version of the data folder's format: that of the files which an upgrade changes.
const Format = 2

// Versioned is a file of the data folder that an older version of sshchat may have written.
type Versioned struct {
	Name string // in the folder
	// Format returns the version of the file's format, by how it begins; 0 if there is no file, or one in which nothing
	// has been stored. Any other file, and a newer format, is an error.
	Format func() (int, error)
	// Check reads the whole file and returns what opening it would refuse. It changes nothing.
	Check func() error
	// Upgrade gives a file of an older format this one. A crash leaves the file as it was, or upgraded.
	Upgrade func() error
}

// Upgraded is what Upgrade did.
type Upgraded struct {
	From   int      // the oldest format there was; 0: there was nothing to do
	Files  []string // that were upgraded, by name
	Backup string   // the folder of the files as they were, in the data folder
}

// Upgrade gives the files of the data folder the present format, after it has made a backup of the folder's files in a folder
// inside of it. If any file is of a newer format, or damaged, nothing is changed and no backup made. What a crash or an error
// interrupted is finished by the next call: the backup is there, whole, before the first file is changed. The folder must be
// held, and its files must not be open.
func Upgrade(d durable.FS, dir string, files ...Versioned) (done Upgraded, err error) {
	var old []Versioned
	for _, f := range files {
		version, err := f.Format()
		if err != nil {
			return Upgraded{}, err
		}
		if version > 0 && version < Format {
			old = append(old, f)
			done.Files = append(done.Files, f.Name)
			done.From = version
		}
	}
	if len(old) == 0 {
		return Upgraded{}, nil
	}
	for _, f := range files {
		if err := f.Check(); err != nil {
			return Upgraded{}, fmt.Errorf("%s cannot be upgraded: %w", filepath.Join(dir, f.Name), err)
		}
	}
	if done.Backup, err = backUp(d, dir, fmt.Sprintf("%s%d", backupPrefix, done.From), done.Files); err != nil {
		return Upgraded{}, fmt.Errorf("back up %s before the upgrade: %w; nothing was changed", dir, err)
	}
	for _, f := range old {
		if err := f.Upgrade(); err != nil {
			return Upgraded{}, fmt.Errorf("upgrade %s: %w; the original files are in %s", filepath.Join(dir, f.Name), err, done.Backup)
		}
	}
	return done, nil
}

const (
	backupPrefix = "backup-format-"
	unfinished   = ".new" // behind the name of a backup that is being made
)

// backUp makes a backup of the folder's files in a folder inside of it, and returns that. A backup that has the files which
// are about to be changed as they are now is taken instead: it was made before an upgrade that was interrupted.
func backUp(d durable.FS, dir, name string, changing []string) (backup string, err error) {
	names, err := d.Names(dir)
	if err != nil {
		return "", err
	}
	backup = filepath.Join(dir, name)
	for n := 2; slices.Contains(names, filepath.Base(backup)); n++ {
		if same, err := holds(d, backup, dir, changing); err != nil || same {
			return backup, err
		}
		backup = filepath.Join(dir, fmt.Sprintf("%s.%d", name, n)) // somebody went back to the older version meanwhile
	}
	slices.Sort(names)
	if err := fill(d, backup+unfinished, dir, names); err != nil {
		return "", errors.Join(err, discard(d, backup+unfinished))
	}
	if err := d.Rename(backup+unfinished, backup); err != nil {
		return "", errors.Join(err, discard(d, backup+unfinished))
	}
	return backup, d.SyncDir(dir)
}

// holds reports whether the backup has the files as they are.
func holds(d durable.FS, backup, dir string, names []string) (bool, error) {
	for _, name := range names {
		same, err := equalFiles(d, filepath.Join(backup, name), filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil // the backup has none: that there is one to upgrade is known
		}
		if err != nil || !same {
			return false, err
		}
	}
	return true, nil
}

// fill makes the folder, and puts the files into it. What a crash left there is removed.
func fill(d durable.FS, to, dir string, names []string) error {
	if err := discard(d, to); err != nil {
		return err
	}
	if err := d.MakeDir(to); err != nil {
		return err
	}
	for _, name := range names {
		if !backedUp(name) {
			continue
		}
		if err := keep(d, filepath.Join(dir, name), filepath.Join(to, name)); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return d.SyncDir(to)
}

// discard removes a folder with the files in it, if it is there.
func discard(d durable.FS, dir string) error {
	names, err := d.Names(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := d.Remove(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	if err := d.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// backedUp reports whether the file belongs into a backup: all that the server keeps, but for its lock and for what it had not
// finished writing.
func backedUp(name string) bool {
	switch {
	case name == "lock" || name == "README.md" || name == ".gitignore":
		return false
	case strings.HasPrefix(name, backupPrefix), strings.HasSuffix(name, ".tmp"), strings.HasSuffix(name, unfinished):
		return false
	}
	return ours(name)
}

// neverWritten are archives: nobody writes to them once they have their name.
var neverWritten = regexp.MustCompile(`^(message_history\.\d{4,}\.json|audit\.\d{4,}\.jsonl)$`)

// keep makes a durable copy of a file. Of one that is never written to, another name is as good, and takes no room.
func keep(d durable.FS, from, to string) error {
	if neverWritten.MatchString(filepath.Base(from)) && d.Link(from, to) == nil {
		return nil
	}
	in, err := d.Open(from)
	switch {
	case errors.Is(err, syscall.EISDIR):
		return nil // somebody's folder
	case errors.Is(err, fs.ErrPermission) && strings.HasPrefix(filepath.Base(from), "ssh_host_"):
		return d.Link(from, to) // a host key that is read-only
	case err != nil:
		return err
	}
	return errors.Join(copyTo(d, to, in), in.Close())
}

// copyStep is how much is read of a file at a time.
const copyStep = 1 << 20 // bytes

func copyTo(d durable.FS, to string, in durable.File) (err error) {
	size, err := in.Size()
	if err != nil {
		return err
	}
	out, err := d.Create(to)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	b := make([]byte, min(size, copyStep))
	for at := int64(0); at < size; at += int64(len(b)) {
		b = b[:min(size-at, copyStep)]
		if _, err := in.ReadAt(b, at); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if _, err := out.WriteAt(b, at); err != nil {
			return err
		}
	}
	return out.Sync()
}

func equalFiles(d durable.FS, a, b string) (bool, error) {
	x, err := durable.ReadFile(d, a)
	if err != nil {
		return false, err
	}
	y, err := durable.ReadFile(d, b)
	return string(x) == string(y), err
}
