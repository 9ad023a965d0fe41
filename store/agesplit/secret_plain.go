//go:build !(goexperiment.runtimesecret && linux && (amd64 || arm64))

package agesplit

// Erases reports whether this build erases the keys and passwords it is done with from memory. That takes
// GOEXPERIMENT=runtimesecret, on Linux, on amd64 or arm64.
const Erases = false

// InSecret runs f. What f leaves in memory stays there until it is reused.
func InSecret(f func()) { f() }
