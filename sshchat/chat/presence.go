package chat

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"sshchat/sshchat/text"
)

const (
	presenceDelay = 3 * time.Second // joins and departures are gathered this long and shown in one line
	reconnectTime = time.Minute     // somebody who is back within this time is not shown as having left
	presenceNames = 5               // named in such a line; the rest are counted
)

// presenceChange is one that a room has not been shown yet.
type presenceChange struct {
	joined bool
	at     time.Time
}

// presence tracks who is in each room and who is online, and what rooms have been shown of it.
type presence struct {
	*directory
	presenceChanged chan struct{} // holds one token while presence changes are pending
	keeps           atomic.Int32  // reasons for which rooms that people leave keep all that they hold

	met   map[string]bool // guarded by mu; other nodes that were heard of
	meets bool            // guarded by mu; somebody is noted who was online before their node was heard of
}

// Attendance is how somebody is online on one node of the chat. A chat that is alone has one.
type Attendance struct {
	Name     Name
	Online   bool    // a session is open there
	Terminal bool    // one on a terminal
	Absence  Absence // the last that they said, as that node knows it
}

// Absence is what somebody said on leaving the keyboard, or on coming back. It is in memory only.
type Absence struct {
	Away    bool
	Why     Text // may be empty
	Since   time.Time
	Version uint64 // of what the person said on any node the highest is the last; 0: nothing
}

// follows reports whether a was said after b. Of what was said on two nodes at once, all of them choose the same.
func (a Absence) follows(b Absence) bool {
	if a.Version != b.Version {
		return a.Version > b.Version
	}
	return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.Why.String(), b.Why.String())) > 0
}

// Others are the other hubs of the chat, as a hub knows them. Its methods must return at once, and must not call the hub.
type Others interface {
	// Changed notes that what Attendance returns of somebody has changed.
	Changed(name Name)
	// Announce has a notice be shown on each of them.
	Announce(n Announcement)
}

// Tell has the others learn who is online here, and what is not in batches. Call it before Run.
func (h *presence) Tell(others Others) { h.others = others }

// SessionOpened notes that a session of name has opened on a terminal. Each call needs one of SessionClosed.
func (h *presence) SessionOpened(name Name) { h.opened(name, 1) }

// SessionClosed notes that a session of name has ended. Rooms in which nobody is online release most of their log.
func (h *presence) SessionClosed(name Name) { h.closed(name, 1) }

// ProgramOpened is SessionOpened for a program, which may come and go with every line: its user is online, and no room is
// shown that they joined or left.
func (h *presence) ProgramOpened(name Name) { h.opened(name, 0) }

// ProgramClosed is SessionClosed for a program.
func (h *presence) ProgramClosed(name Name) { h.closed(name, 0) }

func (h *presence) opened(name Name, terminals int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.attend(name, func(p *person) {
		if !p.online() && p.absence.Version > 0 { // who comes back is back, also for nodes that do not know yet that they were gone
			p.absence, p.said = Absence{Version: p.absence.Version + 1}, true
		}
		p.sessions++
		p.terminals += terminals
	})
}

func (h *presence) closed(name Name, terminals int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.attend(name, func(p *person) {
		p.sessions--
		p.terminals -= terminals
	})
}

// attend makes a change of where somebody is, and has their rooms and the other nodes know. Called with mu held for writing.
func (h *presence) attend(name Name, change func(*person)) {
	p := h.person(name)
	here, online, terminal, away := p.here(), p.online(), p.atTerminal(), p.away()
	change(p)
	if is := p.here(); is != here && h.others != nil {
		h.others.Changed(name)
	}
	comes, goes, says := p.online() && !online, online && !p.online(), p.away() != away
	for room := range p.rooms {
		r := h.rooms[room]
		if is := p.atTerminal(); is != terminal || is && h.meets {
			h.notePresence(r, name, is)
		}
		switch {
		case comes:
			r.online++
		case goes:
			r.online--
		}
		if comes || goes || says {
			r.roster.changed()
		}
		switch {
		case !goes || r.online > 0:
		case !here.Online: // their node may have ended, and they come back to this one
			r.deserted = time.Now()
		case h.keeps.Load() == 0:
			r.Log.Trim()
		}
	}
	if says && p.sessions > 0 {
		h.appendNotice(p.log, Message{Kind: Changed})
	}
}

