package chat

// Window is one stretch of a room's sealed history, as listed to somebody.
type Window struct {
	Room     RoomName `json:"room"`
	W        uint64   `json:"w"`    // counts the room's windows from 1
	From     uint64   `json:"from"` // Seq of its first message
	To       uint64   `json:"to"`   // Seq of its last
	Closed   bool     `json:"closed"`
	Readable bool     `json:"readable"` // whoever asked has a head for it
}

// Head names the newest record of a room's chain of hashes. Who remembers it can later tell
// whether history was taken away, reordered or rolled back.
type Head struct {
	Room RoomName `json:"room"`
	W    uint64   `json:"w"`
	Seq  uint64   `json:"seq"`
	N    uint64   `json:"n"`   // the record's number in the file
	Tip  string   `json:"tip"` // base64 of the SHA-256 of the record as stored
}
