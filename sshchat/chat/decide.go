package chat

import (
	"cmp"
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// decider submits intents, and waits until their consequences hold.
type decider struct {
	*sequencer
	rekeying map[Name]chan struct{} // guarded by mu; each closed by rekey when it is done
}

// Decide submits an intent, and returns when the decision holds everywhere: in the State, which is then durable, in the
// rooms, in the open windows of the history, and in all sessions. An intent that delays others in large rooms first waits
// until that is prepared, and is charged to the caller. entry is its line in the audit log; nil: no line.
//
// Errors: the Refusals of Check; ErrTooOften, ErrSlow; ErrStopping, ErrNotDecided; ctx's if it ended before anything was
// decided. If it ends later Decide returns at once, and what follows goes on.
func (h *decider) Decide(ctx context.Context, who Caller, in Intent, entry *AuditEntry) error {
	if _, err := h.View().Check(who, in); err != nil { // known without the wait; asked again at its place
		return err
	}
	if err := h.mayPay(who, in); err != nil {
		return err
	}
	in, err := h.awaitPrepared(ctx, who, in)
	if err != nil {
		return err
	}
	req := newRequest(who, in)
	req.Audit = entry
	if err := h.submit(ctx, req); err != nil {
		return err
	}
	h.pay(who, in)
	switch in := in.(type) {
	case SetTopic:
		h.announceTopic(who.Name, in)
	case PinMessage:
		h.NotifyRoom(who.Name, in.Room, "%s pinned message %d", who.Name, in.Seq)
	case UnpinMessage:
		h.NotifyRoom(who.Name, in.Room, "%s unpinned message %d", who.Name, in.Seq)
	}
	return h.awaitRekeyed(ctx, req)
}

// Order implements Leader: it has a request ordered here that another hub asks for, or this one through its own Leader. It returns
// when its consequences hold here.
func (h *decider) Order(ctx context.Context, r Request) error {
	req, err := h.order(ctx, r)
	if err != nil {
		return err
	}
	h.awaitRekeyed(ctx, req) // it is part of the log, whatever that returns
	return nil
}

// awaitRekeyed waits until new messages are sealed to the keys that the request has changed. If the caller is gone it does not:
// it is decided, and continues.
func (h *decider) awaitRekeyed(ctx context.Context, req *request) error {
	for _, name := range req.rekeyed {
		if err := h.awaitRekey(ctx, name); err != nil && ctx.Err() == nil {
			return err
		}
	}
	return nil
}

func (h *decider) announceTopic(by Name, in SetTopic) {
	if in.Topic == "" {
		h.NotifyRoom(by, in.Room, "%s cleared the topic", by)
		return
	}
	h.NotifyRoom(by, in.Room, "%s set the topic: %s", by, in.Topic)
}

// awaitPrepared waits until an intent that can wait delays nobody.
func (h *decider) awaitPrepared(ctx context.Context, who Caller, in Intent) (Intent, error) {
	switch in := in.(type) {
	case JoinRoom:
		if h.In(who.Name, in.Room) {
			return in, nil
		}
		_, in.MustExist = h.View().Room(in.Room)
		in.MustExist = in.MustExist || in.Room == General
		return in, h.awaitEvent(ctx, in.Room, Join)
	case LeaveRoom:
		return in, h.awaitEvent(ctx, in.Room, Leave)
	}
	return in, nil
}

// awaitRekey waits until new messages in name's rooms are sealed to their present keys.
func (h *decider) awaitRekey(ctx context.Context, name Name) error {
	h.mu.RLock()
	rekeyed := h.rekeying[name]
	h.mu.RUnlock()
	if rekeyed == nil {
		return nil
	}
	select {
	case <-rekeyed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-h.stop:
		return ErrStopping
	}
}

// rekey seals new messages in the people's rooms to their present keys, room by room as each is prepared. It runs in the
// background, since waiting harms nobody: their earlier keys still read.
func (h *decider) rekey(people map[Name]bool) {
	if len(people) == 0 {
		return
	}
	done := make(chan struct{})
	h.mu.Lock()
	for name := range people {
		h.rekeying[name] = done
	}
	h.mu.Unlock()
	go func() { // ends with its work, or with Run
		over := sync.OnceFunc(func() { h.rekeyed(people, done) })
		defer over()
		for name := range people {
			for _, room := range h.RoomsOf(name) {
				if h.rekeyIn(room, name, over) != nil {
					return
				}
			}
		}
	}()
}

// rekeyAgain is when a Rekey that could not be stored, as on a full disk, is tried again.
const rekeyAgain = time.Second

// rekeyIn seals new messages in the room to name's present keys as soon as possible. If that fails at first it calls
// failed, and retries. Errors: ErrStopping.
func (h *decider) rekeyIn(room RoomName, name Name, failed func()) error {
	for ctx := context.Background(); ; {
		if err := h.awaitEvent(ctx, room, Rekey); err != nil {
			return err
		}
		req := newRequest(TheServer, nil)
		req.Event = &Event{Room: room, Change: Rekey, Name: name}
		if err := h.submit(ctx, req); err == nil || errors.Is(err, ErrStopping) {
			return err
		}
		failed() // callers do not wait for the disk to recover
		select {
		case <-time.After(rekeyAgain):
		case <-h.stop:
			return ErrStopping
		}
	}
}

func (h *decider) rekeyed(people map[Name]bool, done chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for name := range people {
		if h.rekeying[name] == done {
			delete(h.rekeying, name)
		}
	}
	close(done)
}

// Reseal seals new messages in name's rooms to them again, after a long absence in which nothing was sealed to them. It
// returns when that is done or ctx has ended; in the latter case it continues in the background.
func (h *decider) Reseal(ctx context.Context, name Name) error {
	h.rekey(map[Name]bool{name: true})
	return h.awaitRekey(ctx, name)
}

// readersChanged returns what has to follow for people whose history keys have changed: Rekey or Revoke. They are known
// by their names, as the members of rooms are: a hand edit may give a name another ID, or swap two. Deleted accounts read
// nothing any more, in direct rooms too, where no membership ends. Bans that have ended count until Expire removes them.
func (s *State) readersChanged(before *State) map[Name]Change {
	changed := make(map[Name]Change)
	was, is := View{State: before}, View{State: s}
	compare := func(a *Account) {
		if old := before.named(a.Name); old != nil {
			if change := is.HistoryKeys(*a).Change(was.HistoryKeys(*old)); change != NoChange {
				changed[a.Name] = change
			}
		}
	}
	for i, a := range before.accounts {
		if (i >= len(s.accounts) || s.accounts[i] != a) && s.named(a.Name) == nil {
			changed[a.Name] = Revoke
		}
	}
	if !shared(s.bans.list, before.bans.list) && !slices.Equal(s.bans.list, before.bans.list) {
		for _, a := range s.accounts {
			compare(a)
		}
		return changed
	}
	for _, name := range s.changedSince(before) {
		compare(s.named(name))
	}
	return changed
}

// TakesFrom reports whether somebody may do less than before: log in, use a right, be in a room. It may also be true of what comes to
// the same, as a ban that replaces another.
func (v View) TakesFrom(before View) bool {
	switch {
	case v.State == before.State:
		return false
	case adds(before.bans.list, v.bans.list), adds(before.mutes.list, v.mutes.list), before.takenFromAccounts(v.State):
		return true
	case v.allowlist.On && (!before.allowlist.On || lacks(v.allowlist.Entries, before.allowlist.Entries)), lacks(v.nodes, before.nodes):
		return true
	}
	for name, was := range before.rooms {
		is := v.rooms[name]
		if is == was {
			continue
		}
		if is == nil || is.Private && !was.Private || lacks(is.Mods, was.Mods) || is.Private && lacks(is.Invited, was.Invited) {
			return true
		}
		if _, left := diffMembers(was.Members, is.Members); len(left) > 0 {
			return true
		}
	}
	return false
}

// adds reports whether a list of sanctions has one that it had not.
func adds(before, after []Sanction) bool { return !shared(before, after) && lacks(before, after) }

// lacks reports whether the list has not all of those.
func lacks[T comparable](list, those []T) bool {
	for len(list) > 0 && len(those) > 0 && list[0] == those[0] { // as a rule they begin alike
		list, those = list[1:], those[1:]
	}
	if len(those) == 0 {
		return false
	}
	has := make(map[T]bool, len(list))
	for _, one := range list {
		has[one] = true
	}
	return slices.ContainsFunc(those, func(one T) bool { return !has[one] })
}

// takenFromAccounts reports whether an account is gone, or disabled, has a lower role, or a login to it has become stale.
func (s *State) takenFromAccounts(after *State) bool {
	for i, was := range s.accounts {
		if i < len(after.accounts) && after.accounts[i] == was {
			continue
		}
		at, there := after.byID[was.ID]
		if !there {
			return true
		}
		is := after.accounts[at]
		if is.Disabled && !was.Disabled || !is.Role.AtLeast(was.Role) || is.Name != was.Name ||
			was.Password && is.Generation != was.Generation || is.TOTP != was.TOTP {
			return true
		}
		for _, key := range was.Keys {
			i := slices.IndexFunc(is.Keys, func(k Key) bool { return k.Fingerprint == key.Fingerprint })
			if i < 0 || !slices.Equal(is.Keys[i].Only, key.Only) {
				return true
			}
		}
	}
	return false
}

// mayPay refuses an intent that delays others in large rooms if the caller did so often. An intent that cannot wait is
// not refused.
func (h *decider) mayPay(who Caller, in Intent) error {
	switch in := in.(type) {
	case AddKeys:
		if who.Login.Account == in.ID {
			return h.MayChangeKeys(who.Name)
		}
	case SetPassword:
		return h.MayChangeKeys(who.Name)
	case JoinRoom:
		return cmp.Or(h.mayCreate(who.Name, in.Room), h.mayMove(who.Name, in.Room))
	}
	return nil
}

// pay charges the caller for an intent that was applied.
func (h *decider) pay(who Caller, in Intent) {
	switch in := in.(type) {
	case AddKeys:
		if who.Login.Account == in.ID {
			h.chargeKeys(who.Name)
		}
	case RemoveKey:
		if who.Login.Account == in.ID {
			h.chargeKeys(who.Name)
		}
	case SetPassword:
		h.chargeKeys(who.Name)
	case JoinRoom:
		h.chargeMove(who.Name, in.Room)
	case LeaveRoom:
		h.chargeMove(who.Name, in.Room)
	}
}

// When somebody changes their keys, or joins or leaves a room, the next window of each room concerned is sealed again: a
// head is made and stored for each member, and others wait for it. So the person is charged what it costs. While the debt
// is too large, changes that can wait are refused; those that cannot, such as the removal of a key, are made and charged.
const (
	headCharge    = 100 * time.Millisecond // for each member of each room concerned
	changesAtOnce = 3                      // of one's keys in all of one's rooms, from owing nothing
	freeDebt      = time.Minute            // up to this debt nobody is refused: in small rooms that is many changes
)

// ErrTooOften refuses a change by somebody who has made many.
var ErrTooOften = &Refusal{Code: Failed, Text: "you have changed your keys or rooms too often: in large rooms each change delays everyone"}

// debt is the time that a person's changes have cost others; it decreases with time. The zero debt is none.
type debt struct {
	paid time.Time // when it is paid; past: it is
}

func (d *debt) left(now time.Time) time.Duration { return max(0, d.paid.Sub(now)) }

func (d *debt) charge(now time.Time, cost time.Duration) {
	d.paid = now.Add(d.left(now) + cost)
}

// refuse refuses a change that costs so much, while too much is owed.
func (d *debt) check(now time.Time, cost time.Duration) error {
	wait := d.left(now) - max((changesAtOnce-1)*cost, freeDebt)
	if wait <= 0 {
		return nil
	}
	return ErrTooOften.With("%s; try again in %s", ErrTooOften.Text, max(wait, time.Second).Round(time.Second))
}

// cost is that of a change of me's keys, in all rooms of theirs. Called with mu held.
func (h *decider) cost(p *person) (cost time.Duration) {
	for name := range p.rooms {
		if r := h.rooms[name]; r != nil {
			cost += r.cost()
		}
	}
	return cost
}

// cost is that of a change in the room. Called with the hub's mu held.
func (r *Room) cost() time.Duration { return time.Duration(len(r.members)) * headCharge }

// MayChangeKeys refuses a change of me's keys that can wait, while their debt for such changes is too large. Errors:
// ErrTooOften.
func (h *decider) MayChangeKeys(me Name) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.person(me)
	return p.debt.check(time.Now(), h.cost(p))
}

