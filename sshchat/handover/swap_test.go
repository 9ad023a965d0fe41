//go:build linux

package handover

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/systemd"

	"golang.org/x/sys/unix"
)

// With swap on, a disk gets nothing in clear of what is handed over. The test makes a swap file, has the kernel put the memory
// file there, and searches it. The control is a memory file that is not sealed. It takes root, and SSHCHAT_SWAP=1, since other
// programs of the machine may use the swap file meanwhile.
func TestSwapHasNoneOfIt(t *testing.T) {
	if os.Getenv("SSHCHAT_SWAP") == "" || os.Getuid() != 0 {
		t.Skip("a swap file takes root, and is made with SSHCHAT_SWAP=1")
	}
	dir, err := os.MkdirTemp("/var/tmp", "sshchat-swap-") // a disk, where /tmp may be none
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	swap := filepath.Join(dir, "swap")
	for _, command := range [][]string{
		{"dd", "if=/dev/zero", "of=" + swap, "bs=1M", "count=64"}, {"chmod", "600", swap}, {"mkswap", swap}, {"swapon", "-p", "32767", swap},
	} {
		if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
			t.Skipf("%q: %v: %s", command, err, out)
		}
	}
	t.Cleanup(func() {
		if out, err := exec.Command("swapoff", swap).CombinedOutput(); err != nil {
			t.Errorf("swapoff: %v: %s", err, out)
		}
	})
	const handed, clear = "the picnic is handed over", "the picnic is in clear"
	s := sealed(t, room(t, "general", chat.LogLines, handed))
	plain, err := newMemory()
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	if _, err := plain.Write(bytes.Repeat([]byte(clear+"\n"), 20_000)); err != nil {
		t.Fatal(err)
	}
	pages := pageOut(t, s.Memory)
	pageOut(t, plain)
	disk := onDisk(t, swap)
	if n := bytes.Count(disk, []byte("picnic is handed")); n != 0 {
		t.Errorf("%d messages are on the disk", n)
	}
	if bytes.Count(disk, []byte(clear)) == 0 {
		t.Fatal("nothing was swapped: the control is not on the disk either")
	}
	file := contents(t, s.Memory)
	if !bytes.Contains(disk, file[:2048]) {
		t.Error("what was handed over was not swapped")
	}
	key := make([]byte, keySize)
	if err := take(s.Key, key); err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(disk, key) {
		t.Error("the key is on the disk")
	}
	t.Log("figure: " + fmt.Sprintf("%d messages in %d KiB of swap: none in clear, and no key", chat.LogLines, pages>>10))
}

// pageOut has the kernel swap a memory file out, and returns how many bytes it has.
func pageOut(t *testing.T, f *os.File) int {
	t.Helper()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	size := int(info.Size())
	var shown []byte
	err = systemd.Descriptor(f, func(fd int) (err error) {
		shown, err = unix.Mmap(fd, 0, size, unix.PROT_READ, unix.MAP_SHARED)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(shown)
	if err := unix.Madvise(shown, unix.MADV_POPULATE_READ); err != nil { // only pages that are mapped are swapped
		t.Skipf("madvise: %v", err)
	}
	if err := unix.Madvise(shown, unix.MADV_PAGEOUT); err != nil {
		t.Skipf("madvise: %v", err)
	}
	return size
}

// onDisk is what a file has on the disk: the kernel swaps past the copy that it keeps in memory of the file.
func onDisk(t *testing.T, path string) []byte {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	unix.Sync()
	if err := unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED); err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
