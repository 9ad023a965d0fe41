package accounts

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
	"sshchat/store/durable/testdisk"
)

func TestMain(m *testing.M) { testdisk.Main(m) }

// deciding is held while a test decides something: the chat has one order of what is decided.
var deciding sync.Mutex

// Decide has something decided, as the chat does.
func (u *Store) Decide(who chat.Caller, in chat.Intent) (*chat.State, error) {
	deciding.Lock()
	defer deciding.Unlock()
	before := u.View()
	after, err := before.Check(who, in)
	if err != nil {
		return nil, err
	}
	edit, _ := in.(chat.EditByHand)
	if after == before.State && edit.File == "" {
		return after, nil
	}
	if after, err = u.Rehearse(before.State, after); err != nil {
		return nil, err
	}
	if err := u.Append(Change{Before: before.State, After: after, Edit: edit.File}); err != nil {
		return nil, err
	}
	if _, made := in.(chat.CreateAccount); made { // as commands do; what it fails for is for other tests
		u.Checkpoint()
	}
	return after, nil
}

// reload is Reload by what Decide decides.
func (u *Store) reload() (changed int, err error) {
	return u.Reload(func(in chat.EditByHand) error { return u.decide(in) })
}

// What follows is what the server decides, in short.

func (u *Store) decide(in chat.Intent) error {
	_, err := u.Decide(chat.TheServer, in)
	return err
}

func (u *Store) Create(name chat.Name, role chat.Role, keys []chat.Key, password []byte, since uint64) (chat.Account, error) {
	return u.createBy(chat.TheServer, chat.CreateAccount{Since: since}, name, role, keys, password)
}

func (u *Store) CreateInvited(code string, name chat.Name, keys []chat.Key, password []byte, since uint64) (chat.Account, error) {
	stranger := chat.Caller{Name: name, Addr: netip.MustParseAddr("192.0.2.1")}
	return u.createBy(stranger, chat.CreateAccount{Since: since, Code: InviteHash(code), Setting: chat.Open}, name, chat.User, keys, password)
}

func (u *Store) createBy(who chat.Caller, in chat.CreateAccount, name chat.Name, role chat.Role, keys []chat.Key, password []byte) (chat.Account, error) {
	var err error
	if in.Account, err = u.NewAccount(context.Background(), name, role, keys, password); err != nil {
		return chat.Account{}, err
	}
	s, err := u.Decide(who, in)
	if err != nil {
		return chat.Account{}, err
	}
	a, _ := s.ByID(in.Account.ID)
	return a, nil
}

func (u *Store) SetRole(id string, role chat.Role) error {
	return u.decide(chat.SetRole{ID: id, Role: role})
}
func (u *Store) Disable(id string, disabled bool) error {
	return u.decide(chat.Disable{ID: id, Disabled: disabled})
}
func (u *Store) Delete(id string) error { return u.decide(chat.DeleteAccount{ID: id}) }

func (u *Store) AddKey(id string, k chat.Key) error {
	k, err := u.NewKey(k)
	if err != nil {
		return err
	}
	return u.decide(chat.AddKeys{ID: id, Keys: []chat.Key{k}})
}

func (u *Store) RemoveKey(id, fingerprint string) error {
	return u.decide(chat.RemoveKey{ID: id, Fingerprint: fingerprint})
}

func (u *Store) SetPassword(ctx context.Context, id string, old, new []byte) (generation string, err error) {
	in, err := u.NewPassword(ctx, id, old, new)
	if err != nil {
		return "", err
	}
	s, err := u.Decide(chat.TheServer, in)
	if err != nil {
		return "", err
	}
	a, _ := s.ByID(id)
	return a.Generation, nil
}

func (u *Store) ResetPassword(ctx context.Context, id string, new []byte) error {
	in, err := u.NewReset(ctx, id, new)
	if err != nil {
		return err
	}
	return u.decide(in)
}

func (u *Store) Recover(ctx context.Context, id string, present, earlier []byte) error {
	in, err := u.Recovered(ctx, id, present, earlier)
	if err != nil {
		return err
	}
	return u.decide(in)
}

func (u *Store) EnableTOTP(id string, secret []byte, code string) ([]string, error) {
	in, recovery, err := u.NewFactor(id, secret, code)
	if err != nil {
		return nil, err
	}
	return recovery, u.decide(in)
}

func (u *Store) DisableTOTP(id string) error { return u.decide(chat.SetFactor{ID: id}) }

func (u *Store) SetSetting(id, name, value string) error {
	value, err := CleanSetting(name, value)
	if err != nil {
		return err
	}
	return u.decide(chat.SetSetting{ID: id, Name: name, Value: value})
}

