//go:build unix

package doctor

import (
	"errors"
	"fmt"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	leastSpace = 64 << 20 // bytes; a rotation of the history needs as much
	fewSpace   = 1 << 30
	leastFiles = 1000 // inodes
)

// space looks at the room on the disk of the data folder.
func (p *patient) space() {
	dir := p.Data
	var s unix.Statfs_t
	err := unix.Statfs(dir, &s)
	if errors.Is(err, unix.ENOENT) {
		dir = filepath.Dir(filepath.Clean(dir))
		err = unix.Statfs(dir, &s)
	}
	if err != nil {
		p.add(Warn, fmt.Sprintf("free space of %s is not known: %v", dir, err), "")
		return
	}
	const more = "free some space, or keep less history with --history-keep"
	free := uint64(s.Bavail) * uint64(s.Bsize)
	what := fmt.Sprintf("%d MiB are free in %s", free>>20, dir)
	switch {
	case free < leastSpace:
		p.add(Fail, what, more)
	case free < fewSpace:
		p.add(Warn, what, more)
	case s.Files > 0 && uint64(s.Ffree) < leastFiles: // some file systems have no such limit, and say 0
		p.add(Fail, fmt.Sprintf("only %d more files can be created in %s (inodes)", uint64(s.Ffree), dir), "delete small files on that disk")
	default:
		p.add(OK, what, "")
	}
}

// otherFiles is how many files the server has open besides connections.
const otherFiles = 64

// limits looks at how many files the server may have open: each connection is one.
func (p *patient) limits() {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		p.add(Warn, fmt.Sprintf("limit of open files is not known: %v", err), "")
		return
	}
	most, whose := uint64(l.Max), "here" // the server raises its own limit up to that
	if n, known := openFilesOf(p.pid); known {
		most, whose = n, "for the server"
	}
	need := uint64(2*p.Connections + otherFiles) // as many again come via load balancers
	what := fmt.Sprintf("limit of open files %s is %d: about %d connections", whose, most, max(int64(most)-otherFiles, 0))
	switch {
	case most < need:
		p.add(Fail, what, fmt.Sprintf("raise it to %d or more: LimitNOFILE= in the systemd unit, or ulimit -n", max(need, 1024)))
	case most < 1024:
		p.add(Warn, what, "raise it: LimitNOFILE= in the systemd unit, or ulimit -n")
	default:
		p.add(OK, what, "")
	}
}

func isTaken(err error) bool  { return errors.Is(err, syscall.EADDRINUSE) }
func isDenied(err error) bool { return errors.Is(err, syscall.EACCES) || errors.Is(err, syscall.EPERM) }
