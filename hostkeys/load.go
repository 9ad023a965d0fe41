// Package hostkeys makes, checks, loads and rotates the key that the server proves itself with, and signs with it.
// It knows nothing of the chat.
package hostkeys

import (
	"crypto/ed25519"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/crypto/ssh"
)

// File is the host key's name in its folder. Its public half is beside it, with .pub.
const File = "ssh_host_ed25519_key"

// maxFile is more than any ed25519 key's file has, in bytes.
const maxFile = 16 << 10

// Load returns the host key of a folder, and creates it if there is none; made reports that.
//
// An existing key is never replaced, since every client remembers it. A file that is not exactly what Load would create
// (readable by others, empty, truncated, with a passphrase, not ed25519, not a plain file) is refused with an error that
// says what to do.
func Load(dir string) (signer ssh.Signer, made bool, err error) {
	path := filepath.Join(dir, File)
	signer, err = read(path, check)
	if errors.Is(err, fs.ErrNotExist) {
		signer, err = create(path)
		return signer, err == nil, err
	}
	return signer, false, err
}

// read reads a private key, if check has nothing against its file.
func read(path string, check func(path string, info fs.FileInfo) error) (ssh.Signer, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, fmt.Errorf("load the host key: %w", err)
	}
	if err := check(path, info); err != nil {
		return nil, err
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("load the host key: %w", err)
	}
	defer clear(data)
	return parse(path, data)
}

// check refuses a file by what is known before reading it.
func check(path string, info fs.FileInfo) error {
	if info.Mode().IsRegular() && info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("host key %s can be read or written by other users (mode %04o): if nobody has copied it, run chmod 600; if somebody may have, move it away and tell your users that the key changes",
			path, info.Mode().Perm())
	}
	return checkForm(path, info)
}

// checkForm is check but for who may read the file. It is for a file that is kept from other users in another way: systemd
// lets a service read a credential by an access control list, which makes the mode look as if the group could.
func checkForm(path string, info fs.FileInfo) error {
	switch {
	case !info.Mode().IsRegular():
		return fmt.Errorf("host key %s is not a regular file", path)
	case info.Size() == 0:
		return fmt.Errorf("host key %s is empty: restore it from a backup, or remove it and tell your users that the key changes", path)
	case info.Size() > maxFile:
		return fmt.Errorf("host key %s is too large to be a key", path)
	}
	return nil
}

// parse reads an OpenSSH private key.
func parse(path string, data []byte) (ssh.Signer, error) {
	signer, err := ssh.ParsePrivateKey(data)
	var locked *ssh.PassphraseMissingError
	switch {
	case errors.As(err, &locked):
		return nil, fmt.Errorf("host key %s has a passphrase, which a server cannot type: remove it with ssh-keygen -p", path)
	case err != nil:
		return nil, fmt.Errorf("host key %s is damaged (%w): restore it from a backup, or remove it and tell your users that the key changes", path, err)
	case signer.PublicKey().Type() != ssh.KeyAlgoED25519:
		return nil, fmt.Errorf("host key %s is of type %s; it must be ed25519", path, signer.PublicKey().Type())
	}
	return signer, nil
}

// create makes a key, with its public half beside it.
func create(path string) (ssh.Signer, error) {
	signer, err := createPrivate(path)
	if err != nil {
		return nil, err
	}
	if err := writePublic(path, signer.PublicKey()); err != nil {
		return nil, fmt.Errorf("create a host key: %w", err)
	}
	return signer, nil
}

// createPrivate makes a key. It appears under its name whole or not at all, and never in place of another.
func createPrivate(path string) (ssh.Signer, error) {
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, fmt.Errorf("create a host key: %w", err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		return nil, fmt.Errorf("create a host key: %w", err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		return nil, fmt.Errorf("create a host key: %w", err)
	}
	data := pem.EncodeToMemory(block)
	defer clear(data)
	if err := publish(path, data, 0o600); err != nil {
		return nil, fmt.Errorf("create a host key: %w", err)
	}
	return signer, nil
}

// writePublic writes the public half beside the private key at path.
func writePublic(path string, key ssh.PublicKey) error {
	public := path + ".pub"
	if err := remove(public); err != nil {
		return err
	}
	return publish(public, ssh.MarshalAuthorizedKey(key), 0o644)
}

// publish writes a new file. A link, unlike a rename, fails if the name exists.
func publish(path string, data []byte, mode fs.FileMode) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil {
		return err
	}
	return syncDir(dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
