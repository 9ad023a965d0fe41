package history

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"filippo.io/age"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
	"sshchat/store/durable"
	"sshchat/store/durable/powercut"
)

// logged is a batch as a log between several histories has it.
type logged struct {
	lines [][]byte
	said  []chat.Message
	last  uint64 // the n of its last line
}

// town is people who talk in rooms, and the log of what they say, which one history drafts and all of them take.
type town struct {
	t       testing.TB
	r       *rand.Rand
	opt     Options
	names   []chat.Name
	mu      sync.Mutex // guards keys, which Recipients reads from other goroutines
	keys    map[chat.Name]reader
	rooms   map[chat.RoomName]map[chat.Name]bool
	banned  map[chat.Name]bool
	seqs    map[chat.RoomName]uint64
	own     map[chat.RoomName][]chat.Message // what may be amended
	state   *chat.State
	changes uint64
	now     time.Time

	leader    *History
	followers []*History
	log       []logged
}

// cheap is a recipient whose heads nobody opens, and that cost nothing.
type cheap string

func (c cheap) Wrap([]byte) ([]*age.Stanza, error) {
	return []*age.Stanza{{Type: "cheap", Args: []string{string(c)}, Body: make([]byte, 32)}}, nil
}

func (c cheap) String() string { return string(c) }

// readers is how many people of a town can open what is sealed to them.
const readers = 3

func newTown(t testing.TB, seed uint64, people, window int, rotate int64) *town {
	v := &town{t: t, r: rand.New(rand.NewPCG(seed, 3)), keys: make(map[chat.Name]reader), rooms: make(map[chat.RoomName]map[chat.Name]bool),
		banned: make(map[chat.Name]bool), seqs: make(map[chat.RoomName]uint64), own: make(map[chat.RoomName][]chat.Message),
		now: time.Date(2026, 11, 26, 1, 2, 3, 456e6, time.UTC)}
	for i := range people {
		r := reader{name: mustName(t, fmt.Sprintf("person%02d", i))}
		r.to = cheap(r.name.String())
		if i < readers {
			r = ageReader(t, r.name.String())
		}
		v.names, v.keys[r.name] = append(v.names, r.name), r
	}
	for _, room := range []chat.RoomName{chat.General, mustRoom(t, "side"), mustRoom(t, "quiet")} {
		v.rooms[room] = make(map[chat.Name]bool)
	}
	for _, n := range v.names {
		v.rooms[chat.General][n] = true
	}
	v.decide()
	v.opt = Options{
		Recipients: func(s *chat.State, _ chat.RoomName, n chat.Name) []age.Recipient {
			if s == nil {
				s = v.state
			}
			if _, banned := (chat.View{State: s}).Banned(n, netip.Addr{}, ""); banned {
				return nil
			}
			v.mu.Lock()
			defer v.mu.Unlock()
			return []age.Recipient{v.keys[n].to}
		},
		Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return v.now },
		Window: window, Rotate: rotate, NoSync: true,
	}
	return v
}

// decide makes the State as it is now.
func (v *town) decide() *chat.State {
	v.changes++
	var parts chat.Parts
	for _, name := range slices.SortedFunc(maps.Keys(v.rooms), chat.RoomName.Compare) {
		room := chat.RoomState{Name: name}
		for _, n := range v.names {
			if v.rooms[name][n] {
				room.Members = append(room.Members, chat.Member{Name: n, Since: 1})
			}
		}
		if !name.IsDirect() {
			parts.Rooms = append(parts.Rooms, room)
		}
	}
	for _, n := range v.names {
		if v.banned[n] {
			parts.Bans = append(parts.Bans, chat.Sanction{User: n})
		}
	}
	v.state = chat.NewState(parts)
	return v.state
}

func pick[T any](r *rand.Rand, of []T) T { return of[r.IntN(len(of))] }

