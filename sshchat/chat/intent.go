package chat

import (
	"fmt"
	"net/netip"
	"reflect"
)

// Caller is the origin of a request: what its login proved, and from where.
type Caller struct {
	Server   bool       // the server itself: at its start, for hand edits, and for what ends by itself
	Login    Login      // zero for the server, and for somebody without an account
	Name     Name       // as they logged in
	Addr     netip.Addr // where they connect from
	Key      string     // fingerprint of the proven key, with an account or without
	Verified bool       // the login is worth the account's role: a guessed password alone is not
}

// TheServer is the server itself.
var TheServer = Caller{Server: true}

// Intent is a requested decision. Every change of a State is made by an intent; those from a command, a hand edit or the
// server's start differ only in their Caller.
type Intent interface {
	// decide changes the draft, or refuses. It applies every rule about the intent except whether the login is admitted.
	decide(tx *transaction) error
}

// Check applies every rule to what somebody wants, and returns the State that follows if they may: the same one if nothing
// is to change. It changes nothing, and reads nothing but its arguments. The error is a Refusal.
func (v View) Check(who Caller, in Intent) (*State, error) {
	tx := &transaction{State: *v.State, who: who, at: v.At}
	if err := tx.admit(); err != nil {
		return nil, err
	}
	if err := in.decide(tx); err != nil {
		return nil, err
	}
	if shares(reflect.ValueOf(&tx.State).Elem(), reflect.ValueOf(v.State).Elem()) {
		return v.State, nil
	}
	return &tx.State, nil
}

// shares reports whether two States, or parts of them, consist of the same parts: a change puts another in the place of one.
func shares(a, b reflect.Value) bool {
	switch a.Kind() {
	case reflect.Struct:
		for i := range a.NumField() {
			if !shares(a.Field(i), b.Field(i)) {
				return false
			}
		}
		return true
	case reflect.Slice:
		return a.Len() == b.Len() && a.Pointer() == b.Pointer()
	case reflect.Map:
		return a.Pointer() == b.Pointer()
	}
	return a.Equal(b)
}

// admit refuses a caller whose login is not admitted any more.
func (tx *transaction) admit() error {
	if tx.who.Server {
		return nil
	}
	if tx.who.Login.Account == "" {
		return tx.view().AdmitStranger(tx.who)
	}
	a, err := tx.view().Admit(tx.who)
	if err == nil {
		tx.me = &a
	}
	return err
}

// Why a login is not admitted.
var (
	ErrStale     = &Refusal{Code: Denied, Text: "this login is no longer valid: the account, key or password has changed. Please reconnect"}
	ErrBanned    = &Refusal{Code: Denied, Text: "you are banned"}
	ErrDisabled  = &Refusal{Code: Denied, Text: "this account is disabled; ask an admin"}
	ErrNotListed = &Refusal{Code: Denied, Text: "only people on the allowlist may use this server; ask an admin"}
)

// Admit returns the account of a login that is admitted now, or why it is not: ErrStale, ErrBanned, ErrDisabled or
// ErrNotListed. It is asked at a login, at each command, at the place of each change, and of all sessions after each change.
func (v View) Admit(who Caller) (Account, error) {
	a, _ := v.ByID(who.Login.Account)
	ban, banned := v.Banned(a.Name, who.Addr, who.Login.Key)
	switch Admit(who.Login, a, banned, v.Allowed(a, who.Addr, who.Login.Key)) {
	case Admitted:
		return a, nil
	case Banned:
		return Account{}, ban.Refusal()
	case Disabled:
		return Account{}, ErrDisabled
	case NotListed:
		return Account{}, ErrNotListed
	}
	return Account{}, ErrStale
}

// AdmitStranger refuses a login without an account if somebody has made one of its name meanwhile, for which it proved
// nothing, if its key or address is banned, and if only others are let in.
func (v View) AdmitStranger(who Caller) error {
	if v.named(who.Name) != nil {
		return ErrStale
	}
	if ban, hit := v.Banned(Name{}, who.Addr, who.Key); hit {
		return ban.Refusal()
	}
	if !v.Allowed(Account{Name: who.Name}, who.Addr, who.Key) {
		return ErrNotListed
	}
	return nil
}

// Refusal is the error for somebody who is banned.
func (s Sanction) Refusal() *Refusal {
	return ErrBanned.With("You are banned %s%s.", s.Lasts(), s.Reason())
}

// Lasts is how long it lasts, as people read it.
func (s Sanction) Lasts() string {
	if s.Until.IsZero() {
		return "forever"
	}
	return "until " + s.Until.Format("2006-01-02 15:04 MST")
}

// MuteLasts is Lasts for a mute.
func (s Sanction) MuteLasts() string {
	if s.Until.IsZero() {
		return "until unmuted"
	}
	return s.Lasts()
}

