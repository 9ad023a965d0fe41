package sshchat

import (
	"log/slog"
	"sync"
	"time"

	"sshchat/sshchat/limit"
)

// failures writes the log's lines of failed logins: one for each, with the source before all that a client can choose, so
// that fail2ban can read it and nobody can forge it (deploy/fail2ban). A flood of them must not fill the disk: beyond a
// pace for each source and for all they are only counted, and the next line that is written tells how many.
// Its methods may be called from any goroutine.
type failures struct {
	log     *slog.Logger
	now     func() time.Time
	sources *limit.RateLimiter[limit.Source]

	mu     sync.Mutex
	all    limit.TokenBucket // guarded by mu
	unsaid int               // guarded by mu; failures since the last line
}

// How many lines there are at once, and a second after that. So many of a source are more than fail2ban waits for.
var (
	linesOfSource = limit.Allowance{Burst: 20, Rate: 1}
	linesOfAll    = limit.Allowance{Burst: 50, Rate: 10}
)

func newFailures(log *slog.Logger, now func() time.Time) *failures {
	return &failures{log: log, now: now, sources: limit.NewRateLimiter[limit.Source](linesOfSource)}
}

// failed writes a line, or counts it.
func (f *failures) failed(c *conn, method, name string) {
	now := f.now()
	ofSource := f.sources.Take(c.from, now) == 0
	f.mu.Lock()
	if !ofSource || f.all.Take(linesOfAll, 1, now) > 0 {
		f.unsaid++
		f.mu.Unlock()
		return
	}
	unsaid := f.unsaid
	f.unsaid = 0
	f.mu.Unlock()
	args := []any{"source", c.source, "method", method, "name", name}
	if unsaid > 0 {
		args = append(args, "unwritten", unsaid)
	}
	f.log.Warn("login failed", args...)
}
