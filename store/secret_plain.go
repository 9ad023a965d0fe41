//go:build !(goexperiment.runtimesecret && linux && (amd64 || arm64))

package store

// Erases reports whether this build erases the keys and passwords it is done with from memory. That takes
// GOEXPERIMENT=runtimesecret, on Linux, on amd64 or arm64.
const Erases = false

// inSecret runs f. What f leaves in memory stays there until it is reused.
func inSecret(f func()) { f() }
