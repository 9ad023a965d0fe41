package history

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"go.uber.org/goleak"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
	"sshchat/store/agesplit/agetest"
	"sshchat/store/durable/testdisk"
)

func TestMain(m *testing.M) { testdisk.Main(m) }

func TestHistoryIsReadBack(t *testing.T) {
	defer goleak.VerifyNone(t)
	alice, bob := ed25519Reader(t, "alice"), ageReader(t, "bob")
	p := newPlace(t, alice, bob)
	p.opt.Window = 5
	p.open()
	var want []string
	for i := range 13 {
		text := fmt.Sprintf("number %d <&> \"quoted\"\nsecond line", i+1)
		want = append(want, text)
		p.say(alice, text)
	}
	for _, r := range []reader{alice, bob} {
		if got := p.texts(r); !slices.Equal(got, want) {
			t.Errorf("%s reads %q", r.name, got)
		}
	}
	p.kill()
	p.open() // the third window stays single bodies
	p.say(bob, "after the crash")
	want = append(want, "after the crash")
	if err := p.h.Close(); err != nil {
		t.Fatal(err)
	}
	p.open()
	p.say(bob, "after a clean stop")
	want = append(want, "after a clean stop")
	if got := p.texts(alice); !slices.Equal(got, want) {
		t.Errorf("alice reads %q", got)
	}
	infos, err := p.h.List(bob.name, chat.General)
	if err != nil {
		t.Fatal(err)
	}
	wantInfos := []WindowInfo{{1, 1, 5, true, true}, {2, 6, 10, true, true}, {3, 11, 13, false, true}, {4, 14, 14, true, true}, {5, 15, 15, false, true}}
	if !slices.Equal(infos, wantInfos) {
		t.Errorf("windows are %v", infos)
	}
	if n := p.h.Sealed(alice.name, chat.General); n != 15 {
		t.Errorf("%d messages are sealed to alice", n)
	}
	if err := p.h.Close(); err != nil {
		t.Fatal(err)
	}
	if err := p.h.Commit(nil); err == nil {
		t.Error("a closed history takes a batch")
	}
}

