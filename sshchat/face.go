package sshchat

import (
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/command"
	"sshchat/sshchat/view"
)

// newFace is what the client is served with. A command without a terminal has none; one with a terminal, and a stranger
// who is asked questions, get the plain one.
func (s *session) newFace(isCommand bool) view.Face {
	_, _, pty := s.guard.size()
	switch {
	case pty && !isCommand && s.wantsFull():
		return view.NewFull(s.options())
	case pty && s.guard.terminal() != "bot":
		return view.NewPlain(s.options())
	case isCommand:
		return nil
	}
	return view.NewPipe(s.options())
}

// wantsFull reports whether a full screen is what this terminal and its person want.
func (s *session) wantsFull() bool {
	term := s.guard.terminal()
	if _, _, pty := s.guard.size(); !pty || term == "bot" || s.login.provisional() {
		return false
	}
	if s.settings.UI != "auto" {
		return s.settings.UI == "full"
	}
	return term != "" && term != "dumb" && s.guard.getenv("SSHCHAT_UI") != "plain"
}

// full reports whether the face is the full screen.
func (s *session) full() bool {
	_, ok := s.face.(*view.Full)
	return ok
}

// options are what the client said of its terminal, and what its person chose.
func (s *session) options() view.Options {
	width, height, _ := s.guard.size()
	return view.Options{
		Me: s.name, Width: width, Height: height, Term: s.guard.terminal(),
		ColorTerm: s.guard.getenv("COLORTERM"), NoColor: s.guard.getenv("NO_COLOR") != "",
		Server: s.server.services.ServerName, Look: s.look(), Since: s.began,
		Complete: s.complete, Past: s.past, Lines: s.server.lines,
	}
}

// look is what the person chose, and where nothing was chosen, what the client's environment says.
func (s *session) look() view.Look {
	_, _, away := s.server.services.Hub.Away(s.name)
	l := view.Look{
		Zone: s.settings.Zone, Clock: s.settings.Clock(), Theme: s.settings.Theme,
		Bell: s.settings.Bell, Mouse: s.settings.Mouse, Away: away,
	}
	if l.Zone == nil {
		l.Zone = s.Zone()
	}
	return l
}

// Zone is the one that the client's environment names, if it does.
func (s *session) Zone() *time.Location {
	if zone := command.ClientZone(s.guard.getenv("TZ")); zone != nil {
		return zone
	}
	return time.UTC
}

// settle applies what the person chose, at the start and whenever it has changed.
func (s *session) settle() {
	a, err := s.server.account(s.server.services.Accounts, s.guard.conn, s.login)
	if err != nil {
		return // the next command says so
	}
	s.settings = command.ParseSettings(a.Settings)
	s.filter = s.settings.Filter(s.focus)
	s.inbox.Filter(s.filter)
	if s.wantsFull() != s.full() {
		s.changeFace()
	}
	s.face.Set(s.look())
}

// changeFace goes on with another face in the same session. A plain one is shown what the screen has shown last.
func (s *session) changeFace() {
	s.face.Leave()
	if s.flush() != nil {
		return // the connection has ended, which the session sees for itself
	}
	s.face = s.newFace(false)
	s.face.Enter(s.room)
	if s.full() {
		return
	}
	for _, m := range s.past(s.room, 0, replay) {
		s.face.Deliver([]chat.Delivery{{Message: m}})
	}
}

// Themes are the names of the colours that a screen can have, the usual one first.
func Themes() []string { return view.Themes() }
