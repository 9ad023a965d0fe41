package chat

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"sshchat/sshchat/text"
)

func numbered(i int) Name { return must(text.ParseName(fmt.Sprint("user", i))) }

// The code of the first admin of a cluster serves once, whoever shows it where; a renewal counts once, also if two nodes ask for it.
func TestClaimsOfACluster(t *testing.T) {
	for nodes, want := range map[int]uint64{0: 0, 1: 1} { // a server that is alone draws its codes
		var p Parts
		for i := range nodes {
			p.Nodes = append(p.Nodes, nodeOf(i, i))
		}
		w := View{NewState(p), Moment{}}
		decide := func(who Caller, in Intent) error {
			next, err := w.Check(who, in)
			if err == nil {
				w.State = next
			}
			return err
		}
		first, second := withRole(accountOf(numbered(1)), Admin), withRole(accountOf(numbered(2)), Admin)
		first.ID, second.ID = "1", "2"
		if err := decide(Caller{Name: numbered(1)}, CreateAccount{Account: first}); err != nil {
			t.Fatal(err)
		}
		if err := decide(Caller{Name: numbered(2)}, CreateAccount{Account: second}); err == nil {
			t.Error("two first admins")
		}
		if got := w.Claims(); got != want {
			t.Errorf("with %d nodes %d codes serve no more", nodes, got)
		}
		for range 2 {
			if err := decide(TheServer, BurnClaim{N: want}); err != nil {
				t.Fatal(err)
			}
		}
		if got := w.Claims(); got != want+1 {
			t.Errorf("renewed by two nodes at once: %d", got)
		}
		if err := decide(Caller{Name: numbered(1), Login: Login{Account: "1"}}, BurnClaim{N: want + 1}); err == nil {
			t.Error("an admin burns a code")
		}
	}
}

// Only the server decides host keys, from those that are; when the current one changes is noted.
func TestHostKeysOfACluster(t *testing.T) {
	at := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	w := View{NewState(Parts{}), Moment{Stamp: at}}
	decide := func(in SetHostKeys) error {
		next, err := w.Check(TheServer, in)
		if err == nil {
			w.State = next
		}
		return err
	}
	one, two := HostKeys{Current: hostKey(1), Next: hostKey(2)}, HostKeys{Current: hostKey(2)}
	if err := decide(SetHostKeys{To: HostKeys{Current: "SHA256:short"}}); !errors.Is(err, ErrFingerprint) {
		t.Errorf("no fingerprint: %v", err)
	}
	if err := decide(SetHostKeys{To: one}); err != nil || w.HostKeys() != one {
		t.Fatalf("%v, %+v", err, w.HostKeys())
	}
	if err := decide(SetHostKeys{To: two}); !errors.Is(err, ErrHostKeys) {
		t.Errorf("decided from what is not: %v", err)
	}
	if err := decide(SetHostKeys{From: one, To: two}); err != nil || w.HostKeys().Current != two.Current || !w.HostKeys().At.Equal(at) {
		t.Errorf("%v, %+v", err, w.HostKeys())
	}
	if _, err := w.Check(Caller{Name: numbered(1)}, SetHostKeys{From: w.HostKeys(), To: one}); err == nil {
		t.Error("somebody else decides host keys")
	}
}
