// Package listen opens what the server listens on: TCP addresses, Unix sockets, and sockets that a service manager or the
// process before this one has opened already. It knows nothing of SSH.
package listen

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"unicode"

	"sshchat/sshchat/text"
)

// unixPrefix begins the address of a Unix socket: unix:/run/sshchat/chat.sock.
const unixPrefix = "unix:"

const (
	// Mode is that of a Unix socket: its owner and group can connect. Whoever connects still has to log in.
	Mode fs.FileMode = 0o660
	// maxPath is what fits into an address of every system, in bytes.
	maxPath = 100
)

// Check looks at the form of an address. Whether the server can listen there is found out by listening.
func Check(address string) error {
	if path, ok := strings.CutPrefix(address, unixPrefix); ok {
		return checkPath(path)
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("it is %q, and must be an address and a port, such as 127.0.0.1:2222 or [::1]:2222, or a socket, such as unix:/run/sshchat/chat.sock", text.Clean(address, 80))
	}
	if _, err := net.LookupPort("tcp", port); err != nil || port == "" {
		return fmt.Errorf("it is %q, and %q is not a port", text.Clean(address, 80), text.Clean(port, 40))
	}
	return nil
}

func checkPath(path string) error {
	odd := func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r) || strings.ContainsRune(`,'"\`, r)
	}
	shown := text.Clean(unixPrefix+path, 80)
	switch {
	case !strings.HasPrefix(path, "/"):
		return fmt.Errorf("it is %q, and the path of a socket must begin with /", shown)
	case strings.ContainsFunc(path, odd):
		return fmt.Errorf("it is %q, and the path of a socket must have no spaces, commas, quotes or backslashes", shown)
	case len(path) > maxPath:
		return fmt.Errorf("it is %q, and the path of a socket must have at most %d bytes", shown, maxPath)
	}
	return nil
}

// Listener is one place to listen on.
type Listener struct {
	net.Listener
	key string // its address as it was set; for one that the service manager has opened, givenKey
}

// String is the address that it listens on: "127.0.0.1:2222", "unix:/run/sshchat/chat.sock".
func (l *Listener) String() string { return addressOf(l.Addr()) }

// Given reports whether the service manager has opened it.
func (l *Listener) Given() bool { return strings.HasPrefix(l.key, givenPrefix) }

func addressOf(addr net.Addr) string {
	if addr.Network() == "unix" {
		return unixPrefix + addr.String()
	}
	return addr.String()
}

// givenPrefix begins the keys of listeners that the service manager has opened: "systemd 0 sshchat.socket". No address does.
const givenPrefix = "systemd "

// Before is what was opened before this process, or by others for it.
type Before struct {
	passed map[string]*os.File // from the process before it, by key
	given  []given             // from the service manager
}

type given struct {
	name string
	file *os.File
}

// Opened takes the files that the process before this one has passed on (Keep), and those of the service manager.
func Opened(passed map[string]*os.File, byManager []*os.File) *Before {
	b := &Before{passed: passed}
	for _, file := range byManager {
		b.given = append(b.given, given{file.Name(), file})
	}
	for _, key := range slices.Sorted(maps.Keys(passed)) { // those of the manager are passed on, too
		if rest, ok := strings.CutPrefix(key, givenPrefix); ok {
			_, name, _ := strings.Cut(rest, " ")
			b.given = append(b.given, given{name, passed[key]})
			delete(passed, key)
		}
	}
	return b
}

// Given reports whether the service manager has opened anything to listen on.
func (b *Before) Given() bool { return len(b.given) > 0 }

// Open listens on all that the service manager has opened, and on the addresses: on all of them, or on none. The error names
// the one that failed.
func (b *Before) Open(addresses []string) (all []*Listener, err error) {
	defer func() {
		if err != nil {
			Close(all)
			all = nil
		}
	}()
	for i, g := range b.given {
		l, err := fromFile(g.file)
		if err != nil {
			return all, fmt.Errorf("the socket that systemd passes as %s: %w", text.Clean(g.name, 80), err)
		}
		all = append(all, &Listener{l, fmt.Sprintf("%s%03d %s", givenPrefix, i, g.name)})
	}
	b.given = nil
	for _, address := range addresses {
		if slices.ContainsFunc(all, func(l *Listener) bool { return l.covers(address) }) {
			continue
		}
		l, err := b.open(address)
		if err != nil {
			return all, fmt.Errorf("%s: %w", address, err)
		}
		all = append(all, &Listener{l, address})
	}
	return all, nil
}

// covers reports whether a listener of the service manager is what the address means: it need not be opened again, and cannot be.
func (l *Listener) covers(address string) bool {
	if !l.Given() {
		return false
	}
	has, ok := l.Addr().(*net.TCPAddr)
	if !ok || strings.HasPrefix(address, unixPrefix) {
		return l.String() == address
	}
	wants, err := net.ResolveTCPAddr("tcp", address)
	if err != nil || wants.Port != has.Port {
		return false
	}
	return has.IP.IsUnspecified() || has.IP.Equal(wants.IP)
}

// open listens on an address: by what the process before this one has passed on, or anew.
func (b *Before) open(address string) (net.Listener, error) {
	path, isUnix := strings.CutPrefix(address, unixPrefix)
	if file := b.passed[address]; file != nil {
		delete(b.passed, address)
		l, err := fromFile(file)
		if u, ok := l.(*net.UnixListener); ok {
			u.SetUnlinkOnClose(true) // the one before had made it for us
		}
		return l, err
	}
	if isUnix {
		return openUnix(path)
	}
	l, err := net.Listen("tcp", address)
	if errors.Is(err, syscall.EACCES) {
		return nil, fmt.Errorf("%w; a port below 1024 needs a right of its own, or systemd to open it (see deploy/sshchat.socket)", plain(err))
	}
	return l, plain(err)
}

// plain is an error of the system without the address, which is named by whoever reports it.
func plain(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}

// fromFile returns the listener that an open file is. The file is closed: the listener has its own.
func fromFile(file *os.File) (net.Listener, error) {
	defer file.Close()
	if err := checkListens(file); err != nil {
		return nil, err
	}
	l, err := net.FileListener(file)
	if err != nil {
		return nil, plain(err)
	}
	return l, nil
}

// openUnix listens on a path. A socket there on which nobody listens was left by a crash, and is replaced; nothing else is.
func openUnix(path string) (net.Listener, error) {
	l, err := listenUnix(path)
	if errors.Is(err, syscall.EADDRINUSE) {
		if err := removeStale(path); err != nil {
			return nil, err
		}
		l, err = listenUnix(path)
	}
	return l, err
}

func listenUnix(path string) (net.Listener, error) {
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, plain(err)
	}
	if err := os.Chmod(path, Mode); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// removeStale removes a socket on which nobody listens.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() != fs.ModeSocket:
		return errors.New("there is a file with that name that is not a socket; move it away")
	}
	conn, err := net.Dial("unix", path)
	switch {
	case err == nil:
		conn.Close()
		return errors.New("another program listens there")
	case !errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("there is a socket with that name, and it cannot be found out whether somebody listens on it: %w", plain(err))
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Close closes what was opened before and is not used: an address may not be set any more.
func (b *Before) Close() {
	for key, file := range b.passed {
		if path, ok := strings.CutPrefix(key, unixPrefix); ok {
			os.Remove(path) // nobody listens there any more; at worst a socket without a listener remains
		}
		file.Close()
	}
	for _, g := range b.given {
		g.file.Close()
	}
}

// Close closes listeners.
func Close(all []*Listener) {
	for _, l := range all {
		l.Close()
	}
}

// Keep keeps the listeners open for the next process: clients that connect meanwhile wait in their queues. One that cannot be
// kept is opened anew.
func Keep(all []*Listener) map[string]*os.File {
	files := make(map[string]*os.File)
	for _, l := range all {
		of, ok := l.Listener.(interface{ File() (*os.File, error) })
		if !ok {
			continue
		}
		file, err := of.File()
		if err != nil {
			continue
		}
		if u, ok := l.Listener.(*net.UnixListener); ok {
			u.SetUnlinkOnClose(false)
		}
		files[l.key] = file
	}
	return files
}
