package sshchat

import "sync/atomic"

// Stats is what the server has done since it began: what came in, and what it had to do to clients, by reason.
// The tags name the metrics that operators read, with a label and, once for each metric, its help, and what the command stats calls
// it where that is not the field.
// The help of stats explains each.
type Stats struct {
	Stalled    int `metric:"connections_closed_total,reason=stalled" stat:"closed-stalled" help:"Connections that the server closed because the client read nothing (stalled), did not answer (dead) or missed a deadline (late)."`
	Dead       int `metric:"connections_closed_total,reason=dead" stat:"closed-dead"`
	Late       int `metric:"connections_closed_total,reason=late" stat:"closed-late"`
	Refused    int `metric:"channels_refused_total" stat:"refused-channels" help:"Channels refused, such as port forwarding, or more sessions in a connection than allowed."`
	Banned     int `metric:"connections_refused_total,reason=banned" stat:"refused-banned" help:"Connections refused because their address is banned, too many have not logged in (starting), their account or source has too many (inside), of what came from their source (penalty), or they had no valid PROXY protocol header (proxy)."`
	Crowded    int `metric:"connections_refused_total,reason=starting" stat:"refused-full"`
	Crowding   int `metric:"connections_refused_total,reason=inside" stat:"refused-limit"`
	Penalized  int `metric:"connections_refused_total,reason=penalty" stat:"refused-penalty"`
	Unproxied  int `metric:"connections_refused_total,reason=proxy" stat:"refused-proxy"`
	Logins     int `metric:"logins_total,outcome=ok" help:"Logins into an account (ok), with a name that has no account yet (stranger), and with a wrong password or code (failed)."`
	Strangers  int `metric:"logins_total,outcome=stranger" stat:"new-logins"`
	Failures   int `metric:"logins_total,outcome=failed" stat:"wrong-passwords"`
	Unheard    int `metric:"passwords_unchecked_total" stat:"unchecked-passwords" help:"Passwords refused unchecked, after too many wrong ones; failed logins include them."`
	Deliveries int `metric:"deliveries_total" help:"Messages and notices passed to sessions to be shown."`
	Skipped    int `metric:"messages_skipped_total" help:"Messages not shown to sessions that lagged behind."`
	TooFast    int `metric:"requests_refused_total" stat:"too-fast" help:"Messages and commands refused for coming too fast."`
	Slowed     int `metric:"requests_delayed_total" help:"Messages and commands delayed for coming too fast."`
	Panics     int `metric:"panics_total" help:"Sessions ended by a fault in the server; the log has each."`

	// As it is now:

	Away        int `metric:"blocked_sources" stat:"blocked-sources" help:"Addresses refused now for what came from them."`
	Starting    int `metric:"connections_starting" stat:"logging-in" help:"Open connections that have not logged in."`
	Connections int `metric:"connections" help:"Open connections, logged in or not."`
	Sessions    int `metric:"sessions" help:"Shells and commands that are running."`
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
