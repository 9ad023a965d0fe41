package history

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"filippo.io/age"

	"sshchat/sshchat/chat"
	"sshchat/store/durable/powercut"
)

// shared is a history of three windows in #general: one in an archive, one closed, one open; bob cannot read the first.
// alice had a first key and another identity from the beginning, and gets a second key now.
func shared(t *testing.T) (p *place, first, second, bob reader) {
	t.Helper()
	first, second, bob = ed25519Reader(t, "alice"), ed25519Reader(t, "alice"), ed25519Reader(t, "bob")
	p = newPlace(t, first)
	p.keys[bob.name] = []age.Recipient{bob.to}
	p.open()
	p.say(first, "one")
	p.rotate()
	p.commit(change(chat.General, chat.Join, bob.name))
	p.say(first, "two")
	p.say(bob, "three")
	p.mu.Lock()
	p.keys[first.name] = []age.Recipient{first.to, second.to}
	p.mu.Unlock()
	p.commit(change(chat.General, chat.Rekey, first.name))
	p.say(first, "four")
	return p, first, second, bob
}

func (p *place) share(r reader, opened, closed int) {
	p.t.Helper()
	n, left, err := p.h.Share(r.name, []chat.RoomName{chat.General}, []age.Identity{r.id})
	if err != nil || n != opened || left != closed {
		p.t.Fatalf("%d messages open now, %d stay closed, %v; want %d and %d", n, left, err, opened, closed)
	}
}

func (p *place) wantTexts(r reader, want string) {
	p.t.Helper()
	if got := strings.Join(p.allTexts(r), " "); got != want {
		p.t.Errorf("%s opens %q, want %q", r.file, got, want)
	}
}

// A key that came later opens what came before once that was shared with it: through the server, from the files, also
// after what is shared has moved to an archive itself, after a restart, and in a pipe.
func TestShareOpensThePastForANewKey(t *testing.T) {
	t.Parallel()
	p, first, second, bob := shared(t)
	p.wantTexts(second, "four")
	p.share(first, 4, 0)
	check := func() {
		t.Helper()
		p.wantTexts(first, "one two three four")
		p.wantTexts(second, "one two three four")
		p.wantTexts(bob, "two three four")
		p.wantRead(second, 9, 9, "1 one", "2 two", "3 three", "4 four")
		if _, err := Verify(p.dir, nil); err != nil {
			t.Error(err)
		}
		var tar bytes.Buffer
		if err := p.h.Tar(&tar, first.name, []chat.RoomName{chat.General}, nil); err != nil {
			t.Fatal(err)
		}
		lines, err := openAll(&tar, &Opener{Identities: []age.Identity{second.id}})
		if err != nil || len(lines) != 4 {
			t.Errorf("of the tar %d lines open, %v", len(lines), err)
		}
	}
	check()
	head, err := p.h.Head(chat.General)
	if err != nil {
		t.Fatal(err)
	}
	p.rotate()
	check()
	p.say(first, "five")
	p.kill()
	p.open()
	if _, err := Verify(p.dir, []Head{head}); err != nil {
		t.Errorf("a head from before: %v", err)
	}
	if got := strings.Join(p.allTexts(second), " "); got != "one two three four five" {
		t.Errorf("after a crash it opens %q", got)
	}
}

// What is there is not stored again; another key is another head, and the newest is for all of them.
func TestShareAgain(t *testing.T) {
	t.Parallel()
	p, first, second, _ := shared(t)
	p.share(first, 4, 0)
	_, records := p.h.Size()
	p.share(first, 4, 0)
	p.share(second, 4, 0)
	if _, after := p.h.Size(); after != records {
		t.Errorf("sharing the same again wrote %d lines", after-records)
	}
	third := ageReader(t, "alice")
	p.mu.Lock()
	p.keys[first.name] = []age.Recipient{second.to, third.to}
	p.mu.Unlock()
	p.share(second, 4, 0)
	if _, after := p.h.Size(); after == records {
		t.Error("nothing was written for a third key")
	}
	p.wantTexts(third, "one two three four")
}

// Who cannot open a window shares nothing of it, whatever they say: not what was said before they came, not with
// somebody else's key, not with none.
func TestShareOnlyWhatOneOpens(t *testing.T) {
	t.Parallel()
	p, first, second, bob := shared(t)
	p.share(second, 1, 3) // the others' heads are for the first key
	p.wantTexts(second, "four")
	p.share(bob, 3, 0)
	p.wantTexts(bob, "two three four")
	mallory := ageReader(t, "alice")
	p.share(mallory, 1, 3) // of what is shared already nothing is opened
	p.mu.Lock()
	delete(p.keys, first.name)
	p.mu.Unlock()
	_, _, err := p.h.Share(first.name, []chat.RoomName{chat.General}, []age.Identity{first.id})
	wantErr(t, err, ErrNoHead)
}

