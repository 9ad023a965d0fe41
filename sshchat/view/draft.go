package view

import (
	"slices"

	"sshchat/sshchat/chat"
)

// maxDrafts is how many bytes of unsent lines are kept for the other rooms. The oldest are dropped for newer ones.
const maxDrafts = 2 * maxLine

// drafts are the unsent lines of rooms, the newest last. A room has one or none.
type drafts []draft

type draft struct {
	room chat.RoomName
	line line
}

// put keeps l as the room's draft; an empty one is not worth keeping.
func (ds *drafts) put(room chat.RoomName, l line) {
	ds.take(room)
	if len(l.text) == 0 {
		return
	}
	*ds = append(*ds, draft{room, l})
	bytes := 0
	for i := len(*ds) - 1; i >= 0; i-- {
		if bytes += len((*ds)[i].line.text); bytes > maxDrafts {
			*ds = slices.Delete(*ds, 0, i+1)
			return
		}
	}
}

// take returns the room's draft and forgets it.
func (ds *drafts) take(room chat.RoomName) line {
	for i, d := range *ds {
		if d.room == room {
			*ds = slices.Delete(*ds, i, i+1)
			return d.line
		}
	}
	return line{}
}
