//go:build !race

package view

import "testing"

// noRaces skips a test under the race detector.
func noRaces(*testing.T) {}

// race reports whether this is built with the race detector.
const race = false
