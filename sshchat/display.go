package sshchat

import (
	"slices"
	"strings"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/command"
	"sshchat/sshchat/emoji"
	"sshchat/sshchat/view"
	"sshchat/sshchat/view/theme"
)

// display is what a session shows: in which UI, of which rooms, and what counts as read. The session's goroutine owns it,
// and is the only one to write to the client.
type display struct {
	who     *caller
	channel *channelFilter
	ui      view.UI // none for a command without a terminal
	began   time.Time

	room          chat.RoomName // the current room
	before        chat.RoomName // the one that was current before it; zero if there is none
	changed       bool          // the UI has to be given what it shows of the current room
	watched       *watched      // the room whose people are shown; nil: none is
	settings      command.Settings
	reader        *chat.Reader
	filter        chat.Filter // what is not shown
	focus         []chat.Name // the only people shown in rooms; empty: everybody
	inbox         *chat.Inbox // what is not read; nil for a command, as the reader
	unlocked      *unlocked   // what is open of a room's sealed history; nil: nothing
	olderChanged  bool        // the UI is to be told of that
	correspondent chat.Name   // who last sent this person a direct message

	frame   *timer    // fires when the next frame may be drawn
	next    time.Time // when that is; zero: at once
	resting bool      // until frame fires
	notices *notices  // nil: the person is not notified on the desktop
	marks   marksTimer
}

func (v *display) SetRoom(room chat.RoomName) {
	changed := room != v.room
	if changed {
		v.room, v.before = room, v.room
	}
	if v.ui.Kind != "" {
		v.ui.Enter(room)
	}
	if changed {
		v.watched = v.watched.people(v)
	}
	if !changed || !room.IsDirect() {
		return
	}
	v.changed = true // a full screen shows whether the other person is online above the messages, if there are any
	if v.ui.Kind == view.KindPlain || v.full() && !v.who.server.services.Hub.In(v.who.name, room) {
		other := room.Other(v.who.name)
		v.ui.Print(other.String() + " is " + v.presenceOf(other) + ".")
	}
}

// presenceOf says whether a person is online, and why not if they said so.
func (v *display) presenceOf(name chat.Name) string {
	hub := v.who.server.services.Hub
	if why, _, away := hub.Away(name); away {
		if why.String() == "" {
			return "away"
		}
		return "away (" + why.String() + ")"
	}
	if hub.Online(name) {
		return "online"
	}
	return "offline"
}

func (v *display) setFocus(people []chat.Name) {
	v.focus = people
	v.applySettings()
}

// newUI returns the client's UI. A command without a terminal has none. A command with a terminal, and a stranger's
// session, get the plain one.
func (v *display) newUI(isCommand bool) view.UI {
	_, _, pty := v.channel.size()
	switch {
	case pty && !isCommand && v.wantsFull():
		return view.New(view.KindFull, v.options())
	case pty && v.channel.terminal() != "bot":
		return view.New(view.KindPlain, v.options())
	case isCommand:
		return view.UI{}
	}
	return view.New(view.KindPipe, v.options())
}

// wantsFull reports whether a full screen is what this terminal and its person want.
func (v *display) wantsFull() bool {
	term := v.channel.terminal()
	if _, _, pty := v.channel.size(); !pty || term == "bot" || v.who.login().provisional() {
		return false
	}
	if v.settings.UI != "auto" {
		return v.settings.UI == "full"
	}
	return term != "" && term != "dumb" && v.channel.getenv("SSHCHAT_UI") != "plain"
}

// full reports whether the UI is the full screen.
func (v *display) full() bool { return v.ui.Kind == view.KindFull }

// options are what the client said of its terminal, and what its person chose.
func (v *display) options() view.Options {
	width, height, _ := v.channel.size()
	return view.Options{
		Me: v.who.name, Width: width, Height: height, Term: v.channel.terminal(),
		ColorTerm: v.channel.getenv("COLORTERM"), NoColor: v.channel.getenv("NO_COLOR") != "", ASCII: !v.unicode(),
		Server: v.who.server.services.ServerName, Preferences: v.preferences(), Since: v.began,
		Complete: v.complete, Past: v, Lines: v.who.server.lines, Find: v.find, Filter: func() *chat.Filter { return &v.filter },
	}
}

// preferences are the person's settings, with defaults from the client's environment.
func (v *display) preferences() view.Preferences {
	_, _, away := v.who.server.services.Hub.Away(v.who.name)
	l := view.Preferences{
		Zone: v.settings.Zone, Clock: v.settings.Clock(), Theme: v.settings.Theme,
		Bell: v.settings.Bell, Mouse: v.settings.Mouse, Away: away, Compact: v.settings.Layout == "compact",
	}
	if l.Zone == nil {
		l.Zone = v.zone()
	}
	return l
}

