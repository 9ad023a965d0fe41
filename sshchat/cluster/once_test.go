package cluster

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sshchat/sshchat/attack"
	"sshchat/sshchat/chat"
	"sshchat/sshchat/chat/journaltest"
	"sshchat/sshchat/cluster/natstest"
	"sshchat/sshchat/limit"
	"sshchat/sshchat/text"
)

// hashOf is the SHA-256 of a code.
func hashOf(code string) string {
	sum := sha256.Sum256([]byte(code))
	return hex.EncodeToString(sum[:])
}

// guest is somebody without an account.
func guest(t testing.TB, name string) (chat.Caller, chat.Account) {
	t.Helper()
	p := journaltest.NewPerson(t, name)
	a := p.Account(chat.User)
	who := p.Caller
	who.Login = chat.Login{}
	return who, a
}

// wish is what somebody wants at a node.
type wish struct {
	who chat.Caller
	in  chat.Intent
}

// atOnce has each be decided at another node at the same moment, and returns how many were, and why the others were not.
func (r *rig) atOnce(t testing.TB, wishes ...wish) (done int, refused []error) {
	t.Helper()
	errs := make([]error, len(wishes))
	begin := make(chan struct{})
	var ends sync.WaitGroup
	for i, w := range wishes {
		hub := r.sites[i%len(r.sites)].hub.Load()
		ends.Go(func() {
			<-begin
			errs[i] = hub.Decide(t.Context(), w.who, w.in, nil)
		})
	}
	close(begin)
	ends.Wait()
	for _, err := range errs {
		if err == nil {
			done++
		} else {
			refused = append(refused, err)
		}
	}
	return done, refused
}

// must decides something at the first node.
func (r *rig) must(t testing.TB, who chat.Caller, in chat.Intent) {
	t.Helper()
	if err := r.sites[0].hub.Load().Decide(t.Context(), who, in, nil); err != nil {
		t.Fatalf("%#v: %v", in, err)
	}
}

// settled waits until all nodes have applied what the first has.
func (r *rig) settled(t testing.TB) {
	t.Helper()
	want := r.sites[0].hub.Load().Applied()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		behind := false
		for _, s := range r.sites {
			behind = behind || s.hub.Load().Applied() < want
		}
		if !behind {
			return
		}
		if time.Now().After(end) {
			t.Fatal("a node does not catch up")
		}
	}
}

// What can be had once is wanted at three nodes at the same moment: a step of a second factor, a recovery code, an invite with one
// use, a name; and two admins demote each other. Each is had once, and one admin stays. The control is an invite with two uses.
func TestAttackTakenOnSeveralNodesAtOnce(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Nodes, "take something twice, on several nodes at the same moment")
	rounds := journaltest.Times(30, 1000)
	r := newRig(t, natstest.StartOne(t), 3, journaltest.Options{})
	defer r.Close()
	ann, ben := journaltest.NewPerson(t, "ann"), journaltest.NewPerson(t, "ben")
	for _, p := range []*journaltest.Person{ann, ben} {
		r.must(t, chat.TheServer, chat.CreateAccount{Account: p.Account(chat.Admin)})
	}
	r.must(t, chat.TheServer, chat.SetRegistration{To: chat.InviteOnly})
	_, paula := guest(t, "paula")
	recipient, secret := r.Password()
	paula = paula.WithPassword(recipient, secret)
	r.must(t, chat.TheServer, chat.CreateAccount{Account: paula})

	once := func(what string, i int, may []error, wishes ...wish) {
		t.Helper()
		r.settled(t)
		done, refused := r.atOnce(t, wishes...)
		if done != 1 {
			t.Errorf("round %d: %s is had %d times", i, what, done)
		}
		for _, err := range refused {
			known := false
			for _, want := range may {
				known = known || errors.Is(err, want)
			}
			if refusal, is := chat.Refused(err); !known && !(is && len(may) == 0 && refusal.Code == chat.Denied) {
				t.Errorf("round %d: %s is refused: %v", i, what, err)
			}
		}
	}
	join := func(name, code string) wish {
		who, a := guest(t, name)
		return wish{who, chat.CreateAccount{Account: a, Code: code}}
	}
	invite := func(id string, uses int) (hash string) {
		hash = hashOf(id)
		r.must(t, chat.TheServer, chat.CreateInvite{Invite: chat.StoredInvite{Invite: chat.Invite{ID: id, Uses: uses}, Hash: hash}})
		return hash
	}
	const firstStep = 1000
	for i := range rounds {
		code := wish{chat.TheServer, chat.SpendCode{ID: paula.ID, Hash: hashOf(fmt.Sprint("recovery ", i))}}
		if i > 0 {
			r.must(t, chat.TheServer, chat.SetFactor{ID: paula.ID})
		}
		r.must(t, chat.TheServer, chat.SetFactor{ID: paula.ID, Was: secret, Factor: &chat.Factor{Secret: secret, Used: int64(firstStep + i - 1), Codes: []string{code.in.(chat.SpendCode).Hash}}})
		step := wish{chat.TheServer, chat.SpendCode{ID: paula.ID, Step: int64(firstStep + i)}}
		once("a step", i, []error{chat.ErrCode}, step, step, step)
		once("a recovery code", i, []error{chat.ErrCode}, code, code, code)
		hash := invite(fmt.Sprintf("one%d", i), 1)
		once("an invite", i, []error{chat.ErrInvite}, join(fmt.Sprintf("first%d", i), hash), join(fmt.Sprintf("second%d", i), hash), join(fmt.Sprintf("third%d", i), hash))
		hash = invite(fmt.Sprintf("many%d", i), 3)
		name := fmt.Sprintf("taken%d", i)
		once("a name", i, []error{chat.ErrNameTaken, chat.ErrStale}, join(name, hash), join(name, hash), join(name, hash))
		r.must(t, chat.TheServer, chat.RevokeInvite{ID: fmt.Sprintf("many%d", i)})
		once("the other's role", i, nil,
			wish{ann.Caller, chat.SetRole{ID: ben.Login.Account, Role: chat.User}}, wish{ben.Caller, chat.SetRole{ID: ann.Login.Account, Role: chat.User}})
		for _, p := range []*journaltest.Person{ann, ben} {
			r.must(t, chat.TheServer, chat.SetRole{ID: p.Login.Account, Role: chat.Admin})
		}
	}
	r.settled(t)
	for _, s := range r.sites {
		a, _ := s.hub.Load().View().ByName(paula.Name)
		if a.Factor == nil || a.Factor.Used != int64(firstStep+rounds-1) || len(a.Factor.Codes) != 0 {
			t.Errorf("node %s: %+v", s.name, a.Factor)
		}
	}
	hash := invite("control", 2)
	r.settled(t)
	if done, _ := r.atOnce(t, join("x1", hash), join("x2", hash), join("x3", hash)); done != 2 {
		t.Errorf("the control: an invite with two uses is used %d times", done)
	}
	row.Tried("a step of a second factor, a recovery code, an invite, a name, each on three nodes, and two admins who demote each other, %d times", rounds)
	row.Held("the leader checks each at its place in the log: had once each, and one admin stays")
	row.Control("an invite with two uses is used twice")
}

