package history

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"filippo.io/age"

	"sshchat/sshchat/attack"
	"sshchat/sshchat/chat"
)

// told is a history with two rooms, closed windows and an open one, as bytes.
func told(t *testing.T, alice reader) (p *place, file []byte) {
	t.Helper()
	p = newPlace(t, alice)
	p.opt.Window = 3
	p.open()
	side := mustRoom(t, "side")
	p.commit(change(side, chat.Join, alice.name))
	for range 8 {
		p.sayMany(alice, 1)
		p.commit(p.message(side, alice.name, "beside"))
	}
	return p, p.file()
}

func (p *place) file() []byte {
	p.t.Helper()
	b, err := os.ReadFile(p.path())
	if err != nil {
		p.t.Fatal(err)
	}
	return b
}

// records are those of a file, parsed.
func records(t testing.TB, file []byte) []*record {
	t.Helper()
	s, err := scanSegment(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	var rs []*record
	for {
		r, err := s.next()
		if errors.Is(err, io.EOF) {
			return rs
		}
		if err != nil {
			t.Fatal(err)
		}
		r.lines, r.off = nil, 0
		rs = append(rs, r)
	}
}

// forge writes records as an attacker with the disk does: numbered and summed anew, and with rechain,
// each following from the one before it, so that nothing shows from outside.
func forge(rs []*record, rechain bool) []byte {
	rooms := make(map[chat.RoomName]*link)
	n := uint64(1)
	for _, r := range rs {
		r.n, r.lines = n, nil
		l := rooms[r.room]
		if l == nil {
			l = new(link)
			rooms[r.room] = l
		}
		if rechain {
			r.prev = l.tip
			if r.kind == closeRecord {
				r.prev = l.window
				for i := range r.digest {
					r.digest[i] = l.msgs[i]
				}
			}
		}
		r.encode()
		switch r.kind {
		case windowRecord:
			l.window, l.msgs = r.sum, nil
		case msgRecord:
			l.msgs = append(l.msgs, r.sum)
		}
		l.tip = r.sum
		n = r.last() + 1
	}
	return layOut(rs...)
}

func TestAttackerWithTheDisk(t *testing.T) {
	t.Parallel()
	alice := ageReader(t, "alice")
	p, file := told(t, alice)
	head, err := p.h.Head(chat.General)
	if err != nil {
		t.Fatal(err)
	}
	msg := func(rs []*record, room string, seq uint64) int {
		return slices.IndexFunc(rs, func(r *record) bool { return r.room.String() == room && r.seq == seq })
	}
	row := attack.On(t, attack.Files, "truncate, reorder or mix the history")
	ways := []struct {
		name    string
		rechain bool
		attack  func(rs []*record) []*record
		want    error
	}{
		{"nothing", true, func(rs []*record) []*record { return rs }, nil},
		{"deleted-record", false, func(rs []*record) []*record {
			i := msg(rs, "general", 8)
			return slices.Delete(rs, i, i+1)
		}, ErrRolledBack},
		{"deleted-record-in-the-middle", false, func(rs []*record) []*record {
			i := msg(rs, "general", 7)
			return slices.Delete(rs, i, i+1)
		}, ErrDamaged},
		{"deleted-close", false, func(rs []*record) []*record {
			i := slices.IndexFunc(rs, func(r *record) bool { return r.kind == closeRecord })
			return slices.Delete(rs, i, i+1)
		}, ErrDamaged},
		{"moved-body", true, func(rs []*record) []*record {
			a, b := rs[msg(rs, "general", 7)], rs[msg(rs, "general", 8)]
			a.body, b.body = b.body, a.body
			return rs
		}, ErrDamaged},
		{"body-from-another-room", true, func(rs []*record) []*record {
			rs[msg(rs, "general", 7)].body = rs[msg(rs, "side", 7)].body
			return rs
		}, ErrDamaged},
		{"repeated-message", true, func(rs []*record) []*record {
			i := msg(rs, "general", 8)
			again := *rs[i]
			again.seq++
			return append(rs, &again)
		}, ErrDamaged},
		{"reordered-records", false, func(rs []*record) []*record {
			i, j := msg(rs, "general", 7), msg(rs, "general", 8)
			rs[i], rs[j] = rs[j], rs[i]
			return rs
		}, ErrDamaged},
		{"renamed-room", true, func(rs []*record) []*record {
			for _, r := range rs {
				if r.room == chat.General {
					r.room = mustRoom(t, "other")
				}
			}
			return rs
		}, ErrDamaged},
		{"rolled-back", true, func(rs []*record) []*record { return rs[:msg(rs, "general", 8)] }, ErrRolledBack},
		{"emptied", true, func([]*record) []*record { return nil }, ErrRolledBack},
		{"rewritten-to-nobody", true, func(rs []*record) []*record {
			for _, r := range rs { // a hostile server seals something else; only the head tells
				if r.kind == windowRecord && r.room == chat.General {
					r.heads = nil
				}
			}
			return rs
		}, ErrRolledBack},
		{"newest-head-swapped", true, func(rs []*record) []*record {
			i := slices.IndexFunc(rs, func(r *record) bool { return r.kind == windowRecord && r.room == chat.General && r.w == 2 })
			rs[i].heads = rs[0].heads
			return rs
		}, ErrDamaged},
	}
	row.Tried("%d ways, most with a recomputed chain", len(ways)-1)
	for _, c := range ways {
		t.Run(c.name, func(t *testing.T) {
			forged := forge(c.attack(records(t, file)), c.rechain)
			o := &Opener{Identities: []age.Identity{alice.id}}
			if c.want != ErrDamaged { // what shows by itself must show without a head
				o.Head = &head
			}
			if _, err := openAll(bytes.NewReader(forged), o); !errors.Is(err, c.want) {
				t.Errorf("%v, not %v", err, c.want)
			}
			// In a folder it is not taken for what a server is just writing.
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, liveName), forged, 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := readDir(dir, alice); c.want != ErrRolledBack && !errors.Is(err, c.want) {
				t.Errorf("in a folder: %v, not %v", err, c.want)
			}
		})
	}
	if _, err := openAll(bytes.NewReader(file), &Opener{Identities: []age.Identity{alice.id}}); err != nil {
		t.Errorf("control: without a head: %v", err)
	}
	row.Held("found by the chain and the sealed positions, or if these are valid, by a remembered head")
	row.Control("the intact history opens, with and without the head")
}

