package sshchat

import (
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/command"
	"sshchat/sshchat/view"
)

// newUI is what the client is served with. A command without a terminal has none; one with a terminal, and a stranger
// who is asked questions, get the plain one.
func (s *session) newUI(isCommand bool) view.UI {
	_, _, pty := s.guard.size()
	switch {
	case pty && !isCommand && s.wantsFull():
		return view.New(view.KindFull, s.options())
	case pty && s.guard.terminal() != "bot":
		return view.New(view.KindPlain, s.options())
	case isCommand:
		return view.UI{}
	}
	return view.New(view.KindPipe, s.options())
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

// full reports whether the UI is the full screen.
func (s *session) full() bool { return s.ui.Kind == view.KindFull }

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
		s.changeUI()
	}
	s.ui.Set(s.look())
}

// changeUI goes on with another UI in the same session. A plain one is shown what the screen has shown last.
func (s *session) changeUI() {
	s.ui.Leave()
	if s.flush() != nil {
		return // the connection has ended, which the session sees for itself
	}
	s.ui = s.newUI(false)
	s.ui.Enter(s.room)
	if s.full() {
		return
	}
	for _, m := range s.past(s.room, 0, replay) {
		s.ui.Deliver([]chat.Delivery{{Message: m}})
	}
}

// Themes are the names of the colours that a screen can have, the usual one first.
func Themes() []string { return view.Themes() }
