package history

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"syscall"
	"testing"

	"filippo.io/age"

	"sshchat/sshchat/chat"
	"sshchat/store/durable/powercut"
)

func (p *place) transaction(events ...chat.Event) *Transaction {
	p.t.Helper()
	tx, err := p.h.NewTransaction(events, 0)
	if err != nil {
		p.t.Fatal(err)
	}
	return tx
}

// lines are those of all records in the file.
func (p *place) lines() (lines [][]byte) {
	p.t.Helper()
	for line := range bytes.Lines(p.file()) {
		if line = bytes.TrimSpace(line); bytes.HasPrefix(line, []byte(`{"n":`)) {
			lines = append(lines, line)
		}
	}
	return lines
}

func TestTransactionIsWhatIsStored(t *testing.T) {
	t.Parallel()
	alice := ageReader(t, "alice")
	p := newPlace(t, alice)
	p.opt.Window = 3
	p.open()
	var drafted [][]byte
	for i := range 8 {
		tx := p.transaction(p.message(chat.General, alice.name, strings.Repeat("long ", 800*(i%2))+"one"), p.message(chat.General, alice.name, "two"))
		drafted = append(drafted, tx.Records()...)
		if len(p.lines()) >= len(drafted) {
			t.Fatal("a draft is in the file")
		}
		if err := tx.Store(); err != nil {
			t.Fatal(err)
		}
		tx.Rollback() // does nothing
	}
	if got := p.lines(); !slices.EqualFunc(got, drafted, bytes.Equal) {
		t.Errorf("%d lines are drafted, %d stored", len(drafted), len(got))
	}
	if got := p.texts(alice); len(got) != 16 {
		t.Errorf("alice reads %d messages", len(got))
	}
}

// A draft that is dropped leaves nothing behind: not its messages, not who came or left in it, not what was decided in it.
// The control is one whose write fails: its changes hold.
func TestRolledBackTransaction(t *testing.T) {
	t.Parallel()
	for _, crowd := range []int{2, 2 * preparedReaders, spareReaders} {
		for _, drops := range []bool{true, false} {
			alice, bob, carol := ageReader(t, "alice"), ageReader(t, "bob"), ageReader(t, "carol")
			p, _ := crowded(t, crowd)
			p.cheapen()
			for _, r := range []reader{alice, bob, carol} {
				p.keys[r.name] = []age.Recipient{r.to}
			}
			for _, r := range []reader{alice, bob} {
				p.opt.Rooms[0].Members = append(p.opt.Rooms[0].Members, chat.Member{Name: r.name, Since: 1})
			}
			byState(p, nil)
			p.opt.State, p.opt.Window = banning(), 2
			disk := powercut.New()
			h, err := open(disk, "data", p.opt)
			if err != nil {
				t.Fatal(err)
			}
			p.h = h
			p.commit(p.message(chat.General, alice.name, "before"))
			ban := change(chat.General, chat.Revoke, alice.name)
			ban.State = banning(alice.name)
			tx := p.transaction(
				p.message(chat.General, alice.name, "never stored"),
				change(chat.General, chat.Join, carol.name),
				p.message(chat.General, alice.name, "never stored"),
				change(chat.General, chat.Leave, bob.name),
				ban,
				p.message(chat.General, carol.name, "never stored"),
			)
			if drops {
				tx.Rollback()
			} else {
				disk.Fail(1, syscall.ENOSPC)
				if err := tx.Store(); err == nil {
					t.Fatal("stored on a full disk")
				}
			}
			p.seqs = h.Last()
			p.commit(p.message(chat.General, alice.name, "after"))
			if err := h.Close(); err != nil {
				t.Fatal(err)
			}
			for _, c := range []struct {
				who   reader
				reads bool
			}{{alice, drops}, {bob, drops}, {carol, !drops}} {
				lines, err := openAll(bytes.NewReader(disk.Content(livePath)), &Opener{Identities: []age.Identity{c.who.id}})
				if err != nil {
					t.Fatal(err)
				}
				if got := len(lines) > 0 && lines[len(lines)-1].Text == "after"; got != c.reads {
					t.Errorf("%d readers, dropped %v: %s reads what was said after: %v", crowd, drops, c.who.name, got)
				}
			}
		}
	}
}

