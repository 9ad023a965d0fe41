package sshchat

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"sshchat/sshchat/limit"
)

// pacedLog writes lines of the log that anybody can cause as often as they like: one for each, with the source before all that a client can choose,
// so that fail2ban can read it and nobody can forge it (deploy/fail2ban). A flood of them must not fill the disk: beyond a
// pace for each source and for all they are only counted, and the next line that is written tells how many.
// Its methods may be called from any goroutine.
type pacedLog struct {
	log     *slog.Logger
	now     func() time.Time
	sources *limit.RateLimiter[limit.Source]

	mu     sync.Mutex
	all    limit.TokenBucket // guarded by mu
	unsaid int               // guarded by mu; events since the last line
}

// How many lines there are at once, and a second after that. So many of a source are more than fail2ban waits for.
var (
	linesOfSource = limit.Allowance{Burst: 20, Rate: 1}
	linesOfAll    = limit.Allowance{Burst: 50, Rate: 10}
)

func newPacedLog(log *slog.Logger, now func() time.Time) *pacedLog {
	return &pacedLog{log: log, now: now, sources: limit.NewRateLimiter[limit.Source](linesOfSource)}
}

// write writes a line, or counts it. The first of the arguments is the source, by the caller's care.
func (p *pacedLog) write(level slog.Level, from limit.Source, msg string, args ...any) {
	now := p.now()
	ofSource := p.sources.Take(from, now) == 0
	p.mu.Lock()
	if !ofSource || p.all.Take(linesOfAll, 1, now) > 0 {
		p.unsaid++
		p.mu.Unlock()
		return
	}
	unsaid := p.unsaid
	p.unsaid = 0
	p.mu.Unlock()
	if unsaid > 0 {
		args = append(args, "unwritten", unsaid)
	}
	p.log.Log(context.Background(), level, msg, args...)
}
