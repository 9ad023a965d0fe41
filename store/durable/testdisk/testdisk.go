// Package testdisk has the files of tests in memory: a fourth of the time of most tests went into making files, and into
// syncs of files that are deleted a moment later.
package testdisk

import (
	"cmp"
	"os"
	"slices"
	"strings"

	"sshchat/store/durable/powercut"
)

// InMemory has temporary files made in memory from here on, by this process and those that it starts. A TestMain calls it
// before any test, and before a test calls os.TempDir. It does nothing with SSHCHAT_LONG, which is for the real disk, unless the race detector
// is on, to which all disks are the same; for benchmarks, which measure the disk; if TMPDIR says where temporary files belong; and where
// there is no room in memory.
//
// It does nothing with SSHCHAT_UPDATE either: all packages then take turns by a lock in the folder of temporary files.
func InMemory() {
	if powercut.Long() || cmp.Or(os.Getenv("SSHCHAT_UPDATE"), os.Getenv("TMPDIR")) != "" || slices.ContainsFunc(os.Args, isBenchmark) {
		return
	}
	if at := place(); at != "" {
		os.Setenv("TMPDIR", at)
	}
}

// isBenchmark reports whether an argument asks for benchmarks: flags are not parsed yet.
func isBenchmark(argument string) bool {
	return strings.HasPrefix(strings.TrimLeft(argument, "-"), "test.bench=")
}
