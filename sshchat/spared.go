package sshchat

import (
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/limit"
)

// This file is sources that waste connections or guess: how they are kept away, and which are spared.

// keptAway is how long the connection's source is kept away yet, for what it did; 0 if it is not. Sources from which somebody
// logged in are spared: a class behind one address is not kept out for one of it who mistyped.
func (n *sourceCounts) keptAway(c *conn) time.Duration {
	if !n.limits.Penalties || c.exempt || n.attempts.Known(c.from) {
		return 0
	}
	return n.penalties.Wait(c.from)
}

func failedLogins(wait time.Duration) string {
	return "too many failed logins from your address; please try again in " + approx(wait)
}

// guessesOfKnown is how many wrong passwords may come from a source that is spared. More are not looked at, but for names
// that log in from there; whoever has an account, and everybody can have one, would else guess without end.
var guessesOfKnown = limit.Allowance{Burst: 30, Rate: 1.0 / 60}

// guessesWait is how long it is until a password from a spared source is looked at; 0 if it is.
func (n *sourceCounts) guessesWait(c *conn) time.Duration {
	if !n.limits.Penalties || c.exempt {
		return 0
	}
	return n.spared.Delay(c.from, time.Now())
}

// mayGuess reports whether a password for the name is looked at, as far as its source is concerned.
func (n *sourceCounts) mayGuess(c *conn, name chat.Name) bool {
	return n.guessesWait(c) == 0 || n.attempts.Knows(name, c.from)
}
