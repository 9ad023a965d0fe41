package chat

import "time"

// Act is one line of the audit log: what somebody did as an admin or moderator, or what happened to security.
type Act struct {
	N      uint64    `json:"n"`  // counts lines from 1, across files
	At     time.Time `json:"at"` // UTC
	By     string    `json:"by"` // an account's name; empty: the server
	Source string    `json:"source,omitempty"`
	Face   string    `json:"face,omitempty"`   // "chat" or "exec"
	Do     string    `json:"do"`               // the command, or the event's name
	On     string    `json:"on,omitempty"`     // whom or what it was done to
	Text   string    `json:"text,omitempty"`   // what else was said with it
	Result string    `json:"result,omitempty"` // "done", "denied" or "failed"
	Prev   string    `json:"prev"`             // SHA-256 of the line before, without its newline; empty in the first
}
