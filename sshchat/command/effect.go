package command

// Effect is what a command does to the state of the chat. What the muted, the outranked and others are refused, and what the
// audit log has a line for, follows from it, so every command names one: add panics without it.
type Effect int

const (
	Reads          Effect = iota + 1 // it prints something, or changes only the session in which it is used
	Speaks                           // others see words of the caller's
	ChangesOwn                       // it changes what is the caller's: settings, rooms they are in
	ChangesAccount                   // it changes how the caller logs in and reads: keys, password, second factor, role
	ChangesOthers                    // it acts on other people, on their messages, or on a room
	ChangesServer                    // it changes what is everybody's
)
