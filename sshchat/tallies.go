package sshchat

import (
	"net/netip"
	"time"

	"sshchat/sshchat/chat"
)

// This file is what of the guesses outlives the server: chat.Tally.

// save keeps what is known of the name. Called with mu held.
func (g *guesses) save(name chat.Name, n *guessed) {
	if g.keep == nil {
		return
	}
	t := chat.Tally{
		Wrong: n.wrong, Asked: n.asked, Next: wall(n.next),
		Forgiven: wall(n.forgiven), Missed: n.missed.count, From: n.missed.from, At: wall(n.missed.at),
	}
	for _, k := range n.known {
		t.Known = append(t.Known, chat.KnownSource{Source: netip.Prefix(k.source), At: wall(k.at)})
	}
	g.keep(name, t)
}

// wall is a time as it is stored.
func wall(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC().Truncate(time.Second)
}

// restore takes up what was saved. The clock may have been set meanwhile, or the file edited: a wait is never longer than
// the longest, and what was in the future is now.
func (g *guesses) restore(saved map[chat.Name]chat.Tally) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	past := func(t time.Time) time.Time { return now.Add(min(t.Sub(now), 0)) } // and monotonic from here on
	for name, t := range saved {
		n := g.touch(name)
		n.wrong, n.asked = t.Wrong, t.Asked
		if wait := t.Next.Sub(now); !t.Next.IsZero() && wait > 0 {
			n.next = now.Add(min(wait, longestWait))
		}
		if !t.Forgiven.IsZero() {
			n.forgiven = past(t.Forgiven)
		}
		if t.Missed > 0 {
			n.missed = missed{t.Missed, t.From, past(t.At)}
		}
		for _, k := range t.Known[max(0, len(t.Known)-knownSources):] {
			n.known = append(n.known, known{source(k.Source), past(k.At)})
			if at, known := g.sources[source(k.Source)]; !known || at.Before(past(k.At)) {
				g.note(source(k.Source), past(k.At))
			}
		}
	}
}

// keepTallies has what is counted of accounts outlive the server. Names without one are forgotten with it: whoever tries
// them learns nothing by that, and there is no end of them.
func (s *Server) keepTallies(t chat.Tallies) {
	s.guesses.restore(t.Tallies())
	s.guesses.keep = func(name chat.Name, tally chat.Tally) {
		if _, exists := s.services.Accounts.ByName(name); exists {
			t.Tally(name, tally)
		}
	}
}
