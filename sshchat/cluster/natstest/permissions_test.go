package natstest

import (
	"errors"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"sshchat/sshchat/attack"
)

// refused is whether the server refuses what f does with a connection, for want of a permission.
func refused(t *testing.T, nc *nats.Conn, f func() error) bool {
	t.Helper()
	if err := f(); err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	err := nc.LastError() // the server answers in order: an error comes before the answer to Flush
	return errors.Is(err, nats.ErrPermissionViolation)
}

// I have read a node's seed file, and nothing else of its data folder. The servers let me do what nodes do.
func TestAttackNKeyOfANode(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Files, "log in to the NATS servers with a stolen `cluster-nkey`")
	c := StartOne(t)
	makeStream(t, c, c.Connect(t, 0))
	store(t, c.Connect(t, 0), "kept")
	publish := []string{
		"sshchat.tail", // what nodes take for stored
		"sshchat.other", "other", "$SYS.REQ.SERVER.PING", "$SYS.REQ.USER.INFO",
		"$JS.API.STREAM.UPDATE.SSHCHAT", "$JS.API.STREAM.DELETE.SSHCHAT", "$JS.API.STREAM.PURGE.SSHCHAT", "$JS.API.STREAM.MSG.DELETE.SSHCHAT", "$JS.API.STREAM.MSG.GET.OTHER",
		"$JS.API.STREAM.CREATE.OTHER", "$JS.API.STREAM.SNAPSHOT.SSHCHAT", "$JS.API.STREAM.RESTORE.SSHCHAT", "$JS.API.STREAM.LIST", "$JS.API.STREAM.NAMES",
		"$JS.API.STREAM.LEADER.STEPDOWN.SSHCHAT", "$JS.API.STREAM.PEER.REMOVE.SSHCHAT", "$JS.API.META.LEADER.STEPDOWN", "$JS.API.SERVER.REMOVE",
		"$JS.API.CONSUMER.CREATE.SSHCHAT", "$JS.API.CONSUMER.CREATE.SSHCHAT.x", "$JS.API.CONSUMER.DURABLE.CREATE.SSHCHAT.x", "$JS.API.INFO",
	}
	subscribe := []string{">", "sshchat.>", "sshchat.log", "$SYS.>", "$JS.>", "$JS.EVENT.>", "other"}
	for _, subject := range publish {
		nc := c.Connect(t, 0)
		if !refused(t, nc, func() error { return nc.PublishRequest(subject, nc.NewRespInbox(), []byte(`{"seq":1}`)) }) {
			t.Errorf("a node may publish to %s", subject)
		}
	}
	for _, subject := range subscribe {
		nc := c.Connect(t, 0)
		if !refused(t, nc, func() error { _, err := nc.SubscribeSync(subject); return err }) {
			t.Errorf("a node may subscribe to %s", subject)
		}
	}
	row.Tried("%d subjects to publish to (change, delete, purge, consumers, the stored log), %d to listen on", len(publish), len(subscribe))
	nc := c.Connect(t, 0)
	if said := ask(t, nc, "$JS.API.DIRECT.GET.SSHCHAT", `{"seq":1}`); said != "kept" {
		t.Errorf("the stream has %q", said)
	}
	row.Held("the servers refuse all of it; what is stored stays")

	if stranger, err := nats.Connect(c.URLs()[0]); err == nil {
		stranger.Close()
		t.Error("connected without a key")
	}
	admin := c.ConnectAdmin(t, 0)
	if said := ask(t, admin, "$JS.API.STREAM.DELETE.SSHCHAT", ""); !strings.Contains(said, `"success":true`) {
		t.Errorf("an admin of the servers cannot delete the stream: %s", said)
	}
	row.Control("a key without `permissions` deletes the stream")
}

// Everything a node needs to do is allowed.
func TestPermissionsOfANode(t *testing.T) {
	t.Parallel()
	c := StartOne(t)
	makeStream(t, c, c.Connect(t, 0))
	for _, subject := range []string{"sshchat.tail", "sshchat.node.paris-1", "sshchat.text", "sshchat.alive", "_INBOX.a.b"} {
		nc := c.Connect(t, 0)
		if refused(t, nc, func() error { _, err := nc.SubscribeSync(subject); return err }) {
			t.Errorf("a node cannot subscribe to %s", subject)
		}
	}
	for _, subject := range []string{"sshchat.log", "sshchat.node.paris-1", "sshchat.text", "sshchat.alive", "_INBOX.a.b"} {
		nc := c.Connect(t, 0)
		if refused(t, nc, func() error { return nc.Publish(subject, []byte("x")) }) {
			t.Errorf("a node cannot publish to %s", subject)
		}
	}
	nc := c.Connect(t, 0)
	if said := ask(t, nc, "$JS.API.STREAM.INFO.SSHCHAT", ""); strings.Contains(said, `"error"`) {
		t.Errorf("the stream's state: %s", said)
	}
	store(t, nc, "kept")
	if said := ask(t, nc, "$JS.API.STREAM.MSG.GET.SSHCHAT", `{"seq":1}`); !strings.Contains(said, `"data"`) {
		t.Errorf("a message, of the stream's leader: %s", said)
	}
}
