package sshchat

import (
	"strings"
	"time"

	"sshchat/sshchat/view"
)

// newFace is what the client's terminal is served with. A command without one has none.
func (s *session) newFace(isCommand bool) view.Face {
	_, _, pty := s.guard.size()
	switch {
	case pty && s.guard.terminal() != "bot":
		return view.NewPlain(s.options())
	case isCommand:
		return nil
	}
	return view.NewPipe(s.options())
}

// options are what the client said of its terminal, and what its person chose.
func (s *session) options() view.Options {
	width, height, _ := s.guard.size()
	return view.Options{
		Me: s.name, Width: width, Height: height, Term: s.guard.terminal(),
		ColorTerm: s.guard.getenv("COLORTERM"), NoColor: s.guard.getenv("NO_COLOR") != "",
		Server: s.server.services.ServerName, Look: s.look(),
		Complete: s.complete, Past: s.past, Lines: s.server.lines,
	}
}

// look is what the person chose, and where nothing was chosen, what the client's environment says.
func (s *session) look() view.Look {
	var l view.Look
	if zone, err := time.LoadLocation(s.guard.getenv("TZ")); err == nil && !strings.HasPrefix(s.guard.getenv("TZ"), "/") {
		l.Zone = zone
	}
	return l
}

// full reports whether the face is the full screen.
func (s *session) full() bool { return false }

// settle applies what the person chose, at the start and whenever it has changed.
func (s *session) settle() {
	s.face.Set(s.look())
}
