package chat

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"sshchat/sshchat/text"
)

const (
	presenceDelay = 3 * time.Second // comings and goings are gathered this long and told in one line
	presenceNames = 5               // named in such a line; the rest are counted
)

// Enter tells the hub that a session of name has opened. Each Enter needs one Leave.
func (h *Hub) Enter(name Name) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.person(name)
	p.sessions++
	if p.sessions > 1 {
		return
	}
	for room := range p.rooms {
		r := h.rooms[room]
		r.here++
		h.stir(r, name, true)
	}
}

// Leave tells the hub that a session of name has ended. Rooms nobody is left in let go of most of their tail.
func (h *Hub) Leave(name Name) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.person(name)
	p.sessions--
	if p.sessions > 0 {
		return
	}
	p.away = nil // who comes back is back
	for room := range p.rooms {
		r := h.rooms[room]
		r.here--
		h.stir(r, name, false)
		if r.here == 0 {
			r.Log.Trim()
		}
	}
}

// Here reports whether a session of name is open.
func (h *Hub) Here(name Name) bool {
	h.mu.RLock()
	defer h.mu.RUnlock()
	p := h.people[name]
	return p != nil && p.sessions > 0
}

// stir notes a coming or going to be told; one who comes and goes in between is not worth a word.
// Called with mu held.
func (h *Hub) stir(r *Room, name Name, came bool) {
	if r.Name.IsDirect() {
		return
	}
	if before, owed := r.came[name]; owed && before != came {
		delete(r.came, name)
		return
	}
	r.came[name] = came
	select {
	case h.stirred <- struct{}{}:
	default:
	}
}

// tellPresence appends one line to each room that has seen comings or goings.
func (h *Hub) tellPresence() {
	type line struct {
		room *Room
		said string
	}
	var lines []line
	h.mu.Lock()
	for _, r := range h.rooms {
		if len(r.came) == 0 {
			continue
		}
		if r.here > 0 {
			lines = append(lines, line{r, presenceText(r.came)})
		}
		clear(r.came)
	}
	h.mu.Unlock()
	for _, l := range lines {
		h.tell(l.room.Log, Message{Room: l.room.Name, Kind: Comings, Text: text.Sprintf("%s", l.said)})
	}
}

// presenceText is "alice and bob came; carol left".
func presenceText(came map[Name]bool) string {
	var in, out []Name
	for name, c := range came {
		if c {
			in = append(in, name)
		} else {
			out = append(out, name)
		}
	}
	var parts []string
	if len(in) > 0 {
		parts = append(parts, nameList(in)+" came")
	}
	if len(out) > 0 {
		parts = append(parts, nameList(out)+" left")
	}
	return strings.Join(parts, "; ")
}

func nameList(names []Name) string {
	slices.SortFunc(names, Name.Compare)
	words := make([]string, 0, presenceNames+1)
	for i, n := range names {
		if i == presenceNames && len(names) > presenceNames+1 {
			words = append(words, fmt.Sprintf("%d others", len(names)-i))
			break
		}
		words = append(words, n.String())
	}
	if len(words) == 1 {
		return words[0]
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}