// moved-head: a shared head in the place of another is found by who reads the file.
func TestMovedShareIsFound(t *testing.T) {
	t.Parallel()
	p, first, _, _ := shared(t)
	p.share(first, 4, 0)
	b, err := os.ReadFile(p.path())
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.Split(b, []byte("\n"))
	i := slices.IndexFunc(lines, func(l []byte) bool { return bytes.Contains(l, []byte(`"t":"share","room":"general","w":2`)) })
	if i < 0 {
		t.Fatal("there is no shared head of window 2")
	}
	lines[i] = reseal(bytes.Replace(lines[i], []byte(`"w":2`), []byte(`"w":3`), 1))
	if err := os.WriteFile(p.path(), bytes.Join(lines, []byte("\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = Verify(p.dir, nil)
	wantErr(t, err, ErrDamaged)
}

// Many windows are shared in several batches, between which others are heard.
func TestShareManyWindows(t *testing.T) {
	t.Parallel()
	first, second := ed25519Reader(t, "alice"), ageReader(t, "alice")
	p := newPlace(t, first)
	p.opt.Window = 1
	p.open()
	said := powercut.Points(1, 2)*shareBatch + 3
	p.sayMany(first, said)
	p.mu.Lock()
	p.keys[first.name] = append(p.keys[first.name], second.to)
	p.mu.Unlock()
	p.share(first, said, 0)
	if got := len(p.allTexts(second)); got != said {
		t.Errorf("%d messages open", got)
	}
	if records, want := p.h.segment.n, uint64(4*said); records != want {
		t.Errorf("%d records, want %d", records, want)
	}
	if err := p.h.Close(); err != nil {
		t.Fatal(err)
	}
	_, _, err := p.h.Share(first.name, []chat.RoomName{chat.General}, []age.Identity{first.id})
	p.mu.Lock()
	p.keys[first.name] = p.keys[first.name][1:]
	p.mu.Unlock()
	if err != nil {
		t.Errorf("nothing to write: %v", err)
	}
	_, _, err = p.h.Share(first.name, []chat.RoomName{chat.General}, []age.Identity{first.id})
	wantErr(t, err, errHistoryClosed)
}

// reseal gives a changed line the checksum that it ought to have.
func reseal(line []byte) []byte {
	line = line[:len(line)-crcSize]
	return fmt.Appendf(line, `,"crc":"%08x"}`, crc32.Checksum(line, castagnoli))
}

// Wherever the power is cut while the past is shared, what was said is there as before, and what was acknowledged as shared
// is shared. The control is a disk whose syncs do nothing.
func TestSharedPastSurvivesPowerCuts(t *testing.T) {
	powercut.Start(t)
	seed, cuts := powercut.Seed(t), powercut.Points(20, 300)
	r := rand.New(rand.NewPCG(seed, 5))
	first, second := ageReader(t, "alice"), ageReader(t, "alice")
	shared := 0
	lost := func(lies bool) (n int) {
		for range cuts {
			p := newPlace(t, first)
			p.opt.Window = 2
			d := powercut.New()
			h, err := open(d, "data", p.opt)
			if err != nil {
				t.Fatal(err)
			}
			p.h = h
			d.Lie(lies)
			p.sayMany(first, 1+r.IntN(9))
			p.mu.Lock()
			p.keys[first.name] = []age.Recipient{first.to, second.to}
			p.mu.Unlock()
			d.FailFrom(1+r.IntN(3), errors.New("the power is gone"))
			_, _, failed := h.Share(first.name, []chat.RoomName{chat.General}, []age.Identity{first.id})
			if failed == nil {
				shared++
			}
			h.halt()
			after := d.Cut(r)
			if h, err = open(after, "data", p.opt); err != nil {
				n++
				continue
			}
			h.halt()
			said := int(p.seqs[chat.General])
			byFirst, errFirst := openAll(bytes.NewReader(after.Content(livePath)), &Opener{Identities: []age.Identity{first.id}})
			bySecond, errSecond := openAll(bytes.NewReader(after.Content(livePath)), &Opener{Identities: []age.Identity{second.id}})
			if errFirst != nil || errSecond != nil || len(byFirst) != said || failed == nil && len(bySecond) != said {
				n++
			}
		}
		return n
	}
	if n := lost(false); n > 0 || shared == 0 {
		t.Errorf("seed %d: lost %d times of %d, shared %d times", seed, n, cuts, shared)
	}
	if lost(true) == 0 {
		t.Error("a disk whose syncs do nothing loses nothing: this test proves nothing")
	}
}

// A key that is removed or banned while the past is shared with it gets no more of it.
func TestShareStopsWhenKeysChange(t *testing.T) {
	t.Parallel()
	p, first, second, _ := shared(t)
	asked, keys := 0, p.h.opt.Recipients
	p.h.opt.Recipients = func(s *chat.State, room chat.RoomName, name chat.Name) []age.Recipient {
		if asked++; asked > 1 { // after what is shared was read, and before it is written
			return []age.Recipient{first.to}
		}
		return keys(s, room, name)
	}
	_, records := p.h.Size()
	n, _, err := p.h.Share(first.name, []chat.RoomName{chat.General}, []age.Identity{first.id})
	if _, after := p.h.Size(); !errors.Is(err, ErrKeysChanged) || after != records || n != 0 {
		t.Errorf("%v, %d messages open now, %d lines were written", err, n, after-records)
	}
	p.wantTexts(second, "four")
	p.h.opt.Recipients = keys
	p.share(first, 4, 0)
	p.wantTexts(second, "one two three four")
}
