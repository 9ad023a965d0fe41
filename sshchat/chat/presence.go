package chat

import (
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
}

// SessionOpened notes that a session of name has opened on a terminal. Each call needs one of SessionClosed.
func (h *presence) SessionOpened(name Name) { h.opened(name, true) }

// SessionClosed notes that a session of name has ended. Rooms in which nobody is online release most of their log.
func (h *presence) SessionClosed(name Name) { h.closed(name, true) }

// ProgramOpened is SessionOpened for a program, which may come and go with every line: its user is online, and no room is
// shown that they joined or left.
func (h *presence) ProgramOpened(name Name) { h.opened(name, false) }

// ProgramClosed is SessionClosed for a program.
func (h *presence) ProgramClosed(name Name) { h.closed(name, false) }

func (h *presence) opened(name Name, terminal bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.person(name)
	p.sessions++
	if terminal {
		p.terminals++
	}
	for room := range p.rooms {
		r := h.rooms[room]
		if p.sessions == 1 {
			r.online++
			r.roster.changed()
		}
		if terminal && p.terminals == 1 {
			h.notePresence(r, name, true)
		}
	}
}

func (h *presence) closed(name Name, terminal bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.person(name)
	p.sessions--
	if terminal {
		p.terminals--
	}
	if p.sessions == 0 {
		p.away = nil // who comes back is back
	}
	for room := range p.rooms {
		r := h.rooms[room]
		if terminal && p.terminals == 0 {
			h.notePresence(r, name, false)
		}
		if p.sessions > 0 {
			continue
		}
		r.roster.changed()
		if r.online--; r.online == 0 && h.keeps.Load() == 0 {
			r.Log.Trim()
		}
	}
}

// Online reports whether a session of name is open.
func (h *presence) Online(name Name) bool {
	h.mu.RLock()
	defer h.mu.RUnlock()
	p := h.people[name]
	return p != nil && p.sessions > 0
}

// notePresence notes that somebody came or left, to be shown with the next presence change. Coming and leaving again cancel
// out, and so do leaving and coming back within reconnectTime. Called with mu held.
func (h *presence) notePresence(r *Room, name Name, joined bool) {
	if r.Name.IsDirect() {
		return
	}
	if before, pending := r.presence[name]; pending && before.joined != joined {
		delete(r.presence, name)
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

// NotifyRemoval is NotifyRoom for the removal of somebody: they are not shown as having left as well.
func (h *directory) NotifyRemoval(by, name Name, room RoomName, format string, args ...any) {
	h.mu.Lock()
	if r := h.rooms[room]; r != nil && !r.joinPending(name) {
		delete(r.presence, name)
	}
	h.mu.Unlock()
	h.NotifyRoom(by, room, format, args...)
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
	if len(words) == 1 {
		return words[0]
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}

// addMember is called with mu held. since is the first message that is theirs to read.
func (h *presence) addMember(r *Room, name Name, since uint64) {
	p := h.person(name)
	r.members[name] = min(since, r.Log.Last()+1) // earlier messages of the same batch may not have been stored
	if p.sessions > 0 {
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
	if p.sessions > 0 {
		r.online--
	}
	h.appendNotice(p.log, Message{Room: r.Name, Kind: Parted})
	h.notePresence(r, name, false)
}

// absence is what somebody said on leaving the keyboard. It is in memory only.
type absence struct {
	why   Text // may be empty
	since time.Time
}

// SetAway notes that me, whose sessions stay open, is not there to read, until Back or the end of the last of them.
// Where none is open it does nothing. All of me's sessions hear of it, as Changed.
func (h *presence) SetAway(me Name, why Text) { h.setAway(me, &absence{why, now()}) }

// ClearAway ends what SetAway began. It reports whether me was away.
func (h *presence) ClearAway(me Name) bool { return h.setAway(me, nil) }

// setAway reports whether me was away before.
func (h *presence) setAway(me Name, a *absence) (was bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.people[me]
	if p == nil || p.sessions == 0 || p.away == nil && a == nil {
		return false
	}
	was = p.away != nil
	p.away = a
	for room := range p.rooms {
		h.rooms[room].roster.changed()
	}
	h.appendNotice(p.log, Message{Kind: Changed})
	return was
}

// Away reports whether name is marked as away, why, and since when.
func (h *presence) Away(name Name) (why Text, since time.Time, away bool) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if p := h.people[name]; p != nil && p.away != nil {
		return p.away.why, p.away.since, true
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
	var online, away, offline []Presence
	for n := range r.members {
		switch p := people[n]; {
		case p == nil || p.sessions == 0:
			offline = append(offline, Presence{Name: n})
		case p.away != nil:
			away = append(away, Presence{Name: n, Online: true, Away: true})
		default:
			online = append(online, Presence{Name: n, Online: true})
		}
	}
	is := &Roster{Online: len(online), Away: len(away), Offline: len(offline)}
	for _, group := range [][]Presence{online, away, offline} {
		if len(is.People) < rosterNames {
			slices.SortFunc(group, func(a, b Presence) int { return a.Name.Compare(b.Name) })
			is.People = append(is.People, group...)
		}
	}
	is.People = slices.Clone(is.People[:min(rosterNames, len(is.People))])
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