func (v *town) event() chat.Event {
	room := pick(v.r, slices.SortedFunc(maps.Keys(v.rooms), chat.RoomName.Compare))
	who := pick(v.r, v.names)
	change := func(c chat.Change) chat.Event {
		return chat.Event{Room: room, Change: c, Name: who, State: v.decide()}
	}
	switch v.r.IntN(40) {
	case 0:
		v.rooms[room][who] = true
		return change(chat.Join)
	case 1:
		if room != chat.General {
			delete(v.rooms[room], who)
			return change(chat.Leave)
		}
	case 2:
		if v.banned[who] = !v.banned[who]; v.banned[who] {
			return change(chat.Revoke)
		}
		return change(chat.Rekey)
	case 3:
		room = text.Direct(v.names[0], who)
		if who == v.names[0] {
			room = chat.General
		}
	}
	m := chat.Message{Room: room, Seq: v.seqs[room] + 1, At: v.now, From: who, Kind: chat.Say}
	said := v.own[room]
	if len(said) > 0 && v.r.IntN(8) == 0 {
		of := said[max(0, len(said)-1-v.r.IntN(40))]
		m.Kind, m.Of, m.From = chat.Edit, of.Seq, of.From
		if v.r.IntN(2) == 0 {
			m.Kind = chat.Delete
		}
	}
	if m.Kind != chat.Delete {
		words, err := text.ParseText(strings.Repeat("word ", 1+v.r.IntN(20)) + fmt.Sprint(m.Seq))
		if err != nil {
			v.t.Fatal(err)
		}
		m.Text = words
	}
	v.seqs[room]++
	if m.Of == 0 {
		v.own[room] = append(said, m)
	}
	return chat.Event{Room: room, Message: m}
}

// publish has the draft logged, and stored by all.
func (v *town) publish(tx *Transaction, events []chat.Event) error {
	e := logged{lines: tx.Records()}
	if n := len(tx.records); n > 0 {
		e.last = tx.records[n-1].last()
	}
	for _, ev := range events {
		if ev.Change == chat.NoChange && ev.Stored == nil {
			e.said = append(e.said, ev.Message)
		}
	}
	v.log = append(v.log, e)
	if err := tx.Store(); err != nil {
		return err
	}
	for _, f := range v.followers {
		if err := f.Replicate(e.lines, e.said); err != nil {
			return err
		}
	}
	return nil
}

func (v *town) commit(events []chat.Event) error {
	tx, err := v.leader.NewTransaction(events, v.changes)
	if err != nil {
		return err
	}
	if err := v.publish(tx, events); err != nil {
		return err
	}
	for {
		tx, err := v.leader.NewRotation(false)
		if err != nil || tx == nil {
			return err
		}
		if err := v.publish(tx, nil); err != nil {
			return err
		}
	}
}

func (v *town) talk(batches int) {
	v.t.Helper()
	for range batches {
		events := make([]chat.Event, 1+v.r.IntN(6))
		for i := range events {
			events[i] = v.event()
		}
		v.now = v.now.Add(time.Second)
		if err := v.commit(events); err != nil {
			v.t.Fatal(err)
		}
		if v.r.IntN(60) == 0 {
			v.share(pick(v.r, v.names[:readers]))
		}
	}
}

// share has one whose key is another now open with it what was sealed to the one before.
func (v *town) share(who chat.Name) {
	v.t.Helper()
	if v.banned[who] {
		return
	}
	old, next := v.keys[who], ageReader(v.t, who.String())
	v.mu.Lock()
	v.keys[who] = next
	v.mu.Unlock()
	if err := v.commit([]chat.Event{{Room: chat.General, Change: chat.Revoke, Name: who}}); err != nil {
		v.t.Fatal(err)
	}
	at := pick(v.r, append(slices.Clip(v.followers), v.leader)) // any node makes the heads; the leader stores them
	at.opt.Submit = func(e chat.Event) error {
		b, err := EncodeStored(e.Stored)
		if err == nil {
			e.Stored, err = DecodeStored(b)
		}
		if err != nil {
			return err
		}
		return v.commit([]chat.Event{e})
	}
	if _, _, err := at.Share(who, []chat.RoomName{chat.General}, []age.Identity{old.id, next.id}); err != nil {
		v.t.Fatal(err)
	}
}

