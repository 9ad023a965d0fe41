package sshchat

import "sync/atomic"

// Stats is what the server has done since it began: what came in, and what it had to do to clients, by reason.
type Stats struct {
	Stalled    int // connections closed for reading nothing
	Dead       int // connections closed for giving no sign of life
	Late       int // connections closed for missing a deadline
	Refused    int // channels refused
	Logins     int // into an account
	Strangers  int // logins that have no account yet
	Failures   int // failed passwords
	Unheard    int // of these, passwords that were not looked at: too many before were wrong
	Banned     int // connections refused at accept, for a ban of their address
	Crowded    int // connections refused at accept, for there being too many that have not logged in
	Crowding   int // connections refused after login, for there being too many of their account or source
	Penalized  int // connections refused at accept, for what their source did
	Deliveries int // messages and notices handed to sessions to be shown
	Skipped    int // messages not shown to readers that lagged
	TooFast    int // messages and commands refused for coming too fast
	Slowed     int // messages and commands that had to wait
	Panics     int // sessions ended by a mistake of ours

	Connections int // open now, logged in or not
	Sessions    int // shells and commands that are running now
}

// counters are the counts of Stats as anybody adds to them: without a lock, since each reader counts what it is shown.
type counters struct {
	Stalled, Dead, Late, Refused atomic.Int64
	Logins, Strangers, Failures  atomic.Int64
	Unheard, Penalized, Banned   atomic.Int64
	Crowded, Crowding            atomic.Int64
	Deliveries, Skipped          atomic.Int64
	TooFast, Slowed, Panics      atomic.Int64
	Sessions                     atomic.Int64
}

// count adds one to a field of stats.
func (s *Server) count(field *atomic.Int64) { field.Add(1) }

func (s *Server) add(field *atomic.Int64, n int) { field.Add(int64(n)) }

// Stats returns the counts so far.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	connections := len(s.conns)
	s.mu.Unlock()
	c, n := &s.stats, func(field *atomic.Int64) int { return int(field.Load()) }
	return Stats{
		Stalled: n(&c.Stalled), Dead: n(&c.Dead), Late: n(&c.Late), Refused: n(&c.Refused),
		Logins: n(&c.Logins), Strangers: n(&c.Strangers), Failures: n(&c.Failures),
		Unheard: n(&c.Unheard), Penalized: n(&c.Penalized), Banned: n(&c.Banned), Crowded: n(&c.Crowded), Crowding: n(&c.Crowding),
		Deliveries: n(&c.Deliveries), Skipped: n(&c.Skipped),
		TooFast: n(&c.TooFast), Slowed: n(&c.Slowed), Panics: n(&c.Panics),
		Connections: connections, Sessions: n(&c.Sessions),
	}
}
