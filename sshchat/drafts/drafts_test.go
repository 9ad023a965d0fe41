package drafts

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sshchat/sshchat/attack"
	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
)

func room(name string) chat.RoomName {
	r, err := text.ParseRoomName(name)
	if err != nil {
		panic(err)
	}
	return r
}

var general, dev = room("#general"), room("#dev")

// typed is when something was typed in sessions that are lost, and began when later ones began.
var typed, began = time.Unix(1000, 0), time.Unix(2000, 0)

func TestDraftsAreTakenOnce(t *testing.T) {
	s := New(time.Hour)
	s.Keep("alice", []Draft{{general, "one"}, {dev, "two"}}, typed)
	s.Keep("alice", []Draft{{general, "newer"}}, typed)
	s.Keep("", []Draft{{general, "nobody's"}}, typed)
	s.Keep("bob", nil, typed)
	if got, want := s.Take("alice", began), []Draft{{general, "newer"}, {dev, "two"}}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	for _, account := range []string{"alice", "bob", ""} {
		if got := s.Take(account, began); got != nil {
			t.Errorf("%q has %q", account, got)
		}
	}
}

// Drafts are for a session that began after all of them were typed.
func TestDraftsAreForLaterSessions(t *testing.T) {
	s := New(time.Hour)
	s.Keep("alice", []Draft{{general, "one"}}, began.Add(time.Second))
	s.Keep("alice", []Draft{{dev, "two"}}, typed) // noticed later, and typed before
	if got := s.Take("alice", began); got != nil {
		t.Errorf("an older session is given %q", got)
	}
	if got := s.Take("alice", began.Add(time.Second)); len(got) != 2 {
		t.Errorf("a later session is given %q", got)
	}
}

func TestDraftsExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Lifetime)
		s.Keep("alice", []Draft{{general, "one"}}, typed)
		time.Sleep(Lifetime - time.Second)
		s.Keep("bob", []Draft{{general, "two"}}, typed)
		s.Keep("carol", []Draft{{general, "three"}}, typed)
		if s.Take("carol", began) == nil {
			t.Error("what was just kept is gone")
		}
		s.Keep("carol", []Draft{{general, "four"}}, typed)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if got := s.Take("alice", began); got != nil {
			t.Errorf("after an hour there is %q", got)
		}
		if got := s.Take("bob", began); len(got) != 1 {
			t.Errorf("after two seconds there is %q", got)
		}
	})
}

// I fill the memory with drafts of many accounts, and look in it for those that others have left. The control finds them before.
func TestAttackDraftsAreBoundedAndWiped(t *testing.T) {
	row := attack.On(t, attack.Connections, "fill the memory with drafts of lost connections, and look for those of others")
	s := New(time.Hour)
	long := strings.Repeat("x", 8<<10)
	kept := func(account string) []byte {
		s.Keep(account, []Draft{{general, "a secret thought"}}, typed)
		return s.kept[account].drafts[0].text
	}
	ends := map[string]func(account string){
		"taken":        func(account string) { s.Take(account, began) },
		"replaced":     func(account string) { s.Keep(account, []Draft{{general, "another"}}, typed) },
		"not allowed":  func(account string) { s.Review(func(id string, _ chat.RoomName) bool { return id != account }) },
		"expired":      func(account string) { s.expire(account, s.kept[account]) },
		"one too many": func(string) { fill(s, long) },
		"closed":       func(string) { s.Close() },
	}
	for _, name := range []string{"taken", "replaced", "not allowed", "expired", "one too many", "closed"} {
		memory := kept(name)
		if string(memory) != "a secret thought" {
			t.Fatalf("the control: there is %q", memory)
		}
		if ends[name](name); strings.Trim(string(memory), "\x00") != "" {
			t.Errorf("%s: %q is left", name, memory)
		}
		size := 0
		for _, k := range s.kept {
			for _, d := range k.drafts {
				size += len(d.text)
			}
		}
		if len(s.kept) > MaxAccounts || size > MaxAccounts*MaxBytes {
			t.Errorf("%s: %d bytes of %d accounts are kept", name, size, len(s.kept))
		}
	}
	s.Keep("late", []Draft{{general, "x"}}, typed)
	if s.Take("late", began) != nil {
		t.Error("a closed store keeps something")
	}
	row.Tried("%d accounts with three drafts of 8 KiB each; 6 ways in which a draft ends", 2*MaxAccounts)
	row.Held("at most %d accounts and %d KiB of each are kept, for an hour; what ends is wiped", MaxAccounts, MaxBytes>>10)
	row.Control("until then the text is there")
}

func fill(s *Store, long string) {
	for i := range 2 * MaxAccounts {
		s.Keep(fmt.Sprint("account", i), []Draft{{general, long}, {dev, long}, {room("#ops"), long}}, typed)
	}
}

// Lines that were sent and what was typed after them are one text a room, in order, unless a command is among them: that is one by itself.
func TestJoin(t *testing.T) {
	isCommand := func(line string) bool { return strings.HasPrefix(line, "/") && !strings.HasPrefix(line, "//") }
	long := strings.Repeat("x", MaxBytes)
	for _, c := range []struct {
		sent, typed, want []Draft
		kept              int
	}{
		{nil, nil, nil, 0},
		{nil, []Draft{{general, "half"}}, []Draft{{general, "half"}}, 0},
		{[]Draft{{general, "one"}, {dev, "two"}, {general, "three"}}, []Draft{{dev, "half"}}, []Draft{{general, "one\nthree"}, {dev, "two\nhalf"}}, 3},
		{[]Draft{{general, "/topic x"}}, nil, []Draft{{general, "/topic x"}}, 1},
		{[]Draft{{general, "/topic x"}, {general, "one"}}, nil, []Draft{{general, "/topic x"}}, 1},
		{[]Draft{{general, "one"}, {general, "/topic x"}, {general, "two"}}, nil, []Draft{{general, "one\ntwo"}}, 2},
		{[]Draft{{general, "/topic x"}, {dev, "one"}}, []Draft{{general, "half"}}, []Draft{{dev, "one"}, {general, "half"}}, 1},
		{[]Draft{{general, "one"}}, []Draft{{general, "/topic x"}}, []Draft{{general, "/topic x"}}, 0},
		{[]Draft{{general, "//a"}, {general, "//b"}}, nil, []Draft{{general, "//a\n/b"}}, 2}, // said, it is "/a\n/b"
		{[]Draft{{general, long}, {general, "one"}}, nil, []Draft{{general, long}}, 1},
		{[]Draft{{general, long + "x"}, {general, "one"}}, []Draft{{general, long + "x"}}, []Draft{{general, "one"}}, 1},
		{[]Draft{{general, "one"}, {general, "two"}}, []Draft{{general, long}}, []Draft{{general, long}}, 0},
	} {
		if all, kept := Join(c.sent, c.typed, isCommand); !slices.Equal(all, c.want) || kept != c.kept {
			t.Errorf("%.40q and %.40q: %.40q, %d, want %.40q, %d", c.sent, c.typed, all, kept, c.want, c.kept)
		}
	}
}