// An event that cannot be stored is named, and the others can be stored without it.
func TestBadEventIsNamed(t *testing.T) {
	t.Parallel()
	alice := ageReader(t, "alice")
	p := newPlace(t, alice)
	p.open()
	p.say(alice, "before")
	for name, spoil := range map[string]func(*chat.Event){
		"a kind that is not stored":  func(e *chat.Event) { e.Message.Kind = chat.DirectNotice },
		"another number":             func(e *chat.Event) { e.Message.Seq += 7 },
		"something that is not ours": func(e *chat.Event) { e.Stored = "hello" },
		"shares that are refused by then": func(e *chat.Event) {
			e.Stored = &sharedHeads{[]*record{{kind: shareRecord, room: chat.General, w: 1, tag: "of other keys", prev: sum{1}, heads: []namedHead{{alice.name, "x"}}}}}
		},
		"a share of a window that is to come": func(e *chat.Event) {
			tag, err := tagOf([]age.Recipient{alice.to})
			if err != nil {
				t.Fatal(err)
			}
			e.Stored = &sharedHeads{[]*record{{kind: shareRecord, room: chat.General, w: 99, tag: tag, prev: sum{1}, heads: []namedHead{{alice.name, "x"}}}}}
		},
	} {
		before := p.lines()
		batch := []chat.Event{p.message(chat.General, alice.name, "one"), p.message(chat.General, alice.name, "two"), p.message(chat.General, alice.name, "three")}
		spoil(&batch[1])
		if batch[1].Stored != nil { // it is no message
			batch[2].Message.Seq--
		}
		_, err := p.h.NewTransaction(batch, 0)
		bad := (*chat.BadEvent)(nil)
		if !errors.As(err, &bad) || bad.Index != 1 || bad.Error() == "" {
			t.Errorf("%s: %v", name, err)
		}
		batch[2].Message.Seq = batch[0].Message.Seq + 1
		tx := p.transaction(batch[0], batch[2])
		if err := tx.Store(); err != nil {
			t.Fatal(err)
		}
		p.seqs = p.h.Last()
		if after := p.lines(); len(after) != len(before)+2 {
			t.Errorf("%s: %d lines, then %d", name, len(before), len(after))
		}
	}
	if _, err := Verify(p.dir, nil); err != nil {
		t.Error(err)
	}
}

// What is shared comes in the order of all events, and is refused at its place if it may not be.
func TestSharesAreEvents(t *testing.T) {
	t.Parallel()
	p, first, second, _ := shared(t)
	banned, at := banning(first.name), (*chat.State)(nil)
	byState(p, func() *chat.State { return banning() })
	p.h.opt.Recipients = p.opt.Recipients
	p.h.opt.Submit = func(e chat.Event) error {
		ban := change(chat.General, chat.NoChange, first.name)
		ban.Message = p.message(chat.General, second.name, "before it").Message
		ban.State = at
		tx, err := p.h.NewTransaction([]chat.Event{ban, e}, 0)
		if err != nil {
			p.seqs = p.h.Last()
			return err
		}
		return tx.Store()
	}
	at = banned
	_, _, err := p.h.Share(first.name, []chat.RoomName{chat.General}, []age.Identity{first.id})
	wantErr(t, err, ErrKeysChanged)
	p.wantTexts(second, "four")
	at = banning()
	p.share(first, 4, 0)
	if got := p.allTexts(second); len(got) != 5 {
		t.Errorf("the second key opens %q", got)
	}
}

func TestRotationIsDrafted(t *testing.T) {
	t.Parallel()
	alice := ageReader(t, "alice")
	p := newPlace(t, alice)
	p.open()
	if tx, err := p.h.NewRotation(true); tx != nil || err != nil {
		t.Errorf("of nothing: %v, %v", tx, err)
	}
	p.sayMany(alice, 3)
	if tx, err := p.h.NewRotation(false); tx != nil || err != nil {
		t.Errorf("without a size: %v, %v", tx, err)
	}
	ends, err := p.h.NewRotation(true)
	if err != nil || !ends.Rotate.IsZero() || len(ends.Records()) != 1 {
		t.Fatalf("%+v, %v", ends, err)
	}
	if err := ends.Store(); err != nil {
		t.Fatal(err)
	}
	dropped, err := p.h.NewRotation(true)
	if err != nil || dropped.Rotate.IsZero() {
		t.Fatalf("%+v, %v", dropped, err)
	}
	p.archiveFile(1)
	dropped.Rollback()
	if files, err := FilesIn(p.dir); err != nil || len(files) != 1 {
		t.Errorf("%d files, %v", len(files), err)
	}
	p.sayMany(alice, 1)
	for {
		tx, err := p.h.NewRotation(true)
		if err != nil {
			t.Fatal(err)
		}
		if err := tx.Store(); err != nil {
			t.Fatal(err)
		}
		if !tx.Rotate.IsZero() {
			break
		}
	}
	p.sayMany(alice, 1)
	if got := p.allTexts(alice); len(got) != 5 {
		t.Errorf("alice reads %q", got)
	}
	if report, err := Verify(p.dir, nil); err != nil || len(report.Files) != 2 {
		t.Errorf("%+v, %v", report, err)
	}
}