func (u *Store) Ban(s chat.Sanction) error           { return u.decide(chat.Ban{Sanction: s, Force: true}) }
func (u *Store) Unban(target string) error           { return u.decide(chat.Unban{Target: target}) }
func (u *Store) Mute(s chat.Sanction) error          { return u.decide(chat.Mute{Sanction: s}) }
func (u *Store) Unmute(name chat.Name) error         { return u.decide(chat.Unmute{Name: name}) }
func (u *Store) Revoke(id string) error              { return u.decide(chat.RevokeInvite{ID: id}) }
func (u *Store) SetAllowlist(on bool) error          { return u.decide(chat.SetAllowlist{On: on}) }
func (u *Store) Allow(target string) error           { return u.decide(chat.Allow{Target: target}) }
func (u *Store) Disallow(target string) error        { return u.decide(chat.Disallow{Target: target}) }
func (u *Store) Bans() []chat.Sanction               { return u.View().Bans() }
func (u *Store) Mutes() []chat.Sanction              { return u.View().Mutes() }
func (u *Store) Invites() []chat.Invite              { return u.View().Invites() }
func (u *Store) Invited(code string) bool            { return u.View().Invited(InviteHash(code)) }
func (u *Store) Rooms() []chat.RoomState             { return u.View().Rooms() }
func (u *Store) Members(r chat.RoomName) []chat.Name { return u.View().Members(r) }
func (u *Store) Accounts() []chat.Account            { return slices.Collect(u.View().Accounts()) }
func (u *Store) HasAdmin() bool                      { return u.View().HasAdmin() }

func (u *Store) ByID(id string) (chat.Account, bool)        { return u.View().ByID(id) }
func (u *Store) ByName(name chat.Name) (chat.Account, bool) { return u.View().ByName(name) }
func (u *Store) Banned(name chat.Name, addr netip.Addr, key string) (chat.Sanction, bool) {
	return u.View().Banned(name, addr, key)
}
func (u *Store) Muted(name chat.Name) (chat.Sanction, bool) { return u.View().Muted(name) }
func (u *Store) Allowed(a chat.Account, addr netip.Addr, key string) bool {
	return u.View().Allowed(a, addr, key)
}

func (u *Store) Invite(by chat.Name, uses int, until time.Time) (id, code string, err error) {
	in, code, err := u.NewInvite(by, uses, until)
	if err != nil {
		return "", "", err
	}
	return in.Invite.ID, code, u.decide(in)
}

// SaveRoom makes a room, of somebody's by their joining it; or changes a topic if by is nobody.
func (u *Store) SaveRoom(name chat.RoomName, topic string, by chat.Name) error {
	if !by.IsZero() {
		_, err := u.Decide(u.callerNamed(by), chat.JoinRoom{Room: name, Since: 1})
		return err
	}
	if _, there := u.View().Room(name); !there {
		if err := u.decide(chat.CreateRoom{Room: name}); err != nil && !errors.Is(err, chat.ErrTaken) {
			return err
		}
		if topic == "" {
			return nil
		}
	}
	return u.decide(chat.SetTopic{Room: name, Topic: topic})
}

func (u *Store) SaveMember(name chat.RoomName, m chat.Member) error {
	_, err := u.Decide(u.callerNamed(m.Name), chat.JoinRoom{Room: name, Since: m.Since, MustExist: true})
	return err
}

// callerNamed is callerOf, or a stranger if nobody has that name.
func (u *Store) callerNamed(name chat.Name) chat.Caller {
	if a, ok := u.ByName(name); ok {
		return callerOf(a)
	}
	return chat.Caller{Name: name}
}

func (u *Store) RemoveMember(room chat.RoomName, member chat.Name) error {
	return u.decide(chat.KickFromRoom{Room: room, Name: member})
}

// callerOf is somebody who has logged in with the first key of their account.
func callerOf(a chat.Account) chat.Caller {
	return chat.Caller{
		Login: chat.Login{Account: a.ID, Key: a.Keys[0].Fingerprint, Only: a.Keys[0].Only}, Name: a.Name,
		Addr: netip.MustParseAddr("192.0.2.1"), Key: a.Keys[0].Fingerprint, Verified: true,
	}
}

// decided has somebody's intent decided.
func decided(t *testing.T, u *Store, who chat.Caller, in chat.Intent) *chat.State {
	t.Helper()
	s, err := u.Decide(who, in)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// checkpoint has users.json hold what is durable.
func checkpoint(t testing.TB, u *Store) {
	t.Helper()
	if err := u.Checkpoint(); err != nil {
		t.Fatal(err)
	}
}

// spend takes a code.
func (f *twoFactor) spend(id string, secret []byte, code string) error {
	return f.users.decide(f.users.Spend(id, secret, code))
}

func said(s string) chat.Text {
	words, err := text.ParseText(s)
	if err != nil {
		panic(err)
	}
	return words
}
