package limit

import (
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"sshchat/sshchat/chat"
)

// How often passwords for one name are checked.
const (
	firstWait    = time.Second         // after that; doubled with each further one
	LongestWait  = 900 * time.Second   // between two of them
	knownFor     = 30 * 24 * time.Hour // a source that logged in to the name is known for so long
	knownSources = 16                  // of one name; a later one takes the place of the oldest
	maxNames     = 65_536              // names kept in mind; beyond it the longest untouched is forgotten
)

// LoginAttempts counts the wrong passwords of each name, whether or not it has an account, and decides which are checked.
// It locks nobody out: keys log in whatever the count, and for a source that has logged in to the name before, only wrong
// passwords from that source count. All methods may be called from any goroutine.
type LoginAttempts struct {
	now  func() time.Time            // monotonic
	keep func(chat.Name, chat.Tally) // what outlives the server; nil: nothing does

	mu         sync.Mutex
	free, most int                     // guarded by mu
	names      map[chat.Name]*attempts // guarded by mu
	sources    map[Source]time.Time    // guarded by mu; when each source last logged in to any account
}

// attempts is what is known of one name.
type attempts struct {
	wrong    int       // in a row
	forgiven time.Time // when a login last ended a count that made others wait
	asked    int       // of these, at prompts of open sessions since the last right one
	told     time.Time // when open sessions were last notified
	next     time.Time // when a password is checked again
	touched  time.Time
	known    []knownSource // the latest last
	missed   Missed
}

type knownSource struct {
	source Source
	at     time.Time
	wrong  int       // in a row, from this source
	next   time.Time // when a password from this source is checked again
}

// Missed is the number of wrong passwords since the last login, shown at the next one.
type Missed struct {
	Count int
	From  string // the address of the last
	At    time.Time
}

// String is the notice for the user.
func (m Missed) String() string {
	tries := "1 wrong password was"
	if m.Count > 1 {
		tries = fmt.Sprintf("%d wrong passwords were", m.Count)
	}
	return fmt.Sprintf("%s tried on your account since your last login, most recently from %s at %s.", tries, m.From, m.At.UTC().Format("2 Jan 15:04 MST"))
}

// NewLoginAttempts returns a count by the clock now: after free wrong passwords in a row the next have to wait, and after
// most of them only known sources are heard.
func NewLoginAttempts(now func() time.Time, free, most int) *LoginAttempts {
	return &LoginAttempts{now: now, free: free, most: most, names: make(map[chat.Name]*attempts), sources: make(map[Source]time.Time)}
}

// SetLimits changes how many wrong passwords are free, and after how many only known sources are heard. Counts stay.
func (g *LoginAttempts) SetLimits(free, most int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.free, g.most = free, most
}

// Try reports whether a password for the name may be checked, and counts it as wrong until it proves right, so that many
// at once cannot evade the count.
func (g *LoginAttempts) Try(name chat.Name, from Source) (check bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	n, now := g.touch(name), g.now()
	if k := n.knows(from, now); k != nil && k.wrong < g.most && !now.Before(k.next) {
		k.wrong++
		k.next = g.after(k.wrong, k.next, now)
	} else if n.wrong >= g.most || now.Before(n.next) {
		return false
	}
	g.count(name, n, now)
	return true
}

// after is when the next password is checked after that many wrong ones in a row: while they are few, without delay.
func (g *LoginAttempts) after(wrong int, before, now time.Time) time.Time {
	over := wrong - g.free
	if over < 0 {
		return before
	}
	return now.Add(min(firstWait<<min(over, 20), LongestWait))
}

// TryPrompt is Try for a prompt in a session of the account. The session's source is known, so strangers' guesses do not
// keep the owner from their own prompts. Somebody who finds the session open gets no more guesses than elsewhere.
func (g *LoginAttempts) TryPrompt(name chat.Name) (check bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	n, now := g.touch(name), g.now()
	if n.asked >= g.free && (n.wrong >= g.most || now.Before(n.next)) {
		return false
	}
	n.asked++
	g.count(name, n, now)
	return true
}

// Knows reports whether the source has logged in to the name lately.
func (g *LoginAttempts) Knows(name chat.Name, from Source) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := g.names[name]
	return n != nil && n.knows(from, g.now()) != nil
}

// count counts a password as wrong. Called with mu held.
func (g *LoginAttempts) count(name chat.Name, n *attempts, now time.Time) {
	n.wrong++
	n.next = g.after(n.wrong, n.next, now)
	g.save(name, n)
}

// Delayed reports whether only passwords from known sources are checked for a name now.
func (g *LoginAttempts) Delayed(name chat.Name) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := g.names[name]
	return n != nil && (n.wrong >= g.most || g.now().Before(n.next))
}

// Answered notes that a password at a prompt was right. Guesses from elsewhere stay counted.
func (g *LoginAttempts) Answered(name chat.Name) {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := g.touch(name)
	n.wrong, n.asked = max(n.wrong-n.asked, 0), 0
	if n.wrong < g.free {
		n.next = time.Time{}
	}
	g.save(name, n)
}

// Unlock resets the count of a name, and returns what it was. The next login still shows it.
func (g *LoginAttempts) Unlock(name chat.Name) (wrong int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := g.names[name]
	if n == nil {
		return 0
	}
	wrong = n.wrong
	n.end()
	g.save(name, n)
	return wrong
}

