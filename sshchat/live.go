package sshchat

import (
	"cmp"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/command"
	"sshchat/sshchat/text"
	"sshchat/sshchat/view"
)

// This file is who is connected, as moderators see it: command.Live.

var _ command.Live = (*Server)(nil)

// hangUpAfter is how long a session that was ended has for its last words before its connection is closed.
const hangUpAfter = 2 * time.Second

// enlist has the session be among those that are listed and can be ended. What is listed is what it was when it began.
func (who *caller) enlist(a chat.Account) {
	live := command.LiveSession{
		Account: a.ID, Name: a.Name, Addr: who.conn.addr, Since: time.Now().UTC().Truncate(time.Second),
		Key: who.login.key, Face: who.kind, Client: text.Clean(who.conn.client, 64),
	}
	who.server.mu.Lock()
	defer who.server.mu.Unlock()
	who.server.live[who] = live
}

func (who *caller) delist() {
	who.server.mu.Lock()
	defer who.server.mu.Unlock()
	delete(who.server.live, who)
}

// kind names the UI, or exec for one command.
func (s *session) kindOf() string {
	if s.isExec && (s.ui.Kind == "" || s.ui.Kind == view.KindPlain) {
		return "exec"
	}
	return string(cmp.Or(s.ui.Kind, view.KindPlain))
}

// Sessions implements command.Live.
func (s *Server) Sessions() []command.LiveSession {
	s.mu.Lock()
	list := make([]command.LiveSession, 0, len(s.live))
	for _, l := range s.live {
		list = append(list, l)
	}
	s.mu.Unlock()
	slices.SortFunc(list, func(a, b command.LiveSession) int {
		if d := a.Since.Compare(b.Since); d != 0 {
			return d
		}
		return a.Name.Compare(b.Name)
	})
	return list
}

// Figures implements command.Live: the fields of Stats by their names.
func (s *Server) Figures() []command.Figure {
	v := reflect.ValueOf(s.Stats())
	figures := make([]command.Figure, v.NumField())
	for i := range figures {
		figures[i] = command.Figure{Name: strings.ToLower(v.Type().Field(i).Name), Value: int(v.Field(i).Int())}
	}
	return figures
}

// End implements command.Live. A client that reads nothing is gone with its connection all the same.
func (s *Server) End(which func(command.LiveSession) bool, why string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for sess, l := range s.live {
		if which(l) {
			sess.terminate(why)
			n++
		}
	}
	return n
}

// Review implements command.Live.
func (s *Server) Review(stale string) int {
	select {
	case s.decided <- struct{}{}:
	default:
	}
	s.mu.Lock()
	sessions := slices.Collect(maps.Keys(s.live))
	s.mu.Unlock()
	n := 0
	for _, sess := range sessions {
		if s.review(sess, stale) {
			n++
		}
	}
	return n
}

// review ends the session of an account whose login is not admitted any more. One that is just changing what it has to
// prove reviews itself when that is done.
func (s *Server) review(who *caller, stale string) (ended bool) {
	l := who.proven.Load()
	if who.renewal.Load() || l.provisional() {
		return false
	}
	_, ban, denial := admit(s.services.Accounts, who.conn, *l)
	if denial == chat.Admitted || who.renewal.Load() || who.proven.Load() != l {
		return false
	}
	why := cmp.Or(stale, "The account, key or password of this session has changed; please reconnect.")
	switch denial {
	case chat.Banned:
		why = command.Banned(ban).Error()
	case chat.Disabled:
		why = "This account is disabled."
	case chat.NotListed:
		why = "Only those on its list may use this server now."
	}
	return who.terminate(why)
}

// terminate ends the session with words to its person, unless somebody has before.
func (who *caller) terminate(why string) bool {
	if !who.terminated.CompareAndSwap(nil, &why) {
		return false
	}
	who.end(&chat.Refusal{Code: chat.Denied, Text: why})
	time.AfterFunc(hangUpAfter, who.hangUp)
	return true
}

// hangUp closes the connection of a session that was to end, if it is still there or its login is not admitted. Otherwise
// that one was ended by a kick, or was let in again, and other sessions have begun in the connection since.
func (who *caller) hangUp() {
	who.server.mu.Lock()
	_, there := who.server.live[who]
	who.server.mu.Unlock()
	if !there {
		if _, _, denial := admit(who.server.services.Accounts, who.conn, *who.proven.Load()); denial == chat.Admitted {
			return
		}
	}
	who.conn.Close()
}

// Sources implements command.Tries.
func (s *Server) Sources(name chat.Name) []netip.Prefix { return s.attempts.Sources(name) }

// Pardon implements command.Tries.
func (s *Server) Pardon(name chat.Name) (wrong int) { return s.attempts.Unlock(name) }
