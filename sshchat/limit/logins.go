package limit

import (
	"context"
	"errors"
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
	noteLogins   = time.Hour           // a source is noted no more often
	maxNames     = 65_536              // names kept in mind; beyond it some of the longest untouched are forgotten
)

// LoginAttempts counts the wrong passwords of each name, whether or not it has an account, and decides which are checked.
// It locks nobody out: keys log in whatever the count, and for a source that has logged in to the name before, only wrong
// passwords from that source count. All methods may be called from any goroutine.
//
// What is kept of a name is its chat.Tally, and all that changes it is a chat.Attempt. A server that is alone counts these as they
// come; several that share a log have it put them into one order (Share), so that all of them have the same counts at the same place.
type LoginAttempts struct {
	now   func() time.Time                                // monotonic
	keep  func(chat.Name, chat.Tally)                     // what outlives the server; nil: nothing does
	order func(ctx context.Context, a chat.Attempt) error // counts an attempt by Count and Take; nil: this server is alone

	mu         sync.Mutex
	free, most int                     // guarded by mu
	names      map[chat.Name]*attempts // guarded by mu
	sources    map[Source]time.Time    // guarded by mu; when each source last logged in to any account
}

// attempts is what is known of one name.
type attempts struct {
	chat.Tally           // not changed in place: others have its lists
	told       time.Time // when open sessions were last notified
	touched    time.Time
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
// at once cannot evade the count. Where servers share a log, it waits until the count is in it; the error is why that is not known,
// and then the password must not be checked. A server that is alone returns none.
func (g *LoginAttempts) Try(ctx context.Context, name chat.Name, from Source) (check bool, err error) {
	return g.try(ctx, chat.Attempt{Kind: chat.Try, Name: name, Source: netip.Prefix(from)})
}

// TryPrompt is Try for a prompt in a session of the account. The session's source is known, so strangers' guesses do not
// keep the owner from their own prompts. Somebody who finds the session open gets no more guesses than elsewhere.
func (g *LoginAttempts) TryPrompt(ctx context.Context, name chat.Name) (check bool, err error) {
	return g.try(ctx, chat.Attempt{Kind: chat.PromptTry, Name: name})
}

func (g *LoginAttempts) try(ctx context.Context, a chat.Attempt) (check bool, err error) {
	err = g.attempt(ctx, a)
	if errors.Is(err, chat.ErrNotChecked) {
		return false, nil
	}
	return err == nil, err
}

// Withdraw is called for an attempt that was not checked after all.
func (g *LoginAttempts) Withdraw(name chat.Name, from Source) {
	g.follow(chat.Attempt{Kind: chat.Withdrawal, Name: name, Source: netip.Prefix(from)})
}

// WithdrawPrompt is Withdraw for TryPrompt.
func (g *LoginAttempts) WithdrawPrompt(name chat.Name) {
	g.follow(chat.Attempt{Kind: chat.PromptWithdraw, Name: name})
}

// Answered notes that a password at a prompt was right. Guesses from elsewhere stay counted.
func (g *LoginAttempts) Answered(name chat.Name) {
	g.follow(chat.Attempt{Kind: chat.PromptRight, Name: name})
}

// Failed records, for the account's owner, that a password was wrong or not checked.
func (g *LoginAttempts) Failed(name chat.Name, address string) {
	g.follow(chat.Attempt{Kind: chat.Failure, Name: name, From: address})
}

// Succeeded notes a login, by whatever method, and returns what was tried before it. What was tried meanwhile, on another server, is
// shown at the next.
func (g *LoginAttempts) Succeeded(name chat.Name, from Source) Missed {
	t := g.Tally(name)
	g.follow(chat.Attempt{Kind: chat.Success, Name: name, Source: netip.Prefix(from), Seen: t.Missed, Latest: t.At})
	return Missed{t.Missed, t.From, t.At}
}

// Unlock resets the count of a name, and returns what it was. The next login still shows it. Errors: those of Try.
func (g *LoginAttempts) Unlock(ctx context.Context, name chat.Name) (wrong int, err error) {
	wrong = g.Tally(name).Wrong
	if err = g.attempt(ctx, chat.Attempt{Kind: chat.Unlocking, Name: name}); errors.Is(err, chat.ErrUncounted) {
		err = nil
	}
	return wrong, err
}

// Servers that share a log wait for it:
const (
	followWait = 300 * time.Millisecond // for what follows on an attempt; it is counted a little later as well
	followFor  = 30 * time.Second       // and given up then
)

// follow has something counted that nothing depends on at once. If it is lost, the count is stricter than it could be, or the owner
// is shown one attempt less.
func (g *LoginAttempts) follow(a chat.Attempt) {
	if g.order == nil {
		g.attempt(context.Background(), a) // that nothing changes is no error
		return
	}
	counted := make(chan struct{})
	go func() { // for followFor at most
		defer close(counted)
		ctx, cancel := context.WithTimeout(context.Background(), followFor)
		defer cancel()
		g.order(ctx, a)
	}()
	late := time.NewTimer(followWait)
	defer late.Stop()
	select {
	case <-counted:
	case <-late.C:
	}
}

// attempt counts an attempt. Errors: those of Count, and of the log.
func (g *LoginAttempts) attempt(ctx context.Context, a chat.Attempt) error {
	if g.order != nil {
		return g.order(ctx, a)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	at := g.now()
	n := g.touch(a.Name, at)
	t, err := g.count(a, n.Tally, at)
	if err != nil {
		return err
	}
	g.take(n, t)
	if g.keep != nil {
		g.keep(a.Name, t)
	}
	return nil
}

// Count implements chat.Counter.
func (g *LoginAttempts) Count(a chat.Attempt, t chat.Tally, at time.Time) (chat.Tally, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.count(a, t, at)
}

// Take implements chat.Counter.
func (g *LoginAttempts) Take(counts []chat.Count, at time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, c := range counts {
		g.take(g.touch(c.Name, at), c.Tally)
	}
}

// Tally implements chat.Counter.
func (g *LoginAttempts) Tally(name chat.Name) chat.Tally {
	g.mu.Lock()
	defer g.mu.Unlock()
	if n := g.names[name]; n != nil {
		return n.Tally
	}
	return chat.Tally{}
}

// take takes over what is to be kept of a name. Called with mu held.
func (g *LoginAttempts) take(n *attempts, t chat.Tally) {
	n.Tally = t
	for _, k := range t.Known {
		if at, known := g.sources[Source(k.Source)]; !known || at.Before(k.At) {
			g.note(Source(k.Source), k.At)
		}
	}
}

// count returns what is kept of a name after an attempt. Called with mu held.
func (g *LoginAttempts) count(a chat.Attempt, t chat.Tally, at time.Time) (chat.Tally, error) {
	before := t
	t.Known = slices.Clone(t.Known)
	switch a.Kind {
	case chat.Try:
		if k := knows(t.Known, a.Source, at); k != nil && k.Wrong < g.most && !waits(k.Next, at) {
			k.Wrong++
			k.Next = g.after(k.Wrong, k.Next, at)
		} else if t.Wrong >= g.most || waits(t.Next, at) {
			return before, chat.ErrNotChecked
		}
		g.wrong(&t, at)
	case chat.PromptTry:
		if t.Asked >= g.free && (t.Wrong >= g.most || waits(t.Next, at)) {
			return before, chat.ErrNotChecked
		}
		t.Asked++
		g.wrong(&t, at)
	case chat.Withdrawal:
		t.Wrong = max(t.Wrong-1, 0)
		if k := knows(t.Known, a.Source, at); k != nil {
			k.Wrong = max(k.Wrong-1, 0)
		}
	case chat.PromptWithdraw:
		t.Wrong, t.Asked = max(t.Wrong-1, 0), max(t.Asked-1, 0)
	case chat.PromptRight:
		t.Wrong, t.Asked = max(t.Wrong-t.Asked, 0), 0
		if t.Wrong < g.free {
			t.Next = time.Time{}
		}
	case chat.Failure:
		t.Missed, t.From, t.At = t.Missed+1, a.From, at
	case chat.Success:
		g.succeed(&t, a, at)
	case chat.Unlocking:
		end(&t)
	default:
		return before, fmt.Errorf("internal error: an attempt of kind %d is not counted", a.Kind)
	}
	if same(t, before) {
		return before, chat.ErrUncounted
	}
	return t, nil
}

// same reports whether nothing has changed.
func same(a, b chat.Tally) bool {
	return a.Wrong == b.Wrong && a.Asked == b.Asked && a.Forgiven == b.Forgiven && a.Next == b.Next &&
		a.Missed == b.Missed && a.From == b.From && a.At == b.At && slices.Equal(a.Known, b.Known)
}

// wrong counts a password as wrong. Called with mu held.
func (g *LoginAttempts) wrong(t *chat.Tally, at time.Time) {
	t.Wrong++
	t.Next = g.after(t.Wrong, t.Next, at)
}

// after is when the next password is checked after that many wrong ones in a row: while they are few, without delay. Called with mu
// held.
func (g *LoginAttempts) after(wrong int, before, now time.Time) time.Time {
	over := wrong - g.free
	if over < 0 {
		return before
	}
	return now.Add(min(firstWait<<min(over, 20), LongestWait))
}

// waits reports whether a password is not checked yet. Nobody waits longer than LongestWait: the clock was set back, or is that of
// another server, and one more is checked.
func waits(next, at time.Time) bool {
	left := next.Sub(at)
	return left > 0 && left <= LongestWait
}

// knows returns the source if it has logged in to the name lately; else nil.
func knows(known []chat.KnownSource, from netip.Prefix, at time.Time) *chat.KnownSource {
	for i := range known {
		if k := &known[i]; k.Source == from && at.Sub(k.At) < knownFor {
			return k
		}
	}
	return nil
}

// succeed counts a login. Called with mu held.
func (g *LoginAttempts) succeed(t *chat.Tally, a chat.Attempt, at time.Time) {
	old := knows(t.Known, a.Source, at)
	if old == nil || at.Sub(old.At) >= noteLogins {
		k := chat.KnownSource{Source: a.Source, At: at}
		if old != nil {
			k.Wrong, k.Next = old.Wrong, old.Next
		}
		t.Known = slices.DeleteFunc(t.Known, func(k chat.KnownSource) bool { return k.Source == a.Source || at.Sub(k.At) >= knownFor })
		if len(t.Known) >= knownSources {
			t.Known = slices.Delete(t.Known, 0, len(t.Known)-knownSources+1)
		}
		t.Known = append(t.Known, k)
	}
	switch {
	case t.At.Equal(a.Latest):
		t.Missed, t.From, t.At = 0, "", time.Time{}
	case t.Missed > 0: // some came after those that the owner is shown
		t.Missed = max(t.Missed-a.Seen, 1)
	}
	g.reset(t, at)
}

// resetEvery is the least time between two logins that reset a count which delays passwords. Otherwise a bot that logs in
// every minute would allow five more guesses at its password each time; its key and its known sources are not delayed
// anyway.
const resetEvery = 24 * time.Hour

// reset ends the count of a name that somebody logged in to. Called with mu held.
func (g *LoginAttempts) reset(t *chat.Tally, now time.Time) {
	switch {
	case t.Wrong < g.free:
	case !t.Forgiven.IsZero() && now.Sub(t.Forgiven) < resetEvery:
		return
	default:
		t.Forgiven = now
	}
	end(t)
}

// end ends the count.
func end(t *chat.Tally) {
	t.Wrong, t.Asked, t.Next = 0, 0, time.Time{}
	for i := range t.Known {
		t.Known[i].Wrong, t.Known[i].Next = 0, time.Time{}
	}
}

// Knows reports whether the source has logged in to the name lately.
func (g *LoginAttempts) Knows(name chat.Name, from Source) bool {
	return knows(g.Tally(name).Known, netip.Prefix(from), g.now()) != nil
}

// Delayed reports whether only passwords from known sources are checked for a name now.
func (g *LoginAttempts) Delayed(name chat.Name) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := g.names[name]
	return n != nil && (n.Wrong >= g.most || waits(n.Next, g.now()))
}

// notifyEvery is the least between two notices of wrong passwords to the open sessions of an account.
const notifyEvery = time.Minute

// NotifyDue reports whether open sessions should be notified of a wrong password now.
func (g *LoginAttempts) NotifyDue(name chat.Name) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	n := g.touch(name, now)
	if !n.told.IsZero() && now.Sub(n.told) < notifyEvery {
		return false
	}
	n.told = now
	return true
}

// Sources are those that somebody logged in to the name from in the last 30 days.
func (g *LoginAttempts) Sources(name chat.Name) (sources []netip.Prefix) {
	now := g.now()
	for _, k := range g.Tally(name).Known {
		if now.Sub(k.At) < knownFor {
			sources = append(sources, k.Source)
		}
	}
	return sources
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
func (g *LoginAttempts) touch(name chat.Name, now time.Time) *attempts {
	n := g.names[name]
	if n == nil {
		if len(g.names) >= maxNames {
			g.evict()
		}
		n = &attempts{}
		g.names[name] = n
	}
	n.touched = now
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
		if oldest == nil || len(n.Known) < len(oldest.Known) || len(n.Known) == len(oldest.Known) && n.touched.Before(oldest.touched) {
			victim, oldest = name, n
		}
		if seen++; seen == few {
			break
		}
	}
	delete(g.names, victim)
}
