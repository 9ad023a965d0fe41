package command

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/chat/journaltest"
	"sshchat/sshchat/past"
	"sshchat/sshchat/text"

	"filippo.io/age"
)

// rig is a chat in memory with a session for one person, to run commands in.
type rig struct {
	t         testing.TB
	hub       *chat.Hub
	log       *journaltest.Memory
	passwords *passwords
	history   *sealedPast
	services  *Services
	me        chat.Name
	face      UI
	session   *fakeSession
	only      chat.Only // what the key of the login is restricted to
}

// rigKey is the key that everybody of a rig logs in with. It opens nothing.
var rigKey = chat.Key{Line: "ssh-ed25519 rig", Fingerprint: "SHA256:rig"}

// newRig runs a chat of the people named; the first of them gives the commands, in the chat.
func newRig(t testing.TB, people ...string) *rig {
	t.Helper()
	return newRigIn(t, chat.RoomState{Name: chat.General}, people...)
}

// newRigIn is newRig where #general is not new. Who is no member of it yet is one since its beginning.
func newRigIn(t testing.TB, general chat.RoomState, people ...string) *rig {
	t.Helper()
	return newRigOver(t, func(n *journaltest.Node) chat.Journal { return n }, general, people...)
}

// newRigOver is newRigIn over what makes another journal of the one in memory.
func newRigOver(t testing.TB, over func(*journaltest.Node) chat.Journal, general chat.RoomState, people ...string) *rig {
	t.Helper()
	r := &rig{t: t, passwords: &passwords{}, history: &sealedPast{}, face: Chat}
	var all []chat.Account
	for _, p := range people {
		n := name(t, p)
		all = append(all, chat.Account{
			ID: "id-" + p, Name: n, Role: chat.User, Created: time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC), Keys: []chat.Key{rigKey},
		})
		if !slices.ContainsFunc(general.Members, func(m chat.Member) bool { return m.Name == n }) {
			general.Members = append(general.Members, chat.Member{Name: n, Since: 1})
		}
	}
	last := map[chat.RoomName]uint64{general.Name: general.Last}
	general.Last = 0
	r.log = journaltest.NewMemory(chat.NewState(chat.Parts{Accounts: all, Rooms: []chat.RoomState{general}}))
	node, state, applied := r.log.Join()
	r.hub = chat.NewHub(chat.Config{
		Journal: over(node), State: state, Applied: applied, Last: last, Clock: journaltest.Now, Log: slog.New(slog.DiscardHandler),
	})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.hub.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	r.services = &Services{
		Hub: r.hub, Accounts: accounts{}, Passwords: r.passwords, History: r.history, Commands: NewRegistry(),
		ServerName: "test", Themes: []string{"dusk", "mono"},
		Log: slog.New(slog.DiscardHandler),
	}
	r.services.SetEntrance(Entrance{Address: "NAME@chat.host"})
	r.as(people[0])
	return r
}

// as has another person give the commands, in a new session.
func (r *rig) as(who string) {
	r.me = name(r.t, who)
	r.session = &fakeSession{room: chat.General}
}

// run gives a command and returns all that the person sees of it.
func (r *rig) run(line string) (seen string, err error) {
	r.t.Helper()
	return r.runIn(context.Background(), line)
}

// runIn is run in a session that ends with ctx.
func (r *rig) runIn(ctx context.Context, line string) (seen string, err error) {
	r.t.Helper()
	var out bytes.Buffer
	r.session.shown.Reset()
	err = r.services.Commands.Run(ctx, line, Call{
		Services: r.services, UI: r.face, Account: r.account(r.me), Name: r.me, In: strings.NewReader(""), Out: &out, Err: &out, Session: r.session, Past: r.session, Caller: r.session,
		Who: func() chat.Caller {
			who := caller(r.me)
			who.Login.Only = r.only
			return who
		},
	})
	return out.String() + r.session.shown.String(), err
}

// caller is somebody of a rig.
func caller(n chat.Name) chat.Caller {
	return chat.Caller{Login: chat.Login{Account: "id-" + n.String(), Key: rigKey.Fingerprint}, Name: n, Key: rigKey.Fingerprint, Verified: true}
}

// account is somebody's account as it is now.
func (r *rig) account(n chat.Name) chat.Account {
	a, _ := r.hub.View().ByName(n)
	return a
}

// change changes somebody's account, as nobody in the chat could.
func (r *rig) change(who string, edit func(*chat.Account)) {
	r.t.Helper()
	r.put(func(parts *chat.Parts) {
		for i := range parts.Accounts {
			if parts.Accounts[i].Name == name(r.t, who) {
				edit(&parts.Accounts[i])
			}
		}
	})
}

// put changes the State, as nobody in the chat could, and waits until the hub has it.
func (r *rig) put(change func(*chat.Parts)) {
	r.t.Helper()
	r.log.Put(change)
	if err := r.hub.Decide(context.Background(), chat.TheServer, chat.Expire{}, nil); err != nil {
		r.t.Fatal(err)
	}
}

// must is run for a command that has to succeed.
func (r *rig) must(line string) string {
	r.t.Helper()
	seen, err := r.run(line)
	if err != nil {
		r.t.Fatalf("%s: %v", line, err)
	}
	return seen
}