// Reason is its reason, after a colon; empty without one.
func (s Sanction) Reason() string {
	if s.Why == "" {
		return ""
	}
	return ": " + s.Why
}

func denied(format string, args ...any) *Refusal {
	return &Refusal{Code: Denied, Text: fmt.Sprintf(format, args...)}
}

func notFound(format string, args ...any) *Refusal {
	return &Refusal{Code: NotFound, Text: fmt.Sprintf(format, args...)}
}

// These checks decide who may request an intent. Rules about ranks are in rights.go.

// rank is how high the caller stands on the server, and in a room if one is meant.
func (tx *transaction) rank(room RoomName) Rank {
	switch {
	case tx.who.Server:
		return RankAdmin
	case tx.me == nil:
		return RankMember
	}
	role := tx.me.Role
	if !tx.who.Verified {
		role = User
	}
	creator, mod := tx.RoomRole(tx.me.Name, room)
	return RankOf(role, creator, mod)
}

// needs refuses callers of a lower role.
func (tx *transaction) needs(role Role) error {
	least := RankOf(role, false, false)
	switch {
	case tx.rank(RoomName{}) >= least:
		return nil
	case tx.me != nil && tx.me.Role.AtLeast(role):
		return denied("you need a login by key or with a second factor; add one and reconnect")
	}
	if role == Mod {
		return denied("only moderators and admins can do that")
	}
	return denied("only admins can do that")
}

// runs refuses callers who do not moderate the room. Only admins learn that a private room exists that they are not in.
func (tx *transaction) runs(room RoomName) (RoomState, error) {
	r, ok := tx.Room(room)
	if !ok && room == General {
		r, ok = tx.general(), true
	}
	rank := tx.rank(room)
	switch {
	case !ok, rank < RankAdmin && r.member(tx.name()) < 0 && !r.MayJoin(tx.name()):
		return r, noRoom(tx.name(), room)
	case rank < RankRoomMod:
		return r, denied("only moderators of the room, server moderators and admins can do that")
	}
	return r, nil
}

// name is the caller's name; zero for the server.
func (tx *transaction) name() Name {
	if tx.me == nil {
		return tx.who.Name
	}
	return tx.me.Name
}

// owner returns the account with that ID, if it is the caller's own or the caller is an admin.
func (tx *transaction) owner(id string) (Account, error) {
	a, ok := tx.ByID(id)
	switch {
	case tx.who.Server, tx.me != nil && tx.me.ID == id:
	default:
		if err := tx.needs(Admin); err != nil {
			return Account{}, err
		}
	}
	if !ok {
		return Account{}, ErrNoAccount
	}
	return a, nil
}

// anybodys returns the account with that ID, if the caller is an admin.
func (tx *transaction) anybodys(id string) (Account, error) {
	if err := tx.needs(Admin); err != nil {
		return Account{}, err
	}
	return tx.owner(id)
}

// own returns the account with that ID, if it is the caller's own.
func (tx *transaction) own(id string) (Account, error) {
	if !tx.who.Server && (tx.me == nil || tx.me.ID != id) {
		return Account{}, denied("that account belongs to somebody else")
	}
	return tx.owner(id)
}

// over refuses to act on somebody whom the caller does not outrank on the server or in the room, and on the caller.
func (tx *transaction) over(a Account, room RoomName) error {
	if tx.me != nil && a.ID == tx.me.ID {
		return denied("you cannot do that to yourself")
	}
	creator, mod := tx.RoomRole(a.Name, room)
	switch rank := RankOf(a.Role, creator, mod); {
	case tx.rank(room).Outranks(rank):
		return nil
	case rank >= RankMod:
		return denied("%s is %s: only an admin can do that", a.Name, a.Role.Article())
	case rank == RankCreator:
		return denied("%s created the room: only a server moderator or an admin can do that", a.Name)
	case rank == RankRoomMod:
		return denied("%s is a moderator of the room: only its creator, a server moderator or an admin can do that", a.Name)
	}
	return denied("%s has the same role as you: only somebody with a higher one can do that", a.Name)
}

// Article is "a moderator" or the like.
func (r Role) Article() string {
	switch r {
	case Admin:
		return "an admin"
	case Mod:
		return "a moderator"
	}
	return "a user"
}

// mayLift refuses to lift a sanction, or to put another in its place, if somebody higher imposed it.
func (tx *transaction) mayLift(s Sanction) error {
	if tx.me != nil && s.User == tx.me.Name {
		return denied("you cannot lift that yourself; ask another moderator or admin")
	}
	imposer := RankMember
	if by := tx.named(s.By); by != nil {
		imposer = RankOf(by.Role, false, false)
	}
	if tx.rank(RoomName{}).MayLift(imposer) {
		return nil
	}
	return denied("%s did that: only an admin can lift or change it", s.By)
}
