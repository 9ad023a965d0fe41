// Package stats has a yardstick print, on SIGUSR1, what its runtime knows of itself.
package stats

import (
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"
)

// OnSignal prints a line on standard error at each SIGUSR1, for as long as the process lives. The heap is what is live:
// garbage is collected first.
func OnSignal() {
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGUSR1)
	go func() {
		for range asked {
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			fmt.Fprintf(os.Stderr, "bench {\"heap\":%d,\"stacks\":%d,\"goroutines\":%d}\n", m.HeapAlloc, m.StackInuse, runtime.NumGoroutine())
		}
	}()
}
