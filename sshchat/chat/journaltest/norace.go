//go:build !race

package journaltest

// race reports whether this is built with the race detector.
const race = false
