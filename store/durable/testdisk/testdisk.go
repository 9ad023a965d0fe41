// Package testdisk has the files of tests in memory: a fourth of the time of most tests went into making files, and into
// syncs of files that are deleted a moment later.
package testdisk

import (
	"cmp"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"sshchat/store/durable/powercut"
)

// Main is the TestMain of a package most of whose tests would wait for syncs: InMemory, and with less garbage collected, of files that are read
// and forgotten, to which a tenth of the time would go. It changes nothing for benchmarks, nor if GOGC is set.
func Main(m *testing.M) {
	InMemory()
	if os.Getenv("GOGC") == "" && !benchmarks() {
		debug.SetGCPercent(400)
	}
	os.Exit(m.Run())
}

// InMemory has temporary files made in memory from here on, by this process and those that it starts. A TestMain calls it
// before any test, and before a test calls os.TempDir. It does nothing with SSHCHAT_LONG, which is for the real disk, unless the race detector
// is on, to which all disks are the same; for benchmarks, which measure the disk; if TMPDIR says where temporary files belong; and where
// there is no room in memory.
//
// It does nothing with SSHCHAT_UPDATE either: all packages then take turns by a lock in the folder of temporary files.
func InMemory() {
	if powercut.Long() || cmp.Or(os.Getenv("SSHCHAT_UPDATE"), os.Getenv("TMPDIR")) != "" || benchmarks() {
		return
	}
	if at := place(); at != "" {
		os.Setenv("TMPDIR", at)
	}
}

// benchmarks reports whether the arguments ask for benchmarks: flags are not parsed yet.
func benchmarks() bool {
	return slices.ContainsFunc(os.Args, func(argument string) bool {
		return strings.HasPrefix(strings.TrimLeft(argument, "-"), "test.bench=")
	})
}
