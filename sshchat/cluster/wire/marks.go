package wire

import (
	"fmt"

	"sshchat/sshchat/chat"
)

// leastMark is the fewest bytes that a mark takes: a name of one letter, the number of its room, a message's.
const leastMark = 4

// EncodeMarks encodes how far people have read, about 10 bytes a mark and the names of the rooms.
func EncodeMarks(all []chat.ReadMark) []byte {
	var rooms table[chat.RoomName]
	for _, m := range all {
		rooms.add(m.Room)
	}
	e := newEncoder(16 + 16*len(all) + 32*len(rooms.list))
	encodeTable(e, &rooms)
	e.uint(uint64(len(all)))
	for _, m := range all {
		e.string(m.Name.String())
		e.uint(rooms.add(m.Room))
		e.uint(m.Seq)
	}
	return e.b
}

// DecodeMarks decodes what EncodeMarks encoded.
func DecodeMarks(b []byte) ([]chat.ReadMark, error) {
	d := newDecoder(b)
	rooms := decodeTable[chat.RoomName](d)
	all := make([]chat.ReadMark, d.count(leastMark))
	for i := range all {
		m := &all[i]
		if name := d.bytes(); d.err == nil {
			if err := m.Name.UnmarshalText(name); err != nil {
				d.fail(err)
			}
		}
		if at := d.index(len(rooms)); at >= 0 {
			m.Room = rooms[at]
		}
		m.Seq = d.uint()
	}
	if err := d.end(); err != nil {
		return nil, fmt.Errorf("decode read marks: %w", err)
	}
	return all, nil
}
