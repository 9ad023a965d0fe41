package journaltest

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
)

// Large is what is decided on a large server: 10 000 accounts, of which the first is an admin, 2 000 rooms with 30 000 members
// beside those of #general, and 10 000 bans. newKey makes the key of an account.
func Large(tb testing.TB, newKey func() chat.Key) chat.Parts {
	tb.Helper()
	const people, rooms, bans = 10_000, 2_000, 10_000
	began := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	parts := chat.Parts{Rooms: []chat.RoomState{{Name: chat.General}}}
	for i := range rooms {
		name, err := text.ParseRoomName(fmt.Sprintf("room-%x", i))
		if err != nil {
			tb.Fatal(err)
		}
		parts.Rooms = append(parts.Rooms, chat.RoomState{Name: name, Topic: "what it is about"})
	}
	for i := range people {
		name, err := text.ParseName(fmt.Sprintf("member-%x", i))
		if err != nil {
			tb.Fatal(err)
		}
		key := newKey()
		key.Label, key.Added = "laptop", began
		a := chat.Account{
			ID: fmt.Sprintf("%032x", i), Name: name, Role: chat.User, Created: began, Seen: "2026-01-02",
			Keys: []chat.Key{key}, Settings: map[string]string{"zone": "Europe/Berlin"},
		}
		if i == 0 {
			a.Role = chat.Admin
		}
		parts.Accounts = append(parts.Accounts, a)
		for _, in := range []int{0, 1 + i%rooms, 1 + i*7%rooms, 1 + i*31%rooms} {
			if m := parts.Rooms[in].Members; len(m) == 0 || m[len(m)-1].Name != a.Name {
				parts.Rooms[in].Members = append(m, chat.Member{Name: a.Name, Since: 1})
			}
		}
	}
	for i := range bans {
		net := netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 51, byte(i >> 8), byte(i)}), 32)
		parts.Bans = append(parts.Bans, chat.Sanction{Net: net, By: parts.Accounts[0].Name, At: began, Why: "spam"})
	}
	return parts
}
