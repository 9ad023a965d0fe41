package sshchat

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/command"
	"sshchat/sshchat/past"
	"sshchat/sshchat/view"
)

// What a session draws from: a room's log, and before it what is unlocked of the sealed history. The session's goroutine never
// opens anything: what is wanted and not open, a job opens.

// lockAfter is how long what is unlocked stays so if nothing is typed.
const lockAfter = 15 * time.Minute

// unlocked is what is unlocked in a session.
type unlocked struct {
	*past.Past
	idle   *timer         // fires when it is to be locked
	shown  *view.Unlocked // what the UI has of it; nil: it has changed
	failed bool           // no more is opened until something is typed
}

// setUnlocked has p be what is unlocked, nil for nothing, and wipes what was. What is in memory may have changed messages of it.
func (v *display) setUnlocked(p *past.Past) {
	v.olderChanged = true
	if v.unlocked != nil {
		v.unlocked.idle.stop()
		v.unlocked.Wipe()
		v.unlocked = nil
	}
	if p == nil {
		return
	}
	v.unlocked = &unlocked{Past: p, idle: newTimer(v.frame.waker, lockDue)}
	v.unlocked.typed(v.who.server.lockAfter)
	p.Colors(func(name chat.Name) chat.NameColor { return v.who.server.view().Color(name) })
	v.amendUnlocked(p.Room(), v.who.server.services.Hub.Before(v.who.name, p.Room(), 0, chat.LogLines))
}

// typed puts off the end of what is unlocked, if anything is.
func (u *unlocked) typed(lockAfter time.Duration) {
	if u != nil {
		u.failed = false
		u.idle.in(lockAfter)
	}
}

// lockIdle locks what was unlocked, if nothing was typed for so long.
func (v *display) lockIdle() {
	if v.unlocked == nil || !v.unlocked.idle.fired() {
		return
	}
	v.setUnlocked(nil)
	v.ui.Print(fmt.Sprintf("The older lines are locked again: nothing was typed for %s.", approx(v.who.server.lockAfter)))
}

// amendUnlocked has edits and deletions in a room change what is unlocked of it.
func (v *display) amendUnlocked(room chat.RoomName, entries []chat.Message) {
	if v.unlocked == nil || v.unlocked.Room() != room {
		return
	}
	for i := range entries {
		if m := &entries[i]; m.Subject() != m.Seq {
			v.unlocked.Amend(&entries[i])
			v.unlocked.shown = nil
			v.olderChanged = true
		}
	}
}

// openMore starts a job that opens what was wanted for the screen.
func (s *session) openMore(ctx context.Context) {
	u := s.unlocked
	if u == nil || s.job != nil || s.ending || u.failed || !u.Wants() {
		return
	}
	s.start(ctx, func(ctx context.Context, j *job) error {
		call, err := j.call(command.Chat)
		if err != nil {
			return err
		}
		return call.OpenMore(ctx, u.Past)
	}, func(err error) {
		if s.unlocked != u {
			return
		}
		u.Sweep()
		u.shown = nil
		s.olderChanged = true
		if err != nil && !errors.Is(err, context.Canceled) {
			u.failed = true
			s.explain(err)
		}
	})
	s.job.says = true
}

// reading reports whether what is unlocked is of the room, which its person may still read.
func (v *display) reading(room chat.RoomName) bool {
	return v.unlocked != nil && v.unlocked.Room() == room && v.who.server.services.Hub.In(v.who.name, room)
}

var _ view.Past = (*display)(nil)

// First implements view.Past.
func (v *display) First() uint64 { return chat.FirstDisplaySeq }

// Before implements view.Past, without what the person does not want to see.
func (v *display) Before(room chat.RoomName, before uint64, n int) []chat.Message {
	said := v.inMemory(room, before, n)
	if len(said) >= n || !v.reading(room) {
		return said
	}
	if before == 0 || before >= chat.FirstDisplaySeq {
		before = v.firstInMemory(room)
	}
	for len(said) < n {
		older := v.unlocked.Before(before, n-len(said))
		if len(older) == 0 {
			break
		}
		before = older[0].DisplaySeq
		if shown := without(older, &v.filter, v.who.name); len(said) == 0 {
			said = shown
		} else {
			said = append(slices.Clone(shown), said...)
		}
	}
	return said
}

// After implements view.Past.
func (v *display) After(room chat.RoomName, after uint64, n int) (said []chat.Message, more bool) {
	if after < chat.FirstDisplaySeq && v.reading(room) {
		until := v.firstInMemory(room)
		for len(said) < n {
			newer, whole := v.unlocked.After(after, until, n-len(said))
			said = append(said, without(newer, &v.filter, v.who.name)...)
			switch {
			case len(newer) > 0:
				after = newer[len(newer)-1].DisplaySeq
			case !whole:
				return said, true
			}
			if whole {
				break
			}
		}
	}
	entries := v.who.server.services.Hub.Before(v.who.name, room, 0, chat.LogLines)
	at, found := slices.BinarySearchFunc(entries, after, func(m chat.Message, place uint64) int {
		if m.DisplaySeq < place {
			return -1
		}
		return int(min(m.DisplaySeq-place, 1))
	})
	if found {
		at++
	}
	for ; at < len(entries) && len(said) < n; at++ {
		if v.filter.Shows(&entries[at], v.who.name) {
			said = append(said, entries[at])
		}
	}
	return said, false
}

// firstInMemory is the first message of a room that is in memory; the next one to come if there is none.
func (v *display) firstInMemory(room chat.RoomName) uint64 {
	hub := v.who.server.services.Hub
	for _, m := range hub.Before(v.who.name, room, 0, chat.LogLines) {
		if m.Seq > 0 {
			return m.Seq
		}
	}
	info, err := hub.Room(v.who.name, room)
	if err != nil {
		return 0
	}
	return info.Last + 1
}

// without is entries without those that a filter hides from me.
func without(entries []chat.Message, filter *chat.Filter, me chat.Name) []chat.Message {
	hidden := func(m chat.Message) bool { return !filter.Shows(&m, me) }
	if !slices.ContainsFunc(entries, hidden) {
		return entries
	}
	return slices.DeleteFunc(slices.Clone(entries), hidden)
}

// inMemory returns the last n messages of a room's log before a place, without what the person does not want to see.
func (v *display) inMemory(room chat.RoomName, before uint64, n int) []chat.Message {
	hub := v.who.server.services.Hub
	entries := hub.Before(v.who.name, room, before, n)
	shown := without(entries, &v.filter, v.who.name)
	if len(shown) == len(entries) {
		return entries
	}
	for len(entries) > 0 && len(shown) < n {
		entries = hub.Before(v.who.name, room, entries[0].DisplaySeq, n)
		shown = append(without(entries, &v.filter, v.who.name), shown...)
	}
	return shown[max(0, len(shown)-n):]
}
