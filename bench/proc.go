package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// clockTicks is how many of /proc's ticks make a second: USER_HZ, 100 on every Linux that Go runs on.
const clockTicks = 100

// cpuTime is the processor time a process has used, in user and kernel mode.
func cpuTime(pid int) (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	return parseCPU(string(b))
}

// parseCPU reads proc(5)'s stat. The program's name stands in brackets and may hold spaces and brackets itself.
func parseCPU(stat string) (time.Duration, error) {
	const user, system = 11, 12 // fields after the name
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(fields) <= system {
		return 0, fmt.Errorf("stat has %d fields after the name", len(fields))
	}
	ticks := 0
	for _, f := range []string{fields[user], fields[system]} {
		n, err := strconv.Atoi(f)
		if err != nil {
			return 0, fmt.Errorf("read stat: %w", err)
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / clockTicks, nil
}

// strangers is the processor time that the machine has spent on other programs than ours since it was started. Time
// stolen by other virtual machines is included.
func strangers() (time.Duration, error) {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	all, err := parseBusy(string(b))
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var u syscall.Rusage
		if err := syscall.Getrusage(who, &u); err != nil {
			return 0, err
		}
		all -= time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	return all, err
}

// parseBusy adds up the first line of proc_stat(5): user, nice, system, idle, iowait, irq, softirq, steal.
func parseBusy(stat string) (time.Duration, error) {
	const idle, iowait, last = 4, 5, 8
	line, _, _ := strings.Cut(stat, "\n")
	fields := strings.Fields(line)
	if len(fields) <= last || fields[0] != "cpu" {
		return 0, fmt.Errorf("stat begins with %q", line)
	}
	ticks := 0
	for i := 1; i <= last; i++ {
		n, err := strconv.Atoi(fields[i])
		if err != nil {
			return 0, fmt.Errorf("read stat: %w", err)
		}
		if i != idle && i != iowait {
			ticks += n
		}
	}
	return time.Duration(ticks) * time.Second / clockTicks, nil
}

// resident is the memory a process has in RAM, in bytes.
func resident(pid int) (float64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0, err
	}
	return parseSize(string(b), "Rss")
}

// parseSize reads a line like "Rss:  1234 kB" of proc(5)'s smaps, and returns bytes.
func parseSize(smaps, name string) (float64, error) {
	for line := range strings.Lines(smaps) {
		fields := strings.Fields(line)
		if len(fields) != 3 || fields[0] != name+":" || fields[2] != "kB" {
			continue
		}
		n, err := strconv.Atoi(fields[1])
		if err != nil {
			return 0, fmt.Errorf("read %s: %w", name, err)
		}
		return float64(n) * 1024, nil
	}
	return 0, fmt.Errorf("%s is not there", name)
}

// unsent is how many bytes the kernel holds that the server on one port has written and the client on the other
// has not taken.
func unsent(server, client int) (int, error) {
	b, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		return 0, err
	}
	return parseUnsent(string(b), server, client)
}

// parseUnsent reads proc_net_tcp(5): local and remote address with ports in hexadecimal, state, then tx:rx queues.
func parseUnsent(table string, server, client int) (int, error) {
	local, remote := fmt.Sprintf(":%04X", server), fmt.Sprintf(":%04X", client)
	for line := range strings.Lines(table) {
		fields := strings.Fields(line)
		if len(fields) < 5 || !strings.HasSuffix(fields[1], local) || !strings.HasSuffix(fields[2], remote) {
			continue
		}
		queue, _, _ := strings.Cut(fields[4], ":")
		n, err := strconv.ParseInt(queue, 16, 64)
		if err != nil {
			return 0, fmt.Errorf("read the queue: %w", err)
		}
		return int(n), nil
	}
	return 0, fmt.Errorf("no connection from port %d to port %d", client, server)
}
