package history

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"filippo.io/age"

	"sshchat/sshchat/chat"
)

// said are messages as words: "3 hello", an edit "4>3 hallo", what became of it in brackets.
func said(messages []chat.Message) []string {
	var out []string
	for _, m := range messages {
		s := fmt.Sprintf("%d %s", m.Seq, m.Text)
		if m.Of > 0 {
			s = fmt.Sprintf("%d>%d %s", m.Seq, m.Of, m.Text)
		}
		if m.Edited {
			s += "(edited)"
		}
		if m.Deleted {
			s += "(deleted)"
		}
		out = append(out, s)
	}
	return out
}

// readLast unlocks the room, and reads the last n messages before the Seq before, settled.
func readLast(h *History, me chat.Name, room chat.RoomName, before uint64, n int, ids []age.Identity) ([]chat.Message, error) {
	u, err := h.Unlock(me, room, ids)
	if err != nil || n == 0 {
		return nil, err
	}
	defer u.Wipe()
	head, err := h.Head(room)
	if err != nil {
		return nil, err
	}
	before = min(before, head.Seq+1)
	said, _, _, err := u.Read(before-min(uint64(n), before-1), before-1)
	chat.Settle(said)
	return said, err
}

func (p *place) wantRead(r reader, before uint64, n int, want ...string) {
	p.t.Helper()
	got, err := readLast(p.h, r.name, chat.General, before, n, []age.Identity{r.id})
	if err != nil || !slices.Equal(said(got), want) {
		p.t.Errorf("%s reads %d before %d: %q, %v; want %q", r.name, n, before, said(got), err, want)
	}
}

func TestReadOpensTheLastBefore(t *testing.T) {
	t.Parallel()
	alice, bob := ed25519Reader(t, "alice"), ageReader(t, "bob")
	p := newPlace(t, alice)
	p.keys[bob.name] = []age.Recipient{bob.to}
	p.opt.Window = 4
	p.open()
	p.wantRead(alice, 9, 9)
	p.say(alice, "1")
	p.say(alice, "2")
	p.commit(change(chat.General, chat.Join, bob.name))
	for i := range 9 {
		p.say(alice, fmt.Sprint(i+3)) // windows of 3-6, 7-10 and, open, 11
	}
	check := func() {
		t.Helper()
		p.wantRead(alice, 12, 3, "9 9", "10 10", "11 11")
		p.wantRead(alice, 11, 3, "8 8", "9 9", "10 10")
		p.wantRead(alice, 5, 9, "1 1", "2 2", "3 3", "4 4")
		p.wantRead(bob, 5, 9, "3 3", "4 4")
		p.wantRead(alice, 1, 9)
		p.wantRead(alice, 5, 0)
		p.wantRead(ageReader(t, "mallory"), 12, 9)
	}
	check()
	p.kill()
	p.open() // the last window stays single messages
	check()
}

// stolen-name: to ask as somebody else opens nothing without their keys, and with them no more than is theirs.
func TestReadNeedsHeadAndKey(t *testing.T) {
	t.Parallel()
	alice, mallory := ageReader(t, "alice"), ageReader(t, "mallory")
	p := newPlace(t, alice)
	p.open()
	p.say(alice, "between us")
	if got, err := readLast(p.h, alice.name, chat.General, 9, 9, []age.Identity{mallory.id}); err != nil || len(got) > 0 {
		t.Errorf("%q, %v", said(got), err)
	}
	if got, err := readLast(p.h, mallory.name, chat.General, 9, 9, []age.Identity{alice.id}); err != nil || len(got) > 0 {
		t.Errorf("%q, %v", said(got), err)
	}
	p.wantRead(alice, 9, 9, "1 between us")
}

func TestReadHasEditsTakeEffect(t *testing.T) {
	t.Parallel()
	alice := ageReader(t, "alice")
	p := newPlace(t, alice)
	p.opt.Window = 1 // so that nothing is changed in a close
	p.open()
	p.say(alice, "one")
	p.say(alice, "two")
	p.commit(p.amendment(alice, 1, "eins"))
	p.commit(p.amendment(alice, 2, "zwei"))
	p.commit(p.amendment(alice, 1, "uno"))
	p.wantRead(alice, 9, 9, "1 uno.(edited)", "2 zwei.(edited)", "3>1 eins.", "4>2 zwei.", "5>1 uno.")
	p.commit(p.amendment(alice, 2, ""))
	p.wantRead(alice, 9, 9, "1 uno.(edited)", "2 (deleted)", "3>1 eins.", "4>2 (deleted)", "5>1 uno.", "6>2 ")
	p.wantRead(alice, 6, 9, "1 uno.(edited)", "2 zwei.(edited)", "3>1 eins.", "4>2 zwei.", "5>1 uno.") // what comes after is not known
	p.wantRead(alice, 9, 2, "5>1 uno.", "6>2 ")
}

func TestReadOfADeletedLineInAClose(t *testing.T) {
	t.Parallel()
	alice := ageReader(t, "alice")
	p := newPlace(t, alice)
	p.open()
	p.say(alice, "one")
	p.say(alice, "two")
	p.commit(p.amendment(alice, 1, ""))
	if err := p.h.Close(); err != nil {
		t.Fatal(err)
	}
	p.open()
	p.wantRead(alice, 3, 9, "1 (deleted)", "2 two")
}

// moved-record: a body in the place of another is refused, not shown as what it is not.
func TestReadRefusesWhatHasMoved(t *testing.T) {
	t.Parallel()
	alice := ageReader(t, "alice")
	p := newPlace(t, alice)
	p.open()
	p.say(alice, "one")
	p.say(alice, "two")
	s := p.h.index[chat.General].windows
	s[0].msgs[0], s[0].msgs[1] = s[0].msgs[1], s[0].msgs[0]
	if got, err := readLast(p.h, alice.name, chat.General, 9, 9, []age.Identity{alice.id}); !errors.Is(err, ErrDamaged) {
		t.Errorf("%q, %v", said(got), err)
	}
	s[0].msgs[0], s[0].msgs[1] = s[0].msgs[1], s[0].msgs[0]
	p.wantRead(alice, 9, 9, "1 one", "2 two")
}

func BenchmarkReadAScreen(b *testing.B) {
	alice := ed25519Reader(b, "alice")
	p := newPlace(b, alice)
	p.opt.NoSync = true
	p.open()
	for range 50 {
		var batch []chat.Event
		for range 200 {
			batch = append(batch, p.message(chat.General, alice.name, strings.Repeat("x", 80)))
		}
		p.commit(batch...)
	}
	for b.Loop() {
		if got, err := readLast(p.h, alice.name, chat.General, 5000, 200, []age.Identity{alice.id}); err != nil || len(got) != 200 {
			b.Fatal(len(got), err)
		}
	}
}
