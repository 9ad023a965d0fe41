//go:build race

package powercut

// Race reports whether this is built with the race detector.
const Race = true
