package cluster

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sshchat/sshchat/attack"
	"sshchat/sshchat/chat/journaltest"
	"sshchat/sshchat/cluster/natstest"
	"sshchat/store"
	"sshchat/store/durable/powercut"
)

// harmed is a chat whose log is damaged again and again, while people talk on its nodes.
type harmed struct {
	*crowd
	t    testing.TB
	rand *rand.Rand
	old  []string // copies of the servers' storage, from before
}

// harm is a kind of damage. It returns what it has done.
type harm struct {
	name string
	do   func(*harmed) string
}

// The stream, by whoever administers the servers: another is made in its place, with what they like in it.
var replacing = []harm{
	{"a message deleted", func(h *harmed) string {
		return h.replace(func(all [][]byte) [][]byte { i := h.rand.IntN(len(all)); return slices.Delete(all, i, i+1) })
	}},
	{"cut short", func(h *harmed) string {
		return h.replace(func(all [][]byte) [][]byte { return all[:h.rand.IntN(len(all))] })
	}},
	{"its beginning deleted", func(h *harmed) string {
		return h.replace(func(all [][]byte) [][]byte { return all[1+h.rand.IntN(len(all)-1):] })
	}},
	{"two messages swapped", func(h *harmed) string {
		return h.replace(func(all [][]byte) [][]byte {
			i := h.rand.IntN(len(all) - 1)
			all[i], all[i+1] = all[i+1], all[i]
			return all
		})
	}},
	{"a message altered", func(h *harmed) string {
		return h.replace(func(all [][]byte) [][]byte {
			one := all[h.rand.IntN(len(all))]
			one[h.rand.IntN(len(one))] ^= 1 << h.rand.IntN(8)
			return all
		})
	}},
	{"a message twice", func(h *harmed) string {
		return h.replace(func(all [][]byte) [][]byte {
			i := h.rand.IntN(len(all))
			return slices.Insert(all, i, all[i])
		})
	}},
	{"messages of nobody in place of all", func(h *harmed) string {
		return h.replace(func(all [][]byte) [][]byte {
			for i := range all {
				all[i] = fmt.Appendf(nil, "%s and what else another chat seals, as its message %d", magic, i)
			}
			return append(all, all[:min(len(all), 3)]...)
		})
	}},
	{"deleted", func(h *harmed) string { h.deleteStream(h.t); return "the stream" }},
}

const anOldCopy = "an old copy put back"

// The files of the servers, while they are stopped.
var filing = []harm{
	{"bits flipped", func(h *harmed) string {
		return h.offline(h.some(), func(i int) {
			for range 1 + h.rand.IntN(8) {
				path, b := h.block(i)
				b[h.rand.IntN(len(b))] ^= 1 << h.rand.IntN(8)
				h.write(path, b)
			}
		})
	}},
	{"files truncated", func(h *harmed) string {
		return h.offline(h.some(), func(i int) {
			path, b := h.block(i)
			h.write(path, b[:h.rand.IntN(len(b))])
		})
	}},
	{"pages swapped", func(h *harmed) string {
		return h.offline(h.some(), func(i int) {
			path, b := h.block(i)
			size := len(b) / 4
			for k := range size {
				b[k], b[2*size+k] = b[2*size+k], b[k]
			}
			h.write(path, b)
		})
	}},
	{"messages' files deleted", func(h *harmed) string {
		return h.offline(h.some(), func(i int) {
			path, _ := h.block(i)
			if err := os.Remove(path); err != nil {
				h.t.Error(err)
			}
		})
	}},
	{anOldCopy, func(h *harmed) string {
		return h.offline(h.some(), func(i int) {
			dir := h.servers.StoreDir(i)
			if err := errors.Join(os.RemoveAll(dir), os.CopyFS(dir, os.DirFS(h.old[i]))); err != nil {
				h.t.Error(err)
			}
		})
	}},
}

func (h *harmed) replace(edit func([][]byte) [][]byte) string { return h.replaceStream(h.t, edit) }

