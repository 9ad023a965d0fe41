package command

// Effect is what a command does to the state of the chat. What the muted, the outranked and others are refused, and what the
// audit log has a line for, follows from it, so every command names one: add panics without it.
//
// What is refused to whom, with exit code 3 and, but for what only reads, a line in the audit log:
//
//	                             | Reads | Speaks | ChangesOwn, ChangesAccount, ChangesServer | ChangesOthers
//	muted                        |   -   |  yes   | if it says something (Command.Says)       | if it says something
//	slowed, in that room         |   -   |  yes   |   -                                       |   -
//	ignored                      |   -   |   -, but who ignores them does not see it         |   -
//	banned, disabled, removed    |  yes  |  yes   |  yes                                      |  yes
//	restricted key, not for it   |  yes  |  yes   |  yes                                      |  yes
//	outranked                    |   -   |   -    |   -                                       | if it acts against somebody
//	without the role,            | if it needs one (Command.Role)
//	or the second factor for it  |
//	rights gone while it waits   |  yes  |  yes   |  yes                                      |  yes
//
// TestAttackEveryCommandInEveryCondition tries each command in each of them.
type Effect int

const (
	Reads          Effect = iota + 1 // it prints something, or changes only the session in which it is used
	Speaks                           // others see words of the caller's
	ChangesOwn                       // it changes what is the caller's: settings, rooms they are in
	ChangesAccount                   // it changes how the caller logs in and reads: keys, password, second factor, role
	ChangesOthers                    // it acts on other people, on their messages, or on a room
	ChangesServer                    // it changes what is everybody's
)
