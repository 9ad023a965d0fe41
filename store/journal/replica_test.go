package journal_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
	"sshchat/store/durable/powercut"
)

// crowd is people who talk, come and go, edit, are banned and change their keys, all at once.
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
				case act == 8:
					me.say(h, text.Direct(me.Name, all[(i+1)%people].Name), "just us")
				default:
					me.say(h, room, fmt.Sprintf("%d says %d", i, k))
				}
			}
		})
	}
	talking.Wait()
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
	names := func(d *powercut.Disk) (list []string) {
		all, err := d.Names("data")
		for _, name := range all {
			if err == nil && len(name) > 20 && name[:16] == "message_history." && name[len(name)-5:] == ".json" {
				list = append(list, name)
			}
		}
		slices.Sort(list)
		return list
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
	if one, two := lines(a, "audit.jsonl"), lines(b, "audit.jsonl"); !slices.EqualFunc(one, two, bytes.Equal) {
		return fmt.Errorf("audit.jsonl: %d and %d lines, which differ", len(one), len(two))
	}
	return nil
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
		people, each, s := 16, 60, settings{rotate: 16 << 10, window: window}
		if powercut.Long() && window == 0 { // one message a window stores a head for each member with each message
			people, each, s.rotate = 64, 1000, 1<<20
		}
		t.Run(fmt.Sprintf("window %d", window), func(t *testing.T) {
			t.Parallel()
			log, seed := newNodes(), powercut.Seed(t)
			disk := powercut.New()
			leader, err := openFolder(disk, s)
			if err != nil {
				t.Fatal(err)
			}
			leader.Publish = log.publish
			h := leader.hub(nil, 0)
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
			t.Logf("%d entries in the log, %d bytes of history", len(log.log), len(disk.Content("data/message_history.json")))
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
