package view

import (
	"slices"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
)

// maxNotes is how many private notes a session keeps among the messages.
const maxNotes = 50

// note is something this person alone was told: an answer, a refusal. It stands among the messages of a room.
type note struct {
	room  chat.RoomName
	after uint64 // the Order of the message it stands below
	part  part
	text  string
}

// notes are the last of them, the oldest first.
type notes struct {
	list    []note
	fresh   []note // not drawn yet
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
	ns.fresh = append(ns.fresh, n)
	if over := len(ns.fresh) - maxNotes; over > 0 {
		ns.fresh = slices.Delete(ns.fresh, 0, over)
	}
}

// between returns the rows of the notes of a room that stand below the message at from and above the one at to
// (0: at the end).
func (ns *notes) between(p *paint, room chat.RoomName, from, to uint64, width int) []string {
	var rows []string
	for _, n := range ns.list {
		if n.room == room && n.after >= from && (to == 0 || n.after < to) {
			rows = append(rows, p.text(n.text, n.part, width)...)
		}
	}
	return rows
}

// news returns the last rows, at most n, of the newest note that is not among the messages yet: they are out of sight.
func (ns *notes) news(p *paint, width, n int) []string {
	if len(ns.fresh) == 0 {
		return nil
	}
	last := ns.fresh[len(ns.fresh)-1]
	rows := p.text(last.text, last.part, width)
	return rows[max(0, len(rows)-n):]
}

// drawn tells that all are on the screen.
func (ns *notes) drawn() { ns.fresh = nil }

// clear forgets those of a room.
func (ns *notes) clear(room chat.RoomName) {
	ns.version++
	ns.list = slices.DeleteFunc(ns.list, func(n note) bool { return n.room == room })
}
