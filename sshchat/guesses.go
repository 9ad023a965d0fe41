package sshchat

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"sshchat/sshchat/chat"
)

// How often the passwords of one name are looked at.
const (
	firstWait    = time.Second         // after that; doubled with each further one
	longestWait  = 900 * time.Second   // between two of them
	knownFor     = 30 * 24 * time.Hour // a source that logged in to the name is known for so long
	knownSources = 16                  // of one name; a later one takes the place of the oldest
	maxGuessed   = 65_536              // names kept in mind; beyond it the longest untouched is forgotten
)

// guesses counts the wrong passwords of each name, whether there is an account of that name or not, and decides which are
// looked at. It locks nobody out: a key logs in whatever the count, and so does the right password from where
// somebody has logged in to that name before. All methods may be called from any goroutine.
type guesses struct {
	now        func() time.Time // monotonic
	free, most int
	keep       func(chat.Name, chat.Tally) // what outlives the server; nil: nothing does

	mu      sync.Mutex
	names   map[chat.Name]*guessed // guarded by mu
	sources map[source]time.Time   // guarded by mu; when somebody last logged in from there, to any account
}

// guessed is what is known of one name.
type guessed struct {
	wrong    int       // in a row
	forgiven time.Time // when a login last ended a count that made others wait
	asked    int       // of these, at prompts of open sessions since the last right one
	told     time.Time // when open sessions were last told
	next     time.Time // when a password is looked at again
	touched  time.Time
	known    []known // the latest last
	missed   missed
}

type known struct {
	source source
	at     time.Time
}

// missed is what somebody is told at the next login: wrong passwords since the last one.
type missed struct {
	count int
	from  string // the address of the last
	at    time.Time
}

// String is what the person is told.
func (m missed) String() string {
	tries := "1 wrong password was"
	if m.count > 1 {
		tries = fmt.Sprintf("%d wrong passwords were", m.count)
	}
	return fmt.Sprintf("%s tried for your account since your last login, the last from %s at %s.", tries, m.from, m.at.UTC().Format("2 Jan 15:04 MST"))
}

func newGuesses(now func() time.Time, free, most int) *guesses {
	return &guesses{now: now, free: free, most: most, names: make(map[chat.Name]*guessed), sources: make(map[source]time.Time)}
}

// try reports whether a password for the name is to be looked at, and counts it as wrong until it turns out otherwise:
// many at once are no way around the count.
func (g *guesses) try(name chat.Name, from source) (look bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	n, now := g.touch(name), g.now()
	if !n.knows(from, now) && (n.wrong >= g.most || now.Before(n.next)) {
		return false
	}
	g.count(name, n, now)
	return true
}

// ask is try for a prompt in a session of the account. The session's source is known, so that no stranger's guesses
// keep the owner from their own prompts; whoever found the session open gets no more guesses than elsewhere.
func (g *guesses) ask(name chat.Name) (look bool) {
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

// count counts a password as wrong. Called with mu held.
func (g *guesses) count(name chat.Name, n *guessed, now time.Time) {
	n.wrong++
	if over := n.wrong - g.free; over >= 0 {
		n.next = now.Add(min(firstWait<<min(over, 20), longestWait))
	}
	g.save(name, n)
}

// waits reports whether passwords for a name are not looked at for now, but from known sources.
func (g *guesses) waits(name chat.Name) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := g.names[name]
	return n != nil && (n.wrong >= g.most || g.now().Before(n.next))
}

// answered notes that a password at a prompt was right. Guesses from elsewhere stay counted.
func (g *guesses) answered(name chat.Name) {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := g.touch(name)
	n.wrong, n.asked = max(n.wrong-n.asked, 0), 0
	if n.wrong < g.free {
		n.next = time.Time{}
	}
	g.save(name, n)
}

