package sshchat

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/command"
	"sshchat/sshchat/lists"
	"sshchat/sshchat/text"
	"sshchat/sshchat/view"
)

// This file lists and ends the sessions of this server. Those of all nodes of a cluster are made of that elsewhere.

// hangUpAfter is how long a session that was ended has for its last words before its connection is closed.
const hangUpAfter = 2 * time.Second

// liveSessions are the open sessions of accounts.
type liveSessions struct {
	decided chan struct{} // holds a token when the State has changed; never closed

	mu    sync.Mutex
	live  map[*caller]command.LiveSession // guarded by mu
	ended []endedBy                       // guarded by mu; of the last batches that ended any, the newest last
}

// endedBy is how many sessions a batch has ended, because their login is not admitted any more.
type endedBy struct {
	batch    uint64
	sessions int
}

// maxEndedBy is of how many batches that is known.
const maxEndedBy = 256

// enlist adds the session to those that are listed and can be ended, with its details as they are at its start.
func (who *caller) enlist(a chat.Account) {
	live := command.LiveSession{
		Account: a.ID, Name: a.Name, Addr: who.conn.addr, Since: time.Now().UTC().Truncate(time.Second),
		Key: who.login().key, UI: who.kind, Client: text.Clean(who.conn.client, 64),
	}
	list := &who.server.liveSessions
	list.mu.Lock()
	defer list.mu.Unlock()
	list.live[who] = live
}

func (who *caller) delist() {
	list := &who.server.liveSessions
	list.mu.Lock()
	defer list.mu.Unlock()
	delete(list.live, who)
}

// relist has the session be listed with the UI that it has now.
func (who *caller) relist(kind string) {
	who.kind = kind
	list := &who.server.liveSessions
	list.mu.Lock()
	defer list.mu.Unlock()
	if live, listed := list.live[who]; listed {
		live.UI = kind
		list.live[who] = live
	}
}

// kindOf names the UI, or exec for one command.
func (s *session) kindOf() string {
	if s.isExec && (s.ui.Kind == "" || s.ui.Kind == view.KindPlain) {
		return "exec"
	}
	return string(cmp.Or(s.ui.Kind, view.KindPlain))
}

// Sessions lists the open sessions of accounts, the oldest first.
func (s *liveSessions) Sessions() []command.LiveSession {
	s.mu.Lock()
	list := make([]command.LiveSession, 0, len(s.live))
	for _, l := range s.live {
		list = append(list, l)
	}
	s.mu.Unlock()
	lists.Sort(list, func(a, b command.LiveSession) int {
		if d := a.Since.Compare(b.Since); d != 0 {
			return d
		}
		return a.Name.Compare(b.Name)
	})
	return list
}

// Figures are the fields of Stats by their names.
func (s *Server) Figures() []command.Figure {
	v := reflect.ValueOf(s.Stats())
	figures := make([]command.Figure, v.NumField())
	for i := range figures {
		field := v.Type().Field(i)
		figures[i] = command.Figure{Name: cmp.Or(field.Tag.Get("stat"), strings.ToLower(field.Name)), Value: int(v.Field(i).Int())}
	}
	return figures
}

// End ends the sessions of an account, with words to each, and their connections, and returns how many. It does not wait for them. A
// client that reads nothing is gone with its connection all the same.
func (s *liveSessions) End(account, why string) int {
	return s.end(func(l command.LiveSession) bool { return l.Account == account }, chat.Denied, why)
}

func (s *liveSessions) end(which func(command.LiveSession) bool, code chat.Code, why string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for sess, l := range s.live {
		if which(l) && sess.terminate(code, why) {
			n++
		}
	}
	return n
}

// settleLook is how often Settle looks whether sessions have ended.
const settleLook = 2 * time.Millisecond

// Settle waits until the batches up to that one are applied, and until the sessions have ended whose login is not admitted since: then
// nothing more comes from them or goes to them. A session that begins meanwhile is listed before its login is admitted, so it is among
// them, or is refused. It returns how many sessions were ended by the batches after the first up to the second. Errors: ctx's.
func (s *Server) Settle(ctx context.Context, after, upTo uint64) (ended int, err error) {
	if err := s.services.Hub.AwaitApplied(ctx, upTo); err != nil {
		return 0, err
	}
	look := time.NewTicker(settleLook)
	defer look.Stop()
	for going := s.notAdmitted(s.view()); ; {
		if going = s.stillHere(going); len(going) == 0 {
			return s.endedBetween(after, upTo), nil
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

// notAdmitted are the sessions whose login is not admitted.
func (s *liveSessions) notAdmitted(now chat.View) (going []*caller) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for who := range s.live {
		if _, err := now.Admit(who.asks()); err != nil {
			going = append(going, who)
		}
	}
	return going
}

// stillHere are those of the sessions that have not ended.
func (s *liveSessions) stillHere(sessions []*caller) (still []*caller) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, who := range sessions {
		if _, there := s.live[who]; there {
			still = append(still, who)
		}
	}
	return still
}

func (s *liveSessions) endedBetween(after, upTo uint64) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, by := range s.ended {
		if by.batch > after && by.batch <= upTo {
			n += by.sessions
		}
	}
	return n
}

// onFence is what sessions notice of the fence. It implements fence.Sessions.
type onFence struct{ *Server }

// sentence is what an error says, as a sentence.
func sentence(err error) string {
	said := err.Error()
	return strings.ToUpper(said[:1]) + said[1:] + "."
}

