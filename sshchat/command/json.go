package command

import (
	"bytes"
	"encoding/json"
	"time"

	"sshchat/sshchat/chat"
)

// json reports whether --json was given.
func (c *Call) json() bool {
	on, err := c.Flags.GetBool("json")
	return err == nil && on
}

// printJSON writes v as one line, with < > & as they are: it is read by jq, not by a browser.
func (c *Call) printJSON(v any) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic("internal error: encode " + err.Error()) // all that is printed is plain data
	}
	c.Out.Write(b.Bytes())
}

// messageJSON is a message as follow prints it: the sealed line's fields, and its ID.
type messageJSON struct {
	ID   string    `json:"id"`
	At   string    `json:"at"`
	Room string    `json:"room"`
	Seq  uint64    `json:"seq"`
	From chat.Name `json:"from"`
	Kind chat.Kind `json:"kind"`
	Of   uint64    `json:"of,omitempty"` // of an edit or delete: the Seq of the message meant
	Text string    `json:"text"`

	// What became of it before it was printed.

	Edited  bool `json:"edited,omitempty"`
	Deleted bool `json:"deleted,omitempty"`
}

const timeFormat = "2006-01-02T15:04:05.000Z07:00"

func messageAsJSON(c *Call, m chat.Message) messageJSON {
	me := c.Account.Name
	room := m.Room.String()
	if m.Room.IsDirect() {
		room = m.Room.For(me)
	}
	return messageJSON{
		m.ID(me), m.At.In(time.UTC).Format(timeFormat), room, m.Seq, m.From, m.Kind, m.Of, m.Text.String(), m.Edited, m.Deleted,
	}
}