// pardon forgets the wrong passwords of a name, and returns how many they were. Whoever logs in next is told of them
// all the same.
func (g *guesses) pardon(name chat.Name) (wrong int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := g.names[name]
	if n == nil {
		return 0
	}
	wrong = n.wrong
	n.wrong, n.asked, n.next = 0, 0, time.Time{}
	g.save(name, n)
	return wrong
}

// tellEvery is the least between two notices of wrong passwords to the open sessions of an account.
const tellEvery = time.Minute

// toTell reports whether open sessions should be told of a wrong password now.
func (g *guesses) toTell(name chat.Name) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	n, now := g.touch(name), g.now()
	if !n.told.IsZero() && now.Sub(n.told) < tellEvery {
		return false
	}
	n.told = now
	return true
}

// takeBack is called for a try that nobody looked at after all.
func (g *guesses) takeBack(name chat.Name) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if n := g.names[name]; n != nil {
		n.wrong, n.asked = max(n.wrong-1, 0), max(n.asked-1, 0)
		g.save(name, n)
	}
}

// failed notes, for the one whose name it is, that a password was wrong or not looked at.
func (g *guesses) failed(name chat.Name, address string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := g.touch(name)
	n.missed = missed{n.missed.count + 1, address, n.touched}
	g.save(name, n)
}

// forget is called for a name that turned out to be nobody's, and free to take.
func (g *guesses) forget(name chat.Name) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.names, name)
}

// knows reports whether somebody logged in to the name from there lately.
func (n *guessed) knows(from source, now time.Time) bool {
	return slices.ContainsFunc(n.known, func(k known) bool { return k.source == from && now.Sub(k.at) < knownFor })
}

// succeeded notes a login, by whatever method, and returns what was tried before it.
func (g *guesses) succeeded(name chat.Name, from source) missed {
	g.mu.Lock()
	defer g.mu.Unlock()
	n, now := g.touch(name), g.now()
	tried := n.missed
	n.known = slices.DeleteFunc(n.known, func(k known) bool { return k.source == from || now.Sub(k.at) >= knownFor })
	if len(n.known) == knownSources {
		n.known = slices.Delete(n.known, 0, 1)
	}
	n.known = append(n.known, known{from, now})
	g.note(from, now)
	n.missed = missed{}
	g.forgive(n, now)
	g.save(name, n)
	return tried
}

// forgiveEvery is the least between two logins that end a count which makes others wait. A bot logs in every minute, and
// must not give whoever guesses its password five more each time; its key and its known sources do not wait anyway.
const forgiveEvery = 24 * time.Hour

// forgive ends the count of a name that somebody logged in to. Called with mu held.
func (g *guesses) forgive(n *guessed, now time.Time) {
	switch {
	case n.wrong < g.free:
	case !n.forgiven.IsZero() && now.Sub(n.forgiven) < forgiveEvery:
		return
	default:
		n.forgiven = now
	}
	n.wrong, n.asked, n.next = 0, 0, time.Time{}
}

// note keeps in mind that somebody logged in from there. Called with mu held.
func (g *guesses) note(from source, at time.Time) {
	if _, known := g.sources[from]; !known && len(g.sources) >= maxGuessed {
		for other := range g.sources { // any: so many are known only where somebody has accounts and addresses to waste
			delete(g.sources, other)
			break
		}
	}
	g.sources[from] = at
}

// familiar reports whether somebody logged in to an account from there in the last 30 days.
func (g *guesses) familiar(from source) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	at, known := g.sources[from]
	return known && g.now().Sub(at) < knownFor
}

// touch returns what is known of the name. Called with mu held.
func (g *guesses) touch(name chat.Name) *guessed {
	n := g.names[name]
	if n == nil {
		if len(g.names) >= maxGuessed {
			g.evict()
		}
		n = &guessed{}
		g.names[name] = n
	}
	n.touched = g.now()
	return n
}

// evict forgets a name of a few that is the longest untouched: one that nobody logged in to, if there is one.
// Called with mu held.
func (g *guesses) evict() {
	const few = 16
	var victim chat.Name
	var oldest *guessed
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
