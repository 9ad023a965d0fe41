package cluster

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/chat/journaltest"
	"sshchat/sshchat/cluster/natstest"
	"sshchat/sshchat/limit"
	"sshchat/sshchat/text"
	"sshchat/store"
	"sshchat/store/accounts"
	"sshchat/store/audit"
	"sshchat/store/durable/powercut"
	"sshchat/store/durable/testdisk"
	"sshchat/store/history"
	"sshchat/store/journal"
	markfile "sshchat/store/marks"

	"filippo.io/age"
	"filippo.io/age/agessh"
)

// site is a node of a test: its folder, and its process, which can be started again.
type site struct {
	name, dir string
	o         journaltest.Options
	servers   *natstest.Cluster
	log       *slog.Logger
	pace      *pace    // nil: fast
	via       []string // URLs instead of the servers' own
	mute      bool     // as a node of an older version, it repeats no nonces when it leads
	newest    int      // format of the log that it knows; 0: that of this version
	disk      fullDisk
	deaf      bool // it opens no packets of texts

	accounts *accounts.Store
	history  *history.History
	audit    *audit.Log
	marks    *markfile.Store
	journal  *journal.Journal
	attempts *limit.LoginAttempts // of which five are looked at
	node     *Node
	hub      atomic.Pointer[chat.Hub] // nil while the process is gone
	stopHub  context.CancelFunc
	hubEnded chan error
	stopNode context.CancelFunc
	ended    chan error // of Node.Run
}

// open opens the folder.
func (s *site) open() (err error) {
	if s.accounts, err = accounts.OpenOn(&s.disk, s.dir, accounts.Options{WorkFactor: 4, FlushEvery: -1, Log: s.log}); err != nil {
		return err
	}
	state := s.accounts.View().State
	s.history, err = history.OpenOn(&s.disk, s.dir, history.Options{
		Recipients: s.accounts.Recipients, State: state, Rooms: state.Rooms(), Window: s.o.Window, Rotate: s.o.Rotate, Log: s.log,
		Submit: func(e chat.Event) error { return s.hub.Load().Store(e) },
	})
	if err != nil {
		return err
	}
	if s.audit, err = audit.OpenOn(&s.disk, s.dir, time.Now, s.log); err != nil {
		return err
	}
	if s.marks, err = markfile.Open(s.dir, markfile.Options{Log: s.log}); err != nil {
		return err
	}
	if s.journal, err = journal.New(s.accounts, s.history, s.audit, s.log); err == nil {
		s.journal.Tallies = s.marks
	}
	return err
}

func (s *site) close() error {
	return errors.Join(s.history.Close(), s.accounts.Close(), s.audit.Close(), s.marks.Close())
}

func (s *site) config() Config {
	urls := s.via
	if urls == nil {
		urls = s.servers.URLs()
	}
	return Config{
		Servers: urls, NKey: s.servers.NKeyFile(), Node: s.name, Data: s.dir, Version: "test",
		Journal: s.journal, Accounts: s.accounts, Marks: s.marks, Flush: s.marks.Flush, Log: s.log.With("node", s.name), pace: cmp.Or(s.pace, &fast), newest: s.newest,
	}
}

// start starts the process.
func (s *site) start() error {
	if _, err := Adopt(context.Background(), s.config()); err != nil {
		return err
	}
	if err := s.open(); err != nil {
		return err
	}
	node, err := Open(context.Background(), s.config())
	if err != nil {
		return errors.Join(err, s.close())
	}
	s.node = node
	node.nodes.mute.Store(s.mute)
	c := chat.Config{State: s.accounts.View().State, Last: s.history.Last(), Clock: s.accounts.Moment, Log: s.log}
	node.HubConfig(&c)
	hub := chat.NewHub(c)
	s.attempts = limit.NewLoginAttempts(time.Now, 5, 5)
	s.attempts.Share(s.marks.Tallies(), hub.Attempt)
	hub.CountBy(s.attempts)
	node.Attach(hub)
	s.hubEnded, s.ended = make(chan error, 1), make(chan error, 1)
	s.stopHub = background(hub.Run, s.hubEnded)
	s.stopNode = background(node.Run, s.ended)
	s.hub.Store(hub)
	return nil
}

// background has run run until it is stopped.
func background(run func(context.Context) error, ended chan<- error) (stop context.CancelFunc) {
	ctx, stop := context.WithCancel(context.Background())
	go func() { ended <- run(ctx) }()
	return stop
}

