//go:build sshchat_bench

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/pprof"
	"syscall"
)

const profileName = "SSHCHAT_BENCH_PROFILE"

// This file is in no server that people use: bench/ builds one with the tag sshchat_bench to look inside it.
//
// SIGUSR1 prints what the runtime knows of itself, after a garbage collection. SIGUSR2 begins a profile of the CPU in
// the file $SSHCHAT_BENCH_PROFILE.cpu; the next one ends it and writes the heap to .heap and the goroutines to .goroutine.
func init() {
	if os.Getenv(profileName) != "" {
		runtime.MemProfileRate = 16 << 10 // sessions are small
	}
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGUSR1, syscall.SIGUSR2)
	go func() {
		var p profiler
		for sig := range asked {
			if sig == syscall.SIGUSR1 {
				printStats(os.Stderr)
			} else if err := p.toggle(os.Getenv(profileName)); err != nil {
				fmt.Fprintln(os.Stderr, "sshchat: profile:", err)
			}
		}
	}()
}

// printStats writes one line of what lives, without garbage.
func printStats(w io.Writer) {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	line, err := json.Marshal(map[string]uint64{
		"heap": m.HeapAlloc, "stacks": m.StackInuse, "goroutines": uint64(runtime.NumGoroutine()),
	})
	if err != nil {
		panic("internal error: " + err.Error())
	}
	fmt.Fprintf(w, "bench %s\n", line)
}

// profiler holds the CPU profile under way.
type profiler struct{ cpu *os.File }

func (p *profiler) toggle(path string) error {
	if path == "" {
		return nil
	}
	if p.cpu == nil {
		var err error
		if p.cpu, err = os.Create(path + ".cpu"); err != nil {
			return err
		}
		return pprof.StartCPUProfile(p.cpu)
	}
	pprof.StopCPUProfile()
	err := p.cpu.Close()
	p.cpu = nil
	if err != nil {
		return err
	}
	runtime.GC() // the heap profile is as of the last collection
	for _, kind := range []string{"heap", "goroutine"} {
		if err := writeProfile(kind, path+"."+kind); err != nil {
			return err
		}
	}
	return nil
}

func writeProfile(kind, path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := pprof.Lookup(kind).WriteTo(f, 0); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
