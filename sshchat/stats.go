package sshchat

import "sync/atomic"

// Stats is what the server has done since it began: what came in, and what it had to do to clients, by reason.
// The tags name the metrics that operators read, with a label, and what the command stats calls it where that is not the field.
// The help of stats explains each.
type Stats struct {
	Stalled    int `metric:"cut_off_total,reason=stalled" stat:"closed-stalled"`    // connections closed for reading nothing
	Dead       int `metric:"cut_off_total,reason=dead" stat:"closed-dead"`          // connections closed for giving no sign of life
	Late       int `metric:"cut_off_total,reason=late" stat:"closed-late"`          // connections closed for missing a deadline
	Refused    int `metric:"refused_total,reason=channels" stat:"refused-channels"` // channels refused
	Banned     int `metric:"refused_total,reason=banned" stat:"refused-banned"`     // connections refused at accept, for a ban of their address
	Crowded    int `metric:"refused_total,reason=starting" stat:"refused-full"`     // connections refused at accept: too many have not logged in
	Crowding   int `metric:"refused_total,reason=inside" stat:"refused-limit"`      // connections refused after login: too many of their account or source
	Penalized  int `metric:"refused_total,reason=penalty" stat:"refused-penalty"`   // connections refused at accept, for what their source did
	Unproxied  int `metric:"refused_total,reason=proxy" stat:"refused-proxy"`       // connections from load balancers refused for having no valid PROXY protocol header
	Logins     int `metric:"logins_total,outcome=ok"`                               // into an account
	Strangers  int `metric:"logins_total,outcome=stranger" stat:"new-logins"`       // logins that have no account yet
	Failures   int `metric:"logins_total,outcome=failed" stat:"wrong-passwords"`    // failed passwords
	Unheard    int `metric:"passwords_unheard_total" stat:"unchecked-passwords"`    // of these, passwords that were not looked at: too many before were wrong
	Deliveries int `metric:"deliveries_total"`                                      // messages and notices handed to sessions to be shown
	Skipped    int `metric:"drops_total,reason=lagged"`                             // messages not shown to readers that lagged
	TooFast    int `metric:"drops_total,reason=too_fast" stat:"too-fast"`           // messages and commands refused for coming too fast
	Slowed     int `metric:"slowed_total"`                                          // messages and commands that had to wait
	Panics     int `metric:"panics_total"`                                          // sessions ended by a mistake of ours

	// As it is now:

	Away        int `metric:"penalties" stat:"blocked-sources"`       // sources that are kept away
	Starting    int `metric:"connections_starting" stat:"logging-in"` // connections that have not logged in
	Connections int `metric:"connections"`                            // open, logged in or not
	Sessions    int `metric:"sessions"`                               // shells and commands that are running
}

// counters are the counts of Stats as anybody adds to them: without a lock, since each reader counts what it is shown.
type counters struct {
	Stalled, Dead, Late, Refused atomic.Int64
	Logins, Strangers, Failures  atomic.Int64
	Unheard, Penalized, Banned   atomic.Int64
	Crowded, Crowding, Unproxied atomic.Int64
	Deliveries, Skipped          atomic.Int64
	TooFast, Slowed, Panics      atomic.Int64
	Sessions                     atomic.Int64
}

// Stats returns the counts so far.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	connections := len(s.conns)
	s.mu.Unlock()
	c, n := &s.stats, func(field *atomic.Int64) int { return int(field.Load()) }
	return Stats{
		Stalled: n(&c.Stalled), Dead: n(&c.Dead), Late: n(&c.Late), Refused: n(&c.Refused),
		Logins: n(&c.Logins), Strangers: n(&c.Strangers), Failures: n(&c.Failures),
		Unheard: n(&c.Unheard), Penalized: n(&c.Penalized), Banned: n(&c.Banned), Crowded: n(&c.Crowded), Crowding: n(&c.Crowding), Unproxied: n(&c.Unproxied),
		Deliveries: n(&c.Deliveries), Skipped: n(&c.Skipped),
		TooFast: n(&c.TooFast), Slowed: n(&c.Slowed), Panics: n(&c.Panics),
		Away: s.penalties.Active(), Starting: s.admission.Starting(),
		Connections: connections, Sessions: n(&c.Sessions),
	}
}
