//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// realDisk is an ext4 in a file, whose power can be cut: the kernel forgets all that it has not written to it.
type realDisk struct {
	t     *testing.T
	image string
	dir   string // where it is mounted
}

// newRealDisk needs root, a loop device and mkfs.ext4.
func newRealDisk(t *testing.T) *realDisk {
	t.Helper()
	mkfs, err := exec.LookPath("mkfs.ext4")
	if err != nil || os.Getuid() != 0 {
		t.Skip("making a file system takes root and mkfs.ext4")
	}
	d := &realDisk{t: t, image: filepath.Join(t.TempDir(), "image"), dir: filepath.Join(t.TempDir(), "mounted")}
	for _, make := range []error{os.WriteFile(d.image, nil, 0o600), os.Truncate(d.image, 1<<30), os.Mkdir(d.dir, 0o700)} {
		if make != nil {
			t.Fatal(make)
		}
	}
	if out, err := exec.Command(mkfs, "-q", "-F", d.image).CombinedOutput(); err != nil {
		t.Fatalf("mkfs.ext4: %v: %s", err, out)
	}
	d.mount(t.Skipf)
	t.Cleanup(d.unmount)
	return d
}

// unmount waits as long as the file system is busy: a process that another test starts has, until it runs its program, the files that were
// open here at that moment, such as the history that a test reads.
func (d *realDisk) unmount() {
	d.t.Helper()
	var err error
	waitFor(d.t, "file system that nothing uses", func() bool {
		err = unix.Unmount(d.dir, 0)
		return !errors.Is(err, unix.EBUSY)
	})
	if err != nil {
		d.t.Fatalf("unmount %s: %v", d.dir, err)
	}
}

// cut ends the file system as a power cut does: its journal is not flushed, and nothing is written any more
// (EXT4_IOC_SHUTDOWN, linux/fs/ext4/ext4.h).
func (d *realDisk) cut() {
	d.t.Helper()
	f, err := os.Open(d.dir)
	if err != nil {
		d.t.Fatal(err)
	}
	defer f.Close()
	const shutdown, noLogFlush = 0x8004587d, 2
	if err := unix.IoctlSetPointerInt(int(f.Fd()), shutdown, noLogFlush); err != nil {
		d.t.Skipf("this kernel cuts no power: %v", err)
	}
}

// again mounts what is on the disk.
func (d *realDisk) again() {
	d.t.Helper()
	d.unmount()
	d.mount(d.t.Fatalf)
}

func (d *realDisk) mount(failed func(format string, args ...any)) {
	d.t.Helper()
	if out, err := exec.Command("mount", "-o", "loop", d.image, d.dir).CombinedOutput(); err != nil {
		failed("nothing can be mounted at %s: %v: %s", d.dir, err, out)
	}
}

// powerCut has people talk and come, cuts the power of the disk, and mounts it again. guest has come before the cut.
func (k *killer) powerCut(d *realDisk) (guest *user) {
	k.t.Helper()
	s := k.start()
	u := s.login("alice", k.signer)
	lines := k.follow(u)
	for i := range killSenders {
		k.send(u, i)
	}
	guest = s.register(fmt.Sprintf("guest%d", len(k.sent)))
	for range 25 {
		k.see(<-lines)
	}
	d.cut()
	s.kill()
	for line := range lines { // what was on its way
		k.see(line)
	}
	d.again()
	return guest
}

// The power of a real disk is cut in the middle of sending: no line that anybody has seen is lost, and no account that
// had been made. It is cut SSHCHAT_CUTS times.
func TestPowerCutLosesNothingSeen(t *testing.T) {
	t.Parallel()
	cuts := rounds(t, "SSHCHAT_CUTS", 2, 5)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	d := newRealDisk(t)
	k := newKillerIn(t, filepath.Join(d.dir, "data"), self, "--history-rotate", "0")
	for range cuts {
		guest := k.powerCut(d)
		s := k.start()
		s.login(guest.name, guest.signer).must("whoami")
		s.stop()
		if lost := k.lost(k.stored()); len(lost) > 0 {
			t.Fatalf("seen and lost: %v", lost)
		}
	}
	t.Logf("figure: power of an ext4 cut %d times, %d lines seen, 0 lost", cuts, k.count)
}

// The control is a server whose syncs do nothing: strace answers them.
func TestPowerCutFindsWhatIsNotSynced(t *testing.T) {
	t.Parallel()
	d := newRealDisk(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	k := newKillerIn(t, filepath.Join(d.dir, "data"), self)
	d.again()
	k.program = faultyProgram(t, "fdatasync,fsync:retval=0")
	k.powerCut(d)
	stored, err := k.read()
	if lost := k.lost(stored); len(lost) == 0 && err == nil {
		t.Errorf("a server that syncs nothing lost none of %d lines: this test cannot see a loss", k.count)
	} else {
		t.Logf("without syncs %d of %d lines are lost; %v", len(lost), k.count, err)
	}
}
