package main

import (
	"runtime/debug"

	"sshchat/store/agesplit"
)

// version is what the build knows of itself: a release's tag, or the commit.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return "devel-" + s.Value[:12]
		}
	}
	return "devel"
}

// memory says what this build does with keys and passwords that it is done with.
func memory() string {
	if agesplit.Erases {
		return "keys and passwords are erased from memory after use"
	}
	return "keys and passwords stay in memory until that memory is reused; a build with GOEXPERIMENT=runtimesecret erases them (Linux, amd64 or arm64)"
}