func (s onFence) Begins() {
	if cause := s.services.Fence.Cause(); cause != nil {
		s.log.Warn("nobody can post or log in", "err", cause)
		s.notify(sentence(cause))
		return
	}
	s.log.Warn("the chat's log cannot be reached: read-only")
	s.notify("Read-only: this server cannot reach the chat's log. What you send waits.")
}

func (s onFence) Ends() {
	s.log.Info("the chat's log can be reached again")
	s.notify("The chat's log can be reached again.")
}

func (s onFence) Lasts(fenced time.Duration) {
	cause := s.services.Fence.Cause()
	if cause != nil {
		if n := s.end(func(command.LiveSession) bool { return true }, chat.Failed, sentence(cause)); n > 0 {
			s.log.Warn("sessions ended", "err", cause, "sessions", n)
		}
		return
	}
	n := s.end(func(command.LiveSession) bool { return true }, chat.Failed, "This server cannot reach the chat's log. Please connect again: other servers of the chat may be able to.")
	if n > 0 {
		s.log.Warn("the chat's log cannot be reached: sessions ended", "for", fenced.Round(time.Second), "sessions", n)
	}
}

// notify tells all sessions something. It does not go the way of messages, which are held back meanwhile.
func (s *liveSessions) notify(said string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for who := range s.live {
		who.notice.Store(&said)
		who.waker.Wake(serverNotice)
	}
}

// wakeForDrafts has the account's sessions on a terminal look for drafts: their person may have reconnected before the loss of the
// session in which these were typed was noticed.
func (s *liveSessions) wakeForDrafts(account string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for who, l := range s.live {
		if l.Account == account && (l.UI == string(view.KindFull) || l.UI == string(view.KindPlain)) {
			who.waker.Wake(draftsKept)
		}
	}
}

// follow ends the sessions whose login is no longer admitted after a change of the State, which comes with that batch. This includes
// sessions that are just starting: they are listed before they are admitted.
func (s *liveSessions) follow(batch uint64, before, after chat.View) {
	select {
	case s.decided <- struct{}{}:
	default:
	}
	s.mu.Lock()
	sessions := slices.Collect(maps.Keys(s.live))
	s.mu.Unlock()
	ended := 0
	for _, sess := range sessions {
		if review(sess, before, after) {
			ended++
		}
	}
	if ended == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = append(s.ended, endedBy{batch, ended})
	s.ended = slices.Delete(s.ended, 0, max(0, len(s.ended)-maxEndedBy))
}

// review ends the session of an account whose login is not admitted any more, and reports whether it did. One that is just changing
// what it has to prove reviews itself when that is done, unless its person is not admitted at all.
func review(who *caller, before, after chat.View) (ended bool) {
	l := who.proven.Load()
	if l.provisional() {
		return false
	}
	asks := who.asks()
	_, err := after.Admit(asks)
	if err == nil || errors.Is(err, chat.ErrStale) && who.renewal.Load() || who.proven.Load() != l {
		return false
	}
	return who.terminate(chat.Denied, farewellOf(asks.Login, before, after, err))
}

// farewellOf is the last message of a session whose login is no longer admitted. If the login has become stale, it says
// what about the account has changed.
func farewellOf(l chat.Login, before, after chat.View, err error) string {
	was, _ := before.ByID(l.Account)
	is, there := after.ByID(l.Account)
	hasKey := func(a chat.Account) bool {
		return slices.ContainsFunc(a.Keys, func(k chat.Key) bool { return k.Fingerprint == l.Key })
	}
	switch {
	case errors.Is(err, chat.ErrDisabled):
		return "This account has been disabled."
	case errors.Is(err, chat.ErrNotListed):
		return "Only people on the allowlist may use this server."
	case !errors.Is(err, chat.ErrStale):
		return err.Error()
	case !there:
		return "This account has been deleted."
	case l.Key != "" && hasKey(was) && !hasKey(is):
		return "The key of this session has been removed."
	case l.Key != "" && hasKey(is):
		return "The restrictions of this session's key have changed. Please reconnect."
	case l.Key == "" && l.Generation != is.Generation:
		return "The password of this account has been changed. Please reconnect."
	case l.Key == "" && l.Second != is.TOTP:
		return "The second factor of this account has changed. Please reconnect."
	}
	return "The account, key or password of this session has changed; please reconnect."
}

// terminate ends the session with words to its person and an exit code, unless it was ended before.
func (who *caller) terminate(code chat.Code, words string) bool {
	why := &chat.Refusal{Code: code, Text: words}
	if !who.terminated.CompareAndSwap(nil, why) {
		return false
	}
	who.end(why)
	time.AfterFunc(hangUpAfter, who.hangUp)
	return true
}

// hangUp closes the connection of a session that was to end, if it is still there or its login is not admitted. Otherwise
// that one was ended by a kick, or was let in again, and other sessions have begun in the connection since.
func (who *caller) hangUp() {
	list := &who.server.liveSessions
	list.mu.Lock()
	_, there := list.live[who]
	list.mu.Unlock()
	if !there {
		if _, err := who.server.services.Hub.View().Admit(who.asks()); err == nil {
			return
		}
	}
	who.conn.Close()
}

// Sources implements command.Tries.
func (n *sourceCounts) Sources(name chat.Name) []netip.Prefix { return n.attempts.Sources(name) }

// Unlock implements command.Tries.
func (n *sourceCounts) Unlock(ctx context.Context, name chat.Name) (wrong int, err error) {
	return n.attempts.Unlock(ctx, name)
}
