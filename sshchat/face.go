package sshchat

import (
	"strings"
	"time"

	"sshchat/sshchat/view"
)

// newFace is full of terminal where there is one. A command without one has none.
func (s *session) newFace(isCommand bool) view.Face {
	width, height, pty := s.guard.size()
	term := s.guard.terminal()
	o := view.Options{
		Me: s.name, Width: width, Height: height, Term: term,
		ColorTerm: s.guard.getenv("COLORTERM"), NoColor: s.guard.getenv("NO_COLOR") != "",
		Server: s.server.services.ServerName, Complete: s.complete,
	}
	if zone, err := time.LoadLocation(s.guard.getenv("TZ")); err == nil && !strings.HasPrefix(s.guard.getenv("TZ"), "/") {
		o.Look.Zone = zone
	}
	switch {
	case pty && term != "bot":
		return view.NewPlain(o)
	case isCommand:
		return nil
	}
	return view.NewPipe(o)
}
