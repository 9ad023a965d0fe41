package sshchat

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"sshchat/sshchat/attack"
)

// I fail a thousand times a second so that the log fills the disk. What is not written is counted in the next line.
// The control: one failure a second is all written.
func TestAttackFloodOfTheLog(t *testing.T) {
	row := attack.On(t, attack.Room, "fill the disk with log lines of failures")
	lines := make(map[string]int)
	for name, c := range map[string]struct {
		every time.Duration
		most  int
	}{"a flood": {time.Millisecond, 22}, "one a second": {time.Second, 1000}} {
		clock := newClock()
		var log bytes.Buffer
		p := newPacedLog(slog.New(slog.NewTextHandler(&log, nil)), clock.now)
		for range 1000 {
			p.write(slog.LevelWarn, testSource(t, "192.0.2.1"), "login failed", "source", "192.0.2.1")
			clock.passes(c.every)
		}
		n := strings.Count(log.String(), "login failed")
		if n > c.most || n < c.most-2 {
			t.Errorf("%s: %d lines of 1000", name, n)
		}
		lines[name] = n
		clock.passes(time.Minute)
		p.write(slog.LevelWarn, testSource(t, "192.0.2.2"), "login failed", "source", "192.0.2.2")
		if told := strings.Contains(log.String(), "unwritten="); told != (c.most < 1000) {
			t.Errorf("%s: told of what is not written: %v\n%.500s", name, told, log.String())
		}
	}
	row.Tried("1000 from one source in a second")
	row.Held("%d lines; the rest is counted in the next line", lines["a flood"])
	row.Control("%d lines if they come over 1000 seconds", lines["one a second"])
}
