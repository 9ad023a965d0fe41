//go:build !race

package view

// race reports whether this is built with the race detector.
const race = false