// lead has another history draft from here on.
func (v *town) lead(next *History, orderly bool) {
	v.t.Helper()
	if orderly {
		tx, err := v.leader.NewEndTransaction()
		if err == nil {
			err = v.publish(tx, nil)
		}
		if err != nil {
			v.t.Fatal(err)
		}
	}
	v.followers = append(slices.DeleteFunc(v.followers, func(h *History) bool { return h == next }), v.leader)
	v.elect(next)
}

func (v *town) elect(h *History) {
	v.leader = h
	h.opt.Submit = func(e chat.Event) error { return v.commit([]chat.Event{e}) }
	h.Lead(v.state)
}

// recordLines are the lines of a file.
func recordLines(file []byte) (lines [][]byte) {
	for line := range bytes.Lines(file) {
		if line = bytes.TrimSpace(line); bytes.HasPrefix(line, []byte(`{"n":`)) {
			lines = append(lines, line)
		}
	}
	return lines
}

// differ says what is not the same in two histories, of which read returns the files; "" for nothing.
func differ(a, b func(name string) []byte, archives int) string {
	for n := 1; n <= archives; n++ {
		if x, y := a(archiveName(n)), b(archiveName(n)); len(x) == 0 || !bytes.Equal(x, y) {
			return fmt.Sprintf("archive %d: %d and %d bytes", n, len(x), len(y))
		}
	}
	x, y := recordLines(a(liveName)), recordLines(b(liveName))
	if !slices.EqualFunc(x, y, bytes.Equal) {
		return fmt.Sprintf("%d and %d lines", len(x), len(y))
	}
	return ""
}

// Three folders hold one history, byte for byte, whichever of them drafts.
func TestReplicasAreEqual(t *testing.T) {
	powercut.Start(t) // the histories are called from one goroutine
	const long = 1 << 20
	for _, c := range []struct {
		name            string
		people, batches int
		window          int
		rotate          int64
	}{
		{"default windows", 64, powercut.Points(20, 1000), 0, int64(powercut.Points(16<<10, long))},
		{"windows of 1", 12, powercut.Points(14, 400), 1, int64(powercut.Points(16<<10, long))},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			v := newTown(t, powercut.Seed(t), c.people, c.window, c.rotate)
			var dirs []string
			var all []*History
			for range 3 {
				dir := t.TempDir()
				h, err := Open(dir, v.opt)
				if err != nil {
					t.Fatal(err)
				}
				defer h.Close()
				dirs, all = append(dirs, dir), append(all, h)
			}
			v.followers = all[1:]
			v.elect(all[0])
			v.talk(c.batches)
			v.lead(all[1], true)
			v.talk(c.batches)
			v.lead(all[2], false) // as after a crash of the one before
			v.talk(c.batches)
			read := func(dir string) func(string) []byte {
				return func(name string) []byte {
					b, err := fs.ReadFile(os.DirFS(dir), name)
					if err != nil {
						t.Error(err)
					}
					return b
				}
			}
			archives := len(all[0].archives)
			if archives < 3 {
				t.Errorf("%d archives", archives)
			}
			v.agree(dirs, all)
			for i := range dirs[1:] {
				if d := differ(read(dirs[0]), read(dirs[i+1]), archives); d != "" {
					t.Errorf("folder %d: %s", i+2, d)
				}
			}
			t.Logf("%d batches, %d archives, %d lines", len(v.log), archives, all[0].segment.n)
		})
	}
}