// replaceStream puts another stream in the place of the one that is there, with what edit makes of its messages.
func (r *rig) replaceStream(t testing.TB, edit func([][]byte) [][]byte) string {
	t.Helper()
	log := &stream{nc: r.servers.ConnectAdmin(t, 0)}
	is, err := log.info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var all [][]byte
	for next := is.State.First; next <= is.State.Last; {
		got, err := log.get(t.Context(), next, getAtOnce, func(s stored) error {
			all, next = append(all, slices.Clone(s.payload)), s.seq+1
			return nil
		})
		if err != nil || got == 0 {
			t.Fatalf("%d messages: %v", got, err)
		}
	}
	before := len(all)
	all = edit(all)
	r.deleteStream(t)
	if err := askPatiently(t.Context(), r.log, func() error {
		return log.create(t.Context(), is.Config.Metadata[genesisKey], r.servers.Len(), time.Hour)
	}); err != nil {
		t.Fatal(err)
	}
	for i, b := range all {
		if err := askPatiently(t.Context(), r.log, func() error { return log.publish(t.Context(), uint64(i), b) }); err != nil && !errors.Is(err, errTaken) {
			t.Fatal(err) // nodes that run may have come first
		}
	}
	return fmt.Sprintf("%d messages, of %d", len(all), before)
}

// some is one, two or all of the servers.
func (h *harmed) some() []int { return h.rand.Perm(h.servers.Len())[:1+h.rand.IntN(h.servers.Len())] }

// offline does something to the storage of some servers while all are stopped.
func (h *harmed) offline(which []int, do func(i int)) string {
	for i := range h.servers.Len() {
		h.servers.Kill(i)
	}
	for _, i := range which {
		do(i)
	}
	h.restartServers()
	return fmt.Sprintf("on %d of %d servers", len(which), h.servers.Len())
}

// block is a file with messages of the stream, or of the servers' own log of them.
func (h *harmed) block(i int) (path string, b []byte) {
	var all []string
	for _, pattern := range []string{"$G/streams/" + streamName + "/msgs/*.blk", "$SYS/_js_/S-*/msgs/*.blk"} {
		found, err := filepath.Glob(filepath.Join(h.servers.StoreDir(i), "jetstream", filepath.FromSlash(pattern)))
		if err != nil {
			h.t.Fatal(err)
		}
		all = append(all, found...)
	}
	for _, k := range h.rand.Perm(len(all)) {
		b, err := os.ReadFile(all[k])
		if err == nil && len(b) > 8 {
			return all[k], b
		}
	}
	h.t.Fatalf("server %d has no messages: %s", i, all)
	return "", nil
}

func (h *harmed) write(path string, b []byte) {
	if err := os.WriteFile(path, b, 0o600); err != nil {
		h.t.Error(err)
	}
}

// keepOld copies the servers' storage, for later.
func (h *harmed) keepOld() {
	if h.old != nil {
		return
	}
	h.offline(nil, nil)
	for i := range h.servers.Len() {
		h.servers.WaitReady(h.t, i)
	}
	for i := range h.servers.Len() {
		h.servers.Kill(i)
	}
	for i := range h.servers.Len() {
		dir := filepath.Join(h.t.TempDir(), "old")
		if err := os.CopyFS(dir, os.DirFS(h.servers.StoreDir(i))); err != nil {
			h.t.Fatal(err)
		}
		h.old = append(h.old, dir)
	}
	h.restartServers()
}

// restartServers returns when they take connections. They may find that their files are damaged.
func (h *harmed) restartServers() {
	h.t.Helper()
	for i := range h.servers.Len() {
		h.servers.Restart(i)
	}
	for i, address := range h.servers.URLs() {
		for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
			conn, err := net.Dial("tcp", strings.TrimPrefix(address, "nats://"))
			if err == nil {
				conn.Close()
				break
			}
			if time.Now().After(end) {
				h.t.Fatalf("server %d does not start: %v\n%s", i, err, h.servers.Log(i))
			}
		}
	}
}

