// Package drafts keeps in memory, for a short time, what people were typing when their connection was lost. It is keyed by the IDs of
// accounts, which nobody else ever gets, and nothing of it is written anywhere. It knows nothing of sessions or of rights.
package drafts

import (
	"slices"
	"strings"
	"sync"
	"time"

	"sshchat/sshchat/chat"
)

// The limits of what is kept.
const (
	Lifetime    = time.Hour
	MaxBytes    = 16 << 10 // of an account's drafts; the first ones count
	MaxAccounts = 500      // the oldest are dropped for newer ones
)

// Draft is the unsent line of a room.
type Draft struct {
	Room chat.RoomName
	Text string
}

// Store keeps drafts. Its methods may be called from any goroutine. The zero Store is empty and keeps nothing, since it is closed.
type Store struct {
	lifetime time.Duration

	mu   sync.Mutex
	kept map[string]*kept // guarded by mu; by account ID; nil once it is closed
}

// kept is the drafts of an account.
type kept struct {
	drafts []sealed
	typed  time.Time // when the last of them was
	at     time.Time
	expiry *time.Timer
}

// sealed is a draft whose memory can be wiped.
type sealed struct {
	room chat.RoomName
	text []byte
}

// Join makes drafts of lines that were sent and not acted on, and of what was being typed after them in the same rooms: one text a room.
// A command is a text of its own: with another it would be done with that. So if one of them is a command, what was being typed stays, or
// else the line that was sent first. kept is how many of the lines are in the drafts.
func Join(sent, typed []Draft, isCommand func(line string) bool) (all []Draft, kept int) {
	lines := make(map[chat.RoomName]int) // that are kept of a room
	add := func(d Draft) bool {
		i := slices.IndexFunc(all, func(old Draft) bool { return old.Room == d.Room })
		switch {
		case len(d.Text) > MaxBytes:
			return false
		case i < 0:
			all = append(all, d)
			return true
		case isCommand(all[i].Text) || isCommand(d.Text) || len(all[i].Text)+1+len(d.Text) > MaxBytes:
			return false
		}
		text := d.Text
		if strings.HasPrefix(text, "//") { // which says that it is no command, at the start of a message alone
			text = text[1:]
		}
		all[i].Text += "\n" + text
		return true
	}
	for _, d := range sent {
		if add(d) {
			lines[d.Room]++
			kept++
		}
	}
	for _, d := range typed {
		if len(d.Text) > MaxBytes || add(d) {
			continue
		}
		all = slices.DeleteFunc(all, func(old Draft) bool { return old.Room == d.Room })
		kept -= lines[d.Room]
		all = append(all, d)
	}
	return all, kept
}

// New returns an empty store that forgets each draft after that time.
func New(lifetime time.Duration) *Store {
	return &Store{lifetime: lifetime, kept: make(map[string]*kept)}
}

// Keep keeps an account's drafts, with those that are kept already of other rooms. typed is when their person last typed in the
// session that is lost.
func (s *Store) Keep(account string, drafts []Draft, typed time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.kept == nil || account == "" || len(drafts) == 0 {
		return
	}
	k := &kept{typed: typed, at: time.Now()}
	size := 0
	keep := func(room chat.RoomName, text []byte) {
		if size+len(text) <= MaxBytes && !slices.ContainsFunc(k.drafts, func(d sealed) bool { return d.room == room }) {
			size += len(text)
			k.drafts = append(k.drafts, sealed{room, text})
		}
	}
	for _, d := range drafts {
		keep(d.Room, []byte(d.Text))
	}
	if old := s.kept[account]; old != nil {
		if old.typed.After(typed) {
			k.typed = old.typed
		}
		for _, d := range old.drafts {
			keep(d.room, slices.Clone(d.text))
		}
	}
	s.drop(account)
	if len(s.kept) >= MaxAccounts {
		s.drop(s.oldest())
	}
	k.expiry = time.AfterFunc(s.lifetime, func() { s.expire(account, k) })
	s.kept[account] = k
}

// oldest is the account whose drafts were kept first.
func (s *Store) oldest() (account string) {
	var at time.Time
	for id, k := range s.kept {
		if account == "" || k.at.Before(at) {
			account, at = id, k.at
		}
	}
	return account
}

// expire forgets k, unless it was taken or replaced.
func (s *Store) expire(account string, k *kept) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.kept[account] == k {
		s.drop(account)
	}
}

// drop wipes and forgets an account's drafts. The caller holds mu.
func (s *Store) drop(account string) {
	k := s.kept[account]
	if k == nil {
		return
	}
	k.expiry.Stop()
	for _, d := range k.drafts {
		clear(d.text)
	}
	delete(s.kept, account)
}

// Take returns an account's drafts, and forgets them, for a session that began at that time. If it began before they were typed, they
// are for a later one.
func (s *Store) Take(account string, began time.Time) (drafts []Draft) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.kept[account]
	if k == nil || k.typed.After(began) {
		return nil
	}
	for _, d := range k.drafts {
		drafts = append(drafts, Draft{d.room, string(d.text)})
	}
	s.drop(account)
	return drafts
}

// Review forgets the drafts that may not be kept any longer.
func (s *Store) Review(may func(account string, room chat.RoomName) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for account, k := range s.kept {
		k.drafts = slices.DeleteFunc(k.drafts, func(d sealed) bool {
			if may(account, d.room) {
				return false
			}
			clear(d.text)
			return true
		})
		if len(k.drafts) == 0 {
			s.drop(account)
		}
	}
}

// Close forgets all, and keeps nothing from then on.
func (s *Store) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for account := range s.kept {
		s.drop(account)
	}
	s.kept = nil
}