// What was remembered early still leads up to what is there later.
func TestOldHeadsHold(t *testing.T) {
	t.Parallel()
	alice := ageReader(t, "alice")
	p := newPlace(t, alice)
	p.opt.Window = 3
	p.open()
	var heads []Head
	for range 8 {
		h, err := p.h.Head(chat.General)
		if err != nil {
			t.Fatal(err)
		}
		heads = append(heads, h)
		p.sayMany(alice, 1)
	}
	for _, h := range heads {
		again, err := ParseHead(h.Line())
		if h.N > 0 && (err != nil || again != h) {
			t.Fatalf("%+v is read as %+v, %v", h, again, err)
		}
		if _, err := openAll(bytes.NewReader(p.file()), &Opener{Identities: []age.Identity{alice.id}, Head: &h}); err != nil {
			t.Errorf("head %+v: %v", h, err)
		}
	}
}

func TestOpenerTriesHeads(t *testing.T) {
	t.Parallel()
	alice, bob := ageReader(t, "alice"), ageReader(t, "bob")
	p := newPlace(t, alice)
	p.keys[bob.name] = []age.Recipient{bob.to}
	p.open()
	p.sayMany(alice, 2)
	p.commit(change(chat.General, chat.Join, bob.name))
	p.sayMany(alice, 3)
	for _, c := range []struct {
		o             Opener
		lines, passed int
	}{
		{Opener{Identities: []age.Identity{bob.id}}, 3, 2},
		{Opener{Identities: []age.Identity{bob.id}, Name: bob.name}, 3, 2},
		{Opener{Identities: []age.Identity{bob.id}, Name: alice.name}, 0, 5},
		{Opener{Identities: []age.Identity{bob.id, alice.id}}, 5, 0},
	} {
		lines, err := openAll(bytes.NewReader(p.file()), &c.o)
		if err != nil || len(lines) != c.lines || c.o.Passed != c.passed {
			t.Errorf("as %s: %d lines, %d passed, %v", c.o.Name, len(lines), c.o.Passed, err)
		}
	}
	for range (&Opener{Identities: []age.Identity{alice.id}}).Lines(bytes.NewReader(p.file())) {
		break // a caller may stop
	}
}

