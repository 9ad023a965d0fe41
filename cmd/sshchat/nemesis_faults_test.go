//go:build linux

package main

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"sshchat/sshchat/cluster/natstest"

	"golang.org/x/sys/unix"
)

// memoryDisk is a file system in memory, which has as much room as the test wants.
type memoryDisk struct {
	t   testing.TB
	dir string // where it is mounted
}

// roomy is the size of a disk that is not full, in bytes. Only what is in use takes memory.
const roomy = 8 << 30

// newMemoryDisks mounts some. It fails if nothing can be mounted here, as for want of root.
func newMemoryDisks(t testing.TB, count int) (all []*memoryDisk, err error) {
	t.Helper()
	for range count {
		d := &memoryDisk{t, t.TempDir()}
		if err := d.mount(0, roomy); err != nil {
			return nil, fmt.Errorf("mount tmpfs: %w", err)
		}
		t.Cleanup(func() { unix.Unmount(d.dir, unix.MNT_DETACH) })
		all = append(all, d)
	}
	return all, nil
}

func (d *memoryDisk) mount(flags uintptr, size int64) error {
	return unix.Mount("tmpfs", d.dir, "tmpfs", flags, fmt.Sprint("size=", size))
}

// fill leaves so many bytes of room, in pages of 4 KiB: what is written then fails with ENOSPC, after the part that fits.
func (d *memoryDisk) fill(room int64) {
	d.t.Helper()
	waitFor(d.t, "full disk", func() bool {
		var now unix.Statfs_t
		if err := unix.Statfs(d.dir, &now); err != nil {
			d.t.Fatal(err)
		}
		// It cannot be made smaller than what is in use, which may have grown meanwhile.
		return d.mount(unix.MS_REMOUNT, int64(now.Blocks-now.Bfree)*now.Bsize+room) == nil
	})
	if err := os.WriteFile(filepath.Join(d.dir, "more"), make([]byte, room+4096), 0o600); !errors.Is(err, unix.ENOSPC) {
		d.t.Errorf("a disk with %d bytes left takes more: %v", room, err)
	}
	if err := os.Remove(filepath.Join(d.dir, "more")); err != nil {
		d.t.Error(err)
	}
}

// free ends that.
func (d *memoryDisk) free() {
	d.t.Helper()
	if err := d.mount(unix.MS_REMOUNT, roomy); err != nil {
		d.t.Fatal(err)
	}
}

// someRoom is how much a full disk has left: nothing, or some pages, so that it is full in the middle of something.
func (n *nemesis) someRoom() int64 { return 4096 * int64(n.random.IntN(16)) }

// diskSteps fill disks: those of the nodes, and then those of the servers.
func diskSteps(nodes, servers []*memoryDisk) []step {
	return []step{
		{"fill the disk of a node", func(n *nemesis) (string, func()) {
			i, room := n.someNode(), n.someRoom()
			nodes[i].fill(room)
			return fmt.Sprint("n", i+1, ", ", room, " bytes left"), nodes[i].free
		}},
		{"fill the disk of a server", func(n *nemesis) (string, func()) {
			i, room := n.someServer(), n.someRoom()
			servers[i].fill(room)
			return fmt.Sprint(n.servers.ServerName(i), ", ", room, " bytes left"), func() {
				servers[i].free()
				n.servers.Kill(i) // it has switched JetStream off until it is started again
				n.servers.Restart(i)
			}
		}},
	}
}

// wallClock is how far the wall clock of a process is ahead: 8 bytes that it has mapped into its memory. The monotonic clock is right.
type wallClock struct{ offset *atomic.Int64 }

// clockVariable tells a program that newClock works on where those bytes are. It is another name than that of any setting.
const clockVariable = "SSHCHAT_TEST_CLOCK"

