package accounts

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
)

// admin makes an admin with a key.
func admin(t *testing.T, u *Store, who string) chat.Account {
	t.Helper()
	a, err := u.Create(name(who), chat.Admin, []chat.Key{newKey(t)}, nil, 1)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// The last admin who may come in stays: an admin who is banned, as one who is disabled, is none.
func TestLastAdminBesideABannedOne(t *testing.T) {
	t.Parallel()
	u := open(t, t.TempDir())
	alice, bob := admin(t, u, "alice"), admin(t, u, "bob")
	if err := u.Ban(chat.Sanction{User: bob.Name, By: alice.Name}); err != nil {
		t.Fatal(err)
	}
	wantErr(t, u.Delete(alice.ID), chat.ErrLastAdmin)
	wantErr(t, u.Disable(alice.ID, true), chat.ErrLastAdmin)
	wantErr(t, u.SetRole(alice.ID, chat.Mod), chat.ErrLastAdmin)
	wantErr(t, u.Ban(chat.Sanction{User: alice.Name, By: bob.Name}), chat.ErrLastAdmin)
	if err := u.SetRole(bob.ID, chat.User); err != nil {
		t.Errorf("who is banned is not the last: %v", err)
	}
	if err := u.SetRole(bob.ID, chat.Admin); err != nil {
		t.Fatal(err)
	}
	if err := u.Unban(bob.Name.String()); err != nil {
		t.Fatal(err)
	}
	if err := u.Delete(alice.ID); err != nil { // the control
		t.Errorf("beside bob, who may come in: %v", err)
	}
}

// What was decided before is seen by the check of what comes after it.
func TestDecideSeesWhatWasDecided(t *testing.T) {
	t.Parallel()
	u := open(t, t.TempDir())
	admin(t, u, "root")
	alice := create(t, u, "alice", "")
	mine := callerOf(alice)
	addKey := func() chat.AddKeys { return chat.AddKeys{ID: alice.ID, Keys: []chat.Key{newKey(t)}} }
	refused := func(want error, in chat.Intent) {
		t.Helper()
		_, err := u.Decide(mine, in)
		wantErr(t, err, want)
	}
	decided(t, u, mine, addKey())
	if err := u.Disable(alice.ID, true); err != nil {
		t.Fatal(err)
	}
	refused(chat.ErrDisabled, addKey())
	refused(chat.ErrDisabled, chat.SetSetting{ID: alice.ID, Name: "bell", Value: "all"})
	evil, err := u.NewAccount(ctx, name("evil"), chat.Admin, []chat.Key{newKey(t)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	refused(chat.ErrDisabled, chat.CreateAccount{Account: evil})
	decided(t, u, chat.TheServer, addKey()) // the control: the server itself may
	if err := u.Disable(alice.ID, false); err != nil {
		t.Fatal(err)
	}
	if err := u.Ban(target(t, "ip=192.0.2.0/24")); err != nil {
		t.Fatal(err)
	}
	refused(chat.ErrBanned, chat.RemoveKey{ID: alice.ID, Fingerprint: alice.Keys[0].Fingerprint})
	mine.Addr = netip.MustParseAddr("198.51.100.1")
	decided(t, u, mine, addKey())
	if _, err := u.Decide(mine, chat.CreateAccount{Account: evil}); err == nil {
		t.Error("a user made an admin")
	}
}

// What a room is sealed to: keys that are for its history, and that nobody has banned.
func TestRecipientsOfARoom(t *testing.T) {
	t.Parallel()
	u := open(t, t.TempDir())
	alice, bob := create(t, u, "alice", ""), create(t, u, "bob", "")
	carol := create(t, u, "carol", "")
	for _, only := range []chat.Only{{"history"}, {"history:#ci"}, {"history:@bob", "whoami"}, {"say:#ci", "follow:#ci"}, {"histories"}} {
		k := newKey(t)
		k.Only = only
		if err := u.AddKey(alice.ID, k); err != nil {
			t.Fatal(err)
		}
	}
	ci := roomName("ci")
	count := func(want map[chat.RoomName]int) {
		t.Helper()
		for room, n := range want {
			if got := len(u.Recipients(nil, room, alice.Name)); got != n {
				t.Errorf("%s is sealed to %d keys, not %d", room, got, n)
			}
		}
	}
	general, withBob, withCarol := chat.General, text.Direct(alice.Name, bob.Name), text.Direct(alice.Name, carol.Name)
	count(map[chat.RoomName]int{general: 2, ci: 3, withBob: 3, withCarol: 2})
	if err := u.Ban(chat.Sanction{Key: alice.Keys[0].Fingerprint}); err != nil {
		t.Fatal(err)
	}
	count(map[chat.RoomName]int{general: 1, ci: 2, withBob: 2, withCarol: 1})
	if err := u.Unban("key=" + alice.Keys[0].Fingerprint); err != nil {
		t.Fatal(err)
	}
	count(map[chat.RoomName]int{general: 2, ci: 3, withBob: 3, withCarol: 2})
	if err := u.Ban(chat.Sanction{User: alice.Name}); err != nil {
		t.Fatal(err)
	}
	count(map[chat.RoomName]int{general: 0, ci: 0, withBob: 0, withCarol: 0})
}

// Reload counts who logs in or reads otherwise than before.
func TestReloadCountsWhoReadsOtherwise(t *testing.T) {
	t.Parallel()
	for what, edit := range map[string][2]string{
		"banned":         {`"bans":[`, `"bans":[{"user":"bob","by":"root","at":"2026-01-02T03:04:05Z"}`},
		"key banned":     {`"bans":[`, `"bans":[{"key":"FINGERPRINT","by":"root","at":"2026-01-02T03:04:05Z"}`},
		"key restricted": {`LINE","label":"","added":"ADDED","only":[]`, `LINE","label":"","added":"ADDED","only":["say:#ci"]`},
		"disabled":       {`"name":"bob","role":"user"`, `"name":"bob","role":"user","disabled":true`},
		"role":           {`"name":"bob","role":"user"`, `"name":"bob","role":"mod"`},
		"":               {`"topic":""`, `"topic": ""`},
		"address banned": {`"bans":[`, `"bans":[{"ip":"192.0.2.0/24","by":"root","at":"2026-01-02T03:04:05Z"}`},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			u := open(t, dir)
			admin(t, u, "root")
			bob := create(t, u, "bob", "")
			before := u.View()
			fill := strings.NewReplacer("FINGERPRINT", bob.Keys[0].Fingerprint, "LINE", bob.Keys[0].Line, "ADDED", bob.Keys[0].Added.Format("2006-01-02T15:04:05Z"))
			path := filepath.Join(dir, "users.json")
			old := mustRead(t, path)
			new := strings.Replace(old, fill.Replace(edit[0]), fill.Replace(edit[1]), 1)
			if new == old {
				t.Fatalf("no %q in %s", fill.Replace(edit[0]), old)
			}
			if err := os.WriteFile(path, []byte(new), 0o600); err != nil {
				t.Fatal(err)
			}
			changed, err := u.reload()
			if err != nil {
				t.Fatal(err)
			}
			now, _ := u.ByID(bob.ID)
			want := what != "" && what != "address banned"
			if differs := !sameLogins(bob, now) || u.View().HistoryKeys(now).Change(before.HistoryKeys(bob)) != chat.NoChange; differs != want {
				t.Errorf("bob: %+v", now)
			}
			if want && changed != 1 || !want && changed != 0 {
				t.Errorf("changed: %v", changed)
			}
		})
	}
}
