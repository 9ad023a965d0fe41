package sshchat

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/fence"
	"sshchat/sshchat/view"
	"sshchat/sshchat/view/alert"
	"sshchat/sshchat/view/output"
)

// This file delivers messages to a session's display, and marks them as read.

// errOver is that somebody has ended the session.
var errOver = errors.New("the session was ended")

// draw shows everything new since the last frame, in one write. What arrives before the next frame is due stays in the
// rooms' logs, so that a flood costs a session no more than its frames. A reader that is behind continues at once. If the
// session was terminated it draws nothing and returns errOver: messages since then are not for this user. While the server is fenced
// messages wait; what the person does is shown.
func (v *display) draw() error {
	var spans chat.Spans
	held := v.who.fenced().Holds()
	if !held {
		spans = v.reader.Spans(deliverBatch)
		defer v.reader.Done()
	}
	if len(spans) > 0 && v.who.fenced().Wait(context.Background(), fence.End) != nil { // the process was frozen since it looked
		return errOver
	}
	if v.who.terminated.Load() != nil {
		return errOver
	}
	if held {
		v.next = time.Now().Add(heldFor)
		v.rest()                                    // the session looks again by itself: nothing else may wake it
		if v.full() && v.who.fenced().CatchesUp() { // it draws from the rooms' logs, which have what came meanwhile
			return nil
		}
	}
	n := v.deliver(spans)
	v.notices.show(v)
	if v.full() {
		v.showRooms() // before what is in sight counts as read: the unread line goes by it
		v.inbox.At(v.roomInView())
		v.showRooms()
	}
	if v.ui.Pending() {
		if !held {
			v.next = time.Time{}
		}
		if d := v.between(n); d > 0 {
			v.next = time.Now().Add(d)
		}
		if err := v.flush(); err != nil {
			return err
		}
		v.markRead(spans)
	}
	if v.inbox.NeedsFlush() && !v.marks.set {
		v.marks.flush(v.inbox)
	}
	return nil
}

// heldFor is after how long a session looks again whether it may show messages.
const heldFor = 200 * time.Millisecond

// fenced is the fence of the caller's server.
func (who *caller) fenced() *fence.Fence {
	if who.server == nil { // in a test
		return nil
	}
	return who.server.services.Fence
}

// between is the least time from a frame with n entries to the next. Messages that reach a program one by one are not held
// back; if several came together, more are on their way. A reader that is behind does not wait.
func (v *display) between(n int) time.Duration {
	_, _, pty := v.channel.size()
	switch {
	case n >= deliverBatch:
		return 0
	case pty:
		return frameTime
	case n > 1:
		return gatherTime
	}
	return 0
}

// rest puts off the next frame until it is due. It is called when there may be something to draw: if messages come
// less often than frames may, no timer is set for any of them.
func (v *display) rest() {
	if due := time.Until(v.next); due > 0 && !v.resting {
		v.resting = true
		v.frame.in(due)
	}
}

// deliver shows the entries, notes the last correspondent and gaps, and returns the number of entries.
func (v *display) deliver(spans chat.Spans) (n int) {
	if len(spans) == 0 {
		return 0
	}
	settle := false
	for i := range spans {
		s := &spans[i]
		n += len(s.Entries)
		switch {
		case s.Room.IsZero():
			settle = v.hear(s.Entries) || settle
		case s.Room.IsDirect():
			v.noteCorrespondent(s.Entries)
		}
		v.amendUnlocked(s.Room, s.Entries)
		if s.Gap.Count() > 0 {
			v.who.server.stats.Skipped.Add(int64(s.Gap.Count()))
			v.who.logPaced(slog.LevelInfo, "reader lagged", "room", s.Room.String(), "missed", s.Gap.Count())
		}
	}
	v.who.server.stats.Deliveries.Add(int64(n))
	if settle {
		v.applySettings()
	}
	v.inbox.Deliver(spans)
	v.ui.Deliver(spans)
	v.notices.hear(v, spans)
	return n
}

// notices is what a session needs to notify its person on the desktop, if they want that and the terminal can. It is nil
// otherwise.
type notices struct {
	*alert.Notifier
	kind output.Notification
	due  *timer // fires when the next notification may be shown
}

// set begins or ends notifications, as the person chose.
func (n *notices) set(v *display) *notices {
	kind := v.channel.notification()
	switch {
	case v.settings.Notify == alert.Off || kind == output.NoNotification || v.ui.Kind == view.KindPipe:
		if n != nil {
			n.due.stop()
		}
		return nil
	case n == nil:
		n = &notices{alert.New(v.who.name), kind, newTimer(v.channel.waker, noticeDue)}
		n.typed()
	}
	return n
}

// typed notes that the person has pressed a key.
func (n *notices) typed() {
	if n != nil {
		n.Typed(time.Now())
	}
}

// hear notes what the person is to be notified of.
func (n *notices) hear(v *display, spans chat.Spans) {
	if n == nil {
		return
	}
	for i := range spans {
		s := &spans[i]
		for k := range s.Entries {
			m := &s.Entries[k]
			if s.Shows(m) && m.At.After(v.began) && alert.Wants(v.settings.Notify, m, v.who.name, &v.filter) {
				n.Add(m, v.room, time.Now())
			}
		}
	}
}