// leader waits for a node that leads, and returns its index.
func (r *rig) leader(t testing.TB) int {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		for i, s := range r.sites {
			if s.hub.Load() != nil && s.node.Here() {
				return i
			}
		}
	}
	t.Fatal("no node leads")
	return 0
}

// tally is what every node keeps of a name; it waits until they have applied the same.
func (r *rig) tally(t testing.TB, name chat.Name) chat.Tally {
	t.Helper()
	var all []chat.Tally
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		all = nil
		for _, s := range r.sites {
			all = append(all, s.attempts.Tally(name))
		}
		if reflect.DeepEqual(all[0], all[1]) && reflect.DeepEqual(all[0], all[2]) {
			return all[0]
		}
		if time.Now().After(end) {
			t.Fatalf("the nodes keep %+v", all)
		}
	}
}

// I try many passwords of one name at all nodes at the same moment, and the node that leads dies meanwhile: as many are looked at as on
// one server. So it is once all nodes have died, and what each keeps is the same. The control is another name.
func TestAttackGuessesAtOnceOnSeveralNodes(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Guessing, "many passwords at once at all nodes of a cluster, whose leader dies meanwhile")
	rounds := journaltest.Times(2, 50)
	r := newRig(t, natstest.StartOne(t), 3, journaltest.Options{})
	defer r.Close()
	from := limit.SourceOfAddr(netip.MustParseAddr("192.0.2.1"))
	const atEach = 20
	for i := range rounds {
		_, a := guest(t, fmt.Sprint("victim", i))
		r.must(t, chat.TheServer, chat.CreateAccount{Account: a})
		r.settled(t)
		leads := r.leader(t)
		var checked, unknown atomic.Int64
		var ends sync.WaitGroup
		try := func(g *limit.LoginAttempts) {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			switch check, err := g.Try(ctx, a.Name, from); {
			case err != nil:
				unknown.Add(1)
			case check:
				checked.Add(1)
			}
		}
		for k := range atEach {
			for _, s := range r.sites {
				g := s.attempts
				ends.Go(func() { try(g) })
			}
			if k == 1 {
				ends.Go(r.sites[leads].crash)
			}
		}
		ends.Wait()
		if err := r.startAll(r.sites[leads : leads+1]); err != nil {
			t.Fatal(err)
		}
		if i%2 == 1 {
			if err := r.Restart(); err != nil {
				t.Fatal(err)
			}
		}
		before := checked.Load()
		for _, s := range r.sites {
			try(s.attempts)
		}
		is := r.tally(t, a.Name)
		if n := checked.Load(); is.Wrong != 5 || n > 5 || n+unknown.Load() < 5 || n != before {
			t.Errorf("round %d: %d of %d are looked at, and %d after that; of %d it is not known; %+v", i, before, 3*atEach, n-before, unknown.Load(), is)
		}
	}
	for range 5 { // the control
		if check, err := r.sites[0].attempts.Try(t.Context(), mustName(t, "control"), from); !check || err != nil {
			t.Errorf("the control: %v, %v", check, err)
		}
	}
	row.Tried("%d at each of 3 nodes, the leader killed, then all nodes; %d times", atEach, rounds)
	row.Held("a password is looked at once its count is in the log: 5 in all, whoever leads; all nodes keep the same")
	row.Control("5 of another name are looked at")
}

func mustName(t testing.TB, s string) chat.Name {
	t.Helper()
	name, err := text.ParseName(s)
	if err != nil {
		t.Fatal(err)
	}
	return name
}
