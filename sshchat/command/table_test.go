package command

import (
	"strings"
	"testing"
)

// Columns stand under each other, however long what is in them is.
func TestTablesAreAligned(t *testing.T) {
	r := newRig(t, "al", "somebody-with-a-long-name", "bo")
	r.must("join #a-room-with-a-name-of-30-letter")
	r.must("topic what we build")
	r.must("join #dev")
	r.must("topic and what not")
	for line, column := range map[string]string{"rooms": "here", "who general": "offline", "set": ""} {
		at := -1
		for row := range strings.Lines(r.must(line)) {
			if i := strings.Index(row, column); column != "" && i >= 0 && line != "rooms" {
				if at >= 0 && i != at {
					t.Errorf("%s is not aligned:\n%s", line, r.must(line))
				}
				at = i
			}
		}
	}
	var topics []int
	for row := range strings.Lines(r.must("rooms")) {
		for _, topic := range []string{"what we build", "and what not"} {
			if i := strings.Index(row, topic); i >= 0 {
				topics = append(topics, i)
			}
		}
	}
	if len(topics) != 2 || topics[0] != topics[1] {
		t.Errorf("topics stand in columns %v:\n%s", topics, r.must("rooms"))
	}
}
