package main

import (
	"strings"
	"sync"
)

// lastLines keeps the end of a log, to explain a failure.
type lastLines struct {
	mu    sync.Mutex
	lines []string // guarded by mu
}

const keptLines = 20

func (l *lastLines) add(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.lines) == keptLines {
		l.lines = append(l.lines[:0], l.lines[1:]...)
	}
	l.lines = append(l.lines, line)
}

func (l *lastLines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.lines, "\n")
}