// agree sees that all folders verify, and read as the same to everybody, from the files and through the server.
func (v *town) agree(dirs []string, all []*History) {
	v.t.Helper()
	first, err := Verify(dirs[0], nil)
	if err != nil {
		v.t.Fatal(err)
	}
	var wantFiles [readers][]string // what each of those reads in the first folder
	var wantShown [readers][]chat.Message
	for i, dir := range dirs {
		report, err := Verify(dir, first.Rooms)
		if err != nil || report.Records != first.Records || !slices.Equal(report.Rooms, first.Rooms) {
			v.t.Errorf("folder %d: %+v, %v", i+1, report, err)
		}
		for k, n := range v.names[:readers] {
			files, err := readDir(dir, v.keys[n])
			if err != nil || len(files) == 0 {
				v.t.Errorf("folder %d: %s reads %d messages; %v", i+1, n, len(files), err)
			}
			shown, err := readLast(all[i], n, chat.General, 1<<62, 50, []age.Identity{v.keys[n].id})
			if err != nil {
				v.t.Error(err)
			}
			if i == 0 {
				wantFiles[k], wantShown[k] = files, shown
				continue
			}
			if !slices.Equal(files, wantFiles[k]) {
				v.t.Errorf("folder %d: %s reads %d messages, in the first %d", i+1, n, len(files), len(wantFiles[k]))
			}
			if !slices.Equal(shown, wantShown[k]) {
				v.t.Errorf("folder %d shows %s other messages", i+1, n)
			}
		}
		// The lines in memory are those of what was said, as the leader's own are.
		x, y := all[0].index[chat.General].tail, all[i].index[chat.General].tail
		if k := min(len(x), len(y)); k == 0 || !slices.EqualFunc(x[len(x)-k:], y[len(y)-k:], bytes.Equal) {
			v.t.Errorf("folder %d remembers %d lines, the first %d", i+1, len(y), len(x))
		}
	}
}

// recorded is the log of a history of so many batches, and the disk of its leader.
func recorded(t testing.TB, seed uint64, batches int) (*town, *powercut.Disk) {
	v := newTown(t, seed, 6, 9, 24<<10)
	disk := powercut.New()
	h, err := open(disk, "data", v.opt)
	if err != nil {
		t.Fatal(err)
	}
	v.elect(h)
	v.talk(batches)
	v.lead(h, false) // a batch of one, or none, like any other
	v.followers = nil
	v.talk(batches / 3)
	t.Cleanup(func() { h.Close() })
	return v, disk
}

func contentOf(d *powercut.Disk) func(string) []byte {
	return func(name string) []byte { return d.Content("data/" + name) }
}

// A replica whose power is cut at any write goes on from its last record, and is equal again: nothing that it took is
// lost. The control is a disk whose syncs do nothing.
func TestReplicaCatchesUpAfterPowerCuts(t *testing.T) {
	powercut.Start(t)
	seed := powercut.Seed(t)
	v, leader := recorded(t, seed, 150)
	v.opt.NoSync = false
	r := rand.New(rand.NewPCG(seed, 11))
	replay := func(lies bool) (cuts, lost int) {
		d := powercut.New()
		var taken uint64
		for {
			d.Lie(lies)
			d.Fail(1+r.IntN(24), errors.New("the power is gone"))
			h, err := open(d, "data", v.opt)
			if err == nil {
				if h.segment.n < taken {
					lost++
				}
				from := slices.IndexFunc(v.log, func(e logged) bool { return e.last > h.segment.n })
				if from < 0 {
					from = len(v.log)
				}
				if lies && h.segment.n < taken {
					return cuts, lost
				}
				for _, e := range v.log[max(0, from-1-r.IntN(3)):] { // what it has already is passed over
					if err = h.Replicate(e.lines, e.said); err != nil {
						break
					}
					taken = max(taken, e.last)
				}
				if err == nil {
					d.Heal()
					if diff := differ(contentOf(leader), contentOf(d), len(v.leader.archives)); diff != "" {
						t.Fatalf("seed %d, after %d cuts: %s", seed, cuts, diff)
					}
					return cuts, lost
				}
				if !d.Failed() {
					t.Fatalf("seed %d, after %d cuts: %v", seed, cuts, err)
				}
				h.halt()
			} else if lies {
				return cuts, lost + 1
			} else if !d.Failed() {
				t.Fatalf("seed %d: what a power cut left is refused: %v", seed, err)
			}
			cuts++
			d = d.Cut(r)
		}
	}
	cuts := 0
	for cuts < powercut.Points(80, 10_000) {
		n, lost := replay(false)
		if lost > 0 {
			t.Fatalf("seed %d: %d times a replica lost what it had taken", seed, lost)
		}
		cuts += n
	}
	lost := 0
	for range 20 {
		_, n := replay(true)
		lost += n
	}
	if lost == 0 {
		t.Error("a disk whose syncs do nothing loses nothing: this test proves nothing")
	}
	t.Logf("figure: crash points of a replica tried %d, records it had taken and lost 0, batches %d", cuts, len(v.log))
}

