package view

import (
	"testing"
	"time"
)

// processorTime is not measured on Windows.
func processorTime(t testing.TB) time.Duration {
	t.Helper()
	t.Skip("there is no getrusage on Windows")
	return 0
}
