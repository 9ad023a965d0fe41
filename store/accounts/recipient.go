package accounts

import (
	"sync"

	"filippo.io/age"

	"sshchat/sshchat/chat"
	"sshchat/store/agesplit"
)

// maxRecipients is how many recipients are kept parsed: those of all accounts of a large server.
const maxRecipients = 1 << 16

// Recipients returns what the room's history is sealed to for name: SSH keys and age recipients that read the room, and
// the newest password identity. Banned keys, and keys restricted to other things than this room's history, are left out.
// It is nil if there are none, for banned and disabled accounts, and, except in direct rooms, for accounts unused for
// long (Options.Dormant). Membership of the room is the chat's to check. It uses the State s, or the durable one if s is
// nil.
func (u *Store) Recipients(s *chat.State, room chat.RoomName, name chat.Name) []age.Recipient {
	v := u.View()
	if s != nil {
		v.State = s
	}
	a, ok := v.ByName(name)
	if !ok || !room.IsDirect() && u.dormant(a) {
		return nil
	}
	var to []age.Recipient
	add := func(line string) {
		if r := u.sealTo.parsed(line); r != nil {
			to = append(to, r)
		}
	}
	reads := v.HistoryKeys(a)
	for _, k := range reads.Keys {
		if k.ReadsRoom(room.For(name)) {
			add(k.Line)
		}
	}
	if reads.Recipient != "" {
		add(reads.Recipient)
	}
	return to
}

// recipients are recipients by the line they are parsed from.
type recipients struct {
	mu    sync.Mutex
	lines map[string]age.Recipient
}

// parsed returns the recipient of a line that was checked before; nil if it is invalid. Callers with other lines do not
// wait while it is parsed.
func (r *recipients) parsed(line string) age.Recipient {
	r.mu.Lock()
	to, ok := r.lines[line]
	r.mu.Unlock()
	if ok {
		return to
	}
	if k, err := agesplit.ParseCheckedKey(line); err == nil {
		to = k.Recipient
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if other, ok := r.lines[line]; ok {
		return other
	}
	if r.lines == nil || len(r.lines) >= maxRecipients {
		r.lines = make(map[string]age.Recipient)
	}
	r.lines[line] = to
	return to
}
