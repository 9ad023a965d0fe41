package chat

import (
	"cmp"
	"slices"
	"strings"

	"golang.org/x/text/unicode/norm"
)

// Search returns the newest n of the messages in memory that me may see and in which all the words stand, in any case
// and also within other words; the newest last. rooms nil means all of me's. What is sealed is not searched.
func (h *Hub) Search(me Name, rooms []RoomName, words []string, n int) []Message {
	folded := make([]string, 0, len(words))
	for _, w := range words {
		if w = fold(w); w != "" {
			folded = append(folded, w)
		}
	}
	if len(folded) == 0 {
		return nil
	}
	return h.newest(me, rooms, n, func(m *Message) bool {
		text := fold(m.Text.String())
		return !slices.ContainsFunc(folded, func(w string) bool { return !strings.Contains(text, w) })
	})
}

// Mentions returns the newest n of the messages in memory in which somebody names me or writes to me alone; the newest last.
func (h *Hub) Mentions(me Name, n int) []Message {
	return h.newest(me, nil, n, func(m *Message) bool { return m.Mentions(me) })
}

// newest gathers from the rooms, nil for all of me's, the newest n messages that are wanted.
func (h *Hub) newest(me Name, rooms []RoomName, n int, wanted func(*Message) bool) []Message {
	if rooms == nil {
		rooms = h.RoomsOf(me)
	}
	var found []Message
	for _, room := range rooms {
		left := n // of each room, as any may hold the newest
		entries := h.Before(me, room, 0, LogLines)
		for i := len(entries) - 1; i >= 0 && left > 0; i-- {
			if m := &entries[i]; m.said() && wanted(m) {
				found = append(found, *m)
				left--
			}
		}
	}
	slices.SortFunc(found, func(a, b Message) int { return cmp.Compare(a.Order, b.Order) })
	return found[max(0, len(found)-n):]
}

// fold is s as it is compared: what differs in case alone is one. Texts are NFC when they come in; lower case may not be.
func fold(s string) string { return norm.NFC.String(strings.ToLower(s)) }