// here is how the person is online on this node, with what other nodes may not know of their absence.
func (p *person) here() Attendance {
	a := Attendance{Online: p.sessions > 0, Terminal: p.terminals > 0}
	if a.Online || p.said {
		a.Absence = p.absence
	}
	return a
}

// online reports whether a session of the person is open on any node.
func (p *person) online() bool {
	for _, a := range p.elsewhere {
		if a.Online {
			return true
		}
	}
	return p.sessions > 0
}

// atTerminal reports whether one is open on a terminal.
func (p *person) atTerminal() bool {
	for _, a := range p.elsewhere {
		if a.Terminal {
			return true
		}
	}
	return p.terminals > 0
}

// away is what the person said on leaving; zero if they are not away, or offline.
func (p *person) away() Absence {
	if !p.absence.Away || !p.online() {
		return Absence{}
	}
	return p.absence
}

// Online reports whether a session of name is open, on any node.
func (h *presence) Online(name Name) bool {
	h.mu.RLock()
	defer h.mu.RUnlock()
	p := h.people[name]
	return p != nil && p.online()
}

// Attendance returns how people are online on this node, for the others: each of those who are named, or everyone if names is nil.
func (h *presence) Attendance(names []Name) (people []Attendance) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	add := func(name Name, p *person) {
		a := p.here()
		if a.Name = name; names != nil || a != (Attendance{Name: name}) {
			people = append(people, a)
		}
	}
	if names == nil {
		for name, p := range h.people {
			add(name, p)
		}
	}
	for _, name := range names {
		if p := h.people[name]; p != nil {
			add(name, p)
		}
	}
	return people
}

// Elsewhere notes how people are online on another node: only those who are named are to be changed, or, if all is set, nobody else
// is. A node that is gone has nobody. What somebody said of their absence stays. Those who are online when this node hears of another for
// the first time have joined before.
func (h *presence) Elsewhere(node string, all bool, people []Attendance) {
	h.mu.Lock()
	defer h.mu.Unlock()
	named := make(map[Name]bool, len(people))
	first := all && !h.met[node]
	if all {
		h.met[node] = true
	}
	for _, a := range people {
		named[a.Name], h.meets = true, first && a.Terminal
		h.attend(a.Name, func(p *person) { p.attends(node, a) })
	}
	h.meets = false
	if !all {
		return
	}
	for name, p := range h.people {
		if _, is := p.elsewhere[node]; is && !named[name] {
			h.attend(name, func(p *person) { p.attends(node, Attendance{}) })
		}
	}
}

// attends notes how the person is online on another node.
func (p *person) attends(node string, a Attendance) {
	if a.Absence.follows(p.absence) {
		p.absence, p.said = a.Absence, false
	}
	if !a.Online {
		delete(p.elsewhere, node)
		return
	}
	if p.elsewhere == nil {
		p.elsewhere = make(map[string]Attendance)
	}
	p.elsewhere[node] = a
}

// notePresence notes that somebody came or left, to be shown with the next presence change. Coming and leaving again cancel
// out, and so do leaving and coming back within reconnectTime. A room that was removed is not shown who left it: it may be made
// again, by others, before that is due. Called with mu held.
func (h *presence) notePresence(r *Room, name Name, joined bool) {
	if r.Name.IsDirect() || r.removed() {
		return
	}
	if before, pending := r.presence[name]; pending && before.joined != joined || h.meets {
		delete(r.presence, name) // if this node has just started, others have shown it long ago
		return
	}
	r.presence[name] = presenceChange{joined, time.Now()}
	select {
	case h.presenceChanged <- struct{}{}:
	default:
	}
}