// A replica refuses what does not follow, changes nothing then, and goes on with what does. Without the checks the files
// would differ: the controls.
func TestReplicaRefusesWhatDoesNotFollow(t *testing.T) {
	powercut.Start(t)
	v, leader := recorded(t, powercut.Seed(t), 60)
	rotates := slices.IndexFunc(v.log, func(e logged) bool { return len(e.lines) > 0 && bytes.Contains(e.lines[0], []byte(`"t":"start"`)) })
	says := slices.IndexFunc(v.log, func(e logged) bool { return len(e.lines) > 2 && bytes.Contains(e.lines[1], []byte(`"t":"msg"`)) })
	if rotates < 2 || says < 0 || says > rotates {
		t.Skip("this log does not begin so")
	}
	after := func(at int) logged {
		for at++; len(v.log[at].lines) == 0; at++ {
		}
		return v.log[at]
	}
	upTo := func(n int) (*History, *powercut.Disk) { return follower(t, v.opt, v.log[:n]) }
	flipped := func(e logged, sum bool) [][]byte {
		lines := slices.Clone(e.lines)
		at := len(lines) - 1
		line := bytes.Clone(lines[at])
		i := bytes.LastIndex(line, []byte(`,"crc"`)) - 9
		if line[i]++; line[i] > 'z' || line[i] == ':' || line[i] == '[' || line[i] == '{' {
			line[i] = 'A'
		}
		if sum {
			line = reseal(line)
		}
		lines[at] = line
		return lines
	}
	for name, c := range map[string]struct {
		at    int
		lines func(logged) [][]byte
	}{
		"the batch after it":             {says, func(logged) [][]byte { return after(says).lines }},
		"a batch without its first line": {says, func(e logged) [][]byte { return e.lines[1:] }},
		"a byte that is another":         {says, func(e logged) [][]byte { return flipped(e, false) }},
		"lines the wrong way round": {says, func(e logged) [][]byte {
			lines := slices.Clone(e.lines)
			slices.Reverse(lines)
			return lines
		}},
		"one of the batch before, changed": {says + 1, func(e logged) [][]byte { return slices.Concat(flipped(v.log[says], true), e.lines) }},
		"a start and something else":       {rotates, func(e logged) [][]byte { return slices.Concat(e.lines, after(rotates).lines) }},
	} {
		h, d := upTo(c.at)
		before := d.Clone()
		err := h.Replicate(c.lines(v.log[c.at]), nil)
		if err == nil {
			t.Errorf("%s: taken", name)
			continue
		}
		if diff := differ(contentOf(before), contentOf(d), len(h.archives)); diff != "" {
			t.Errorf("%s: refused, and changed: %s", name, diff)
		}
		if names, err := d.Names("data"); err != nil || len(names) != len(h.archives)+1 {
			t.Errorf("%s: refused, and there is %q", name, names)
		}
		for _, e := range v.log[c.at:] {
			if err := h.Replicate(e.lines, e.said); err != nil {
				t.Fatalf("%s: it does not go on: %v", name, err)
			}
		}
		if diff := differ(contentOf(leader), contentOf(d), len(v.leader.archives)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	unchecked(t, v, upTo)
}

// unchecked are the controls: a replica that drops a batch, takes one twice, or has another byte, differs.
func unchecked(t *testing.T, v *town, upTo func(int) (*History, *powercut.Disk)) {
	t.Helper()
	const at = 2
	put := func(h *History, lines [][]byte) {
		for i := 0; i < len(lines); {
			r, err := leadingRecord(lines[i:])
			if err != nil {
				t.Fatal(err)
			}
			if err := h.segment.append([]*record{r}); err != nil {
				t.Fatal(err)
			}
			i += len(r.lines)
		}
	}
	_, whole := upTo(at + 1)
	for name, take := range map[string]func(h *History){
		"nothing is wrong": func(h *History) { put(h, v.log[at-1].lines); put(h, v.log[at].lines) },
		"a batch dropped":  func(h *History) { put(h, v.log[at].lines) },
		"one taken twice": func(h *History) {
			put(h, v.log[at-1].lines)
			put(h, v.log[at-1].lines)
			put(h, v.log[at].lines)
		},
	} {
		h, d := upTo(at - 1)
		take(h)
		if diff := differ(contentOf(whole), contentOf(d), 0); (diff == "") != (name == "nothing is wrong") {
			t.Errorf("%s: %q", name, diff)
		}
	}
	// An archive that comes out as another is refused by the start record.
	rotates := slices.IndexFunc(v.log, func(e logged) bool { return len(e.lines) > 0 && bytes.Contains(e.lines[0], []byte(`"t":"start"`)) })
	h, d := upTo(rotates)
	f, err := d.Open(livePath)
	if err != nil {
		t.Fatal(err)
	}
	file := d.Content(livePath)
	lines := recordLines(file)
	i := slices.IndexFunc(lines, func(l []byte) bool {
		return bytes.Contains(l, []byte(`"t":"close"`)) && bytes.Contains(l, []byte(`"body"`))
	})
	other := bytes.Clone(lines[i])
	other[bytes.Index(other, []byte(`"body":"`))+9] ^= 1
	if _, err := f.WriteAt(reseal(other), int64(bytes.Index(file, lines[i]))); err != nil {
		t.Fatal(err)
	}
	if err := h.Replicate(v.log[rotates].lines, nil); !errors.Is(err, ErrDamaged) {
		t.Errorf("an archive that differs is taken: %v", err)
	}
	if d.Has("data/" + archiveName(1)) {
		t.Error("the archive that was refused is left")
	}
}

// follower is a history that has taken these, on a disk of its own.
func follower(t testing.TB, opt Options, log []logged) (*History, *powercut.Disk) {
	t.Helper()
	d := powercut.New()
	h, err := open(d, "data", opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	for _, e := range log {
		if err := h.Replicate(e.lines, e.said); err != nil {
			t.Fatal(err)
		}
	}
	return h, d
}

// A history that follows drafts nothing until it leads; one that led and follows has no window any more.
func TestFollowingAndLeading(t *testing.T) {
	t.Parallel()
	v, _ := recorded(t, 1, 20)
	h, _ := follower(t, v.opt, v.log)
	if _, err := h.NewTransaction(nil, 0); !errors.Is(err, errFollowing) {
		t.Errorf("it drafts: %v", err)
	}
	if got, want := h.Last(), v.leader.Last(); !maps.Equal(got, want) {
		t.Errorf("it has %v, the leader %v", got, want)
	}
	if h.Change() != v.leader.Change() || h.Change() == 0 {
		t.Errorf("it stands on change %d, the leader on %d", h.Change(), v.leader.Change())
	}
	open := 0
	var spent []*keyring
	for _, r := range v.leader.rooms {
		if r.open {
			open++
			spent = append(spent, r.at.keys)
		}
	}
	old := v.leader
	v.lead(h, false)
	v.talk(1)
	for _, r := range old.rooms {
		if r.open || len(r.ahead) > 0 {
			t.Errorf("%s has a window in a history that follows", r.name)
		}
	}
	for _, k := range spent {
		if k.msgs != nil {
			t.Error("a window's keys are kept")
		}
	}
	if open == 0 {
		t.Error("no window was open: this test proves nothing")
	}
}

// A leader that cannot write what it has published follows, as soon as it can write again, and has the same as the others.
func TestLeaderWhoseWriteFails(t *testing.T) {
	powercut.Start(t)
	v, _ := recorded(t, 2, 10)
	var disks []*powercut.Disk
	var all []*History
	for range 2 {
		h, d := follower(t, v.opt, v.log)
		disks, all = append(disks, d), append(all, h)
	}
	v.followers = nil
	v.elect(all[0])
	v.talk(3)
	e := v.event()
	tx, err := v.leader.NewTransaction([]chat.Event{e}, v.changes)
	if err != nil {
		t.Fatal(err)
	}
	v.log = append(v.log, logged{lines: tx.Records(), said: []chat.Message{e.Message}})
	disks[0].FailFrom(1, syscall.ENOSPC)
	if len(tx.Records()) == 0 {
		tx.Rollback()
	} else if tx.Store() == nil {
		t.Error("stored on a full disk")
	}
	disks[0].Heal()
	for _, h := range all {
		for _, e := range v.log {
			if err := h.Replicate(e.lines, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	if diff := differ(contentOf(disks[0]), contentOf(disks[1]), len(all[1].archives)); diff != "" {
		t.Error(diff)
	}
	v.elect(all[0])
	v.followers = all[1:]
	v.talk(5)
	if diff := differ(contentOf(disks[0]), contentOf(disks[1]), len(all[1].archives)); diff != "" {
		t.Error(diff)
	}
}

// Only shared heads travel between nodes, whole and for one reader: a leader drafts nothing else for another node.
func TestStoredEventsTravel(t *testing.T) {
	t.Parallel()
	alice, bob := ageReader(t, "alice"), ageReader(t, "bob")
	one := func(w uint64, name chat.Name, tag string) *record {
		return &record{kind: shareRecord, room: chat.General, w: w, tag: tag, prev: sum{byte(w)}, heads: []namedHead{{name, strings.Repeat("head\"\n", 1000)}}}
	}
	s := &sharedHeads{[]*record{one(1, alice.name, "tag"), one(2, alice.name, "tag")}}
	b, err := EncodeStored(s)
	if err != nil {
		t.Fatal(err)
	}
	what, err := DecodeStored(b)
	if err != nil {
		t.Fatal(err)
	}
	got := what.(*sharedHeads)
	for i, r := range got.records {
		want := s.records[i]
		if r.w != want.w || r.room != want.room || r.tag != want.tag || r.prev != want.prev || !slices.Equal(r.heads, want.heads) {
			t.Errorf("record %d is %+v, not %+v", i, r, want)
		}
	}
	if again, err := EncodeStored(got); err != nil || !bytes.Equal(again, b) || len(got.records) != 2 {
		t.Errorf("encoded again it is another: %v", err)
	}
	for what, records := range map[string][]*record{
		"for two readers": {one(1, alice.name, "tag"), one(2, bob.name, "tag")},
		"for other keys":  {one(1, alice.name, "tag"), one(2, alice.name, "other")},
		"without a sum":   {one(0, alice.name, "tag")},
		"a message":       {{kind: msgRecord, room: chat.General, w: 1, seq: 1, body: make([]byte, 100)}},
		"too many":        slices.Repeat([]*record{one(1, alice.name, "tag")}, shareBatch+1),
		"none":            nil,
	} {
		b, err := EncodeStored(&sharedHeads{records})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := DecodeStored(b); err == nil {
			t.Errorf("decoded: %s", what)
		}
	}
	if _, err := EncodeStored("something else"); err == nil {
		t.Error("encoded what is not the history's")
	}
}

func FuzzDecodeStored(f *testing.F) {
	alice := ageReader(f, "alice")
	b, err := EncodeStored(&sharedHeads{[]*record{{kind: shareRecord, room: chat.General, w: 1, tag: "tag", prev: sum{1}, heads: []namedHead{{alice.name, "head"}}}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		lines := bytes.Split(b, []byte("\n"))
		for i, line := range lines {
			if at := len(line) - crcSize; at > 0 {
				lines[i] = appendCRC(bytes.Clone(line[:at]), line[:at])
			}
		}
		what, err := DecodeStored(bytes.Join(lines, []byte("\n")))
		if err != nil {
			return
		}
		again, err := EncodeStored(what)
		if err != nil {
			t.Fatalf("decoded, and not encoded: %v", err)
		}
		if _, err := DecodeStored(again); err != nil {
			t.Fatalf("encoded, and not decoded: %v", err)
		}
	})
}

// Whatever lines are to be taken, a history that refuses them is as it was.
func FuzzTake(f *testing.F) {
	v, _ := recorded(f, 3, 8)
	h, d := follower(f, v.opt, v.log[:len(v.log)-1])
	for _, e := range v.log[len(v.log)-2:] {
		f.Add(bytes.Join(e.lines, []byte("\n")))
	}
	f.Add([]byte(summed(fmt.Sprintf(`{"n":%d,"t":"window","room":"general","w":1,"prev":"","ok":0,"b":0,"parts":2,"heads":{}`, h.segment.n+1))))
	before := recordLines(d.Content(livePath))
	f.Fuzz(func(t *testing.T, b []byte) {
		lines := bytes.Split(b, []byte("\n"))
		for i, line := range lines {
			if at := len(line) - crcSize; at > 0 {
				lines[i] = appendCRC(bytes.Clone(line[:at]), line[:at])
			}
		}
		if h.Replicate(lines, nil) != nil {
			if !slices.EqualFunc(recordLines(d.Content(livePath)), before, bytes.Equal) {
				t.Error("refused, and changed")
			}
			return
		}
		before = recordLines(d.Content(livePath))
		s, err := scanSegment(bytes.NewReader(d.Content(livePath)))
		for rooms := make(chain); err == nil; {
			var r *record
			if r, err = s.next(); err == nil {
				if err := rooms.follow(r); err != nil {
					t.Fatalf("taken, and it does not follow: %v", err)
				}
			}
		}
		if !errors.Is(err, io.EOF) {
			t.Errorf("taken, and not read back: %v", err)
		}
	})
}

// readCounter counts the bytes that are read of a file.
type readCounter struct {
	durable.File
	bytes int64
}

func (r *readCounter) ReadAt(b []byte, at int64) (int, error) {
	r.bytes += int64(len(b))
	return r.File.ReadAt(b, at)
}

// After a crash a replica gets again what it has. All of it is compared, and the file is read once for that, not once a batch.
func TestReplicaComparesInOnePass(t *testing.T) {
	powercut.Start(t)
	v, _ := recorded(t, powercut.Seed(t), 200)
	all := slices.DeleteFunc(slices.Clone(v.log), func(e logged) bool { return len(e.lines) == 0 })
	if i := slices.IndexFunc(all, func(e logged) bool { return bytes.Contains(e.lines[0], []byte(`"t":"start"`)) }); i > 0 {
		all = all[:i]
	}
	h, _ := follower(t, v.opt, all)
	counter := &readCounter{File: h.segment.file}
	h.segment.file = counter
	for range 2 { // and it may begin again
		counter.bytes = 0
		for i, e := range all {
			if err := h.Replicate(e.lines, nil); err != nil {
				t.Fatalf("batch %d again: %v", i, err)
			}
		}
		if most := h.segment.size + 2*pageSize; counter.bytes > most {
			t.Errorf("%d batches came again: %d bytes were read of a file of %d", len(all), counter.bytes, h.segment.size)
		}
	}
	last := all[len(all)-1]
	for i, e := range all[:len(all)-1] { // one that differs is refused amid them
		if err := h.Replicate(e.lines, nil); err != nil {
			t.Fatalf("batch %d again: %v", i, err)
		}
	}
	line := bytes.Clone(last.lines[len(last.lines)-1])
	at := bytes.LastIndex(line, []byte(`,"crc"`)) - 9
	line[at] = map[bool]byte{true: 'B', false: 'A'}[line[at] == 'A']
	wrong := append(slices.Clone(last.lines[:len(last.lines)-1]), reseal(line))
	if err := h.Replicate(wrong, nil); err == nil {
		t.Error("a batch that differs from the one that is there is taken")
	}
	if err := h.Replicate(last.lines, nil); err != nil {
		t.Errorf("after that: %v", err)
	}
}
