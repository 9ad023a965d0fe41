package powercut

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
)

// Start is called first by a test that simulates crashes. The test runs beside others, and not under the race detector:
// a simulation is one goroutine, in which there is nothing to find, and would take ten times as long.
func Start(t *testing.T) {
	t.Helper()
	if Race {
		t.Skip("a simulation is one goroutine: it runs without the race detector")
	}
	t.Parallel()
}

// Long reports whether SSHCHAT_LONG asks for proofs of full length, as continuous integration does. Under the race detector,
// where all takes ten times as long, none is.
func Long() bool { return os.Getenv("SSHCHAT_LONG") == "1" && !Race }

// Points is how many crash points to try: all with SSHCHAT_LONG, else few.
func Points(few, all int) int {
	if Long() {
		return all
	}
	return few
}

// Seed is another one in each run. A test names it when it fails; SSHCHAT_SEED runs the same again.
func Seed(t testing.TB) uint64 {
	t.Helper()
	if n, err := strconv.ParseUint(os.Getenv("SSHCHAT_SEED"), 10, 64); err == nil {
		return n
	}
	return rand.Uint64N(1 << 32)
}
