package journal_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
	"sshchat/store/durable/powercut"
)

// story is what happens in a folder before its power is cut, and what of it was acknowledged.
type story struct {
	alice, bob, carol person
	dev               chat.RoomName
	said              []string // acknowledged, in #general or dev
	secret            []string // of these, what was said while bob was banned
	decided           []string // acknowledged steps
	acts              []string // acknowledged lines of the audit log
	trying            string   // the last step, which may be stored without an answer
	holds             []func(*chat.State) bool
}

func newStory(t testing.TB) *story {
	s := &story{alice: newPerson(t, "alice"), bob: newPerson(t, "bob"), carol: newPerson(t, "carol")}
	var err error
	if s.dev, err = text.ParseRoomName("dev"); err != nil {
		t.Fatal(err)
	}
	return s
}

// happens runs the story until something is not acknowledged.
func (s *story) happens(f *folder, h *chat.Hub, r *rand.Rand) {
	spare := person{Caller: s.carol.Caller, key: s.alice.key}
	spare.key.Line, spare.key.Fingerprint = s.carol.key.Line, "SHA256:spare"
	banned := false
	decide := func(who chat.Caller, in chat.Intent) func() error {
		return func() error {
			entry := chat.AuditEntry{By: who.Name.String(), Do: fmt.Sprintf("%T", in), Result: "done"}
			err := h.Decide(context.Background(), who, in, &entry)
			if err == nil {
				s.acts = append(s.acts, entry.Do)
			}
			return err
		}
	}
	has := func(name chat.Name) func(*chat.State) bool {
		return func(st *chat.State) bool { _, ok := st.ByName(name); return ok }
	}
	in := func(name chat.Name, in bool) func(*chat.State) bool {
		return func(st *chat.State) bool { return slices.Contains(st.Members(s.dev), name) == in }
	}
	bans := func(n int) func(*chat.State) bool { return func(st *chat.State) bool { return len(st.AllBans()) == n } }
	keys := func(n int) func(*chat.State) bool {
		return func(st *chat.State) bool { a, _ := st.ByName(s.carol.Name); return len(a.Keys) == n }
	}
	for _, step := range []struct {
		what  string
		do    func() error
		holds func(*chat.State) bool // from here on, until the next of the kind
	}{
		{"alice", func() error { return s.alice.enrol(f, h, chat.Admin) }, has(s.alice.Name)},
		{"bob", func() error { return s.bob.enrol(f, h, chat.User) }, has(s.bob.Name)},
		{"dev", func() error { return decide(s.alice.Caller, chat.JoinRoom{Room: s.dev})() }, in(s.alice.Name, true)},
		{"bob in", func() error { return decide(s.bob.Caller, chat.JoinRoom{Room: s.dev})() }, in(s.bob.Name, true)},
		{"ban", func() error {
			err := decide(s.alice.Caller, chat.Ban{Sanction: chat.Sanction{User: s.bob.Name}})()
			banned = err == nil
			return err
		}, bans(1)},
		{"carol", func() error { return s.carol.enrol(f, h, chat.User) }, has(s.carol.Name)},
		{"unban", func() error { banned = false; return decide(s.alice.Caller, chat.Unban{Target: "bob"})() }, bans(0)},
		{"key", func() error {
			return decide(s.carol.Caller, chat.AddKeys{ID: s.carol.Login.Account, Keys: []chat.Key{spare.key}})()
		}, keys(2)},
		{"key gone", func() error {
			return decide(s.carol.Caller, chat.RemoveKey{ID: s.carol.Login.Account, Fingerprint: spare.key.Fingerprint})()
		}, keys(1)},
		{"bob out", func() error { return decide(s.bob.Caller, chat.LeaveRoom{Room: s.dev})() }, in(s.bob.Name, false)},
		{"topic", func() error { return decide(s.alice.Caller, chat.SetTopic{Room: s.dev, Topic: "t"})() }, func(st *chat.State) bool {
			room, _ := st.Room(s.dev)
			return room.Topic == "t"
		}},
	} {
		s.trying = step.what
		if step.do() != nil {
			return
		}
		s.decided, s.holds = append(s.decided, step.what), append(s.holds, step.holds)
		if r.IntN(3) == 0 && f.accounts.Checkpoint() != nil {
			return
		}
		for _, room := range []chat.RoomName{chat.General, s.dev} {
			said := fmt.Sprintf("%s after %s", room, step.what)
			if room == s.dev && len(s.decided) < 3 {
				continue
			}
			if s.alice.say(h, room, said) != nil {
				return
			}
			s.said = append(s.said, said)
			if banned {
				s.secret = append(s.secret, said)
			}
		}
	}
}