// showPresence appends one line to each room with presence changes to show. It returns a channel that fires when the next
// departure is due to be shown; nil if there is none.
func (h *presence) showPresence() <-chan time.Time {
	now, next := time.Now(), time.Duration(-1)
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, r := range h.rooms {
		var in, out []Name
		for name, c := range r.presence {
			wait := c.at.Add(reconnectTime).Sub(now)
			switch {
			case c.joined:
				in = append(in, name)
			case wait <= presenceDelay: // people who leave one after another are shown in one line
				out = append(out, name)
			default:
				if next < 0 || wait < next {
					next = wait
				}
				continue
			}
			delete(r.presence, name)
		}
		h.appendPresence(r, in, out)
	}
	if next < 0 {
		return nil
	}
	return time.After(next)
}

// appendPresence is called with mu held.
func (h *directory) appendPresence(r *Room, in, out []Name) {
	if r.online > 0 && len(in)+len(out) > 0 {
		h.appendNotice(r.Log, Message{Room: r.Name, Kind: PresenceChange, Text: text.Sprintf("%s", presenceText(in, out))})
	}
}

// joinPending reports whether the room has not been shown yet that somebody has joined. Called with the hub's mu held.
func (r *Room) joinPending(name Name) bool { return r.presence[name].joined }

// showJoin shows a room that somebody has joined, before what they say or do there. Others who have joined are in the same
// line. Called with mu held for writing.
func (h *directory) showJoin(r *Room, name Name) {
	if !r.joinPending(name) {
		return
	}
	var in []Name
	for name, c := range r.presence {
		if c.joined {
			in = append(in, name)
			delete(r.presence, name)
		}
	}
	h.appendPresence(r, in, nil)
}

// presenceText is "alice and bob joined; carol left".
func presenceText(in, out []Name) string {
	var parts []string
	if len(in) > 0 {
		parts = append(parts, nameList(in)+" joined")
	}
	if len(out) > 0 {
		parts = append(parts, nameList(out)+" left")
	}
	return strings.Join(parts, "; ")
}

func nameList(names []Name) string {
	slices.SortFunc(names, Name.Compare)
	words := make([]string, 0, presenceNames+1)
	for i, n := range names {
		if i == presenceNames && len(names) > presenceNames+1 {
			words = append(words, fmt.Sprintf("%d others", len(names)-i))
			break
		}
		words = append(words, n.String())
	}
	return text.List(words)
}

// addMember is called with mu held. since is the first message that is theirs to read.
func (h *presence) addMember(r *Room, name Name, since uint64) {
	p := h.person(name)
	r.members[name] = min(since, r.Log.Last()+1) // earlier messages of the same batch may not have been stored
	if p.online() {
		r.online++
	}
	p.rooms[r.Name] = h.appendNotice(p.log, Message{Room: r.Name, Kind: Joined})
	h.members.Add(1)
	r.roster.changed()
	h.notePresence(r, name, true)
}

// leave is called with mu held.
func (h *presence) removeMember(r *Room, name Name) {
	if _, in := r.members[name]; !in {
		return
	}
	p := h.person(name)
	delete(r.members, name)
	delete(p.rooms, r.Name)
	h.members.Add(1)
	r.roster.changed()
	if p.online() {
		r.online--
	}
	h.appendNotice(p.log, Message{Room: r.Name, Kind: Parted})
	h.notePresence(r, name, false)
}

// SetAway notes that me, whose sessions stay open, is not there to read, until Back or the end of the last of them.
// Where none is open it does nothing. All of me's sessions hear of it, as Changed.
func (h *presence) SetAway(me Name, why Text) {
	h.setAway(me, Absence{Away: true, Why: why, Since: now()})
}

// ClearAway ends what SetAway began. It reports whether me was away.
func (h *presence) ClearAway(me Name) bool { return h.setAway(me, Absence{}) }