func TestFileStaysJSONWithWholePages(t *testing.T) {
	t.Parallel()
	alice := ed25519Reader(t, "alice")
	p := newPlace(t, alice)
	p.opt.Window = 30
	p.open()
	check := func() {
		b, err := os.ReadFile(p.path())
		if err != nil {
			t.Fatal(err)
		}
		if !json.Valid(b) {
			t.Fatalf("after message %d it is not JSON", p.seqs[chat.General])
		}
		for at := pageSize; at < len(b); at += pageSize {
			if page := strings.TrimLeft(string(b[at:min(at+pageSize, len(b))]), " "); page != "" &&
				!strings.HasPrefix(page, ",\n{\"n\":") && page != segmentOutro {
				t.Fatalf("the page at %d begins with %.40q", at, page)
			}
		}
	}
	check()
	for i := range 100 {
		p.say(alice, strings.Repeat("x", 1+i*41))
		check()
	}
	if info, err := os.Stat(p.path()); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestSeedIsAnEmptyHistory(t *testing.T) {
	t.Parallel()
	alice := ageReader(t, "alice")
	for _, seed := range []string{"{}", "{}\n", " { }\n"} {
		p := newPlace(t, alice)
		if err := os.WriteFile(p.path(), []byte(seed), 0o600); err != nil {
			t.Fatal(err)
		}
		p.open()
		p.say(alice, "hello")
		if got := p.texts(alice); !slices.Equal(got, []string{"hello"}) {
			t.Errorf("%q grew into %q", seed, got)
		}
	}
}

func TestWindowEndsAfterADay(t *testing.T) {
	t.Parallel()
	alice := ageReader(t, "alice")
	p := newPlace(t, alice)
	p.open()
	p.say(alice, "hello")
	closed := func() bool {
		infos, err := p.h.List(alice.name, chat.General)
		if err != nil || len(infos) != 1 {
			t.Fatal(infos, err)
		}
		return infos[0].Closed
	}
	p.now = p.now.Add(windowLasts - time.Minute)
	p.commit()
	if closed() {
		t.Error("it ends a minute early")
	}
	p.now = p.now.Add(time.Minute)
	p.commit()
	if !closed() {
		t.Error("it does not end after 24 h without a message")
	}
}

func TestLeaverAndJoiner(t *testing.T) {
	t.Parallel()
	for _, crowd := range []int{0, preparedReaders} { // without and with windows made ahead
		t.Run(fmt.Sprint(crowd), func(t *testing.T) {
			alice, bob, carol := ed25519Reader(t, "alice"), ed25519Reader(t, "bob"), ageReader(t, "carol")
			readers := []reader{alice, bob}
			for i := range crowd {
				readers = append(readers, ageReader(t, fmt.Sprintf("extra%d", i)))
			}
			p := newPlace(t, readers...)
			p.keys[carol.name] = []age.Recipient{carol.to}
			p.open()
			p.say(alice, "before")
			p.commit(
				p.message(chat.General, alice.name, "before, too"),
				change(chat.General, chat.Join, carol.name),
				p.message(chat.General, alice.name, "both"),
				change(chat.General, chat.Leave, bob.name),
				p.message(chat.General, alice.name, "after"),
			)
			p.say(alice, "after, too")
			for _, c := range []struct {
				who  reader
				want []string
			}{
				{alice, []string{"before", "before, too", "both", "after", "after, too"}},
				{bob, []string{"before", "before, too", "both"}},
				{carol, []string{"both", "after", "after, too"}},
			} {
				if got := p.texts(c.who); !slices.Equal(got, c.want) {
					t.Errorf("%s reads %q, not %q", c.who.name, got, c.want)
				}
			}
		})
	}
}

// A key that was taken away opens nothing said after the event, also where the event's own write failed.
func TestRevokedKeyOpensNothingAfter(t *testing.T) {
	t.Parallel()
	old, next := ed25519Reader(t, "alice"), ed25519Reader(t, "alice")
	p := newPlace(t, old)
	p.open()
	p.say(old, "sealed to the old key")
	p.mu.Lock()
	p.keys[old.name] = []age.Recipient{next.to}
	p.mu.Unlock()
	p.commit(change(chat.General, chat.Revoke, old.name))
	p.say(next, "sealed to the new key")
	if got := p.texts(old); !slices.Equal(got, []string{"sealed to the old key"}) {
		t.Errorf("the old key opens %q", got)
	}
	if got := p.texts(next); !slices.Equal(got, []string{"sealed to the new key"}) {
		t.Errorf("the new key opens %q", got)
	}
}

func TestDirectRoomIsForItsTwo(t *testing.T) {
	t.Parallel()
	alice, bob, mallory := ed25519Reader(t, "alice"), ageReader(t, "bob"), ageReader(t, "mallory")
	p := newPlace(t, alice, bob, mallory)
	p.open()
	room := text.Direct(bob.name, alice.name)
	p.commit(p.message(room, bob.name, "between us"))
	for _, r := range []reader{alice, bob} {
		if got := p.texts(r); !slices.Equal(got, []string{"between us"}) {
			t.Errorf("%s reads %q", r.name, got)
		}
	}
	if got := p.texts(mallory); got != nil {
		t.Errorf("mallory reads %q", got)
	}
}

func TestNobodyReads(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.open()
	dan := mustName(t, "dan")
	p.commit(change(chat.General, chat.Join, dan), p.message(chat.General, dan, "to nobody"))
	if p.h.Last()[chat.General] != 1 {
		t.Error("a message that nobody can read is not counted")
	}
	if err := p.h.Close(); err != nil {
		t.Fatal(err)
	}
	if p.open().Last()[chat.General] != 1 {
		t.Error("a window without heads is not read back")
	}
}

func TestOneBadKeyDoesNotKeepAWindowFromOpening(t *testing.T) {
	t.Parallel()
	alice := ed25519Reader(t, "alice")
	p := newPlace(t, alice)
	p.keys[alice.name] = []age.Recipient{agetest.Refusing{}, alice.to}
	p.open()
	p.say(alice, "hello")
	if got := p.texts(alice); !slices.Equal(got, []string{"hello"}) {
		t.Errorf("alice reads %q", got)
	}
	if !strings.Contains(p.logged(), "cannot be used for sealing") {
		t.Errorf("the log says %q", p.logged())
	}
}

// What was said is nowhere in the file, also not behind base64.
func TestNothingSaidIsInTheFile(t *testing.T) {
	t.Parallel()
	alice := ed25519Reader(t, "alice")
	p := newPlace(t, alice)
	p.opt.Window = 3
	p.open()
	const secret = "attack at dawn"
	for range 7 {
		p.say(alice, secret)
	}
	if err := p.h.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(p.path())
	if err != nil {
		t.Fatal(err)
	}
	s, err := scanSegment(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	all := [][]byte{b}
	records := 0
	for r, err := s.next(); err == nil; r, err = s.next() {
		records++
		all = append(all, r.body)
		for _, h := range r.heads {
			all = append(all, []byte(h.head))
		}
	}
	if records < 10 {
		t.Fatalf("only %d records were looked at", records)
	}
	for _, b := range all {
		for _, word := range []string{secret, `"say"`, `"from":"alice"`, "2026-11"} {
			if bytes.Contains(b, []byte(word)) {
				t.Errorf("%q is in the clear", word)
			}
		}
	}
	// The control: the search finds it where it is.
	if got := p.texts(alice); !slices.Contains(got, secret) {
		t.Error("the secret was never stored")
	}
}