// kinds of steps of which a later one takes back what an earlier one decided.
var takesBack = map[string]string{"unban": "ban", "key gone": "key", "bob out": "bob in"}

// check says what is not as it was acknowledged.
func (s *story) check(f *folder) error {
	state := f.accounts.View().State
	undone := map[string]bool{takesBack[s.trying]: true}
	for _, what := range s.decided {
		undone[takesBack[what]] = true
	}
	for i, holds := range s.holds {
		if what := s.decided[i]; !holds(state) && !undone[what] {
			return fmt.Errorf("%q was acknowledged, and does not hold", what)
		}
	}
	acts, err := f.audit.Entries(time.Time{}, 1000)
	if err != nil {
		return err
	}
	if lines, err := f.audit.Verify(); err != nil || lines != uint64(len(acts)) {
		return fmt.Errorf("the audit log: %d lines, %w", lines, err)
	}
	for i, what := range s.acts {
		if i >= len(acts) || acts[i].Do != what || i > 0 && acts[i] == acts[i-1] {
			return fmt.Errorf("the audit log has no line, or another, for decision %d, %s: %+v", i, what, acts)
		}
	}
	if more := len(acts) - len(s.acts); more > 1 {
		return fmt.Errorf("%d lines of the audit log are of nothing that happened", more)
	}
	var all []string
	for _, room := range []chat.RoomName{chat.General, s.dev} {
		if len(s.decided) == 0 {
			continue
		}
		said, err := s.alice.reads(f, room)
		if err != nil && len(s.said) > 0 && room == chat.General {
			return err
		}
		all = append(all, said...)
		bobs, _ := s.bob.reads(f, room)
		for _, secret := range s.secret {
			if slices.Contains(bobs, secret) {
				return fmt.Errorf("bob reads %q", secret)
			}
		}
	}
	for _, said := range s.said {
		if !slices.Contains(all, said) {
			return fmt.Errorf("%q was acknowledged, and is lost: %s", said, strings.Join(all, ", "))
		}
	}
	return nil
}

// Wherever the power is cut between two writes of changes.jsonl, users.json, the history and the audit log: what was
// acknowledged is there, what was decided is not behind what was said, the audit log has a line of each decision that holds,
// and the folder goes on. The control is a disk whose syncs do nothing.
func TestPowerCutBetweenDecisionsAndMessages(t *testing.T) {
	powercut.Start(t)
	seed := powercut.Seed(t)
	r := rand.New(rand.NewPCG(seed, 15))
	tried := 0
	once := func(lies bool) error {
		d := powercut.New()
		f, err := openFolder(d, settings{})
		if err != nil {
			return err
		}
		d.Lie(lies)
		d.FailFrom(1+r.IntN(160), errors.New("the power is gone"))
		h := f.hub(nil, 0)
		stop := run(h)
		s := newStory(t)
		s.happens(f, h, r)
		stop()
		cut := d.Cut(r)
		f.close()
		tried++
		again, err := openFolder(cut, settings{})
		if err != nil {
			return fmt.Errorf("after %q: what a power cut left is refused: %w", s.decided, err)
		}
		defer again.close()
		if err := s.check(again); err != nil {
			return fmt.Errorf("after %q: %w", s.decided, err)
		}
		h = again.hub(nil, 0)
		defer run(h)()
		if len(s.decided) > 0 {
			return s.alice.say(h, chat.General, "it goes on")
		}
		return nil
	}
	points := powercut.Points(25, 2_000)
	for range points {
		if err := once(false); err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
	}
	t.Logf("figure: power cuts between decisions and messages tried %d, from seed %d, lost 0", tried, seed)
	for range points {
		if once(true) != nil {
			return
		}
	}
	t.Error("a disk whose syncs do nothing loses nothing: this test proves nothing")
}
