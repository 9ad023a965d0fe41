package history

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"filippo.io/age"

	"sshchat/sshchat/attack"
	"sshchat/sshchat/chat"
	"sshchat/store/agesplit"
)

// Mallory has a head in the windows that are being made ahead when he is banned: he is to open nothing that is said in them,
// with his key or with the file key of a window that he did read.
func TestAttackReadOnInAWindowMadeAhead(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Room, "keep reading in windows whose heads were prepared before a ban")
	const when = 3 // the windows' heads are being made, are made, or the one is made and others after it
	for way := range when {
		for _, banned := range []bool{true, false} {
			mallory := ageReader(t, "mallory")
			p, alice, hold := heldUp(t, mallory)
			keys := p.opt.Recipients
			p.opt.Recipients = func(s *chat.State, room chat.RoomName, name chat.Name) []age.Recipient {
				if name != mallory.name { // whose head may be made while others' are not
					return keys(s, room, name)
				}
				p.mu.Lock()
				defer p.mu.Unlock()
				return p.keys[name]
			}
			p.open()
			p.say(alice, "for both")
			had := p.fileKey(mallory)
			if way == 0 {
				hold.Lock()
			} else {
				p.made()
			}
			if way == 2 {
				p.commit(change(chat.General, chat.Leave, mustName(t, "extra1")))
				p.say(alice, "for both, too")
			}
			if banned {
				p.mu.Lock()
				p.keys[mallory.name] = nil
				p.mu.Unlock()
				p.commit(change(chat.General, chat.Revoke, mallory.name))
			} else {
				p.commit(change(chat.General, chat.Leave, mustName(t, "extra2")))
			}
			if way == 0 {
				hold.Unlock()
			}
			for i := range 2 {
				p.say(alice, "not for mallory")
				if p.opensLast(mallory) == banned {
					t.Errorf("way %d, banned %v: mallory opens it: %v", way, banned, !banned)
				}
				if p.bodyOpens(had) {
					t.Errorf("way %d, banned %v: the key of another window opens it", way, banned)
				}
				p.commit(change(chat.General, chat.Leave, mustName(t, fmt.Sprintf("extra%d", 10+i))))
			}
			if err := p.h.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	row.Tried("at %d points, in the next two windows each, with a key and with the file key of an earlier window", when)
	row.Held("a window starts without that head, and its file key was in no earlier head")
	row.Control("if somebody else leaves instead, mallory opens both")
}

// lastWindow are the heads of the last window, and the body of the last message.
func (p *place) lastWindow() (heads []namedHead, body []byte) {
	p.t.Helper()
	s, err := scanSegment(bytes.NewReader(p.file()))
	if err != nil {
		p.t.Fatal(err)
	}
	for {
		r, err := s.next()
		if err != nil {
			return heads, body
		}
		switch r.kind {
		case windowRecord:
			heads = r.heads
		case msgRecord:
			body = r.body
		}
	}
}

// fileKey is that of the last window, as r's head gives it.
func (p *place) fileKey(r reader) *agesplit.FileKey {
	p.t.Helper()
	heads, _ := p.lastWindow()
	for _, h := range heads {
		if h.name == r.name {
			key, err := agesplit.OpenHead(h.head, []age.Identity{r.id})
			if err != nil {
				p.t.Fatal(err)
			}
			return key
		}
	}
	p.t.Fatalf("%s has no head", r.name)
	return nil
}

// bodyOpens reports whether the file key opens the last message, under a head of the key's own.
func (p *place) bodyOpens(key *agesplit.FileKey) bool {
	p.t.Helper()
	own := ageReader(p.t, "own")
	head, refused := key.Head([]age.Recipient{own.to})
	if refused != nil {
		p.t.Fatal(refused)
	}
	_, body := p.lastWindow()
	_, err := key.OpenBody(head, body)
	if err != nil && !errors.Is(err, agesplit.ErrWrongKeys) {
		p.t.Fatal(err)
	}
	return err == nil
}