func newClock(t testing.TB) (c wallClock, environment []string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "clock")
	f, err := os.Create(path)
	if err == nil {
		err = f.Truncate(8)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, err := unix.Mmap(int(f.Fd()), 0, 8, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	return wallClock{(*atomic.Int64)(unsafe.Pointer(&b[0]))}, []string{clockVariable + "=" + path}
}

// set puts the clock that far ahead, or behind.
func (c wallClock) set(by time.Duration) { c.offset.Store(int64(by)) }

// someOffset is how wrong a clock is: by some seconds, which may be noticed or not, or by up to an hour.
func someOffset(random *rand.Rand) time.Duration {
	most := []time.Duration{5 * time.Second, time.Minute, time.Hour}[random.IntN(3)]
	return time.Duration(random.Int64N(int64(2*most)) - int64(most)).Round(time.Millisecond)
}

// clockSteps set the clocks of nodes.
var clockSteps = []step{
	{"set the clock of a node", func(n *nemesis) (string, func()) {
		i, by := n.someNode(), someOffset(n.random)
		n.clocks[i].set(by)
		return fmt.Sprint("n", i+1, ", by ", by), func() { n.clocks[i].set(0) }
	}},
	{"set the clock of a node for long", func(n *nemesis) (string, func()) {
		i, by := n.someNode(), someOffset(n.random)
		n.clocks[i].set(by)
		return fmt.Sprint("n", i+1, ", by ", by), func() {}
	}},
	{"have the clock of a node jump", func(n *nemesis) (string, func()) {
		i, every, random := n.someNode(), n.within(10*time.Millisecond, time.Second), rand.New(rand.NewPCG(n.random.Uint64(), 0))
		stop := make(chan struct{})
		var ends sync.WaitGroup
		ends.Go(func() {
			tick := time.NewTicker(every)
			defer tick.Stop()
			for {
				select {
				case <-stop:
					return
				case <-tick.C:
					n.clocks[i].set(someOffset(random))
				}
			}
		})
		return fmt.Sprint("n", i+1, ", every ", every), func() { close(stop); ends.Wait(); n.clocks[i].set(0) }
	}},
}

// versionSteps start nodes as another build of the program.
func versionSteps(programs ...string) []step {
	return []step{{"upgrade or downgrade a node", func(n *nemesis) (string, func()) {
		i := n.someNode()
		n.nodes[i].stop()
		n.programs[i] = programs[1-slices.Index(programs, n.programs[i])]
		n.ended = append(n.ended, i)
		return fmt.Sprint("n", i+1, " to ", filepath.Base(n.programs[i])), func() {}
	}}}
}

// ownClock is an overlay of Go's package time with which a program has the wall clock that newClock makes.
func ownClock(t testing.TB) string {
	t.Helper()
	std := filepath.Join(goRoot(t), "src", "time")
	source := readText(t, filepath.Join(std, "time.go"))
	const now, ahead = "func Now() Time {\n\tsec, nsec, mono := runtimeNow()\n", "\tsec, nsec = ahead(sec, nsec)\n"
	if strings.Count(source, now) != 1 {
		t.Fatalf("package time of %s has not one %q", runtime.Version(), now)
	}
	return overlayOf(t, map[string]string{
		filepath.Join(std, "time.go"): strings.Replace(source, now, now+ahead, 1), filepath.Join(std, "ahead.go"): aheadSource,
	})
}

func goRoot(t testing.TB) string {
	t.Helper()
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

const aheadSource = `package time

import (
	"sync/atomic"
	"syscall"
	"unsafe"
)

var offset = mapOffset()

func mapOffset() *atomic.Int64 {
	path, is := syscall.Getenv("` + clockVariable + `")
	if !is {
		return new(atomic.Int64)
	}
	f, err := syscall.Open(path, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		panic(err)
	}
	b, err := syscall.Mmap(f, 0, 8, syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		panic(err)
	}
	syscall.Close(f)
	return (*atomic.Int64)(unsafe.Pointer(&b[0]))
}

func ahead(sec int64, nsec int32) (int64, int32) {
	all := int64(nsec) + offset.Load()
	sec += all / 1e9
	if all %= 1e9; all < 0 {
		sec, all = sec-1, all+1e9
	}
	return sec, int32(all)
}
`

// buildProgram builds the program of that source with an overlay, as .ci/build does: so Go's cache has all that differs in nothing.
func buildProgram(source, overlay, program string) error {
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-overlay", overlay, "-o", program, "./cmd/sshchat")
	cmd.Dir, cmd.Env = source, append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOEXPERIMENT=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w: %s", err, out)
	}
	return nil
}

// sourceBefore is the source of the commit before this one, or of SSHCHAT_BEFORE, and what that is. What is not committed yet has the last
// commit before it.
func sourceBefore(t testing.TB) (dir, what string, err error) {
	t.Helper()
	dir, repo := t.TempDir(), filepath.Join("..", "..")
	git := func(words ...string) (string, error) {
		out, err := exec.Command("git", append([]string{"-C", repo}, words...)...).Output()
		return strings.TrimSpace(string(out)), err
	}
	commit := "HEAD~1"
	if _, changed := git("diff", "--quiet", "HEAD"); changed != nil {
		commit = "HEAD"
	}
	commit = cmp.Or(os.Getenv("SSHCHAT_BEFORE"), commit)
	if what, err = git("log", "-1", "--format=%h %s", commit); err != nil {
		return "", "", fmt.Errorf("git log %s: %w", commit, err)
	}
	tar := filepath.Join(dir, "source.tar")
	if _, err := git("archive", "--format=tar", "-o", tar, commit); err != nil {
		return "", "", fmt.Errorf("git archive %s: %w", commit, err)
	}
	return dir, what, errors.Join(exec.Command("tar", "-x", "-f", tar, "-C", dir).Run(), os.Remove(tar))
}

// newNemesis starts a cluster on disks that can be full, with clocks that can be set, as programs of this commit and the one before. What
// cannot be had here is logged, and does not happen.
func newNemesis(t *testing.T) *nemesis {
	t.Helper()
	n := &nemesis{steps: slices.Clone(steps)}
	options, folders := []natstest.Option{natstest.Routes()}, newFolders(t, 3)
	if disks, err := newMemoryDisks(t, 6); err == nil {
		for i, d := range disks[:3] {
			folders[i] = filepath.Join(d.dir, "data")
		}
		options = append(options, natstest.StoreIn(func(i int) string { return filepath.Join(disks[3+i].dir, "store") }))
		n.steps = append(n.steps, diskSteps(disks[:3], disks[3:])...)
	} else {
		t.Logf("no disk is filled: %v", err)
	}
	programs := n.build(t)
	servers := natstest.Start(t, options...)
	n.processes = newProcesses(t, servers, servers.MonitorURLs(), folders, programs)
	for range n.nodes {
		c, environment := newClock(t)
		n.clocks, n.environments = append(n.clocks, c), append(n.environments, environment)
	}
	for i := range n.nodes {
		n.links = append(n.links, servers.NewLinks(t))
		n.nodes[i].stop()
		n.startNode(i)
	}
	n.clocks[0].set(time.Hour)
	waitFor(t, "node that notices its clock", func() bool { return strings.Contains(n.nodes[0].log.String(), "this machine's clock is not that of") })
	n.clocks[0].set(0)
	// Nearly 100 messages a second: rooms have 4096 in memory, and who reads may be held up on two nodes, one after the other.
	n.c = newCrowd(t, n.listen, n.key, 24, 250*time.Millisecond)
	n.c.more(50)
	return n
}

// build makes the programs of three nodes, the last of which is the older one if that can be built.
func (n *nemesis) build(t *testing.T) []string {
	t.Helper()
	overlay, dir := ownClock(t), t.TempDir()
	newest, before := filepath.Join(dir, "newest"), filepath.Join(dir, "before")
	if err := buildProgram(filepath.Join("..", ".."), overlay, newest); err != nil {
		t.Fatal(err)
	}
	n.steps = append(n.steps, clockSteps...)
	source, what, err := sourceBefore(t)
	if err == nil {
		err = buildProgram(source, overlay, before)
	}
	if err != nil {
		t.Logf("all nodes are of this commit: %v", err)
		return slices.Repeat([]string{newest}, 3)
	}
	t.Logf("before this commit there was %s", what)
	n.steps = append(n.steps, versionSteps(newest, before)...)
	return []string{newest, newest, before}
}