// sees gives a command whose answer has to contain the words.
func (r *rig) sees(line, words string) {
	r.t.Helper()
	if seen := r.must(line); !strings.Contains(seen, words) {
		r.t.Errorf("%s shows\n%s\nwithout %q", line, seen, words)
	}
}

// refuses gives a command that has to fail with this code, in words that contain these.
func (r *rig) refuses(line string, code chat.Code, words string) {
	r.t.Helper()
	seen, err := r.run(line)
	if err == nil {
		r.t.Errorf("%s is done: %s", line, seen)
		return
	}
	text, meant := Text(err)
	if ExitCode(err) != int(code) || !meant || !strings.Contains(text, words) {
		r.t.Errorf("%s: exit %d, %v, not %d with %q", line, ExitCode(err), err, code, words)
	}
}

// say has somebody say something in a room they are in.
func (r *rig) say(who string, room chat.RoomName, text string) chat.Message {
	r.t.Helper()
	m, err := r.services.post(context.Background(), caller(name(r.t, who)), saying{room: room, kind: chat.Say}, text)
	if err != nil {
		r.t.Fatal(err)
	}
	return m
}

func name(t testing.TB, s string) chat.Name {
	t.Helper()
	n, err := text.ParseName(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

type unmade = Accounts

// accounts is Accounts; what it does not have panics.
type accounts struct{ unmade }

func (accounts) Checkpoint() error                            { return nil }
func (accounts) CleanSetting(_, value string) (string, error) { return value, nil }

type unopened = Passwords

// passwords is Passwords that takes one of each account; what it does not have panics.
type passwords struct {
	unopened
	tried []byte // the last password, as it is now
}

func (p *passwords) Unlock(_ context.Context, _ string, password []byte) ([]age.Identity, error) {
	defer clear(password)
	p.tried = password
	if string(password) != "correct horse" {
		return nil, errRefused
	}
	id, err := age.GenerateX25519Identity()
	return []age.Identity{id}, err
}

func (p *passwords) Wrong(err error) bool { return errors.Is(err, errRefused) }

var errRefused = &chat.Refusal{Code: chat.Failed, Text: "wrong name or password"}

// sealedPast is History in memory; what it does not have panics.
type sealedPast struct {
	History
	said  []chat.Message
	ids   []age.Identity // what it was opened with
	wiped bool
}

func (h *sealedPast) Unlock(_ chat.Name, _ chat.RoomName, ids []age.Identity) (past.Source, error) {
	h.ids = ids
	return h, nil
}

func (h *sealedPast) First() uint64 {
	if len(h.said) == 0 {
		return 0
	}
	return h.said[0].Seq
}

func (h *sealedPast) Read(from, to uint64) (said []chat.Message, last uint64, read int, err error) {
	for _, m := range h.said {
		if m.Seq >= from && m.Seq <= to {
			said = append(said, m)
		}
	}
	return said, to, len(said), nil
}

func (h *sealedPast) Wipe() { h.wiped = true }

// fakeSession is what a command does to its session and caller.
type fakeSession struct {
	Session
	Caller
	room    chat.RoomName
	shown   strings.Builder
	noted   string // by Sent
	cleared int
	focus   []chat.Name
	past    *past.Past
	answer  string // to what is asked
	asked   string
	echoed  bool
	said    int // how often Pace was asked for a message
	worked  int // and how often for a command

	correspondent chat.Name
	wait          func() // what happens while Pace has the caller wait; nil: nothing
}

func (s *fakeSession) Room() chat.RoomName        { return s.room }
func (s *fakeSession) SetRoom(room chat.RoomName) { s.room = room }
func (s *fakeSession) Correspondent() chat.Name   { return s.correspondent }
func (s *fakeSession) Ask(_ context.Context, question string, echo bool) (string, error) {
	if s.answer == "" {
		return "", ErrNobodyToAsk
	}
	s.asked, s.echoed = question, echo
	return s.answer, nil
}
func (s *fakeSession) Show(title, text string) {
	s.shown.WriteString(title + "\n" + text)
}
func (s *fakeSession) CheckPassword(check func() error) error { return check() }
func (s *fakeSession) Denied() (int, bool)                    { return 0, true }
func (s *fakeSession) Clear()                                 { s.cleared++ }
func (s *fakeSession) Sent(_ chat.RoomName, note string)      { s.noted = note }
func (s *fakeSession) Focus() []chat.Name                     { return s.focus }
func (s *fakeSession) SetFocus(p []chat.Name)                 { s.focus = p }
func (s *fakeSession) Unlocked() *past.Past                   { return s.past }
func (s *fakeSession) SetUnlocked(p *past.Past) {
	if s.past != nil {
		s.past.Wipe()
	}
	s.past = p
}
func (s *fakeSession) Zone() *time.Location { return time.UTC }
func (s *fakeSession) Pace(_ context.Context, what Effort, _ string) error {
	switch what {
	case Message:
		s.said++
	case Work:
		s.worked++
	}
	if s.wait != nil {
		s.wait()
	}
	return nil
}
