package view

import (
	"slices"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
	"sshchat/sshchat/view/theme"
)

// maxNotes is how many private notes a session keeps among the messages.
const maxNotes = 50

// note is a text that only this person sees, among the messages of a room: an answer or a refusal.
type note struct {
	room  chat.RoomName
	after uint64 // the DisplaySeq of the message above it
	style theme.Style
	text  string
}

// notes are the latest notes, the oldest first.
type notes struct {
	list    []note
	undrawn []note // not drawn yet
	version int    // grows with each change of the list
}

func (ns *notes) add(n note) {
	if len(n.text) > 2*text.MaxText {
		n.text = n.text[:2*text.MaxText]
	}
	ns.version++
	ns.list = append(ns.list, n)
	if over := len(ns.list) - maxNotes; over > 0 {
		ns.list = slices.Delete(ns.list, 0, over)
	}
	ns.undrawn = append(ns.undrawn, n)
	if over := len(ns.undrawn) - maxNotes; over > 0 {
		ns.undrawn = slices.Delete(ns.undrawn, 0, over)
	}
}

// between returns the rows of the notes of a room that stand below the message at from and above the one at to
// (0: at the end).
func (ns *notes) between(p *renderer, room chat.RoomName, from, to uint64, width int) []string {
	var rows []string
	for _, n := range ns.list {
		if n.room == room && n.after >= from && (to == 0 || n.after < to) {
			rows = append(rows, p.note(n.text, n.style, width)...)
		}
	}
	return rows
}

// any reports whether between has something to return.
func (ns *notes) any(room chat.RoomName, from, to uint64) bool {
	return slices.ContainsFunc(ns.list, func(n note) bool { return n.room == room && n.after >= from && (to == 0 || n.after < to) })
}

// unseen returns the last rows, at most n, of the newest note that was not drawn yet.
func (ns *notes) unseen(p *renderer, width, n int) []string {
	if len(ns.undrawn) == 0 {
		return nil
	}
	last := ns.undrawn[len(ns.undrawn)-1]
	rows := p.text(last.text, last.style, width)
	return rows[max(0, len(rows)-n):]
}

// drawn reports that all are on the screen.
func (ns *notes) drawn() { ns.undrawn = nil }

// clear removes the notes of a room.
func (ns *notes) clear(room chat.RoomName) {
	ns.version++
	ns.list = slices.DeleteFunc(ns.list, func(n note) bool { return n.room == room })
}
