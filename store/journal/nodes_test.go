package journal_test

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/cluster/wire"
	"sshchat/sshchat/text"
	"sshchat/store/accounts"
	"sshchat/store/audit"
	"sshchat/store/durable"
	"sshchat/store/history"
	"sshchat/store/journal"

	"filippo.io/age"
	"filippo.io/age/agessh"
	"golang.org/x/crypto/ssh"
)

var quiet = slog.New(slog.DiscardHandler)

// folder is a data folder, opened, and its journal.
type folder struct {
	disk     durable.FS
	accounts *accounts.Store
	history  *history.History
	audit    *audit.Log
	submits  bool // its history's own events go to a hub
	*journal.Journal
}

// settings are what tests set otherwise.
type settings struct {
	window int
	rotate int64
	flush  time.Duration // as accounts.Options has it; 0: users.json is written only when somebody waits for it
	synced func(time.Duration)
	submit func(chat.Event) error // as history.Options has it
}

// openFolder opens the folder on the disk, and makes it if there is none.
func openFolder(d durable.FS, s settings) (f *folder, err error) {
	f = &folder{disk: d, submits: s.submit != nil}
	if f.accounts, err = accounts.OpenOn(d, "data", accounts.Options{WorkFactor: 4, FlushEvery: cmp.Or(s.flush, -1)}); err != nil {
		return nil, fmt.Errorf("accounts: %w", err)
	}
	state := f.accounts.View().State
	f.history, err = history.OpenOn(d, "data", history.Options{
		Recipients: f.accounts.Recipients, State: state, Rooms: state.Rooms(), Window: s.window, Rotate: s.rotate, Log: quiet, Synced: s.synced, Submit: s.submit,
	})
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	if f.audit, err = audit.OpenOn(d, "data", time.Now, quiet); err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	f.Journal, err = journal.New(f.accounts, f.history, f.audit, quiet)
	return f, err
}

func (f *folder) close() error {
	return errors.Join(f.history.Close(), f.accounts.Close(), f.audit.Close())
}

// hub is a hub over the folder.
func (f *folder) hub(leader chat.Leader, applied uint64) *chat.Hub {
	return chat.NewHub(chat.Config{
		Journal: f, State: f.accounts.View().State, Last: f.history.Last(), Applied: applied, Clock: f.accounts.Moment, Leader: leader, Log: quiet,
	})
}

// run runs the hub until stop is called.
func run(h *chat.Hub) (stop func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- h.Run(ctx) }()
	return func() error { cancel(); return <-ended }
}

// person is somebody with a key.
type person struct {
	chat.Caller
	key      chat.Key
	identity age.Identity
}

func newPerson(t testing.TB, name string) person {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	line, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	p := person{}
	if p.key, err = accounts.ParseKey(string(ssh.MarshalAuthorizedKey(line))); err != nil {
		t.Fatal(err)
	}
	if p.identity, err = agessh.NewEd25519Identity(private); err != nil {
		t.Fatal(err)
	}
	if p.Name, err = text.ParseName(name); err != nil {
		t.Fatal(err)
	}
	p.Key, p.Verified = p.key.Fingerprint, true
	p.Login.Key = p.Key
	return p
}

// enrol makes an account of the person's.
func (p *person) enrol(f *folder, h *chat.Hub, role chat.Role) error {
	a, err := f.accounts.NewAccount(context.Background(), p.Name, role, []chat.Key{p.key}, nil)
	if err != nil {
		return err
	}
	p.Login.Account = a.ID
	return h.Decide(context.Background(), chat.TheServer, chat.CreateAccount{Account: a}, nil)
}

func mustText(t testing.TB, said string) chat.Text {
	t.Helper()
	clean, err := text.ParseText(said)
	if err != nil {
		t.Fatal(err)
	}
	return clean
}

func (p person) say(h *chat.Hub, room chat.RoomName, said string) error {
	clean, err := text.ParseText(said)
	if err == nil {
		_, err = h.Post(context.Background(), p.Caller, room, chat.Say, clean)
	}
	return err
}

// reads is what the person's key opens of the room.
func (p person) reads(f *folder, room chat.RoomName) (said []string, err error) {
	all, err := stored(f.history, p.Name, room, p.identity)
	for _, m := range all {
		said = append(said, m.Text.String())
	}
	return said, err
}

// nodes are folders over one log in memory, in which each place is taken once.
type nodes struct {
	mu   sync.Mutex
	n    uint64  // guarded by mu; of the last batch
	log  []entry // guarded by mu
	more sync.Cond
}

// entry is what was published as it travels: what the log keeps, and who said what beside it.
type entry struct{ log, texts []byte }

// decode is what another folder gets of it, with who said what or, if the texts were lost, without.
func (e entry) decode(lost bool) (journal.Sealed, error) {
	s, err := wire.DecodeBatch(e.log)
	if err != nil || e.texts == nil {
		return s, err
	}
	if lost {
		wire.MissTexts(&s, func(chat.RequestID) (chat.Post, chat.Name, bool) { return chat.Post{}, chat.Name{}, false })
		return s, nil
	}
	return s, wire.AddTexts(&s, e.texts)
}

func newNodes() *nodes {
	n := &nodes{}
	n.more.L = &n.mu
	return n
}

// publish is Journal.Publish of the leader.
func (n *nodes) publish(s journal.Sealed) error {
	var e entry
	var err error
	if e.log, e.texts, err = wire.EncodeBatch(s); err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if s.Batch != nil {
		if s.Batch.N != n.n+1 {
			return chat.ErrBehind
		}
		n.n++
	}
	n.log = append(n.log, e)
	n.more.Broadcast()
	return nil
}

// after is what was published after the first i, when there is any; nil once until is closed.
func (n *nodes) after(i int, until context.Context) []entry {
	stop := context.AfterFunc(until, func() { n.mu.Lock(); n.more.Broadcast(); n.mu.Unlock() })
	defer stop()
	n.mu.Lock()
	defer n.mu.Unlock()
	for len(n.log) <= i && until.Err() == nil {
		n.more.Wait()
	}
	return n.log[min(i, len(n.log)):]
}
