package natstest

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// stream makes the stream of sshchat with as many replicas as there are servers.
func stream(t *testing.T, c *Cluster, nc *nats.Conn) {
	t.Helper()
	config, err := json.Marshal(map[string]any{
		"name": "SSHCHAT", "subjects": []string{"sshchat.log"}, "storage": "file", "num_replicas": c.Len(), "retention": "limits",
		"discard": "old", "allow_direct": true, "deny_delete": true, "deny_purge": true,
		"republish": map[string]any{"src": "sshchat.log", "dest": "sshchat.tail"},
	})
	if err != nil {
		t.Fatal(err)
	}
	answer, err := nc.Request("$JS.API.STREAM.CREATE.SSHCHAT", config, 20*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(answer.Data, []byte(`"error"`)) {
		t.Fatalf("%s", answer.Data)
	}
}

// publish publishes to the log, and returns the answer's text.
func publish(t *testing.T, nc *nats.Conn, text string) string {
	t.Helper()
	answer, err := nc.Request("sshchat.log", []byte(text), 20*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	return string(answer.Data)
}

func TestThreeServers(t *testing.T) {
	t.Parallel()
	c := Start(t)
	nc := c.Connect(t, 0)
	tail, err := c.Connect(t, 1).SubscribeSync("sshchat.tail")
	if err != nil {
		t.Fatal(err)
	}
	stream(t, c, nc)
	if said := publish(t, nc, "hello"); !bytes.Contains([]byte(said), []byte(`"seq":1`)) {
		t.Fatalf("the stream answered %s", said)
	}
	m, err := tail.NextMsg(20 * time.Second)
	if err != nil || string(m.Data) != "hello" || m.Header.Get("Nats-Sequence") != "1" {
		t.Fatalf("%v, %v", m, err)
	}
	if c.Leader("SSHCHAT") < 0 {
		t.Error("no server leads the stream")
	}
}