// setAway reports whether me was away before.
func (h *presence) setAway(me Name, a Absence) (was bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.people[me]
	if p == nil {
		return false
	}
	was = p.away().Away
	if p.online() && (was || a.Away) {
		a.Version = p.absence.Version + 1
		h.attend(me, func(p *person) { p.absence, p.said = a, true })
	}
	return was
}

// Away reports whether name is marked as away, why, and since when.
func (h *presence) Away(name Name) (why Text, since time.Time, away bool) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if p := h.people[name]; p != nil {
		a := p.away()
		return a.Why, a.Since, a.Away
	}
	return Text{}, time.Time{}, false
}

// Roster is who is in a room. It is shared, and never changed: another one shows a change.
type Roster struct {
	// People are those who are online, then those who are away, then the others, each by name; at most rosterNames.
	People  []Presence
	Online  int // who are not away
	Away    int
	Offline int
}

const (
	rosterNames = 200             // as many as the tallest screen has rows
	rosterDelay = time.Second / 2 // changes are gathered this long: everyone may come at once
)

// Roster returns who is in a room that me is in; nil if me is not.
func (h *Hub) Roster(me Name, name RoomName) *Roster {
	h.mu.RLock()
	defer h.mu.RUnlock()
	r := h.rooms[name]
	if r == nil {
		return nil
	}
	if _, in := r.members[me]; !in {
		return nil
	}
	if is := r.roster.is.Load(); is != nil {
		return is
	}
	is := r.makeRoster(h.state.Load(), h.people)
	r.roster.is.Store(is)
	return is
}

// makeRoster is called with the hub's mu held.
func (r *Room) makeRoster(state *State, people map[Name]*person) *Roster {
	var online, away, offline []Name
	for n := range r.members {
		switch p := people[n]; {
		case p == nil || !p.online():
			offline = append(offline, n)
		case p.away().Away:
			away = append(away, n)
		default:
			online = append(online, n)
		}
	}
	is := &Roster{Online: len(online), Away: len(away), Offline: len(offline)}
	add := func(group []Name, p Presence) {
		left := rosterNames - len(is.People)
		if left == 0 {
			return
		}
		slices.SortFunc(group, Name.Compare)
		for _, n := range group[:min(left, len(group))] {
			p.Name = n
			is.People = append(is.People, p)
		}
	}
	add(online, Presence{Online: true})
	add(away, Presence{Online: true, Away: true})
	add(offline, Presence{})
	for i := range is.People {
		p := &is.People[i]
		if a := state.named(p.Name); a != nil {
			creator, mod := state.RoomRole(p.Name, r.Name)
			p.Moderates, p.Color = RankOf(a.Role, creator, mod) > RankMember, a.Color()
		}
	}
	return is
}

// WatchRoster calls wake soon after each change of who is in a room, until stop is called. wake must not block.
func (h *presence) WatchRoster(name RoomName, wake func()) (stop func()) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	r := h.rooms[name]
	if r == nil {
		return func() {}
	}
	return r.roster.watch(&wake)
}

// roster is who is in a room as it was last asked for, and who watches it. It locks for itself.
type roster struct {
	is atomic.Pointer[Roster] // nil: it has changed; set with the hub's mu held

	mu       sync.Mutex
	watchers map[*func()]bool // guarded by mu; nil: nobody
	due      bool             // guarded by mu; they are woken soon
}

func (r *roster) watch(wake *func()) (stop func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.watchers == nil {
		r.watchers = make(map[*func()]bool)
	}
	r.watchers[wake] = true
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.watchers, wake)
	}
}

// changed is called with the hub's mu held, after the change.
func (r *roster) changed() {
	r.is.Store(nil)
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.watchers) > 0 && !r.due {
		r.due = true
		time.AfterFunc(rosterDelay, r.wake)
	}
}

func (r *roster) wake() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.due = false
	for wake := range r.watchers {
		(*wake)()
	}
}
