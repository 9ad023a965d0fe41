package text

import (
	"errors"
	"strings"
	"testing"

	"sshchat/sshchat/attack"
)

func name(t testing.TB, s string) Name {
	t.Helper()
	n, err := ParseName(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestParseName(t *testing.T) {
	for in, want := range map[string]string{
		"alice": "alice", "Alice": "alice", "a": "a", "x-1_y": "x-1_y", strings.Repeat("a", 32): strings.Repeat("a", 32),
	} {
		if n, err := ParseName(in); err != nil || n.String() != want {
			t.Errorf("ParseName(%q) = %q, %v", in, n, err)
		}
	}
	for _, in := range []string{
		"", "1a", "-a", "_a", "a b", "a\n", "\na", "a.b", "a/b", "..", "a+b", "@a", "#a", "é", "\u212Aate", "al\u0130ce",
		"a\x1b[2J", "a\u200bb", "a\x00", strings.Repeat("a", 33),
	} {
		if n, err := ParseName(in); !errors.Is(err, ErrName) || !n.IsZero() {
			t.Errorf("ParseName(%q) = %q, %v", in, n, err)
		}
		if r, err := ParseRoomName("#" + in); !errors.Is(err, ErrRoomName) || !r.IsZero() {
			t.Errorf("ParseRoomName(%q) = %q, %v", "#"+in, r, err)
		}
	}
}

func TestAttackSkeletonOfLookAlikes(t *testing.T) {
	row := attack.On(t, attack.Room, "register a name that looks like another's")
	forged := []string{"a1ice", "al-ice", "a_l_i_c_e", "alice_", "-a1ice"}
	for _, s := range forged {
		if n, err := ParseName(s); err == nil && n.Skeleton() != name(t, "alice").Skeleton() {
			t.Errorf("%q does not look like alice", s)
		}
	}
	others := []string{"al1ce-", "alicia", "malice", "alce"} // 1 is read as l, not as i
	for _, s := range others {
		if name(t, s).Skeleton() == name(t, "alice").Skeleton() {
			t.Errorf("%q looks like alice", s)
		}
	}
	if got := name(t, "r00t5-1_").Skeleton(); got != "rootsl" {
		t.Errorf("skeleton %q", got)
	}
	if name(t, "bob").Skeleton() == name(t, "rob").Skeleton() {
		t.Error("bob looks like rob")
	}
	row.Tried("%q", forged)
	row.Held("names are compared by appearance: all are refused")
	row.Control("%q can be registered", others)
}

func TestDirect(t *testing.T) {
	alice, bob, carol := name(t, "alice"), name(t, "bob"), name(t, "carol")
	r := Direct(bob, alice)
	if r != Direct(alice, bob) || r.String() != "@alice+bob" || !r.IsDirect() {
		t.Errorf("%q", r)
	}
	if r.For(alice) != "@bob" || r.For(bob) != "@alice" || r.For(carol) != "@alice+bob" || !r.Other(carol).IsZero() {
		t.Errorf("%q %q %q", r.For(alice), r.For(bob), r.For(carol))
	}
	if self := Direct(bob, bob); self.Other(bob) != bob {
		t.Errorf("notes to oneself: %q", self)
	}
	if _, err := ParseRoomName("@alice+bob"); err == nil {
		t.Error("a direct room was typed")
	}
}

func FuzzParseName(f *testing.F) {
	for _, s := range []string{"alice", "Alice", "0", "\u212A", "a-_9", "a\n", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := ParseName(s)
		if err != nil {
			return
		}
		if n.IsZero() || len(n.s) > MaxName || strings.ToLower(s) != n.s || Clean(n.s, MaxName) != n.s {
			t.Errorf("%q became %q", s, n)
		}
		var back Name
		if text, _ := n.MarshalText(); back.UnmarshalText(text) != nil || back != n {
			t.Errorf("%q came back as %q", n, back)
		}
		if again, err := ParseName(n.Skeleton()); err != nil || again.Skeleton() != n.Skeleton() {
			t.Errorf("skeleton %q of %q: %v", n.Skeleton(), n, err)
		}
	})
}

func FuzzRoomName(f *testing.F) {
	for _, s := range []string{"general", "#general", "@alice+bob", "@bob+alice", "@a+a", "@a+b+c", "@+", "@a", "A", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var r RoomName
		if err := r.UnmarshalText([]byte(s)); err != nil {
			if !errors.Is(err, ErrRoomName) || !r.IsZero() {
				t.Errorf("%q: %q, %v", s, r, err)
			}
			return
		}
		if r.String() != s {
			t.Errorf("%q came back as %q", s, r)
		}
		if a, b, direct := r.Pair(); direct {
			if name(t, a.s) != a || name(t, b.s) != b || Direct(b, a) != r {
				t.Errorf("%q is of %q and %q", s, a, b)
			}
		} else if typed, err := ParseRoomName(r.For(Name{})); err != nil || typed != r {
			t.Errorf("%q typed became %q, %v", s, typed, err)
		}
	})
}

// I register a name that others would obey or address. The control: names that only resemble them are people's.
func TestAttackReservedNames(t *testing.T) {
	row := attack.On(t, attack.Room, "register a name that suggests authority or addresses everyone")
	taken := []string{
		"admin", "server", "system", "all", "here", "everyone", "general", "administrator", "everybody",
		"Admin", "adm1n", "adrnin", "admln", "ad-min", "admin_", "a-d-m-i-n", "adm_1n", "s3rver", "sy5tem", "systern",
		"a11", "a1l", "al1", "h3re", "her3", "every0ne", "genera1", "generai", "g3n3ra1", "serv3r", "se_rver",
		"moderator", "m0derat0r", "rnoderator", "mod", "m0d", "operator", "sysadmin", "sys-adm1n", "admins", "staff", "support", "channel",
	}
	for _, s := range taken {
		n, err := ParseName(s)
		if err != nil {
			t.Errorf("%q: %v", s, err)
			continue
		}
		if !n.Reserved() {
			t.Errorf("%q can be taken", s)
		}
	}
	people := []string{"ali", "hero", "al", "alla", "serena", "root", "adam", "admiral", "generic", "systemd", "heres", "bob", "ada", "everett", "gene", "admin2",
		"modesty", "modi", "stafford", "opera", "ops"}
	for _, s := range people {
		if name(t, s).Reserved() {
			t.Errorf("%q is reserved", s)
		}
	}
	row.Tried("%d spellings of admin, server, all and similar words", len(taken))
	row.Held("all are refused")
	row.Control("%d names that merely resemble them are accepted", len(people))
}
