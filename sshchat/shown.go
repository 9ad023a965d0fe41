package sshchat

import (
	"slices"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/view"
)

// This file is what a session's person is shown of the rooms, and what of it is read.

// begin is where the UI wants its reader to begin.
func (s *session) begin() chat.From {
	_, _, pty := s.guard.size()
	switch {
	case !pty:
		return chat.From{} // a script asks for the past when it wants it
	case s.full():
		return chat.From{Peek: true} // it draws from the rooms' past, and tells what was seen of it
	}
	return chat.From{Back: replay, Unread: replayUnread}
}

// shown leaves out what the person does not want to see.
func (s *session) shown(ds []chat.Delivery) []chat.Delivery {
	hidden := func(d chat.Delivery) bool { return d.Gap.Count() == 0 && !s.filter.Shows(&d.Message, s.name) }
	if !slices.ContainsFunc(ds, hidden) {
		return ds
	}
	return slices.DeleteFunc(slices.Clone(ds), hidden)
}

// past is the view.Past of this session: a room's log, without what the person does not want to see.
func (s *session) past(room chat.RoomName, before uint64, n int) []chat.Message {
	hub := s.server.services.Hub
	entries := hub.Before(s.name, room, before, n)
	hidden := func(m chat.Message) bool { return !s.filter.Shows(&m, s.name) }
	if !slices.ContainsFunc(entries, hidden) {
		return entries
	}
	var kept []chat.Message // the newest first, until they are turned
	for len(entries) > 0 && len(kept) < n {
		for _, m := range slices.Backward(entries) {
			if !hidden(m) {
				kept = append(kept, m)
			}
		}
		entries = hub.Before(s.name, room, entries[0].Order, n)
	}
	kept = kept[:min(n, len(kept))]
	slices.Reverse(kept)
	return kept
}

// inSight is the room whose end is on the screen; the zero room for none.
func (s *session) inSight() chat.RoomName {
	if s.ui.Following() {
		return s.room
	}
	return chat.RoomName{}
}

// showRooms tells the UI how the rooms stand, where that has changed.
func (s *session) showRooms() {
	if !s.inbox.Dirty() {
		return
	}
	services := s.server.services
	var rooms []view.Room
	for _, r := range s.inbox.Rooms() {
		rooms = append(rooms, view.Room{
			Name: r.Name, Topic: r.Topic, Here: r.Here, Members: r.Members,
			Unread: r.Unread, Mentions: r.Mentions, Mark: r.Mark,
			Sealed: services.Above(s.name, r.Name, chat.LogLines),
		})
	}
	s.ui.Rooms(rooms)
}

// markRead notes what has been written to the client as read. With a full screen the
// inbox knows what is in sight, and a script reads for nobody.
func (s *session) markRead(ds []chat.Delivery) {
	if _, _, pty := s.guard.size(); !pty || s.full() {
		return
	}
	for i := range ds {
		d := &ds[i]
		later := func(e chat.Delivery) bool { return e.Room == d.Room && e.Kind.Stored() }
		if d.Kind.Stored() && !slices.ContainsFunc(ds[i+1:], later) { // the last of its room tells for all
			s.inbox.Read(d.Room, d.Seq)
		}
	}
}
