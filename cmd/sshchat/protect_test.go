//go:build linux

package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
	"testing"

	"sshchat/sshchat/attack"
)

// I run a program as the server's own user and want its memory, or a core dump of it. Both are refused; the control is a
// server that was told to let debuggers in. (Root can read everything, and is not who this is about.)
func TestAttackMemoryOfTheServer(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Connections, "read the server's memory as its own user, or make it dump core")
	for _, c := range []struct {
		flags []string
		open  bool
	}{{nil, false}, {[]string{"--dumpable"}, true}} {
		program, data := asNobody(t)
		s := startProgram(t, program, data, c.flags...)
		pid := s.cmd.Process.Pid
		owner := func(file string) uint32 {
			info, err := os.Stat(fmt.Sprintf("/proc/%d/%s", pid, file))
			if err != nil {
				t.Fatal(err)
			}
			return info.Sys().(*syscall.Stat_t).Uid
		}
		if mine := owner("mem") != 0; mine != c.open {
			t.Errorf("%v: its memory is the user's: %v", c.flags, mine)
		}
		limits := readText(t, fmt.Sprintf("/proc/%d/limits", pid))
		if none := regexp.MustCompile(`Max core file size +0 +0 `).MatchString(limits); !none && !c.open {
			t.Errorf("%v: core dumps:\n%s", c.flags, limits)
		}
		s.stop()
	}
	row.Tried("/proc and the process limits")
	row.Held("only root can read its memory, and no core is dumped")
	row.Control("with --dumpable its user can read it")
}

// asNobody is the program and a data folder such that the server runs without root's rights: everything is root's to read.
func asNobody(t *testing.T) (program, data string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if os.Getuid() != 0 {
		return self, ""
	}
	setpriv, err := exec.LookPath("setpriv")
	if err != nil {
		t.Skip("setpriv is not there to give up root's rights with")
	}
	dir, err := os.MkdirTemp("", "sshchat-nobody-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	const nobody = 65534
	copied, script := filepath.Join(dir, "sshchat"), filepath.Join(dir, "run")
	copyFile(t, self, copied)
	text := fmt.Sprintf("#!/bin/sh\nexec %s --reuid=%d --regid=%d --clear-groups %s \"$@\"\n", setpriv, nobody, nobody, copied)
	writeProgram(t, script, text)
	for _, path := range []string{dir, copied, script} {
		if err := os.Chmod(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chown(dir, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	return script, filepath.Join(dir, "data")
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	syscall.ForkLock.RLock() // see writeProgram
	defer syscall.ForkLock.RUnlock()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
}
