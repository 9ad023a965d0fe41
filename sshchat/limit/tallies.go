package limit

import (
	"net/netip"
	"time"

	"sshchat/sshchat/chat"
)

// This file is what of the login attempts outlives the server: chat.Tally.

// save keeps what is known of the name. Called with mu held.
func (g *LoginAttempts) save(name chat.Name, n *attempts) {
	if g.keep == nil {
		return
	}
	t := chat.Tally{
		Wrong: n.wrong, Asked: n.asked, Next: wall(n.next),
		Forgiven: wall(n.forgiven), Missed: n.missed.Count, From: n.missed.From, At: wall(n.missed.At),
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
func (g *LoginAttempts) restore(saved map[chat.Name]chat.Tally) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	past := func(t time.Time) time.Time { return now.Add(min(t.Sub(now), 0)) } // and monotonic from here on
	for name, t := range saved {
		n := g.touch(name)
		n.wrong, n.asked = t.Wrong, t.Asked
		if wait := t.Next.Sub(now); !t.Next.IsZero() && wait > 0 {
			n.next = now.Add(min(wait, LongestWait))
		}
		if !t.Forgiven.IsZero() {
			n.forgiven = past(t.Forgiven)
		}
		if t.Missed > 0 {
			n.missed = Missed{t.Missed, t.From, past(t.At)}
		}
		for _, k := range t.Known[max(0, len(t.Known)-knownSources):] {
			n.known = append(n.known, knownSource{source: Source(k.Source), at: past(k.At)})
			if at, known := g.sources[Source(k.Source)]; !known || at.Before(past(k.At)) {
				g.note(Source(k.Source), past(k.At))
			}
		}
	}
}

// KeepIn restores what t holds, and from then on keeps the counts there of the names that exist. Counts of other names
// are not stored: there may be any number of them, and forgetting them reveals nothing. Call it before any other method.
func (g *LoginAttempts) KeepIn(t chat.Tallies, exists func(chat.Name) bool) {
	g.restore(t.Tallies())
	g.keep = func(name chat.Name, tally chat.Tally) {
		if exists(name) {
			t.Tally(name, tally)
		}
	}
}