// chargeKeys charges me for a change of keys.
func (h *decider) chargeKeys(me Name) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.person(me)
	p.debt.charge(time.Now(), h.cost(p))
}

// cheapMove is what a join may cost that is never refused.
const cheapMove = 2 * time.Second

// mayMove refuses to let me join the room while their debt is too large.
func (h *decider) mayMove(me Name, name RoomName) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.rooms[name]
	if r == nil || name == General || r.cost() <= cheapMove {
		return nil
	}
	p := h.person(me)
	return p.debt.check(time.Now(), max(r.cost(), h.cost(p)))
}

// chargeMove charges me for joining or leaving the room; #general is joined once.
func (h *decider) chargeMove(me Name, name RoomName) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if r := h.rooms[name]; r != nil && name != General {
		h.person(me).debt.charge(time.Now(), r.cost())
	}
}

// closedCounts is how long a room that was closed is one of those that its maker made: its number goes on, so something of
// it stays.
const closedCounts = time.Hour

// mayCreate refuses me to make another room so soon after closing others.
func (h *decider) mayCreate(me Name, name RoomName) error {
	made := 0
	h.mu.RLock()
	defer h.mu.RUnlock()
	if r := h.rooms[name]; r != nil && !r.removed() {
		return nil
	}
	for _, r := range h.rooms {
		switch {
		case r.is != nil && r.is.By == me, r.removed() && r.was != nil && r.was.By == me && time.Since(r.closed) < closedCounts:
			made++
		}
	}
	if made >= MaxCreated {
		return ErrTooMany.Because("you can create at most %d, and a closed one counts for an hour", MaxCreated)
	}
	return nil
}

// Reports reach each moderator at once, so a person can make a few, and then one each ten minutes.
const (
	reportCharge  = 10 * time.Minute
	reportsAtOnce = 5
	maxReported   = 50 // moderators and admins who get a report
)

// takesReports reports whether the account is that of a moderator or an admin who can log in.
func (v View) takesReports(a *Account) bool {
	_, banned := v.Banned(a.Name, netip.Addr{}, "")
	return a.Role.AtLeast(Mod) && !a.Disabled && !banned
}

// chargeReport charges somebody for a report, or refuses it. Errors: ErrReports.
func (h *decider) chargeReport(me Name) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	p, now := h.person(me), time.Now()
	if wait := p.reports.left(now) - (reportsAtOnce-1)*reportCharge; wait > 0 {
		return ErrReports.With("%s; try again in %s", ErrReports.Text, max(wait, time.Second).Round(time.Second))
	}
	p.reports.charge(now, reportCharge)
	return nil
}
