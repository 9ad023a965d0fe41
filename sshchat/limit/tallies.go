package limit

import (
	"context"
	"time"

	"sshchat/sshchat/chat"
)

// This file is what of the login attempts outlives the server, and what servers share.

// stored is a Tally as it is stored: its times are those of the wall clock.
func stored(t chat.Tally) chat.Tally {
	for _, at := range []*time.Time{&t.Next, &t.Forgiven, &t.At} {
		*at = wall(*at)
	}
	known := make([]chat.KnownSource, len(t.Known))
	for i, k := range t.Known {
		k.At, k.Next = wall(k.At), wall(k.Next)
		known[i] = k
	}
	if t.Known = nil; len(known) > 0 {
		t.Known = known
	}
	return t
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
	past := func(t *time.Time) {
		if !t.IsZero() {
			*t = now.Add(min(t.Sub(now), 0)) // and monotonic from here on
		}
	}
	wait := func(t *time.Time) {
		if left := t.Sub(now); left > 0 {
			*t = now.Add(min(left, LongestWait))
		} else {
			*t = time.Time{}
		}
	}
	for name, t := range saved {
		t.Known = append([]chat.KnownSource(nil), t.Known[max(0, len(t.Known)-knownSources):]...)
		for i := range t.Known {
			past(&t.Known[i].At)
			wait(&t.Known[i].Next)
		}
		past(&t.Forgiven)
		past(&t.At)
		wait(&t.Next)
		if t.Missed == 0 {
			t.From, t.At = "", time.Time{}
		}
		g.take(g.touch(name, now), t)
	}
}

// KeepIn restores what t holds, and from then on keeps the counts there of the names that exist. Counts of other names
// are not stored: there may be any number of them, and forgetting them reveals nothing. Call it before any other method.
func (g *LoginAttempts) KeepIn(t chat.Tallies, exists func(chat.Name) bool) {
	g.restore(t.Tallies())
	g.keep = func(name chat.Name, tally chat.Tally) {
		if exists(name) {
			t.Tally(name, stored(tally))
		}
	}
}

// Share restores what saved holds, as the servers have it that share a log, and from then on has order count each attempt: it calls
// Count where the attempt has its place, and Take wherever it is applied. Call it before any other method.
func (g *LoginAttempts) Share(saved map[chat.Name]chat.Tally, order func(context.Context, chat.Attempt) error) {
	counts := make([]chat.Count, 0, len(saved))
	for name, t := range saved {
		counts = append(counts, chat.Count{Name: name, Tally: t})
	}
	g.Take(counts, g.now())
	g.order = order
}
