package history

import (
	"net/netip"
	"slices"
	"testing"

	"filippo.io/age"

	"sshchat/sshchat/chat"
)

// banning is a State in which those are banned.
func banning(names ...chat.Name) *chat.State {
	var bans []chat.Sanction
	for _, n := range names {
		bans = append(bans, chat.Sanction{User: n})
	}
	return chat.NewState(chat.Parts{Bans: bans})
}

// byState has the place's people read unless they are banned: in the State that is asked about, or in what decided returns.
func byState(p *place, decided func() *chat.State) {
	keys := p.opt.Recipients
	p.opt.Recipients = func(s *chat.State, room chat.RoomName, name chat.Name) []age.Recipient {
		if s == nil {
			s = decided()
		}
		if _, banned := (chat.View{State: s}).Banned(name, netip.Addr{}, ""); banned {
			return nil
		}
		return keys(s, room, name)
	}
}

// Somebody who is banned for one message of a batch does not get it, also if the ban is over at the end of the batch: each
// message is sealed by what is decided at its place. The control are events without State, for which only what is decided
// at the end is known.
func TestBanAndUnbanInOneBatch(t *testing.T) {
	t.Parallel()
	for _, crowd := range []int{2, preparedReaders, spareReaders} {
		for _, stated := range []bool{true, false} {
			alice, bob := ageReader(t, "alice"), ageReader(t, "bob")
			p, _ := crowded(t, crowd)
			p.cheapen()
			for _, r := range []reader{alice, bob} {
				p.keys[r.name] = []age.Recipient{r.to}
				p.opt.Rooms[0].Members = append(p.opt.Rooms[0].Members, chat.Member{Name: r.name, Since: 1})
			}
			free, banned := banning(), banning(bob.name)
			byState(p, func() *chat.State { return free })
			ban, unban := change(chat.General, chat.Revoke, bob.name), change(chat.General, chat.Rekey, bob.name)
			if stated {
				p.opt.State = free
				ban.State, unban.State = banned, free
			}
			p.open()
			p.say(alice, "before")
			p.commit(
				p.message(chat.General, alice.name, "also before"),
				ban,
				p.message(chat.General, alice.name, "not for bob"),
				p.message(chat.General, alice.name, "nor this"),
				unban,
				p.message(chat.General, alice.name, "for both"),
			)
			p.say(alice, "after")
			want := []string{"before", "also before", "for both", "after"}
			if got := p.texts(bob); slices.Equal(got, want) != stated {
				t.Errorf("%d readers, State in the events %v: bob reads %q", crowd, stated, got)
			}
			if got := p.texts(alice); len(got) != 6 {
				t.Errorf("alice reads %q", got)
			}
		}
	}
}

// A window that is made ahead within a batch, after a ban, is made without the banned, whatever is decided while it is made.
func TestWindowMadeAheadAfterABan(t *testing.T) {
	t.Parallel()
	alice, bob := ageReader(t, "alice"), ageReader(t, "bob")
	p, _ := crowded(t, spareReaders)
	p.cheapen()
	for _, r := range []reader{alice, bob} {
		p.keys[r.name] = []age.Recipient{r.to}
		p.opt.Rooms[0].Members = append(p.opt.Rooms[0].Members, chat.Member{Name: r.name, Since: 1})
	}
	byState(p, func() *chat.State { return banning() })
	p.opt.State, p.opt.Window = banning(), 2
	p.open()
	ban := change(chat.General, chat.Revoke, bob.name)
	ban.State = banning(bob.name)
	p.commit(p.message(chat.General, alice.name, "for both"), ban)
	for range 7 {
		p.say(alice, "not for bob")
	}
	if got := p.texts(bob); !slices.Equal(got, []string{"for both"}) {
		t.Errorf("bob reads %q", got)
	}
	if got := p.texts(alice); len(got) != 8 {
		t.Errorf("alice reads %q", got)
	}
}
