package cluster

import (
	"errors"
	"testing"
	"time"

	"sshchat/sshchat/chat/journaltest"
	"sshchat/sshchat/cluster/natstest"
	"sshchat/store"
)

// What NATS servers with slow disks do not answer in time is asked for again.
func TestInitOnServersThatAreSlow(t *testing.T) {
	t.Parallel()
	servers := natstest.StartOne(t)
	link := servers.NewLink(t, 0)
	s := &site{name: "n1", dir: t.TempDir(), servers: servers, log: quiet(t), via: []string{link.URL()}}
	c := s.config()
	nc, err := connect(&c)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	log := &stream{nc: nc}
	if err := begin(t.Context(), log, &c, "00", 1); err != nil {
		t.Fatal(err)
	}
	link.CutFrom() // the stream is there, and the answer is lost: it is made again
	again := time.AfterFunc(answerTime+answerTime/2, link.Heal)
	defer again.Stop()
	if err := begin(t.Context(), log, &c, "00", 1); err != nil {
		t.Error(err)
	}
	link.CutFrom()
	last := time.AfterFunc(answerTime+answerTime/2, link.Heal)
	defer last.Stop()
	if err := initialize(t.Context(), log, c, 1); err != nil {
		t.Error(err)
	}
	if at, err := ReadPosition(s.dir); err != nil || at.Genesis != "00" {
		t.Errorf("%+v: %v", at, err)
	}
}

// A node that has left, and was ended before its folder was that of a server of its own, completes that.
func TestLeaveThatWasInterrupted(t *testing.T) {
	t.Parallel()
	servers := natstest.StartOne(t)
	s := found(t, servers, 1, journaltest.Options{}, quiet(t))[0]
	leave := func(interrupted bool) error {
		if err := s.open(); err != nil {
			t.Fatal(err)
		}
		defer s.close()
		if !interrupted {
			return Leave(t.Context(), s.config())
		}
		n, err := open(t.Context(), s.config())
		if err != nil {
			t.Fatal(err)
		}
		defer n.nc.Close()
		n.writing.Lock()
		defer n.writing.Unlock()
		return offer(t.Context(), n, n.entry(left))
	}
	if err := leave(true); err != nil {
		t.Fatal(err)
	}
	if err := s.start(); !errors.Is(err, errLeftHere) {
		t.Fatalf("a start: %v", err)
	}
	if err := leave(false); err != nil || store.InCluster(s.dir) {
		t.Errorf("%v; the folder is that of a node: %v", err, store.InCluster(s.dir))
	}
}
