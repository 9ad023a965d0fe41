package cluster

import (
	"errors"
	"strings"
	"testing"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/chat/journaltest"
	"sshchat/sshchat/cluster/natstest"
	"sshchat/sshchat/text"
)

// inFormat waits until the sites have the log in a format.
func (r *rig) inFormat(t *testing.T, format int, sites ...*site) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		waits := ""
		for _, s := range sites {
			if is := max(s.node.position().LogFormat, 1); is != format {
				waits = s.name
			}
		}
		if waits == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("node %s does not get to format %d: %+v", waits, format, r.status())
		}
	}
}

// A newer format is written only once all running nodes know it. From then on a node that does not know it stops where it begins and
// reports why; with a newer version it continues there.
func TestNewerFormat(t *testing.T) {
	t.Parallel()
	servers := natstest.StartOne(t)
	r := &rig{servers: servers, log: quiet(t)}
	r.sites = found(t, servers, 3, journaltest.Options{}, r.log)
	new1, new2, old := r.sites[0], r.sites[1], r.sites[2]
	new1.newest, new2.newest = 2, 2
	if err := r.startAll(r.sites); err != nil {
		t.Fatal(err)
	}
	c := r.talk(t, 3, 5*time.Millisecond)
	c.more(20)
	for _, s := range []*site{new1, new2} { // either of them may lead, and has heard the old one
		for time.Since(s.node.nodes.began) < aliveFor || s.node.nodes.know(&s.node.c) != 1 {
			time.Sleep(5 * time.Millisecond)
		}
	}
	c.more(20)
	r.inFormat(t, 1, r.sites...)

	if err := old.stop(); err != nil {
		t.Fatal(err)
	}
	c.more(20)
	r.inFormat(t, 2, new1, new2)
	err := old.start()
	if !errors.Is(err, ErrNewer) || !strings.Contains(err.Error(), "in format 2 by version test, and this version knows none above 1") {
		t.Errorf("an old node starts: %v", err)
	}
	old.newest = 2
	if err := old.start(); err != nil {
		t.Fatal(err)
	}
	c.more(20)
	r.inFormat(t, 2, r.sites...)
	c.end()

	if err := old.stop(); err != nil {
		t.Fatal(err)
	}
	old.newest = 1
	if err := old.start(); !errors.Is(err, ErrNewer) {
		t.Errorf("a node whose folder is in a newer format starts: %v", err)
	}
	old.newest = 2
	if err := old.start(); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

// A node that could not be heard while the others took a newer format stops while it runs: what it would not know shows nowhere.
func TestNewerFormatOfOthers(t *testing.T) {
	t.Parallel()
	servers := natstest.StartOne(t)
	r := &rig{servers: servers, log: quiet(t)}
	r.sites = found(t, servers, 2, journaltest.Options{}, r.log)
	old := r.sites[1]
	if err := r.startAll(r.sites); err != nil {
		t.Fatal(err)
	}
	c := r.talk(t, 2, 5*time.Millisecond)
	c.more(10)
	if err := r.sites[0].stop(); err != nil {
		t.Fatal(err)
	}
	r.sites[0].newest = 2
	if err := r.sites[0].start(); err != nil {
		t.Fatal(err)
	}
	heard := alive{Node: old.name, Format: 2}
	for deadline := time.Now().Add(time.Minute); r.sites[0].node.position().LogFormat != 2; time.Sleep(time.Millisecond) {
		heard.At = time.Now()
		r.sites[0].node.nodes.hear(heard, heard.At)
		if err := r.sites[0].node.campaign(t.Context()); err != nil && !errors.Is(err, errTaken) {
			t.Fatal(err)
		}
		if time.Now().After(deadline) {
			t.Fatal("no newer format")
		}
	}
	if err := <-old.ended; !errors.Is(err, ErrNewer) || !strings.HasPrefix(err.Error(), "upgrade this node: ") {
		t.Errorf("the old node ended with %v", err)
	}
	old.ended <- nil // which Close waits for
	c.pause()        // which waits for the answers of all, also on the old node
	late, _ := text.ParseText("late")
	if _, err := old.hub.Load().Post(t.Context(), c.who.Caller, chat.General, chat.Say, late); err == nil {
		t.Error("something is said on the old node")
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}
