package accounts

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/store/changes"
	"sshchat/store/durable"
	"sshchat/store/durable/powercut"
)

const simulated = "data/users.json"

// openSimulated opens a Store on a simulated disk, on which nothing happens but what the test asks for.
func openSimulated(d *powercut.Disk) (*Store, error) {
	files := &checkpoints{
		disk: d,
		stat: func(path string) (fs.FileInfo, error) {
			if !d.Has(path) {
				return nil, fs.ErrNotExist
			}
			return nil, nil
		},
		read: func(path string) ([]byte, error) { return durable.ReadFile(d, path) },
	}
	now := func() time.Time { return time.Date(2026, 11, 26, 1, 2, 3, 0, time.UTC) }
	return openOn(files, "data", Options{WorkFactor: 4, FlushEvery: -1, Now: now})
}

// abandon ends the goroutines of a Store whose disk has no power. What it still tries fails.
func abandon(u *Store) { u.Close() }

// history is what a Store went through.
type tale struct {
	keys  []chat.Key
	r     *rand.Rand
	n     int           // of things that were tried
	acked *chat.State   // the last State that was acknowledged
	tried []*chat.State // those that were being made since
}

func newTale(t *testing.T, r *rand.Rand, acked *chat.State) *tale {
	t.Helper()
	return &tale{r: r, acked: acked, keys: taleKeys(t)}
}

var (
	keysOnce sync.Once
	sixKeys  []chat.Key
)

// taleKeys are six keys, as they are kept.
func taleKeys(t *testing.T) []chat.Key {
	t.Helper()
	keysOnce.Do(func() {
		for range 6 {
			key, err := checkKey(newKey(t).Line)
			if err != nil {
				t.Fatal(err)
			}
			sixKeys = append(sixKeys, keptKey(key, "laptop", time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), nil))
		}
	})
	return sixKeys
}

