//go:build race

package view

import "testing"

// noRaces skips a test under the race detector that has nothing for it: it is long, and one goroutine. .ci/run runs it without.
func noRaces(t *testing.T) { t.Skip("it is one goroutine: it runs without the race detector") }

// race reports whether this is built with the race detector, under which pools lose things at random.
const race = true
