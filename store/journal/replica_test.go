package journal_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
	"sshchat/store/durable/powercut"

	"filippo.io/age"
)

// crowd is people who talk, come and go, edit, react, pin, are banned, get more keys and share the past with them, all at once.
func crowd(t *testing.T, f *folder, h *chat.Hub, people, each int, seed uint64) []person {
	t.Helper()
	all := make([]person, people)
	for i := range all {
		all[i] = newPerson(t, fmt.Sprintf("p%d", i))
		role := chat.User
		if i == 0 {
			role = chat.Admin
		}
		if err := all[i].enrol(f, h, role); err != nil {
			t.Fatal(err)
		}
	}
	rooms := []chat.RoomName{chat.General}
	for _, name := range []string{"dev", "ops"} {
		room, err := text.ParseRoomName(name)
		if err != nil {
			t.Fatal(err)
		}
		rooms = append(rooms, room)
	}
	for _, in := range []chat.Intent{
		chat.SetMotd{Text: mustText(t, "see\nbelow")}, chat.AddNode{Node: chat.Node{Name: "n1", Key: base64.StdEncoding.EncodeToString(make([]byte, 32))}},
		chat.AddNode{Node: chat.Node{Name: "n2", Key: base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%032d", 2))}}, chat.RemoveNode{Name: "n1"},
	} {
		if err := h.Decide(context.Background(), chat.TheServer, in, nil); err != nil {
			t.Fatal(err)
		}
	}
	var talking sync.WaitGroup
	for i := range all {
		talking.Go(func() {
			r, me, ctx := rand.New(rand.NewPCG(seed, uint64(i))), all[i], context.Background()
			for k := range each {
				room := rooms[r.IntN(len(rooms))]
				other := all[1+r.IntN(people-1)]
				switch act := r.IntN(40); { // what is refused, for somebody is banned or not in the room, is refused
				case act < 3:
					h.Decide(ctx, me.Caller, chat.JoinRoom{Room: room}, nil)
				case act == 3:
					h.Decide(ctx, me.Caller, chat.LeaveRoom{Room: room}, nil)
				case act == 4 && i == 0:
					h.Decide(ctx, me.Caller, chat.Ban{Sanction: chat.Sanction{User: other.Name}}, &chat.AuditEntry{By: me.Name.String(), Do: "ban", On: other.Name.String()})
				case act == 5 && i == 0:
					h.Decide(ctx, me.Caller, chat.Unban{Target: other.Name.String()}, &chat.AuditEntry{By: me.Name.String(), Do: "unban", On: other.Name.String()})
				case act == 6:
					h.Decide(ctx, me.Caller, chat.SetTopic{Room: room, Topic: fmt.Sprint(k)}, nil)
				case act == 7:
					h.Amend(ctx, me.Caller, room, chat.Delete, 1+r.Uint64N(50), chat.Text{})
				case act == 9:
					h.Amend(ctx, me.Caller, room, chat.Edit, 1+r.Uint64N(50), mustText(t, fmt.Sprintf("%d corrects %d", i, k)))
				case act == 10:
					h.React(ctx, me.Caller, room, chat.React, 1+r.Uint64N(50), mustText(t, "👍"))
				case act == 11:
					h.Decide(ctx, me.Caller, chat.PinMessage{Room: room, Seq: 1 + r.Uint64N(50)}, nil)
				case act == 12 && i == 1 && f.submits: // it opens each window
					h.Decide(ctx, me.Caller, chat.AddKeys{ID: me.Login.Account, Keys: []chat.Key{newPerson(t, "other").key}}, nil)
					f.history.Share(me.Name, []chat.RoomName{chat.General, room}, []age.Identity{me.identity})
				case act == 8:
					me.say(h, text.Direct(me.Name, all[(i+1)%people].Name), "just us")
				default:
					me.say(h, room, fmt.Sprintf("%d says %d", i, k))
				}
			}
		})
	}
	talking.Wait()
	if f.submits { // whatever was drawn, something is shared
		me := all[1]
		h.Decide(context.Background(), chat.TheServer, chat.Unban{Target: me.Name.String()}, nil)
		h.Decide(context.Background(), me.Caller, chat.JoinRoom{Room: chat.General}, nil) // unless they are in it
		if err := me.say(h, chat.General, "what is shared"); err != nil {
			t.Fatal(err)
		}
		if err := h.Decide(context.Background(), chat.TheServer, chat.AddKeys{ID: me.Login.Account, Keys: []chat.Key{newPerson(t, "last").key}}, nil); err != nil {
			t.Fatal(err)
		}
		if _, _, err := f.history.Share(me.Name, []chat.RoomName{chat.General}, []age.Identity{me.identity}); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// replica is a folder that takes what is published, until done, and its disk as it is then.
func replica(done context.Context, n *nodes, s settings, cuts *rand.Rand) (*powercut.Disk, error) {
	d, taken := powercut.New(), 0
	for {
		if cuts != nil {
			d.FailFrom(1+cuts.IntN(600), errors.New("the power is gone"))
		}
		f, err := openFolder(d, s)
		if err == nil {
			taken, err = follow(done, n, taken, f)
			if err == nil {
				d.Heal()
				return d, nil
			}
			f.close()
		}
		if cuts == nil || !d.Failed() {
			return d, err
		}
		d = d.Cut(cuts)
	}
}

// follow takes what was published after the first from, and returns how many it has when done ends or one is not taken.
func follow(done context.Context, n *nodes, from int, f *folder) (taken int, err error) {
	for {
		more := n.after(from, done)
		if len(more) == 0 {
			return from, nil
		}
		for _, e := range more {
			s, err := e.decode(from%3 == 0)
			if err == nil {
				_, err = f.Replicate(s)
			}
			if err != nil {
				return from, err
			}
			from++
		}
	}
}

// same says how two folders differ.
func same(a, b *powercut.Disk, x, y *folder) error {
	if d := x.accounts.View().State.Since(y.accounts.View().State); !d.IsZero() {
		return fmt.Errorf("the States differ: %+v", d)
	}
	if !slices.Equal(names(a), names(b)) {
		return fmt.Errorf("archives: %v and %v", names(a), names(b))
	}
	for _, name := range names(a) {
		if !bytes.Equal(a.Content("data/"+name), b.Content("data/"+name)) {
			return fmt.Errorf("%s differs", name)
		}
	}
	if one, two := lines(a, "message_history.json"), lines(b, "message_history.json"); !slices.EqualFunc(one, two, bytes.Equal) {
		return fmt.Errorf("message_history.json: %d and %d lines, which differ", len(one), len(two))
	}
	if err := errors.Join(x.accounts.Checkpoint(), y.accounts.Checkpoint()); err != nil {
		return err
	}
	if one, two := a.Content("data/users.json"), b.Content("data/users.json"); !bytes.Equal(one, two) {
		return fmt.Errorf("users.json: %d and %d bytes, which differ", len(one), len(two))
	}
	if one, two := lines(a, "audit.jsonl"), lines(b, "audit.jsonl"); !slices.EqualFunc(one, two, bytes.Equal) {
		return fmt.Errorf("audit.jsonl: %d and %d lines, which differ", len(one), len(two))
	}
	return nil
}

// names are those of the archives.
func names(d *powercut.Disk) (list []string) {
	all, err := d.Names("data")
	for _, name := range all {
		if err == nil && len(name) > 20 && name[:16] == "message_history." && name[len(name)-5:] == ".json" {
			list = append(list, name)
		}
	}
	slices.Sort(list)
	return list
}

// lines are what a file holds, without blanks.
func lines(d *powercut.Disk, name string) (all [][]byte) {
	for line := range bytes.Lines(d.Content("data/" + name)) {
		if line = bytes.TrimSpace(line); len(line) > 0 {
			all = append(all, line)
		}
	}
	return all
}

// Three folders over one log are equal byte for byte: the leader's, and two that take what it publishes, of which one loses its
// power again and again. The control is a folder that leaves one batch out.
func TestReplicasAreEqual(t *testing.T) {
	t.Parallel()
	for _, window := range []int{0, 1} {
		people, each, s := 8, 25, settings{rotate: 8 << 10, window: window}
		if powercut.Long() && window == 0 { // one message a window stores a head for each member with each message
			people, each, s.rotate = 64, 1000, 1<<20
		}
		t.Run(fmt.Sprintf("window %d", window), func(t *testing.T) {
			t.Parallel()
			log, seed := newNodes(), powercut.Seed(t)
			disk := powercut.New()
			var h *chat.Hub
			s.submit = func(e chat.Event) error { return h.Store(e) }
			leader, err := openFolder(disk, s)
			if err != nil {
				t.Fatal(err)
			}
			leader.Publish = log.publish
			h = leader.hub(nil, 0)
			stop := run(h)
			done, finish := context.WithCancel(context.Background())
			var steady, shaky *powercut.Disk
			var ofSteady, ofShaky error
			var following sync.WaitGroup
			following.Go(func() { steady, ofSteady = replica(done, log, s, nil) })
			following.Go(func() { shaky, ofShaky = replica(done, log, s, rand.New(rand.NewPCG(seed, 7))) })
			all := crowd(t, leader, h, people, each, seed)
			if err := stop(); err != nil {
				t.Fatal(err)
			}
			finish()
			following.Wait()
			if err := errors.Join(ofSteady, ofShaky); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			for name, d := range map[string]*powercut.Disk{"steady": steady, "shaky": shaky} {
				f, err := openFolder(d, s)
				if err != nil {
					t.Fatalf("seed %d: %s: %v", seed, name, err)
				}
				t.Cleanup(func() { f.close() })
				if err := same(disk, d, leader, f); err != nil {
					t.Errorf("seed %d: %s: %v", seed, name, err)
				}
				one, _ := all[0].reads(leader, chat.General)
				two, err := all[0].reads(f, chat.General)
				if err != nil || len(one) == 0 || !slices.Equal(one, two) {
					t.Errorf("seed %d: %s: a reader opens %d messages, and %d of the leader's: %v", seed, name, len(two), len(one), err)
				}
			}
			content := disk.Content("data/message_history.json")
			shares := bytes.Count(content, []byte(`"t":"share"`))
			for _, name := range names(disk) {
				shares += bytes.Count(disk.Content("data/"+name), []byte(`"t":"share"`))
			}
			if shares == 0 {
				t.Error("nobody shared anything")
			}
			archives := len(names(disk))
			if archives < 2 {
				t.Errorf("%d archives", archives)
			}
			t.Logf("%d entries in the log, %d bytes of history, %d archives, %d shared heads", len(log.log), len(content), archives, shares)
			gap, err := openFolder(powercut.New(), s)
			if err != nil {
				t.Fatal(err)
			}
			for i, missing := 0, false; i < len(log.log); i++ {
				one, err := log.log[i].decode(false)
				if err != nil {
					t.Fatal(err)
				}
				if !missing && i >= len(log.log)/2 && len(one.Records) > 0 { // one of which nothing is stored is not missed
					missing = true
					continue
				}
				if _, err := gap.Replicate(one); err != nil {
					return
				}
			}
			t.Error("the control: a batch is missing, and nobody notices")
		})
	}
}

// A leader that resigns and closes its folder has written nothing that others do not have, and follows the next one when it is
// back; with its resignation its windows have ended in all folders. The control is a folder that has no others: it ends its
// windows as it is closed, for nobody else to know.
func TestLeaderThatResigns(t *testing.T) {
	t.Parallel()
	ends := func(d *powercut.Disk) int {
		return bytes.Count(d.Content("data/message_history.json"), []byte(`"t":"close"`))
	}
	for _, c := range []struct {
		what           string
		alone, resigns bool
		ends           int
	}{{"alone", true, false, 1}, {"closes", false, false, 0}, {"resigns", false, true, 1}} {
		log, disks := newNodes(), []*powercut.Disk{powercut.New(), powercut.New()}
		first, err := openFolder(disks[0], settings{})
		if err != nil {
			t.Fatal(err)
		}
		if !c.alone {
			first.Publish = log.publish
			first.Lead()
		}
		alice, h := newPerson(t, "alice"), first.hub(nil, 0)
		stop := run(h)
		if err := errors.Join(alice.enrol(first, h, chat.Admin), alice.say(h, chat.General, "one"), alice.say(h, chat.General, "two"), stop()); err != nil {
			t.Fatal(err)
		}
		if c.resigns {
			if err := first.Resign(); err != nil {
				t.Fatal(err)
			}
			if _, err := first.history.NewTransaction(nil, 0); err == nil {
				t.Error("it has resigned, and leads")
			}
		}
		before := lines(disks[0], "message_history.json")
		if err := first.close(); err != nil {
			t.Fatal(err)
		}
		if n := ends(disks[0]); n != c.ends {
			t.Errorf("%s: %d windows have ended in its file", c.what, n)
		}
		if c.alone {
			continue
		}
		if after := lines(disks[0], "message_history.json"); !slices.EqualFunc(before, after, bytes.Equal) {
			t.Errorf("%s: it wrote %d lines as it was closed", c.what, len(after)-len(before))
		}
		second, err := openFolder(disks[1], settings{})
		if err != nil {
			t.Fatal(err)
		}
		var applied uint64
		takes := func(f *folder, from int) {
			for _, e := range log.log[from:] {
				s, err := e.decode(true)
				if err == nil {
					_, err = f.Replicate(s)
				}
				if err != nil {
					t.Fatalf("%s: %v", c.what, err)
				}
				if s.Batch != nil {
					applied = s.Batch.N
				}
			}
		}
		takes(second, 0)
		second.Publish = log.publish
		second.Lead()
		h = second.hub(nil, applied)
		stop = run(h)
		if err := errors.Join(alice.say(h, chat.General, "three"), stop()); err != nil {
			t.Fatalf("%s: %v", c.what, err)
		}
		if first, err = openFolder(disks[0], settings{}); err != nil {
			t.Fatal(err)
		}
		takes(first, 0)
		if err := same(disks[0], disks[1], first, second); err != nil {
			t.Errorf("%s: %v", c.what, err)
		}
		if said, err := alice.reads(first, chat.General); err != nil || fmt.Sprint(said) != "[one two three]" {
			t.Errorf("%s: it reads %q: %v", c.what, said, err)
		}
		if err := errors.Join(first.close(), second.close()); err != nil {
			t.Error(err)
		}
	}
}

// What a journal publishes of messages names no author and has no text, whatever they do: speak, act, edit, delete, react,
// reply. The control is what goes beside it.
func TestPublishedMessagesNameNobody(t *testing.T) {
	t.Parallel()
	log := newNodes()
	f, err := openFolder(powercut.New(), settings{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.close() })
	f.Publish = log.publish
	h, author, other := f.hub(nil, 0), newPerson(t, "bartholomew"), newPerson(t, "wilhelmina")
	stop := run(h)
	ctx := context.Background()
	if err := errors.Join(author.enrol(f, h, chat.Admin), other.enrol(f, h, chat.User), other.say(h, chat.General, "it begins the window")); err != nil {
		t.Fatal(err)
	}
	begun := len(log.log)
	said, err := h.Post(ctx, author.Caller, chat.General, chat.Say, mustText(t, "unmistakable words"))
	if err != nil {
		t.Fatal(err)
	}
	for _, do := range []func() (chat.Message, error){
		func() (chat.Message, error) {
			return h.Amend(ctx, author.Caller, chat.General, chat.Edit, said.Seq, mustText(t, "unmistakable edit"))
		},
		func() (chat.Message, error) {
			return h.React(ctx, author.Caller, chat.General, chat.React, said.Seq, mustText(t, "👍"))
		},
		func() (chat.Message, error) {
			return h.Reply(ctx, author.Caller, chat.General, said.Seq, mustText(t, "unmistakable reply"))
		},
		func() (chat.Message, error) {
			return h.Post(ctx, author.Caller, chat.General, chat.Me, mustText(t, "waves unmistakable"))
		},
		func() (chat.Message, error) {
			return h.Amend(ctx, author.Caller, chat.General, chat.Delete, said.Seq, chat.Text{})
		},
	} {
		if _, err := do(); err != nil {
			t.Fatal(err)
		}
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	beside := make(map[string]int)
	for i, e := range log.log[begun:] {
		for _, secret := range []string{"bartholomew", "unmistakable", "👍", "wilhelmina", `"edit"`, `"react"`} { // short words may be spelt by chance
			if bytes.Contains(e.log, []byte(secret)) {
				t.Errorf("entry %d has %q", i, secret)
			}
			if bytes.Contains(e.texts, []byte(secret)) {
				beside[secret]++
			}
		}
	}
	if beside["bartholomew"] < 6 || beside["unmistakable"] < 4 || beside["👍"] != 1 {
		t.Errorf("the control: beside the entries there are %v", beside)
	}
	if n := len(log.log) - begun; n < 6 {
		t.Errorf("%d entries, of 6 messages", n)
	}
}
