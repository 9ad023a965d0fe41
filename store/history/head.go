package history

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"sshchat/sshchat/chat"
)

// Head is how far a room's history goes, for its readers to remember: whoever has one can tell later whether the
// history they are shown still leads up to it. The zero Head is that of an empty room.
type Head struct {
	Room chat.RoomName
	W    uint64   // the newest window
	Seq  uint64   // the newest message
	N    uint64   // the newest record of the room
	Tip  [32]byte // its SHA-256, as prev would have it
}

const headFormat = "sshchat-head/1"

type headJSON struct {
	Format string        `json:"format"`
	Room   chat.RoomName `json:"room"`
	W      uint64        `json:"w"`
	Seq    uint64        `json:"seq"`
	N      uint64        `json:"n"`
	Tip    string        `json:"tip"`
}

// Line is the head as one line of JSON, newline included: the bytes that are signed.
// A head has one such form, so a signature over it can be checked from its fields.
func (h Head) Line() []byte {
	b, err := json.Marshal(headJSON{headFormat, h.Room, h.W, h.Seq, h.N, sum(h.Tip).String()})
	if err != nil {
		panic("internal error: encode a head: " + err.Error()) // strings and numbers only
	}
	return append(b, '\n')
}

// ParseHead reads what Line wrote; spaces around it are allowed.
func ParseHead(b []byte) (Head, error) {
	var j headJSON
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&j); err != nil {
		return Head{}, fmt.Errorf("parse a head: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return Head{}, errors.New("parse a head: more than one line")
	}
	if j.Format != headFormat {
		return Head{}, fmt.Errorf("parse a head: the format is %q, not %q", j.Format, headFormat)
	}
	tip, err := parseSum(j.Tip)
	if err != nil {
		return Head{}, fmt.Errorf("parse a head: %w", err)
	}
	if j.Room.IsZero() {
		return Head{}, errors.New("parse a head: it names no room")
	}
	return Head{j.Room, j.W, j.Seq, j.N, tip}, nil
}