// show has the UI show what there is to notify of now.
func (n *notices) show(v *display) {
	if n == nil {
		return
	}
	said, wait := n.Take(time.Now())
	switch {
	case said != "":
		v.ui.Notify(n.kind, v.who.server.services.ServerName, said)
	case wait > 0 && !n.due.set:
		n.due.in(wait)
	}
}

// hear handles entries of the person's own log, and reports whether the account has changed.
func (v *display) hear(entries []chat.Message) (changed bool) {
	for i := range entries {
		m := &entries[i]
		if m.Kind == chat.Parted && v.unlocked != nil && m.Room == v.unlocked.Room() {
			v.setUnlocked(nil)
		}
		switch {
		case m.Kind == chat.Parted && m.Room == v.room:
			v.SetRoom(chat.General)
		case m.Kind == chat.Changed:
			changed = true
		}
	}
	return changed
}

// noteCorrespondent notes who last sent this person a direct message.
func (v *display) noteCorrespondent(entries []chat.Message) {
	for i := range entries {
		if m := &entries[i]; m.Kind.Stored() && m.From != v.who.name {
			v.correspondent = m.From
		}
	}
}

// flush writes everything the UI has, in one piece for each stream.
func (v *display) flush() error {
	if !v.ui.Pending() {
		return nil
	}
	defer v.ui.Done()
	if p := v.ui.FlushErr(); len(p) > 0 {
		if _, err := v.channel.Stderr().Write(p); err != nil {
			return err
		}
	}
	if p := v.ui.Flush(); len(p) > 0 {
		if _, err := v.channel.Write(p); err != nil {
			return err
		}
	}
	return nil
}

// begin is where the UI wants its reader to begin.
func (v *display) readerStart() chat.From {
	_, _, pty := v.channel.size()
	switch {
	case !pty:
		return chat.From{} // a script asks for the past when it wants it
	case v.full():
		return chat.From{Peek: true} // it draws from the rooms' logs, and reports what was seen
	}
	return chat.From{ClearAway: replay, Unread: replayUnread}
}

// find returns what a message refers to, for a UI to quote; not if it is from somebody who is ignored.
func (v *display) find(room chat.RoomName, seq uint64) (chat.Message, bool) {
	m, ok := v.who.server.services.Hub.Find(v.who.name, room, seq)
	return m, ok && v.filter.Shows(&m, v.who.name)
}

// roomInView is the room whose end is on the screen; the zero room for none.
func (v *display) roomInView() chat.RoomName {
	if v.ui.Following() {
		return v.room
	}
	return chat.RoomName{}
}

// showRooms passes changed rooms and unread counts to the UI.
func (v *display) showRooms() {
	if !v.inbox.Dirty() && !v.changed && !v.olderChanged {
		return
	}
	v.changed, v.olderChanged = false, false
	services := v.who.server.services
	var rooms []view.Room
	for _, r := range v.inbox.Rooms() {
		other := ""
		if r.Name.IsDirect() && r.Name == v.room {
			other = v.presenceOf(r.Name.Other(v.who.name))
		}
		shown := view.Room{
			Name: r.Name, Other: other, Topic: r.Topic, Here: int32(r.Online), Members: int32(r.Members),
			Unread: r.Unread, Mentions: int32(r.Mentions), Dim: int32(r.Unread - r.News()), Mark: r.Mark,
			Sealed: services.Above(v.who.name, r.Name, chat.LogLines),
		}
		if v.watched != nil && v.watched.room == r.Name {
			shown.People = services.Hub.Roster(v.who.name, r.Name)
		}
		if v.reading(r.Name) {
			u := v.unlocked
			shown.Sealed = max(0, shown.Sealed-u.Count(v.firstInMemory(r.Name)))
			if u.shown == nil {
				u.shown = &view.Unlocked{Opening: u.Opening()}
			}
			shown.Unlocked = u.shown
		}
		rooms = append(rooms, shown)
	}
	v.ui.Rooms(rooms)
}

const (
	flushMarksEvery = time.Second / 2 // so often read marks are passed to the hub in the long run; a crash loses the marks of that time
	marksAtOnce     = 4               // so many times more without a wait
)

// marksTimer fires when read marks are due to be passed to the hub.
type marksTimer struct {
	*timer
	paid time.Time // up to which the rate of that is used; zero, or past: none of it
}

// flush passes read marks to the hub: at once if the person looks at a room now and then, so that their other sessions show it
// at once; in a busy room, each flushMarksEvery.
func (t *marksTimer) flush(b *chat.Inbox) {
	now := time.Now()
	if t.paid.Before(now) {
		t.paid = now
	}
	if wait := t.paid.Sub(now) - marksAtOnce*flushMarksEvery; wait > 0 {
		t.in(wait)
		return
	}
	t.paid = t.paid.Add(flushMarksEvery)
	b.Flush()
}

// markRead marks what was written to the client as read. With a full screen the inbox knows what is in view, and scripts
// mark nothing as read.
func (v *display) markRead(spans chat.Spans) {
	if _, _, pty := v.channel.size(); !pty || v.full() {
		return
	}
	for i := range spans {
		s := &spans[i]
		for k := len(s.Entries) - 1; k >= 0 && !s.Room.IsZero(); k-- {
			if m := &s.Entries[k]; m.Kind.Stored() {
				v.inbox.Read(s.Room, m.Seq)
				break
			}
		}
	}
}
