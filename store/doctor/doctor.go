// Package doctor looks at what a server needs of its machine and its data folder, and says what to do about what is wrong. It
// changes nothing, and may look while the server runs. It knows nothing of SSH and of the settings but what Config has of them.
package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"sshchat/sshchat/text"
	"sshchat/store/owner"

	"github.com/gofrs/flock"
)

// Level is how bad a finding is.
type Level string

const (
	OK   Level = "ok"
	Warn Level = "warn" // the server runs, and something may go wrong
	Fail Level = "fail" // the server does not start, or harm is done
)

// Finding is one thing that was looked at. Do is what to do about it, as a sentence without its full stop; empty: nothing.
type Finding struct {
	Level Level  `json:"result"`
	What  string `json:"what"`
	Do    string `json:"do,omitempty"`
}

// String is the finding as one line, without control characters.
func (f Finding) String() string {
	line := fmt.Sprintf("%-4s  %s", f.Level, f.What)
	if f.Do != "" {
		line += "  → " + f.Do
	}
	return text.Clean(line, 1000)
}

// Config is what is looked at.
type Config struct {
	Data        string
	File        string   // the configuration file; empty: there is none
	HostKey     string   // where the host key is instead of in Data; empty: it is there
	Listen      []string // host and port each; others are passed over
	Cluster     bool     // the setting cluster names NATS servers
	Connections int      // how many the settings allow before login, each of which is an open file
	Now         func() time.Time

	// Ping returns the line with which a server at an address to listen on introduces itself.
	Ping func(address string) (string, error)
}

// patient is one look.
type patient struct {
	Config
	found []Finding
	used  bool // the folder holds data
	uid   int  // of the folder's owner
	owned bool // uid is known
	pid   int  // of the server that runs on it; 0: none, -1: not known
}

// Examine looks at everything, and returns what it found, in the order in which it is best fixed.
func Examine(c Config) []Finding {
	p := &patient{Config: c}
	if p.folder() {
		p.running()
		p.files()
		p.config()
		p.hostKey()
		p.cluster()
		p.data()
		p.admin()
		p.backup()
		p.clock()
	}
	p.space()
	p.limits()
	for _, address := range c.Listen {
		p.port(address)
	}
	return p.found
}

func (p *patient) add(level Level, what, do string) {
	p.found = append(p.found, Finding{level, what, do})
}

func (p *patient) path(name string) string { return filepath.Join(p.Data, name) }

// folder looks at the data folder, and reports whether there is one to look into.
func (p *patient) folder() bool {
	info, err := os.Stat(p.Data)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		p.add(Warn, fmt.Sprintf("data folder %s does not exist", p.Data), "the server creates it at its first start; if it should be there, name it with --data")
		return false
	case err != nil:
		p.add(Fail, fmt.Sprintf("data folder: %v", err), "run this as root, or as the user whom the folder belongs to")
		return false
	case !info.IsDir():
		p.add(Fail, fmt.Sprintf("data folder %s is not a folder", p.Data), "name a folder with --data")
		return false
	case info.Mode().Perm()&0o077 != 0:
		p.add(Fail, fmt.Sprintf("data folder %s is open to other users (mode %04o)", p.Data, info.Mode().Perm()), "chmod 700 "+p.Data)
	default:
		p.add(OK, fmt.Sprintf("data folder %s", p.Data), "")
	}
	if _, err := os.ReadDir(p.Data); err != nil {
		p.add(Fail, fmt.Sprintf("data folder: %v", err), "run this as root, or as the user whom the folder belongs to")
		return false
	}
	p.uid, _, p.owned = owner.Of(info)
	_, err = os.Lstat(p.path("users.json"))
	p.used = err == nil
	return true
}

// running looks whether a server holds the folder. The lock is taken for a moment, shared, if it is free.
func (p *patient) running() {
	path := p.path("lock")
	if _, err := os.Lstat(path); err != nil {
		p.add(OK, "no server is running on the folder", "")
		return
	}
	lock := flock.New(path, flock.SetFlag(os.O_RDONLY))
	free, err := lock.TryRLock()
	switch {
	case err != nil:
		p.add(Warn, fmt.Sprintf("whether a server is running is not known: %v", err), "run this as root, or as the user whom the folder belongs to")
		p.pid = -1
	case free:
		lock.Unlock()
		p.add(OK, "no server is running on the folder", "")
	default:
		p.pid = -1
		if b, err := os.ReadFile(path); err == nil {
			if pid, err := strconv.Atoi(strings.TrimSpace(string(b))); err == nil && pid > 0 {
				p.pid = pid
			}
		}
		what := "a server is running on the folder"
		if p.pid > 0 {
			what += fmt.Sprintf(", as process %d", p.pid)
		}
		p.add(OK, what, "")
	}
}

// port looks whether the server listens on an address, or could.
func (p *patient) port(address string) {
	if _, _, err := net.SplitHostPort(address); err != nil {
		return // a Unix socket
	}
	l, err := net.Listen("tcp", address)
	switch {
	case err == nil && p.pid != 0:
		l.Close()
		p.add(Warn, fmt.Sprintf("the server is running, and does not listen on %s", address), "check whether it was started with other settings; restart it")
	case err == nil:
		l.Close()
		p.add(OK, fmt.Sprintf("%s is free", address), "")
	case isDenied(err):
		p.add(Fail, fmt.Sprintf("%s: %v", address, err), "use a port above 1023, or give the server CAP_NET_BIND_SERVICE (as the systemd unit does)")
	case isTaken(err):
		p.taken(address)
	default:
		p.add(Fail, fmt.Sprintf("%s: %v", address, err), "name an address of this machine with --listen")
	}
}

// taken says who has a port.
func (p *patient) taken(address string) {
	by, name := holderOf(address)
	switch {
	case p.pid > 0 && by == p.pid, by == 0 && p.pid != 0 && p.isOurs(address):
		p.add(OK, fmt.Sprintf("the server listens on %s", address), "")
	case by > 0:
		p.add(Fail, fmt.Sprintf("%s is taken by process %d (%s)", address, by, text.Clean(name, 60)), "stop that process, or choose another port with --listen")
	default:
		p.add(Fail, fmt.Sprintf("%s is taken by another process", address), "find it with: ss -ltnp, as root; or choose another port with --listen")
	}
}

// isOurs reports whether what listens there begins as this server does.
func (p *patient) isOurs(address string) bool {
	line, err := p.Ping(address)
	return err == nil && strings.HasPrefix(line, "SSH-2.0-sshchat")
}