// halt stops all nodes that run, the last of them last. A log that is broken is no error.
func (h *harmed) halt() {
	h.t.Helper()
	for _, s := range h.sites {
		if s.node == nil {
			continue
		}
		if err := s.stop(); err != nil && !isBroken(err) && !errors.Is(err, errTaken) {
			h.t.Logf("node %s: %v", s.name, err)
		}
		s.node = nil
	}
}

func isBroken(err error) bool {
	broken := (*BrokenError)(nil)
	return errors.As(err, &broken)
}

// outcome is what the nodes do about damage: why they take nothing more, or nil if it made no difference.
func (h *harmed) outcome() (broken []error) {
	h.t.Helper()
	from := h.ackedBy()
	for end := time.Now().Add(90 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		broken = nil
		on := 0
		for i, s := range h.sites {
			switch now := h.ackedBy(); {
			case s.node.broken.Load() != nil:
				broken = append(broken, s.node.broken.Load())
			case now[i] >= from[i]+5:
				on++
			}
		}
		if len(broken)+on == len(h.sites) {
			return broken
		}
	}
	h.t.Fatalf("neither does the chat go on nor do all nodes stop: %v, %+v", broken, h.status())
	return nil
}

// ackedBy counts what was acknowledged, by node.
func (h *harmed) ackedBy() []int {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := make([]int, len(h.sites))
	for _, s := range h.all {
		if s.err == nil {
			n[slices.IndexFunc(h.sites, func(o *site) bool { return o.name == s.node })]++
		}
	}
	return n
}

// starts starts all nodes, the one that was stopped last before the others, as docs/cluster.md says, and returns why they do not. Those
// that do are stopped again if others do not.
func (h *harmed) starts() (broken []error) {
	h.t.Helper()
	for _, s := range slices.Backward(h.sites) {
		err := s.start()
		if err != nil && !isBroken(err) {
			h.t.Errorf("node %s: it is not said what of the log is broken: %v", s.name, err)
		}
		if err != nil {
			s.node = nil
			broken = append(broken, err)
		}
	}
	if broken != nil {
		h.halt()
	}
	return broken
}

// round does one harm, to a chat that runs or is stopped, and has it go on afterwards. It returns what happened.
func (h *harmed) round(one harm) string {
	h.t.Helper()
	h.more(30)
	if one.name == anOldCopy {
		h.keepOld()
		h.more(30)
	}
	running := h.rand.IntN(2) == 0
	var broken []error
	did := ""
	if running {
		did = one.do(h)
		if broken = h.outcome(); broken == nil {
			h.pause()
			h.halt()
			broken = h.starts() // what is old is read then
		} else {
			h.pause()
			h.halt()
		}
	} else {
		h.pause()
		h.halt()
		did = one.do(h)
		broken = h.starts()
	}
	for _, err := range broken {
		if !strings.Contains(err.Error(), "message ") {
			h.t.Errorf("it names no message: %v", err)
		}
	}
	if broken != nil {
		h.repair()
		h.check()
	}
	h.goOn()
	h.more(30)
	state := map[bool]string{true: "running", false: "stopped"}[running]
	if broken == nil {
		return fmt.Sprintf("%s (%s, %s): no difference", one.name, did, state)
	}
	return fmt.Sprintf("%s (%s, %s): %d nodes stop: %v", one.name, did, state, len(broken), broken[0])
}

// control puts the same messages into a new stream: then the log is not damaged.
func (h *harmed) control() {
	h.t.Helper()
	h.more(30)
	h.pause()
	h.halt()
	h.replace(func(all [][]byte) [][]byte { return all })
	if broken := h.starts(); broken != nil {
		h.t.Errorf("the control: %v", broken)
	}
	h.goOn()
}