// stop ends the process in order.
func (s *site) stop() error {
	if s.node == nil {
		return nil // it has crashed
	}
	s.hub.Store(nil)
	s.stopHub()
	err := <-s.hubEnded
	s.stopNode()
	return errors.Join(err, s.drained(), s.node.Close(), s.close())
}

// drained waits until the node has ended, whose hub takes nothing more.
func (s *site) drained() error {
	for {
		select {
		case err := <-s.ended:
			return err
		case <-s.node.Events():
		}
	}
}

// crash ends the process without a word: nothing that it does from here on reaches a server.
func (s *site) crash() {
	s.hub.Store(nil)
	s.node.peers.Close()
	s.node.nc.Close()
	s.stopHub()
	<-s.hubEnded
	s.stopNode()
	s.drained()
	s.node.terms.leader().end()
	s.node.Follow()
	s.close() // what the folder holds is durable before it counts
	s.node = nil
}

// found makes the folder of the first node, whose State has all of them, the cluster, and the folders of the others.
func found(t testing.TB, servers *natstest.Cluster, nodes int, o journaltest.Options, log *slog.Logger) (sites []*site) {
	t.Helper()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for i := range nodes {
		dir := filepath.Join(t.TempDir(), fmt.Sprintf("n%d", i+1))
		check(os.Mkdir(dir, 0o700))
		sites = append(sites, &site{name: fmt.Sprintf("n%d", i+1), dir: dir, servers: servers, log: log, o: o})
	}
	first := sites[0]
	check(first.open())
	hub := chat.NewHub(chat.Config{Journal: first.journal, State: first.accounts.View().State, Last: first.history.Last(), Clock: first.accounts.Moment, Log: log})
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- hub.Run(ctx) }()
	for _, s := range sites {
		key, err := NodeKey(s.dir)
		check(err)
		check(hub.Decide(ctx, chat.TheServer, chat.AddNode{Node: chat.Node{Name: s.name, Key: key}}, nil))
	}
	stop()
	check(<-ended)
	check(first.close())
	check(Init(context.Background(), first.config(), servers.Len()))
	for _, s := range sites[1:] {
		names, err := os.ReadDir(first.dir)
		check(err)
		for _, name := range names {
			if name.Name() == store.NodeKeyFile {
				continue
			}
			b, err := os.ReadFile(filepath.Join(first.dir, name.Name()))
			check(err)
			check(os.WriteFile(filepath.Join(s.dir, name.Name()), b, 0o600))
		}
	}
	return sites
}

// rig is nodes over real servers, for package journaltest.
type rig struct {
	sites   []*site
	servers *natstest.Cluster
	log     *slog.Logger
}

