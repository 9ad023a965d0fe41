package natstest

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// arrives is whether a text on a subscription arrives soon: a moment is enough to see that it does not, and for what does,
// see expect.
func arrives(s *nats.Subscription) bool {
	_, err := s.NextMsg(100 * time.Millisecond)
	return err == nil
}

// What is sent over a cut link arrives when it is healed; each direction is cut alone.
func TestLinkCut(t *testing.T) {
	t.Parallel()
	c := StartOne(t)
	near, link := c.Connect(t, 0), c.NewLink(t, 0)
	far := c.ConnectVia(t, link, nats.PingInterval(time.Hour))
	atNear, atFar := subscribe(t, near, "sshchat.alive"), subscribe(t, far, "sshchat.text")
	send := func(from *nats.Conn, subject, text string) {
		t.Helper()
		if err := from.Publish(subject, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	for name, cut := range map[string]struct {
		with     func()
		to, from bool
	}{
		"to": {link.CutTo, true, false}, "from": {link.CutFrom, false, true}, "both": {link.Cut, true, true},
	} {
		cut.with()
		send(far, "sshchat.alive", name)
		send(near, "sshchat.text", name)
		if cut.to && arrives(atNear) || cut.from && arrives(atFar) {
			t.Errorf("cut %s: a message passed", name)
		}
		if !cut.to {
			expect(t, atNear, name)
		}
		if !cut.from {
			expect(t, atFar, name)
		}
		link.Heal()
		if cut.to {
			expect(t, atNear, name)
		}
		if cut.from {
			expect(t, atFar, name)
		}
	}
}

func TestLinkDelay(t *testing.T) {
	t.Parallel()
	c := StartOne(t)
	link := c.NewLink(t, 0)
	nc := c.ConnectVia(t, link)
	link.Delay(30*time.Millisecond, 20*time.Millisecond)
	rtt, err := nc.RTT()
	if err != nil || rtt < 50*time.Millisecond {
		t.Errorf("a ping took %v, %v", rtt, err)
	}
}

// A client cannot connect over a cut link, and can when it is healed; Reset ends its connection, which it makes anew.
func TestLinkConnections(t *testing.T) {
	t.Parallel()
	c := StartOne(t)
	link := c.NewLink(t, 0)
	link.Cut()
	if nc, err := nats.Connect(link.URL(), nats.Timeout(100*time.Millisecond)); err == nil {
		nc.Close()
		t.Error("connected over a cut link")
	}
	link.Heal()
	again := make(chan struct{})
	nc := c.ConnectVia(t, link, nats.ReconnectHandler(func(*nats.Conn) { close(again) }))
	link.Reset()
	<-again
	if err := nc.Flush(); err != nil {
		t.Error(err)
	}
}

// The links between servers: each part leaves them healed.
func TestRoutes(t *testing.T) {
	t.Parallel()
	c := Start(t, Routes())
	t.Run("one direction is cut", func(t *testing.T) { cuts(t, c) })
	c.waitTogether(t)
	t.Run("a server is isolated", func(t *testing.T) { isolates(t, c) })
}

// A server that is cut off from the others stores nothing, and they go on without it; a message takes the way that the
// links leave, and no other.
func isolates(t *testing.T, c *Cluster) {
	makeStream(t, c, c.Connect(t, 0))
	leader := c.WaitLeader(t, "SSHCHAT")
	alone, others := c.Connect(t, leader), c.Connect(t, (leader+1)%3)
	c.Isolate(leader)
	if _, err := alone.Request("sshchat.log", []byte("alone"), 500*time.Millisecond); err == nil {
		t.Error("a server alone has stored a message")
	}
	store(t, others, "others")
	c.HealRoutes()
	c.WaitReady(t, leader)
	store(t, alone, "healed")
}

// interested waits until what nc has subscribed to is known to the server of another connection: servers tell each other in
// order.
func interested(t *testing.T, nc *nats.Conn, subject string, other *nats.Conn) {
	t.Helper()
	if _, err := nc.Subscribe(subject, func(m *nats.Msg) { _ = m.Respond([]byte("yes")) }); err != nil {
		t.Fatal(err)
	}
	ask(t, other, subject, "are you there?")
}

// One direction between two servers is cut.
func cuts(t *testing.T, c *Cluster) {
	zero, one := c.Connect(t, 0), c.Connect(t, 1)
	atZero, atOne := subscribe(t, zero, "sshchat.alive"), subscribe(t, one, "sshchat.alive")
	interested(t, zero, "sshchat.node.zero", one)
	interested(t, one, "sshchat.node.one", zero)
	c.CutRoute(0, 1)
	for _, nc := range []*nats.Conn{zero, one} {
		if err := nc.Publish("sshchat.alive", []byte(nc.ConnectedServerName())); err != nil {
			t.Fatal(err)
		}
	}
	expect(t, atZero, "nats-2")
	if m, err := atOne.NextMsg(patience); err != nil || string(m.Data) != "nats-2" {
		t.Errorf("at nats-2 arrived %v, %v", m, err)
	}
	if arrives(atOne) {
		t.Error("a message passed from nats-1 to nats-2")
	}
	c.HealRoutes()
	expect(t, atOne, "nats-1")
}