// repair makes the log anew from the folder that has the most, as docs/cluster.md says, and starts all nodes.
func (h *harmed) repair() {
	h.t.Helper()
	most, reaches := h.sites[0], Reach{}
	for _, s := range h.sites {
		at, err := ReadPosition(s.dir)
		if err != nil {
			h.t.Fatal(err)
		}
		if at.Reach.beyond(reaches) {
			most, reaches = s, at.Reach
		}
	}
	ctx, cancel := context.WithTimeout(h.t.Context(), 2*time.Minute)
	defer cancel()
	err := most.rebuild(ctx, Rebuilding{})
	if errors.Is(err, ErrInOrder) { // for this one
		err = most.rebuild(ctx, Rebuilding{Force: true})
	}
	if errors.Is(err, ErrStream) {
		h.deleteStream(h.t)
		err = most.rebuild(ctx, Rebuilding{})
	}
	if err != nil {
		h.t.Fatalf("rebuild from node %s: %v", most.name, err)
	}
	if err := most.start(); err != nil {
		h.t.Fatal(err)
	}
	for _, s := range h.sites {
		if s == most {
			continue
		}
		err := s.start()
		if errors.Is(err, ErrUnfit) { // it was started alone, and went on where the damaged log ended
			h.t.Logf("node %s is made anew: %v", s.name, err)
			h.reseed(s, most)
			err = s.start()
		}
		if err != nil {
			h.t.Fatal(err)
		}
	}
}

// reseed makes a node's folder anew, of a copy of another's.
func (h *harmed) reseed(s, of *site) {
	h.t.Helper()
	if err := of.stop(); err != nil {
		h.t.Fatal(err)
	}
	key, err := os.ReadFile(filepath.Join(s.dir, store.NodeKeyFile))
	if err == nil {
		err = errors.Join(os.RemoveAll(s.dir), os.CopyFS(s.dir, os.DirFS(of.dir)))
	}
	if err == nil {
		path := filepath.Join(s.dir, store.NodeKeyFile) // which has the mode of a copy
		err = errors.Join(os.Remove(path), os.WriteFile(path, key, 0o600))
	}
	if err == nil {
		err = of.start()
	}
	if err != nil {
		h.t.Fatal(err)
	}
}

// I damage the log of a chat: its stream by the servers' administrator, or the files of the servers, of one of them or of all; while the
// nodes run, or while they are stopped. Each time either nothing is different, or all nodes that it matters to stop and name the message,
// and the log is made anew from the node that has the most. In the end everything that was acknowledged is stored on all nodes, once and
// in order. The control: the same messages in another stream are the same log.
func TestAttackDamagedLog(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Nodes, "damage the log of a cluster")
	seed := powercut.Seed(t)
	t.Logf("seed %d", seed)
	rounds, kinds := map[int]int{1: journaltest.Times(1, 50), 3: journaltest.Times(1, 50)}, slices.Concat(replacing, filing)
	for servers, n := range rounds {
		t.Run(fmt.Sprintf("%d servers", servers), func(t *testing.T) {
			t.Parallel()
			start := map[int]func(testing.TB, ...natstest.Option) *natstest.Cluster{1: natstest.StartOne, 3: natstest.Start}[servers]
			r := newRigAt(t, start(t), 3, journaltest.Options{}, &brisk)
			h := &harmed{crowd: r.talk(t, 6, 5*time.Millisecond), t: t, rand: rand.New(rand.NewPCG(seed, uint64(servers)))}
			if servers == 1 {
				h.control()
			}
			order := h.rand.Perm(len(kinds))
			stops := 0
			for i := range n {
				said := h.round(kinds[order[i%len(order)]])
				if strings.Contains(said, "nodes stop") {
					stops++
				}
				t.Logf("%d: %s", i+1, said)
			}
			h.end()
			t.Logf("figure: %d times damaged, %d times the nodes stopped and the log was made anew; %d messages, none missing", n, stops, h.acks.Load())
			if err := r.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	row.Tried("%d kinds: messages deleted, cut short, swapped, altered, doubled or replaced, the stream deleted; and bits flipped, files truncated, mixed or deleted, and old copies put back, on one server or on all; while nodes run, or before they start", len(kinds))
	row.Held("messages name the SHA-256 of the one before, and nodes compare the stream with what they have: they stop, and name the message, or nothing is different; the log is made anew from a node's folder, and nothing that was acknowledged is missing")
	row.Control("another stream with the same messages is the same log, and the chat goes on")
}
