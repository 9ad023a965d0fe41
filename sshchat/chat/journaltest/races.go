package journaltest

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"testing"

	"sshchat/sshchat/chat"
)

// races are two requests at once, at different hubs where there are several, of which the rules allow one at most. Each can come after
// any other.
var races = []struct {
	name string
	run  func(w *world, i int)
}{
	{"two register a name", raceForName},
	{"two use an invite's last use", raceForInvite},
	{"two spend a step of a second factor", raceForStep},
	{"two spend a recovery code", raceForCode},
	{"two admins demote each other", raceToDemote},
	{"two admins disable each other", raceToDisable},
	{"a ban against a promotion", raceToBan},
}

// raceCases run each race n times, in a world of its own.
func raceCases(n int) (all []testCase) {
	for i, r := range races {
		all = append(all, testCase{"race: " + r.name, func(t testing.TB, maker Maker) { raceIn(t, maker, n, i, i+1) }})
	}
	return all
}

// allRaces is all of them in one world, which is a seventh of the work where it takes long to make one.
func allRaces(n int) testCase {
	return testCase{"races", func(t testing.TB, maker Maker) { raceIn(t, maker, n, 0, len(races)) }}
}

// raceIn runs the races from one up to another n times each, in a new world.
func raceIn(t testing.TB, maker Maker, n, from, to int) {
	w := newWorld(t, maker, Options{})
	for _, r := range races[from:to] {
		for i := range n {
			r.run(w, i)
			if t.Failed() {
				t.Fatalf("%s: race %d", r.name, i)
			}
		}
	}
	w.agree(chat.General)
	w.must(w.rig.Restart())
	w.agree(chat.General)
}

// asks is a request and who makes it.
type asks struct {
	who chat.Caller
	in  chat.Intent
}

// both makes two requests at once, at two hubs if there are two, and returns their answers. Nothing is on its way then.
func (w *world) both(i int, a, b asks) (errs [2]error) {
	var asking sync.WaitGroup
	for k, one := range []asks{a, b} {
		h := w.hub(i + k)
		asking.Go(func() { errs[k] = h.Decide(w.ctx, one.who, one.in, nil) })
	}
	asking.Wait()
	w.settle()
	return errs
}

// one says that not exactly one of two was done, and the other refused with one of these.
func (w *world) one(errs [2]error, refused ...error) (winner int) {
	w.Helper()
	winner = 0
	if errs[0] != nil {
		winner = 1
	}
	if errs[winner] != nil {
		w.Fatalf("both are refused: %v; %v", errs[0], errs[1])
	}
	other := errs[1-winner]
	for _, r := range refused {
		if errors.Is(other, r) {
			return winner
		}
	}
	if r, ok := chat.Refused(other); ok && len(refused) == 0 && r.Code == chat.Denied {
		return winner
	}
	w.Fatalf("one is done, and the other's answer is: %v", other)
	return winner
}

// server has the server decide something that prepares a race.
func (w *world) server(in ...chat.Intent) {
	w.Helper()
	for _, in := range in {
		w.must(w.decide(0, chat.TheServer, in))
	}
	w.settle()
}

func raceForName(w *world, i int) {
	one, two := NewPerson(w, fmt.Sprintf("race%d", i)), NewPerson(w, fmt.Sprintf("race%d", i))
	a, b := one.Account(chat.User), two.Account(chat.User)
	won := w.one(w.both(i, asks{one.stranger(), chat.CreateAccount{Account: a, Setting: chat.Open}}, asks{two.stranger(), chat.CreateAccount{Account: b, Setting: chat.Open}}),
		chat.ErrNameTaken, chat.ErrStale)
	for k, h := range w.rig.Hubs() {
		if is, ok := h.View().ByName(one.Name); !ok || is.ID != []string{a.ID, b.ID}[won] {
			w.Errorf("hub %d: the name is not the winner's", k)
		}
	}
	w.server(chat.DeleteAccount{ID: []string{a.ID, b.ID}[won]})
}

func raceForInvite(w *world, i int) {
	hash := fmt.Sprintf("%x", sha256.Sum256(fmt.Append(nil, "invite", i)))
	w.server(chat.CreateInvite{Invite: chat.StoredInvite{Invite: chat.Invite{ID: hash[:8], Uses: 1}, Hash: hash}})
	one, two := NewPerson(w, fmt.Sprintf("one%d", i)), NewPerson(w, fmt.Sprintf("two%d", i))
	a, b := one.Account(chat.User), two.Account(chat.User)
	won := w.one(w.both(i, asks{one.stranger(), chat.CreateAccount{Account: a, Code: hash, Setting: chat.Open}}, asks{two.stranger(), chat.CreateAccount{Account: b, Code: hash, Setting: chat.Open}}),
		chat.ErrInvite)
	for k, h := range w.rig.Hubs() {
		if h.View().Len() != 5 || h.View().Invited(hash) {
			w.Errorf("hub %d: %d accounts of 5; the invite can be used: %v", k, h.View().Len(), h.View().Invited(hash))
		}
	}
	w.server(chat.DeleteAccount{ID: []string{a.ID, b.ID}[won]})
}

