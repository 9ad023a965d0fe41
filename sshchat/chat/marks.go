package chat

// Marks keeps how far people have read, so that it outlives the server. It may lose the last few seconds in a crash.
// Its methods return at once and may be called from any goroutine.
type Marks interface {
	// Mark notes that name has seen the room up to the message seq. A mark only rises.
	Mark(name Name, room RoomName, seq uint64)
	// MarksOf returns the marks of a person, as a copy; nil where there are none.
	MarksOf(name Name) map[RoomName]uint64
}
