package accounts

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"

	"sshchat/sshchat/chat"
	"sshchat/store/durable"
)

// file is users.json. It belongs to the writer.
type file struct {
	path    string
	log     *slog.Logger
	save    func(path string, data []byte) (fs.FileInfo, error) // durable.Replace; tests fail it
	written fs.FileInfo                                         // the file as last read or written
}

// load reads the file, or makes it.
func (f *file) load() (*chat.State, error) {
	info, err := os.Lstat(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return f.begin()
	}
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() { // a link would be replaced by a file at the first change
		return nil, errors.New("it is not a plain file")
	}
	b, err := os.ReadFile(f.path)
	if err != nil {
		return nil, err
	}
	s, err := parse(b)
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		if err := os.Chmod(f.path, 0o600); err != nil {
			return nil, err
		}
		f.log.Warn("users.json could be read by others; it is closed now", "mode", info.Mode().Perm())
	}
	f.written = info
	return s, nil
}

// begin makes the file of a new server.
func (f *file) begin() (*chat.State, error) {
	backup := f.path + durable.BackupSuffix
	if _, err := os.Lstat(backup); !errors.Is(err, fs.ErrNotExist) {
		return nil, errors.Join(fmt.Errorf("it is missing, but its backup is there: "+
			"copy %s to it, or remove that as well to begin anew", backup), err)
	}
	s := chat.NewState(chat.Parts{})
	b, err := encode(s)
	if err != nil {
		return nil, err
	}
	f.written, err = f.save(f.path, b)
	return s, err
}

// write replaces the file, unless somebody else has.
func (f *file) write(s *chat.State) error {
	b, err := encode(s)
	if err != nil {
		return fmt.Errorf("encode users.json: %w", err)
	}
	now, err := os.Lstat(f.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("look at users.json: %w", err)
	}
	if err != nil || !os.SameFile(now, f.written) || now.Size() != f.written.Size() || !now.ModTime().Equal(f.written.ModTime()) {
		return ErrEdited
	}
	info, err := f.save(f.path, b)
	if err != nil {
		f.look()
		return fmt.Errorf("write users.json: %w", err)
	}
	f.written = info
	return nil
}

// look takes the file as it is for ours, after a write that failed: whether before or after the rename,
// what is there is what we put there.
func (f *file) look() {
	info, err := os.Lstat(f.path)
	if err != nil {
		f.log.Error("users.json cannot be looked at after a failed write", "err", err)
		return
	}
	f.written = info
}