// Whoever can write the folder adds messages of anybody, with public keys alone: neither messages nor windows are signed.
// SECURITY.md says so; a head shows what was before it, and not what came after.
func TestWhatTheChainCannotShow(t *testing.T) {
	t.Parallel()
	alice := ageReader(t, "alice")
	p, _ := told(t, alice)
	head, err := p.h.Head(chat.General)
	if err != nil {
		t.Fatal(err)
	}
	p.kill()
	mallory := newPlace(t, alice) // who has a program like ours, and the recipients of alice
	mallory.dir = p.dir
	mallory.open()
	mallory.commit(mallory.message(chat.General, alice.name, "I resign"))
	if err := mallory.h.Close(); err != nil {
		t.Fatal(err)
	}
	lines, err := openAll(bytes.NewReader(mallory.file()), &Opener{Identities: []age.Identity{alice.id}, Head: &head})
	if err != nil || !slices.ContainsFunc(lines, func(l Line) bool { return l.From == alice.name && l.Text == "I resign" }) {
		t.Errorf("it is found out, and SECURITY.md says otherwise: %v", err)
	}
}

func TestAttackerWithTheTar(t *testing.T) {
	t.Parallel()
	alice := ageReader(t, "alice")
	p, _ := told(t, alice)
	var whole bytes.Buffer
	if err := p.h.Tar(&whole, alice.name, []chat.RoomName{chat.General, mustRoom(t, "side")}, nil); err != nil {
		t.Fatal(err)
	}
	head, err := p.h.Head(chat.General)
	if err != nil {
		t.Fatal(err)
	}
	type entry struct {
		name string
		body []byte
	}
	row := attack.On(t, attack.Files, "truncate, reorder or mix the output of history --tar")
	ways := []struct {
		name   string
		attack func(files []entry) []entry
		want   error
	}{
		{"nothing", func(f []entry) []entry { return f }, nil},
		{"renamed", func(f []entry) []entry {
			f[0].name = tarName{chat.General, 1, 2, 4}.String()
			return f
		}, ErrDamaged},
		{"swapped", func(f []entry) []entry { f[0].body, f[1].body = f[1].body, f[0].body; return f }, ErrDamaged},
		{"reordered", func(f []entry) []entry { f[0], f[1] = f[1], f[0]; return f }, ErrDamaged},
		{"repeated", func(f []entry) []entry { return slices.Insert(f, 1, f[0]) }, ErrDamaged},
		{"path", func(f []entry) []entry { f[0].name = "../" + f[0].name; return f }, ErrDamaged},
		{"cut body", func(f []entry) []entry { f[0].body = f[0].body[:len(f[0].body)-1]; return f }, ErrDamaged},
		{"rolled back", func(f []entry) []entry { return f[:1] }, ErrRolledBack},
	}
	for _, c := range ways {
		var files []entry
		r := tar.NewReader(bytes.NewReader(whole.Bytes()))
		for {
			h, err := r.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, entry{h.Name, b})
		}
		var forged bytes.Buffer
		w := tar.NewWriter(&forged)
		for _, f := range c.attack(files) {
			if err := w.WriteHeader(&tar.Header{Name: f.name, Size: int64(len(f.body)), Mode: 0o600}); err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write(f.body); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		_, err := openAll(&forged, &Opener{Identities: []age.Identity{alice.id}, Head: &head})
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, not %v", c.name, err, c.want)
		}
	}
	row.Tried("%d ways", len(ways)-1)
	row.Held("found by the chain and the sealed positions")
	row.Control("the intact tar opens")
}

func TestOpenerRefusesOtherFiles(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"", "{}", `{"format":"sshchat-history/3","records":[` + "\n]}\n", "hello", strings.Repeat("x", 2000)} {
		if _, err := openAll(strings.NewReader(s), &Opener{}); !errors.Is(err, ErrFormat) {
			t.Errorf("%.20q: %v", s, err)
		}
	}
}

func FuzzOpener(f *testing.F) {
	f.Add(layOut())
	f.Add([]byte("not a tar"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if lines, err := openAll(bytes.NewReader(b), &Opener{}); err == nil && len(lines) > 0 {
			t.Error("lines without a key")
		}
	})
}
