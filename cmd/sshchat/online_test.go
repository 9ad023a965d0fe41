package main

import (
	"encoding/base64"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"

	"sshchat/sshchat/attack"
	"sshchat/sshchat/cluster/natstest"

	"github.com/nats-io/nats.go"
)

// People on three nodes see who is online and away on the others, and each notice once. Who comes to a second node, or to another after a
// node was killed, has not joined again; the others of the dead node are offline.
func TestClusterPresence(t *testing.T) {
	t.Parallel()
	c := startCluster(t, natstest.StartOne(t), 2)
	n1, n2 := c.nodes[0], c.nodes[1]
	alice := n1.register("alice")
	alice.must("claim " + n1.claimCode())
	alice = alice.login()
	bob, carol, dave, erin := n2.register("bob"), n2.register("carol"), n2.register("dave"), n2.register("erin")
	n2.stop() // it is to be killed
	n2 = startProcess(t, n2.data, append([]string{"--node", "n2"}, c.flags...)...)
	a := alice.plain(80, 24)
	a.sees("Welcome")
	bob, carol = bob.at(n2).login(), carol.at(n2).login()
	b, third := bob.plain(80, 24), carol.plain(80, 24)
	second := bob.at(n1).login().plain(80, 24)
	second.sees("Welcome")
	list := func(u *user, want ...string) {
		t.Helper()
		var out string
		waitFor(t, fmt.Sprintf("%q in the list", want), func() bool {
			out = u.must("who general")
			for _, w := range want {
				if who, state, _ := strings.Cut(w, " "); !hasState(out, who, state) {
					return false
				}
			}
			return true
		})
	}
	for _, u := range []*user{alice, bob} {
		list(u, "alice online", "bob online", "carol online", "dave offline")
	}
	carol.must("away making tea")
	list(alice, "carol away")
	if out := alice.must("whois carol"); !strings.Contains(out, "making tea") {
		t.Errorf("whois on the other node: %s", out)
	}
	alice.at(n2).login().must("announce at noon")
	alice.must("topic general to be seen once")
	for _, o := range []*openSession{a, b, second, third} {
		o.sees("alice to everyone: at noon")
		o.sees("alice set the topic: to be seen once")
		for _, text := range []string{"alice to everyone: at noon", "alice set the topic: to be seen once"} {
			if n := strings.Count(o.seen.String(), text); n != 1 {
				t.Errorf("%s sees %q %d times", o.u.name, text, n)
			}
		}
	}
	dave.at(n1).login().plain(80, 24).sees("Welcome")
	comings := func() string {
		return strings.Join(regexp.MustCompile("-- .*(joined|left)").FindAllString(a.seen.String(), -1), "\n")
	}
	waitFor(t, "dave joined", func() bool { return regexp.MustCompile(`-- (.* and )?dave joined`).MatchString(comings()) })
	before := comings()
	if !regexp.MustCompile("bob.* joined").MatchString(before) || !regexp.MustCompile("carol.* joined").MatchString(before) {
		t.Errorf("who came, as alice sees it:\n%s", before)
	}
	n2.kill()
	list(alice, "alice online", "bob online", "carol offline")
	carol.at(n1).login().plain(80, 24).sees("Welcome")
	erin.at(n1).login().plain(80, 24).sees("Welcome")
	a.sees("-- erin joined")
	list(alice, "bob online", "carol online")
	if all := comings(); all != before+"\n-- erin joined" {
		t.Errorf("who came and went, as alice sees it:\n%s\nbefore:\n%s", all, before)
	}
}

// hasState reports whether the output of who has somebody in that state.
func hasState(out, who, state string) bool {
	for line := range strings.Lines(out) {
		if strings.Contains(line, who) && strings.Contains(line, state) {
			return true
		}
	}
	return false
}

// I read all that the nodes send each other over the NATS servers. I learn nobody's name, and no notice. The control: what is not sealed
// I do read.
func TestAttackWatchWhoIsOnline(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Nodes, "read what nodes send each other, to learn who is online")
	servers := natstest.StartOne(t)
	c := startCluster(t, servers, 2)
	nc := servers.ConnectAdmin(t, 0)
	var mu sync.Mutex
	var all strings.Builder
	tap, err := nc.Subscribe(">", func(m *nats.Msg) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintf(&all, "%s %v %s\n", m.Subject, m.Header, m.Data)
	})
	if err != nil {
		t.Fatal(err)
	}
	defer tap.Unsubscribe()
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	alice := c.nodes[0].register("alice")
	alice.must("claim " + c.nodes[0].claimCode())
	alice = alice.login()
	watches := alice.plain(80, 24)
	watches.sees("Welcome")
	zora := c.nodes[1].register("zora-unseen")
	session := zora.plain(80, 24)
	watches.sees("zora-unseen joined")
	zora.must("away in the unseen garden")
	waitFor(t, "who is away", func() bool { return strings.Contains(alice.must("whois zora-unseen"), "unseen garden") })
	alice.must("announce nobody reads along")
	session.sees("nobody reads along")
	const control = "this is not sealed"
	if err := nc.Publish("sshchat.node.n1", []byte(control)); err != nil {
		t.Fatal(err)
	}
	read := func() string {
		mu.Lock()
		defer mu.Unlock()
		return all.String()
	}
	waitFor(t, "the control", func() bool { return strings.Contains(read(), control) })
	for _, secret := range []string{"zora-unseen", "unseen garden", "nobody reads along"} {
		for form, s := range map[string]string{"": secret, " in base64": base64.StdEncoding.EncodeToString([]byte(secret))[:12]} {
			if strings.Contains(read(), s) {
				t.Errorf("%q is read%s", secret, form)
			}
		}
	}
	row.Tried("all packets while somebody comes, is away and is shown a notice")
	row.Held("they are sealed from node to node: no name, no reason and no notice is found")
	row.Control("a packet that is not sealed is read")
}