// unicode reports whether the client's locale has lines to draw with: one that names no character set counts as UTF-8 if the
// client sent none at all.
func (v *display) unicode() bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if locale := strings.ToLower(v.channel.getenv(name)); locale != "" {
			return strings.Contains(locale, "utf-8") || strings.Contains(locale, "utf8")
		}
	}
	return true
}

// zone is the one that the client's environment names, if it does.
func (v *display) zone() *time.Location {
	if zone := command.ClientZone(v.channel.getenv("TZ")); zone != nil {
		return zone
	}
	return time.UTC
}

// settle applies what the person chose, at the start and whenever it has changed.
func (v *display) applySettings() {
	a, err := v.who.admitted()
	if err != nil {
		return // the next command reports it
	}
	v.settings = command.ParseSettings(a.Settings)
	v.filter = v.settings.Filter(v.who.name, v.focus)
	v.reader.Filter(&v.filter)
	v.inbox.Filter(v.filter)
	if v.wantsFull() != v.full() {
		v.changeUI()
	}
	v.ui.Set(v.preferences())
	v.notices = v.notices.set(v)
	v.watched = v.watched.people(v)
}

// watched is a room whose people are shown beside its messages.
type watched struct {
	room chat.RoomName
	stop func()
}

// people returns what is to be watched from now on: the current room, if that is wanted and the screen is wide enough.
func (w *watched) people(v *display) *watched {
	width, _, _ := v.channel.size()
	wanted := v.settings.Pane && v.full() && width >= view.MinPane && !v.room.IsDirect()
	if wanted == (w != nil) && (!wanted || w.room == v.room) {
		return w
	}
	w.end()
	v.changed = true
	if !wanted {
		return nil
	}
	waker := v.frame.waker
	return &watched{v.room, v.who.server.services.Hub.WatchRoster(v.room, func() { waker.Wake(rosterChanged) })}
}

// end ends it, if anything is watched.
func (w *watched) end() {
	if w != nil {
		w.stop()
	}
}

// changeUI goes on with another UI in the same session. A plain one is shown what the screen has shown last.
func (v *display) changeUI() {
	unsent := v.ui.Drafts(v.room)
	v.ui.Close()
	if v.flush() != nil {
		return // the connection has ended, which the session sees for itself
	}
	v.ui = v.newUI(false)
	v.who.relist(string(v.ui.Kind))
	v.ui.Enter(v.room)
	v.ui.Restore(v.room, unsent)
	if v.full() {
		return
	}
	for _, m := range v.inMemory(v.room, 0, replay) {
		v.ui.Deliver(chat.Spans{{Room: m.Room, Entries: []chat.Message{m}}})
	}
}

// Themes are the names of the colors that a screen can have, the usual one first.
func Themes() []string { return theme.Names() }

// complete is what Tab offers: emoji after a colon, else what the word may be, as the registry says. A word that begins with # is a
// room, and one that begins with @ a person, anywhere in the line.
func (v *display) complete(line string, cursor int) (start int, candidates []string) {
	line = line[:cursor]
	if start, candidates = emoji.Begun(line); len(candidates) > 0 {
		return start, candidates
	}
	services := v.who.server.services
	a, _ := v.who.server.view().ByID(v.who.login().id)
	c := services.Commands.Complete(services, a, line)
	word := strings.ToLower(line[c.Start:])
	seen := make(map[string]bool) // a room may have thousands of people
	fits := func(candidate string) {
		if strings.HasPrefix(candidate, word) && !seen[candidate] {
			seen[candidate] = true
			candidates = append(candidates, candidate)
		}
	}
	for _, w := range c.Words {
		fits(w)
	}
	bare, isRoom := strings.CutPrefix(word, "#")
	if isRoom || c.Rooms {
		for _, r := range services.Hub.Rooms(v.who.name) {
			if strings.HasPrefix(r.Name.String(), bare) {
				candidates = append(candidates, "#"+r.Name.String())
			}
		}
	}
	at := ""
	if strings.HasPrefix(word, "@") {
		at = "@"
	}
	if !isRoom && (c.People || at != "") {
		for _, name := range v.speakers() {
			fits(at + name.String())
		}
	}
	return c.Start, candidates
}

// speakers are the other people in the room: recent authors first, the last one at the front, then the rest by name.
func (v *display) speakers() []chat.Name {
	var names []chat.Name
	seen := map[chat.Name]bool{v.who.name: true, {}: true}
	for _, m := range slices.Backward(v.inMemory(v.room, 0, chat.IdleLog)) {
		if !seen[m.From] {
			seen[m.From] = true
			names = append(names, m.From)
		}
	}
	people, err := v.who.server.services.Hub.Members(v.who.name, v.room)
	if err != nil {
		return names
	}
	for _, p := range people {
		if !seen[p.Name] {
			names = append(names, p.Name)
		}
	}
	return names
}