// factor gives carol a second factor, with such recovery codes.
func (w *world) factor(codes ...string) {
	w.Helper()
	id := w.carol.Login.Account
	a, _ := w.hub(0).View().ByID(id)
	if !a.Password {
		recipient, secret := w.rig.Password()
		w.server(chat.SetPassword{ID: id, Recipient: recipient, Secret: secret})
		a, _ = w.hub(0).View().ByID(id)
	}
	if a.Factor != nil {
		w.server(chat.SetFactor{ID: id})
	}
	w.server(chat.SetFactor{ID: id, Was: a.Secret, Factor: &chat.Factor{Secret: chat.NewOpaque("sealed"), Codes: codes}})
}

func raceForStep(w *world, i int) {
	if i == 0 {
		w.factor()
	}
	spend := asks{chat.TheServer, chat.SpendCode{ID: w.carol.Login.Account, Step: int64(i + 1)}}
	w.one(w.both(i, spend, spend), chat.ErrCode)
	for k, h := range w.rig.Hubs() {
		if a, _ := h.View().ByID(w.carol.Login.Account); a.Factor.Used != int64(i+1) {
			w.Errorf("hub %d: step %d was the last, not %d", k, a.Factor.Used, i+1)
		}
	}
}

func raceForCode(w *world, i int) {
	var codes [2]string
	for k := range codes {
		sum := sha256.Sum256(fmt.Append(nil, "code", i, k))
		codes[k] = hex.EncodeToString(sum[:])
	}
	w.factor(codes[:]...)
	spend := asks{chat.TheServer, chat.SpendCode{ID: w.carol.Login.Account, Hash: codes[0]}}
	w.one(w.both(i, spend, spend), chat.ErrCode)
	for k, h := range w.rig.Hubs() {
		if a, _ := h.View().ByID(w.carol.Login.Account); len(a.Factor.Codes) != 1 || a.Factor.Codes[0] != codes[1] {
			w.Errorf("hub %d: %d codes are left", k, len(a.Factor.Codes))
		}
	}
}

func raceToDemote(w *world, i int) {
	a, b := w.alice, w.bob
	w.server(chat.SetRole{ID: a.Login.Account, Role: chat.Admin}, chat.SetRole{ID: b.Login.Account, Role: chat.Admin})
	w.one(w.both(i, asks{a.Caller, chat.SetRole{ID: b.Login.Account, Role: chat.User}}, asks{b.Caller, chat.SetRole{ID: a.Login.Account, Role: chat.User}}))
	for k, h := range w.rig.Hubs() {
		if !h.View().HasAdmin() {
			w.Errorf("hub %d: there is no admin left", k)
		}
	}
}

func raceToDisable(w *world, i int) {
	a, b := w.alice, w.bob
	w.server(chat.Disable{ID: a.Login.Account}, chat.Disable{ID: b.Login.Account})
	w.server(chat.SetRole{ID: a.Login.Account, Role: chat.Admin}, chat.SetRole{ID: b.Login.Account, Role: chat.Admin})
	errs := w.both(i, asks{a.Caller, chat.Disable{ID: b.Login.Account, Disabled: true}}, asks{b.Caller, chat.Disable{ID: a.Login.Account, Disabled: true}})
	w.one(errs, chat.ErrDisabled)
	for k, h := range w.rig.Hubs() {
		if !h.View().HasAdmin() {
			w.Errorf("hub %d: there is no admin left", k)
		}
	}
	w.server(chat.Disable{ID: a.Login.Account}, chat.Disable{ID: b.Login.Account})
}

func raceToBan(w *world, i int) {
	mod, user := w.bob, w.carol
	if i == 0 {
		w.server(chat.SetRole{ID: w.alice.Login.Account, Role: chat.Admin}, chat.SetRole{ID: mod.Login.Account, Role: chat.Mod})
	}
	errs := w.both(i, asks{mod.Caller, chat.Ban{Sanction: chat.Sanction{User: user.Name}}}, asks{w.alice.Caller, chat.SetRole{ID: user.Login.Account, Role: chat.Mod}})
	if errs[1] != nil {
		w.Fatalf("the promotion: %v", errs[1])
	}
	if r, refused := chat.Refused(errs[0]); errs[0] != nil && (!refused || r.Code != chat.Denied) {
		w.Fatalf("the ban: %v", errs[0])
	}
	for k, h := range w.rig.Hubs() {
		a, _ := h.View().ByID(user.Login.Account)
		if bans := len(h.View().AllBans()); a.Role != chat.Mod || bans > 1 || (bans == 1) != (errs[0] == nil) {
			w.Errorf("hub %d: %d bans of a %s; the ban's answer was: %v", k, bans, a.Role, errs[0])
		}
	}
	if errs[0] == nil {
		w.server(chat.Unban{Target: user.Name.String()})
	}
	w.server(chat.SetRole{ID: user.Login.Account, Role: chat.User})
}
