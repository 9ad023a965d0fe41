package command

import (
	"net/netip"
	"time"

	"sshchat/sshchat/chat"
)

// Live is who is connected.
type Live interface {
	// Sessions lists the open sessions of accounts, the oldest first.
	Sessions() []LiveSession
	// Figures are what the server has done since it started, and holds now.
	Figures() []Figure
	// Ended is how many sessions the server has ended so far because their login was not admitted any more.
	Ended() int
	// End ends the sessions that which picks, with words to each, and their connections. It returns how many,
	// and does not wait for them.
	End(which func(LiveSession) bool, why string) int
}

// LiveSession is one open session, as a copy.
type LiveSession struct {
	Account string     `json:"-"` // its id
	Name    chat.Name  `json:"name"`
	Addr    netip.Addr `json:"address"`
	Since   time.Time  `json:"since"`
	Key     string     `json:"key,omitempty"` // the fingerprint of the key that logged in; empty after a password
	Face    string     `json:"face"`          // full, plain, pipe or exec
	Client  string     `json:"client"`        // as it calls itself
}

// endOf picks the sessions of one account.
func endOf(id string) func(LiveSession) bool {
	return func(s LiveSession) bool { return s.Account == id }
}
