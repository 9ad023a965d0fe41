package accounts

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"sshchat/sshchat/chat"
)

// clocked opens accounts whose time is what *now says.
func clocked(t *testing.T, dir string, now *time.Time) *Store {
	t.Helper()
	opt := cheap
	opt.Now = func() time.Time { return *now }
	return openIn(t, dir, opt)
}

func target(t *testing.T, word string) chat.Sanction {
	t.Helper()
	s, err := chat.ParseTarget(word)
	if err != nil {
		t.Fatal(err)
	}
	s.By = name("alice")
	return s
}

func TestBansHoldAcrossARestartUntilTheyEnd(t *testing.T) {
	t.Parallel()
	dir, now := t.TempDir(), time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	u := clocked(t, dir, &now)
	create(t, u, "alice", "")
	create(t, u, "mallory", "")
	for word, until := range map[string]time.Time{"mallory": {}, "ip=192.0.2.0/24": now.Add(time.Hour)} {
		s := target(t, word)
		s.Until = until
		if err := u.Ban(s); err != nil {
			t.Fatal(err)
		}
	}
	if err := u.Mute(target(t, "mallory")); err != nil {
		t.Fatal(err)
	}
	if err := u.Close(); err != nil {
		t.Fatal(err)
	}
	u = clocked(t, dir, &now)
	near, far := netip.MustParseAddr("::ffff:192.0.2.7"), netip.MustParseAddr("192.0.3.7")
	check := func(what string, name chat.Name, addr netip.Addr, want bool) {
		t.Helper()
		if _, banned := u.Banned(name, addr, ""); banned != want {
			t.Errorf("%s: banned is %v", what, banned)
		}
	}
	check("mallory", name("mallory"), far, true)
	check("anybody near", chat.Name{}, near, true)
	check("alice", name("alice"), far, false)
	now = now.Add(time.Hour)
	check("anybody near, an hour later", chat.Name{}, near, false)
	if n := len(u.Bans()); n != 1 {
		t.Errorf("%d bans are listed", n)
	}
	if err := u.Unban("mallory"); err != nil {
		t.Fatal(err)
	}
	check("mallory, forgiven", name("mallory"), far, false)
	if err := u.Unban("mallory"); !errors.Is(err, chat.ErrNoSanction) {
		t.Errorf("forgiven twice: %v", err)
	}
	if _, muted := u.Muted(name("mallory")); !muted {
		t.Error("the mute is gone with the ban")
	}
	if err := u.Unmute(name("mallory")); err != nil {
		t.Fatal(err)
	}
}

func TestBansReplaceAndRefuse(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	u := clocked(t, t.TempDir(), &now)
	admin := create(t, u, "alice", "")
	if err := u.SetRole(admin.ID, chat.Admin); err != nil {
		t.Fatal(err)
	}
	create(t, u, "bob", "")
	first := target(t, "bob")
	first.Until = now.Add(time.Hour)
	for _, s := range []chat.Sanction{first, target(t, "bob")} {
		if err := u.Ban(s); err != nil {
			t.Fatal(err)
		}
	}
	if bans := u.Bans(); len(bans) != 1 || !bans[0].Until.IsZero() {
		t.Errorf("bans are %v", bans)
	}
	if err := u.Ban(target(t, "alice")); !errors.Is(err, chat.ErrLastAdmin) {
		t.Errorf("the last admin is banned: %v", err)
	}
	if err := u.Ban(target(t, "nobody")); !errors.Is(err, chat.ErrNoAccount) {
		t.Errorf("nobody is banned: %v", err)
	}
}

func TestInvitesAreUsedUp(t *testing.T) {
	t.Parallel()
	dir, now := t.TempDir(), time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	u := clocked(t, dir, &now)
	id, code, err := u.Invite(name("alice"), 2, now.Add(time.Hour))
	if err != nil || len(code) < 16 {
		t.Fatal(id, code, err)
	}
	if err := u.Close(); err != nil {
		t.Fatal(err)
	}
	u = clocked(t, dir, &now)
	register := func(who, code string) error {
		_, err := u.CreateInvited(code, name(who), []chat.Key{{Line: keyA}}, nil, 1)
		return err
	}
	if err := register("eve", "guessed"); !errors.Is(err, chat.ErrInvite) {
		t.Errorf("a guessed code: %v", err)
	}
	if err := register("eve", id); !errors.Is(err, chat.ErrInvite) {
		t.Errorf("the id as a code: %v", err)
	}
	if err := errors.Join(register("bob", code), register("carol", " "+code+"\n")); err != nil {
		t.Fatal(err)
	}
	if err := register("dave", code); !errors.Is(err, chat.ErrInvite) {
		t.Errorf("a third use of two: %v", err)
	}
	if len(u.Invites()) != 0 || u.Invited(code) {
		t.Errorf("left are %v", u.Invites())
	}
	_, late, err := u.Invite(name("alice"), 1, now.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	now = now.Add(time.Hour)
	if err := register("dave", late); !errors.Is(err, chat.ErrInvite) {
		t.Errorf("an hour too late: %v", err)
	}
	id, taken, err := u.Invite(name("alice"), 1, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	if err := register("bob", taken); !errors.Is(err, chat.ErrNameTaken) || !u.Invited(taken) {
		t.Errorf("a refused account: %v; the invite is left: %v", err, u.Invited(taken))
	}
	if err := errors.Join(u.Revoke(id), u.Revoke(id)); !errors.Is(err, chat.ErrNoInvite) || u.Invited(taken) {
		t.Errorf("revoked twice: %v", err)
	}
}

func TestAllowlist(t *testing.T) {
	t.Parallel()
	u := open(t, t.TempDir())
	bob, carol, mod := create(t, u, "bob", ""), create(t, u, "carol", ""), create(t, u, "mod", "")
	mod.Role = chat.Mod
	far := netip.MustParseAddr("203.0.113.9")
	if err := errors.Join(u.Allow("bob"), u.Allow("ip=192.0.2.0/24")); err != nil {
		t.Fatal(err)
	}
	if !u.Allowed(carol, far, "") {
		t.Error("the list is off and keeps carol out")
	}
	if err := u.SetAllowlist(true); err != nil {
		t.Fatal(err)
	}
	if !u.Allowed(bob, far, "") || u.Allowed(carol, far, "") || !u.Allowed(carol, netip.MustParseAddr("192.0.2.1"), "") || !u.Allowed(mod, far, "") {
		t.Error("the list lets in the wrong ones")
	}
	if err := u.Allow("bob"); !errors.Is(err, chat.ErrListed) {
		t.Errorf("twice: %v", err)
	}
	if err := errors.Join(u.Disallow("bob"), u.Disallow("bob")); !errors.Is(err, chat.ErrNotOnList) || u.Allowed(bob, far, "") {
		t.Errorf("taken off twice: %v", err)
	}
}
