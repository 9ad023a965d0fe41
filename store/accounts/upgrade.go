package accounts

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"

	"sshchat/sshchat/chat"
	"sshchat/store/durable"
)

// usersName is the file's name in the data folder.
const usersName = "users.json"

// beginning is how a file begins that the server wrote; by hand the format may stand elsewhere.
var beginning = regexp.MustCompile(`^\{"format":"` + fileFormatPrefix + `([0-9]{1,9})"`)

// Format returns the format of users.json in dir: 1 or 2; 0 if there is no file, or one that says none since nobody is in it. It
// reads no more than it takes. Errors: what is no list of users, or of a newer format, and those of the disk.
func Format(d durable.FS, dir string) (int, error) {
	format, err := formatOf(d, filepath.Join(dir, usersName))
	if err != nil {
		return 0, fmt.Errorf("%s: %w", filepath.Join(dir, usersName), err)
	}
	return format, nil
}

func formatOf(d durable.FS, path string) (int, error) {
	f, err := d.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer f.Close()
	begins := make([]byte, 64)
	n, err := f.ReadAt(begins, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	if m := beginning.FindSubmatch(begins[:n]); m != nil {
		format, _ := strconv.Atoi(string(m[1])) // digits
		if format == 1 || format == 2 {
			return format, nil
		}
	}
	r, err := readAll(f)
	if err != nil {
		return 0, err
	}
	return map[string]int{oldFormat: 1, fileFormat: 2}[r.format], nil
}

func readAll(f durable.File) (*reader, error) {
	b, err := durable.ReadAll(f)
	if err != nil {
		return nil, err
	}
	r := newReader()
	return r, r.readBytes(b)
}

// Check reads users.json in dir and returns why it cannot be upgraded. It changes nothing.
func Check(d durable.FS, dir string) error {
	path := filepath.Join(dir, usersName)
	if _, real := d.(durable.OS); real {
		if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() {
			return errors.New("it is not a regular file") // the link would be replaced
		}
	}
	f, err := d.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	r, err := readAll(f)
	if err != nil || r.format == fileFormat {
		return err
	}
	changes, err := d.Open(filepath.Join(dir, changesName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(fmt.Errorf("its format is older than that of %s beside it, which has changes made after an upgrade: "+
		"to use users.json as it is, move that away", changesName), changes.Close())
}

// Upgrade gives users.json in dir the format that is written, if it has an older one. A crash leaves the one or the other. It
// must not be open, and Check must have found nothing.
func Upgrade(d durable.FS, dir string) error {
	path := filepath.Join(dir, usersName)
	b, err := durable.ReadFile(d, path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	r := newReader()
	if err := r.readBytes(b); err != nil || r.format != oldFormat {
		return err
	}
	if b, err = encode(chat.NewState(r.parts), 0); err != nil {
		return err
	}
	_, err = durable.ReplaceOn(d, path, b)
	return err
}
