package view

import (
	"slices"

	"sshchat/sshchat/text"
)

// What is kept of the lines sent, for each session.
const (
	maxHistory      = 100      // lines
	maxHistoryBytes = 16 << 10 // bytes of them
)

// history is the lines sent, oldest first, and a place in them. Past the newest is the draft.
type history struct {
	lines []string
	bytes int
	back  int    // how many lines back from the draft; 0 is the draft
	draft string // while back is not 0
}

// add remembers a line and returns to the draft, which is now empty. What was too long to be said is not kept.
func (h *history) add(s string) {
	h.rest()
	if n := len(h.lines); n > 0 && h.lines[n-1] == s || len(s) > text.MaxText {
		return
	}
	h.lines = append(h.lines, s)
	h.bytes += len(s)
	drop := 0
	for ; len(h.lines)-drop > maxHistory || h.bytes > maxHistoryBytes; drop++ {
		h.bytes -= len(h.lines[drop])
	}
	if drop > 0 {
		h.lines = append(h.lines[:0], h.lines[drop:]...)
		clear(h.lines[len(h.lines) : len(h.lines)+drop]) // let go of the strings
	}
}

// forget lets go of all lines like s.
func (h *history) forget(s string) {
	h.lines = slices.DeleteFunc(h.lines, func(line string) bool {
		if line == s {
			h.bytes -= len(line)
		}
		return line == s
	})
	h.back = min(h.back, len(h.lines))
}

// older steps back from now, which is kept where it is the draft; ok is false at the oldest line.
func (h *history) older(now string) (s string, ok bool) {
	if h.back == len(h.lines) {
		return "", false
	}
	if h.back == 0 {
		h.draft = now
	}
	h.back++
	return h.lines[len(h.lines)-h.back], true
}

// rest returns to the draft without showing it.
func (h *history) rest() { h.back, h.draft = 0, "" }

// newer steps forward, at last to the draft; ok is false there.
func (h *history) newer() (s string, ok bool) {
	switch h.back {
	case 0:
		return "", false
	case 1:
		h.back = 0
		s, h.draft = h.draft, ""
		return s, true
	}
	h.back--
	return h.lines[len(h.lines)-h.back], true
}