// intent is something to be decided, at random.
func (s *tale) intent() chat.Intent {
	s.n++
	var all []chat.Account
	for a := range s.acked.Accounts() {
		all = append(all, a)
	}
	if len(all) < 3 || s.r.IntN(6) == 0 {
		return chat.CreateAccount{Since: 1, Account: chat.Account{
			ID: fmt.Sprintf("%032x", s.r.Uint64()), Name: name(fmt.Sprintf("p%x", s.r.Uint32())), Role: chat.User, Seen: "2026-11-26",
			Created: time.Date(2026, 11, 26, 1, 2, 3, 0, time.UTC), Keys: s.keys[:1+s.r.IntN(3)],
		}}
	}
	a := all[s.r.IntN(len(all))]
	node := fmt.Sprintf("node%d", s.r.IntN(4))
	switch s.r.IntN(11) {
	case 10:
		return chat.SetMotd{Text: said(fmt.Sprintf("see\n%d", s.n))}
	case 8:
		return chat.AddNode{Node: chat.Node{Name: node, Key: base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%032d", s.n))}}
	case 9:
		return chat.RemoveNode{Name: node}
	case 0:
		return chat.SetTopic{Room: chat.General, Topic: strings.Repeat("topic ", s.r.IntN(100)) + fmt.Sprint(s.n)}
	case 1:
		return chat.Mute{Sanction: chat.Sanction{User: a.Name, Why: fmt.Sprint(s.n)}}
	case 2:
		return chat.Ban{Sanction: chat.Sanction{User: a.Name}}
	case 3:
		return chat.SetSetting{ID: a.ID, Name: "bell", Value: fmt.Sprint(s.n)}
	case 4:
		return chat.AddKeys{ID: a.ID, Keys: s.keys[3+s.r.IntN(3):][:1]}
	case 5:
		return chat.DeleteAccount{ID: a.ID}
	case 6:
		return chat.CreateRoom{Room: roomName(fmt.Sprintf("r%x", s.r.Uint32()))}
	}
	return chat.SetRole{ID: a.ID, Role: chat.Mod}
}

// step decides something, or writes users.json; and returns the error of the disk.
func (s *tale) step(u *Store) error {
	if s.r.IntN(4) == 0 {
		return u.Checkpoint()
	}
	in := s.intent()
	after, err := u.View().Check(chat.TheServer, in)
	if err != nil {
		return nil // it is refused by the rules
	}
	s.tried = append(s.tried, after)
	if _, err := u.Decide(chat.TheServer, in); err != nil {
		return err
	}
	s.acked, s.tried = u.View().State, nil
	return nil
}

// differs says what is wrong with a State after a crash: nothing if it is the acknowledged one, or the one that was being made.
func (s *tale) differs(is *chat.State) error {
	for _, may := range append(s.tried, s.acked) {
		if is.Since(may).IsZero() {
			return nil
		}
	}
	return fmt.Errorf("what differs: %+v", is.Since(s.acked))
}

// editByHand changes the users.json on a disk: a key more for somebody. It returns the State before and after the edit.
func (s *tale) editByHand(t *testing.T, d *powercut.Disk) (base, edited *chat.State) {
	t.Helper()
	base, upto, err := parse(d.Content(simulated))
	if err != nil {
		t.Fatal(err)
	}
	parts := base.Parts()
	if len(parts.Accounts) == 0 {
		return base, base
	}
	a := &parts.Accounts[s.r.IntN(len(parts.Accounts))]
	a.Disabled, a.Settings = true, map[string]string{"edited": fmt.Sprint(s.n)}
	edited = chat.NewState(parts)
	b, err := encode(edited, upto)
	if err != nil {
		t.Fatal(err)
	}
	put(t, d, simulated, b)
	return base, edited
}

// put gives a file other content, durably.
func put(t *testing.T, d *powercut.Disk, path string, b []byte) {
	t.Helper()
	if d.Has(path) {
		if err := d.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	f, err := d.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteAt(b, 0)
	if err := errors.Join(err, f.Sync(), d.SyncDir("data")); err != nil {
		t.Fatal(err)
	}
}

// Wherever the power is cut, all is there that was acknowledged, and nothing else but perhaps the change that was being made. An
// edit by hand after that stays, and so does what was acknowledged. The control is a disk whose syncs do nothing.
func TestPowerCut(t *testing.T) {
	powercut.Start(t)
	seed := powercut.Seed(t)
	r := rand.New(rand.NewPCG(seed, 21))
	points := powercut.Points(15, 3_400)
	edits, unknown := 0, 0
	try := func(lies bool) error {
		d := powercut.New()
		u, err := openSimulated(d)
		if err != nil {
			t.Fatal(err)
		}
		s := newTale(t, r, u.View().State)
		if r.IntN(8) > 0 { // else it is cut as the server is new
			for range 5 + r.IntN(5) {
				if err := s.step(u); err != nil {
					t.Fatal(err)
				}
			}
		}
		for round := range 3 {
			d.Lie(lies)
			d.FailFrom(1+r.IntN(30), errors.New("the power is gone"))
			for s.step(u) == nil {
			}
			abandon(u)
			d = d.Cut(r)
			var base, edited *chat.State
			if r.IntN(2) == 0 && d.Has(simulated) && !lies && !takenOnly(t, d) {
				base, edited = s.editByHand(t, d)
			}
			if u, err = openSimulated(d); err != nil {
				if edited != nil && strings.Contains(err.Error(), "is missing, or not as the server wrote it") && firstOfLog(t, d) {
					unknown++
					return nil
				}
				return fmt.Errorf("round %d: %w", round, err)
			}
			if edited == nil {
				if err := s.differs(u.View().State); err != nil {
					return fmt.Errorf("round %d: %w", round, err)
				}
			} else if err := s.differsByEdit(u.View().State, base, edited); err != nil {
				return fmt.Errorf("round %d, edited: %w", round, err)
			} else {
				edits++
			}
			s.acked, s.tried = u.View().State, nil
		}
		abandon(u)
		return nil
	}
	for range points {
		if err := try(false); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
	t.Logf("figure: crash points of changes.jsonl and users.json tried %d, from seed %d, lost 0; edited by hand after them %d", 3*points, seed, edits)
	if edits == 0 || unknown > edits {
		t.Errorf("%d edits, and %d of what the server wrote first", edits, unknown)
	}
	lost := 0
	for i := 0; i < 100 && lost == 0; i++ {
		if try(true) != nil {
			lost++
		}
	}
	if lost == 0 {
		t.Error("a disk whose syncs do nothing loses nothing: this test proves nothing")
	}
}

// firstOfLog reports whether users.json.bak is from before the log of changes: the server has written users.json only once since.
func firstOfLog(t *testing.T, d *powercut.Disk) bool {
	t.Helper()
	content, err := changes.Parse(d.Content("data/changes.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	_, named := content.Named(digest(d.Content(simulated + ".bak")))
	return !named
}

// takenOnly reports whether users.json is one edited by hand that was taken, and not written anew yet.
func takenOnly(t *testing.T, d *powercut.Disk) bool {
	t.Helper()
	content, err := changes.Parse(d.Content("data/changes.jsonl"))
	return err == nil && content.Taken(digest(d.Content(simulated)))
}

// differsByEdit is differs after an edit by hand.
func (s *tale) differsByEdit(is, base, edited *chat.State) error {
	var first error
	for _, before := range append(s.tried, s.acked) {
		want, err := before.Edited(base, edited)
		if err != nil {
			return err
		}
		if is.Since(want).IsZero() {
			return nil
		}
		first = errors.Join(first, fmt.Errorf("what differs: %+v", is.Since(want)))
	}
	return first
}

// Whichever operation fails (every eighth, unless all are asked for), once or from then on: what was acknowledged stays, what failed has not happened, and a healthy disk
// is written to again, unless a sync of the log has failed.
func TestEveryOperationOfAStoreFails(t *testing.T) {
	powercut.Start(t)
	tried, died, run := 0, 0, 0
	for _, failure := range []error{syscall.EIO, syscall.ENOSPC} {
		for _, forever := range []bool{false, true} {
			run++
			for at := powercut.Points(run+rand.IntN(4), 1); ; at += powercut.Points(8, 1) {
				d := powercut.New()
				u, err := openSimulated(d)
				if err != nil {
					t.Fatal(err)
				}
				s := newTale(t, rand.New(rand.NewPCG(3, 4)), u.View().State)
				for range 6 {
					if err := s.step(u); err != nil {
						t.Fatal(err)
					}
				}
				if forever {
					d.FailFrom(at, failure)
				} else {
					d.Fail(at, failure)
				}
				for range 14 {
					before := u.View().State
					if err := s.step(u); err != nil && u.View().State != before {
						t.Fatalf("operation %d: what failed is there", at)
					}
				}
				met := d.Failed()
				d.Heal()
				err = u.decide(chat.SetTopic{Room: chat.General, Topic: "healed"})
				if errors.Is(err, chat.ErrJournalDead) {
					died++
				} else if s.acked, s.tried = u.View().State, nil; err != nil {
					t.Fatalf("operation %d, %v, forever %v: it does not go on: %v", at, failure, forever, err)
				}
				if err := u.Close(); err != nil && !errors.Is(err, chat.ErrJournalDead) {
					t.Fatal(err)
				}
				again, err := openSimulated(d)
				if err == nil {
					err = s.differs(again.View().State)
					abandon(again)
				}
				if err != nil {
					t.Fatalf("operation %d, %v, forever %v: %v", at, failure, forever, err)
				}
				if !met {
					break
				}
				tried++
			}
		}
	}
	t.Logf("figure: failing operations of changes.jsonl and users.json tried %d, of which %d were final", tried, died)
	if died == 0 || died == tried {
		t.Errorf("%d of %d failures were final", died, tried)
	}
}
