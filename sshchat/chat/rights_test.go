package chat

import (
	"net/netip"
	"testing"
)

func TestAdmit(t *testing.T) {
	only := Only{"say:#ci"}
	a := Account{
		ID: "1", Password: true, Generation: "g",
		Keys: []Key{{Fingerprint: "SHA256:free"}, {Fingerprint: "SHA256:bound", Only: only}},
	}
	off, second := a, a
	off.Disabled, second.TOTP = true, true
	byKey, byPassword := Login{Account: "1", Key: "SHA256:free"}, Login{Account: "1", Generation: "g"}
	for what, c := range map[string]struct {
		login          Login
		account        Account
		banned, listed bool
		want           Denial
	}{
		"by key":                       {byKey, a, false, true, Admitted},
		"by password":                  {byPassword, a, false, true, Admitted},
		"by a restricted key":          {Login{Account: "1", Key: "SHA256:bound", Only: only}, a, false, true, Admitted},
		"password and second factor":   {Login{Account: "1", Generation: "g", Second: true}, second, false, true, Admitted},
		"without an account":           {Login{}, Account{}, false, true, Stale},
		"deleted":                      {byKey, Account{}, false, true, Stale},
		"another account":              {Login{Account: "2", Key: "SHA256:free"}, a, false, true, Stale},
		"key removed":                  {Login{Account: "1", Key: "SHA256:gone"}, a, false, true, Stale},
		"key restricted since":         {Login{Account: "1", Key: "SHA256:bound"}, a, false, true, Stale},
		"key freed since":              {Login{Account: "1", Key: "SHA256:free", Only: only}, a, false, true, Stale},
		"password changed":             {Login{Account: "1", Generation: "f"}, a, false, true, Stale},
		"password taken away":          {byPassword, Account{ID: "1"}, false, true, Stale},
		"second factor since":          {byPassword, second, false, true, Stale},
		"second factor gone":           {Login{Account: "1", Generation: "g", Second: true}, a, false, true, Stale},
		"banned":                       {byKey, a, true, true, Banned},
		"banned and disabled":          {byKey, off, true, false, Banned},
		"disabled":                     {byKey, off, false, true, Disabled},
		"not on the list":              {byKey, a, false, false, NotListed},
		"stale is said before banned":  {Login{Account: "1", Key: "SHA256:gone"}, off, true, false, Stale},
		"no key, no password: nothing": {Login{Account: "1"}, Account{ID: "1"}, false, true, Stale},
	} {
		if got := Admit(c.login, c.account, c.banned, c.listed); got != c.want {
			t.Errorf("%s: %d, want %d", what, got, c.want)
		}
	}
}

func TestRanks(t *testing.T) {
	ranks := []Rank{RankMember, RankRoomMod, RankCreator, RankMod, RankAdmin}
	outranks := [][]int{{0, 0, 0, 0, 0}, {1, 0, 0, 0, 0}, {1, 1, 0, 0, 0}, {1, 1, 1, 0, 0}, {1, 1, 1, 1, 1}}
	lifts := [][]int{{0, 0, 0, 0, 0}, {0, 0, 0, 0, 0}, {0, 0, 0, 0, 0}, {0, 0, 0, 1, 0}, {1, 1, 1, 1, 1}}
	for i, r := range ranks {
		for j, other := range ranks {
			if got := r.Outranks(other); got != (outranks[i][j] == 1) {
				t.Errorf("%d outranks %d: %v", r, other, got)
			}
			if got := r.MayLift(other); got != (lifts[i][j] == 1) {
				t.Errorf("%d lifts what %d imposed: %v", r, other, got)
			}
		}
	}
	for want, got := range map[Rank]Rank{
		RankMember: RankOf(User, false, false), RankRoomMod: RankOf(User, false, true), RankCreator: RankOf(User, true, true),
		RankMod: RankOf(Mod, true, true), RankAdmin: RankOf(Admin, false, false),
	} {
		if got != want {
			t.Errorf("%d, want %d", got, want)
		}
	}
	if RankAdmin.Widest(true) != 8 || RankMod.Widest(true) != 16 || RankMod.Widest(false) != 32 || RankCreator.Widest(true) < 32 {
		t.Error("who bans how much of the network")
	}
}

func TestWhomABanHits(t *testing.T) {
	people := []Whereabouts{
		{name(t, "carol"), RankMember, []netip.Prefix{netip.MustParsePrefix("198.51.100.1/32")}, []string{"SHA256:c"}},
		{name(t, "mo"), RankMod, []netip.Prefix{netip.MustParsePrefix("2001:db8::/64")}, nil},
		{name(t, "alice"), RankAdmin, []netip.Prefix{netip.MustParsePrefix("203.0.113.9/32")}, []string{"SHA256:a"}},
	}
	prefix := func(s string) Sanction { return Sanction{Net: netip.MustParsePrefix(s)} }
	for what, c := range map[string]struct {
		ban  Sanction
		by   Rank
		want string
	}{
		"a member's address":            {prefix("198.51.100.1/32"), RankMod, ""},
		"a member's net":                {prefix("198.51.0.0/16"), RankMod, ""},
		"an admin's address":            {prefix("203.0.113.9/32"), RankMod, "alice"},
		"an admin's net":                {prefix("203.0.0.0/16"), RankMod, "alice"},
		"one address of a moderator":    {prefix("2001:db8::1/128"), RankMod, "mo"},
		"the net beside a moderator's":  {prefix("2001:db8:0:1::/64"), RankMod, ""},
		"a member's key":                {Sanction{Key: "SHA256:c"}, RankMod, ""},
		"an admin's key":                {Sanction{Key: "SHA256:a"}, RankMod, "alice"},
		"an admin":                      {Sanction{User: name(t, "alice")}, RankMod, "alice"},
		"an admin does it to an admin":  {prefix("203.0.113.9/32"), RankAdmin, ""},
		"who stands below to a member":  {Sanction{User: name(t, "carol")}, RankMember, "carol"},
		"somebody who is not on record": {Sanction{User: name(t, "dave")}, RankMod, ""},
	} {
		got, hit := c.ban.Protected(c.by, people)
		if got.String() != c.want || hit != (c.want != "") {
			t.Errorf("%s: %q, want %q", what, got, c.want)
		}
	}
}

func TestMayClose(t *testing.T) {
	for _, c := range []struct {
		rank    Rank
		creator bool
		others  int
		want    bool
	}{
		{RankMember, false, 0, false}, {RankMember, true, 0, true}, {RankMember, true, 1, false},
		{RankMod, false, 0, false}, {RankMod, true, 0, true}, {RankMod, true, 1, false},
		{RankAdmin, false, 0, true}, {RankAdmin, false, 9, true}, {RankAdmin, true, 1, true},
	} {
		if got := c.rank.MayClose(c.creator, c.others); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

func TestMayJoin(t *testing.T) {
	alice, bob := name(t, "alice"), name(t, "bob")
	for _, c := range []struct {
		rules Rules
		name  Name
		want  bool
	}{
		{Rules{}, bob, true}, {Rules{Private: true}, bob, false},
		{Rules{Private: true, Invited: []Name{alice}}, alice, true}, {Rules{Private: true, Invited: []Name{alice}}, bob, false},
	} {
		if got := c.rules.MayJoin(c.name); got != c.want {
			t.Errorf("%+v, %s: %v", c.rules, c.name, got)
		}
	}
}