// quiet is a log that a test shows if it is asked for.
func quiet(testing.TB) *slog.Logger {
	if os.Getenv("SSHCHAT_CLUSTER_LOG") != "" {
		return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	return slog.New(slog.DiscardHandler)
}

// newRig starts nodes over as many servers.
func newRig(t testing.TB, servers *natstest.Cluster, nodes int, o journaltest.Options) *rig {
	t.Helper()
	return newRigAt(t, servers, nodes, o, &fast)
}

// newRigAt is newRig at another pace.
func newRigAt(t testing.TB, servers *natstest.Cluster, nodes int, o journaltest.Options, at *pace) *rig {
	t.Helper()
	r := &rig{servers: servers, log: quiet(t)}
	r.sites = found(t, servers, nodes, o, r.log)
	for _, s := range r.sites {
		s.pace = at
	}
	if err := r.startAll(r.sites); err != nil {
		t.Fatal(err)
	}
	return r
}

// startAll starts processes at the same time.
func (r *rig) startAll(sites []*site) error {
	errs := make([]error, len(sites))
	var starts sync.WaitGroup
	for i, s := range sites {
		starts.Go(func() { errs[i] = s.start() })
	}
	starts.Wait()
	return errors.Join(errs...)
}

func (r *rig) Hubs() (all []*chat.Hub) {
	for _, s := range r.sites {
		all = append(all, s.hub.Load())
	}
	return all
}

func (r *rig) Restart(which ...int) error {
	if len(which) == 0 {
		for i := range r.sites {
			which = append(which, i)
		}
	}
	var sites []*site
	for _, i := range which {
		r.sites[i].crash()
		sites = append(sites, r.sites[i])
	}
	return r.startAll(sites)
}

// Move implements journaltest.Mover.
func (r *rig) Move(i int) error {
	n := r.sites[i].node
	for deadline := time.Now().Add(20 * time.Second); !n.Here(); time.Sleep(5 * time.Millisecond) {
		if err := n.campaign(context.Background()); err != nil && !errors.Is(err, errTaken) {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("node %s does not come to lead", n.c.Node)
		}
	}
	return nil
}

func (r *rig) Fault(f journaltest.Fault) error {
	if f == journaltest.Sound {
		return nil
	}
	return sound
}

const sound = journaltest.Unsupported("the disks of this rig are sound: package journal breaks them")

func (r *rig) Dead() error { return nil }

func (r *rig) Stored(i int, who journaltest.Person, room chat.RoomName) ([]chat.Message, error) {
	identity, err := agessh.NewEd25519Identity(who.Private)
	if err != nil {
		return nil, err
	}
	u, err := r.sites[i].history.Unlock(who.Name, room, []age.Identity{identity})
	if err != nil {
		return nil, err
	}
	defer u.Wipe()
	all, _, _, err := u.Read(1, 1<<62)
	chat.Settle(all)
	return all, err
}

func (r *rig) Share(who journaltest.Person, room chat.RoomName) error {
	identity, err := agessh.NewEd25519Identity(who.Private)
	if err == nil {
		_, _, err = r.sites[len(r.sites)-1].history.Share(who.Name, []chat.RoomName{room}, []age.Identity{identity})
	}
	return err
}

// password is one that is sealed, which takes a while.
var password = sync.OnceValues(func() (a chat.Account, err error) {
	dir, err := os.MkdirTemp("", "sshchat-password-")
	if err != nil {
		return a, err
	}
	defer os.RemoveAll(dir)
	s, err := accounts.Open(dir, accounts.Options{WorkFactor: 4, FlushEvery: -1, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return a, err
	}
	defer s.Close()
	name, err := text.ParseName("somebody")
	if err != nil {
		return a, err
	}
	return s.NewAccount(context.Background(), name, chat.User, nil, []byte("correct horse battery staple"))
})

func (r *rig) Password() (string, chat.Opaque) {
	a, err := password()
	if err != nil {
		panic(err)
	}
	return a.Recipient, a.Secret
}

func (r *rig) Close() error {
	var errs []error
	for _, s := range r.sites {
		errs = append(errs, s.stop())
	}
	return errors.Join(errs...)
}

// The journal passes what every journal has to: of one node, and of three of which any leads.
func TestJetStreamSuite(t *testing.T) {
	t.Parallel()
	if powercut.Race { // tests of faults have the same goroutines; this takes minutes
		t.Skip("it is for what is stored, and runs without the race detector")
	}
	for _, nodes := range []int{1, 3} {
		if nodes == 1 && !journaltest.Long() {
			continue // three are one, and more
		}
		t.Run(fmt.Sprintf("%d nodes", nodes), func(t *testing.T) {
			journaltest.Run(t, 3, func(t testing.TB, o journaltest.Options) journaltest.Rig {
				if o.Fault != journaltest.Sound {
					t.Skip(sound) // before anything is started
				}
				if (o.Window == 1 || o.Rotate > 0 && o.Window == 0) && !journaltest.Long() {
					t.Skip("windows and rotation are the folder's, and nothing of them is in the log: TestJournalSuite in store/journal has them with three folders")
				}
				return newRig(t, natstest.StartOne(t), nodes, o)
			})
		})
	}
}

// TestMain has more tests run at the same time than there are processors: most of the time they wait for elections.
func TestMain(m *testing.M) {
	testdisk.InMemory()
	flag.Parse()
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	if os.Getenv("GOGC") == "" { // a good part of the time would go to garbage, of nodes that are here and end soon
		debug.SetGCPercent(400)
	}
	os.Exit(m.Run())
}

// fast is for tests of what is stored, and not of who waits.
var fast = pace{save: 100 * time.Millisecond, heartbeat: 100 * time.Millisecond, look: 40 * time.Millisecond, campaign: 300 * time.Millisecond, spread: 100 * time.Millisecond, alive: 200 * time.Millisecond, fence: 5 * time.Second, greet: 50 * time.Millisecond, doubt: 12 * time.Second, texts: 5 * time.Second}