// notifyEvery is the least between two notices of wrong passwords to the open sessions of an account.
const notifyEvery = time.Minute

// NotifyDue reports whether open sessions should be notified of a wrong password now.
func (g *LoginAttempts) NotifyDue(name chat.Name) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	n, now := g.touch(name), g.now()
	if !n.told.IsZero() && now.Sub(n.told) < notifyEvery {
		return false
	}
	n.told = now
	return true
}

// Withdraw is called for an attempt that was not checked after all.
func (g *LoginAttempts) Withdraw(name chat.Name, from Source) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if n := g.names[name]; n != nil {
		n.wrong = max(n.wrong-1, 0)
		if k := n.knows(from, g.now()); k != nil {
			k.wrong = max(k.wrong-1, 0)
		}
		g.save(name, n)
	}
}

// WithdrawPrompt is Withdraw for TryPrompt.
func (g *LoginAttempts) WithdrawPrompt(name chat.Name) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if n := g.names[name]; n != nil {
		n.wrong, n.asked = max(n.wrong-1, 0), max(n.asked-1, 0)
		g.save(name, n)
	}
}

// Failed records, for the account's owner, that a password was wrong or not checked.
func (g *LoginAttempts) Failed(name chat.Name, address string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := g.touch(name)
	n.missed = Missed{n.missed.Count + 1, address, n.touched}
	g.save(name, n)
}

// knows returns the source if it has logged in to the name lately; else nil.
func (n *attempts) knows(from Source, now time.Time) *knownSource {
	for i := range n.known {
		if k := &n.known[i]; k.source == from && now.Sub(k.at) < knownFor {
			return k
		}
	}
	return nil
}

// Sources are those that somebody logged in to the name from in the last 30 days.
func (g *LoginAttempts) Sources(name chat.Name) []netip.Prefix {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := g.names[name]
	if n == nil {
		return nil
	}
	var sources []netip.Prefix
	for _, k := range n.known {
		if n.knows(k.source, g.now()) != nil {
			sources = append(sources, netip.Prefix(k.source))
		}
	}
	return sources
}

// Succeeded notes a login, by whatever method, and returns what was tried before it.
func (g *LoginAttempts) Succeeded(name chat.Name, from Source) Missed {
	g.mu.Lock()
	defer g.mu.Unlock()
	n, now := g.touch(name), g.now()
	tried := n.missed
	k := knownSource{source: from, at: now}
	if old := n.knows(from, now); old != nil {
		k.wrong, k.next = old.wrong, old.next
	}
	n.known = slices.DeleteFunc(n.known, func(k knownSource) bool { return k.source == from || now.Sub(k.at) >= knownFor })
	if len(n.known) == knownSources {
		n.known = slices.Delete(n.known, 0, 1)
	}
	n.known = append(n.known, k)
	g.note(from, now)
	n.missed = Missed{}
	g.reset(n, now)
	g.save(name, n)
	return tried
}

// resetEvery is the least time between two logins that reset a count which delays passwords. Otherwise a bot that logs in
// every minute would allow five more guesses at its password each time; its key and its known sources are not delayed
// anyway.
const resetEvery = 24 * time.Hour

// reset ends the count of a name that somebody logged in to. Called with mu held.
func (g *LoginAttempts) reset(n *attempts, now time.Time) {
	switch {
	case n.wrong < g.free:
	case !n.forgiven.IsZero() && now.Sub(n.forgiven) < resetEvery:
		return
	default:
		n.forgiven = now
	}
	n.end()
}

// end ends the count.
func (n *attempts) end() {
	n.wrong, n.asked, n.next = 0, 0, time.Time{}
	for i := range n.known {
		n.known[i].wrong, n.known[i].next = 0, time.Time{}
	}
}

// note records a login from a source. Called with mu held.
func (g *LoginAttempts) note(from Source, at time.Time) {
	if _, known := g.sources[from]; !known && len(g.sources) >= maxNames {
		for other := range g.sources { // any of them: reaching this number takes many accounts and addresses
			delete(g.sources, other)
			break
		}
	}
	g.sources[from] = at
}

// Known reports whether the source has logged in to an account in the last 30 days.
func (g *LoginAttempts) Known(from Source) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	at, known := g.sources[from]
	return known && g.now().Sub(at) < knownFor
}

// touch returns what is known of the name. Called with mu held.
func (g *LoginAttempts) touch(name chat.Name) *attempts {
	n := g.names[name]
	if n == nil {
		if len(g.names) >= maxNames {
			g.evict()
		}
		n = &attempts{}
		g.names[name] = n
	}
	n.touched = g.now()
	return n
}

// evict forgets a name of a few that is the longest untouched: one that nobody logged in to, if there is one.
// Called with mu held.
func (g *LoginAttempts) evict() {
	const few = 16
	var victim chat.Name
	var oldest *attempts
	seen := 0
	for name, n := range g.names { // in random order
		if oldest == nil || len(n.known) < len(oldest.known) || len(n.known) == len(oldest.known) && n.touched.Before(oldest.touched) {
			victim, oldest = name, n
		}
		if seen++; seen == few {
			break
		}
	}
	delete(g.names, victim)
}
