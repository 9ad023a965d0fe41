package accounts

import (
	"fmt"
	"time"

	"sshchat/sshchat/chat"
)

// Seen records that the account was used today. The day never moves back, whatever the clock does. It decides that at
// most once a day for each account. If the account was dormant, since is when sealing to it ended, which lasts until its
// rooms are sealed again. Otherwise it is zero.
func (u *Store) Seen(id string, decide func(chat.Visit) error) (since time.Time, err error) {
	now := u.clock.Read()
	a, ok := u.durable.Load().ByID(id)
	if !ok {
		return since, fmt.Errorf("record a visit: %w", chat.ErrNoAccount)
	}
	dormant := u.dormant(a)
	u.visits.Store(id, now.Ran)
	today := now.Trusted.Format(time.DateOnly)
	if a.Seen >= today {
		return since, nil
	}
	if err := decide(chat.Visit{ID: id, Day: today}); err != nil {
		return time.Time{}, fmt.Errorf("record a visit: %w", err)
	}
	if dormant {
		since = dormantFrom(a, u.opt.Dormant)
	}
	return since, nil
}

// dormant reports whether the account's person has been away for so long that nothing is sealed for them. Whoever was here
// while this process runs has not, whatever the clock shows.
func (u *Store) dormant(a chat.Account) bool {
	now := u.clock.Read()
	if u.opt.Dormant <= 0 || !now.Trusted.After(dormantFrom(a, u.opt.Dormant)) {
		return false
	}
	visit, here := u.visits.Load(a.ID)
	return !here || now.Ran-visit.(time.Duration) >= u.opt.Dormant
}

// dormantFrom is when nothing is sealed any more for an account until its person returns, if they stay away for so long.
func dormantFrom(a chat.Account, after time.Duration) time.Time {
	last := a.Created
	if day, err := time.Parse(time.DateOnly, a.Seen); err == nil && day.After(last) {
		last = day
	}
	return last.Add(after)
}
