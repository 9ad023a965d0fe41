package natstest

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// makeStream makes the stream of sshchat, with as many replicas as there are servers.
func makeStream(t testing.TB, c *Cluster, nc *nats.Conn) {
	t.Helper()
	makeStreamOf(t, nc, c.Len())
}

func makeStreamOf(t testing.TB, nc *nats.Conn, replicas int) {
	t.Helper()
	config, err := json.Marshal(map[string]any{
		"name": "SSHCHAT", "subjects": []string{"sshchat.log"}, "storage": "file", "num_replicas": replicas, "retention": "limits",
		"discard": "old", "allow_direct": true, "deny_delete": true, "deny_purge": true,
		"republish": map[string]any{"src": "sshchat.log", "dest": "sshchat.tail"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if said := ask(t, nc, "$JS.API.STREAM.CREATE.SSHCHAT", string(config)); strings.Contains(said, `"error"`) {
		t.Fatalf("create the stream: %s", said)
	}
}

// ask sends a request until it is answered, and returns the answer's text.
func ask(t testing.TB, nc *nats.Conn, subject, text string) string {
	t.Helper()
	var err error
	for end := time.Now().Add(patience); time.Now().Before(end); {
		var answer *nats.Msg
		if answer, err = nc.Request(subject, []byte(text), 2*time.Second); err == nil {
			return string(answer.Data)
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("%s: %v", subject, err)
	return ""
}

// store publishes a text to the log, and fails unless it is stored.
func store(t testing.TB, nc *nats.Conn, text string) {
	t.Helper()
	if said := ask(t, nc, "sshchat.log", text); !strings.Contains(said, `"seq":`) {
		t.Fatalf("store %q: %s", text, said)
	}
}

func subscribe(t testing.TB, nc *nats.Conn, subject string) *nats.Subscription {
	t.Helper()
	s, err := nc.SubscribeSync(subject)
	if err == nil {
		err = nc.Flush()
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// expect waits for the text on a subscription, whatever comes before it.
func expect(t testing.TB, s *nats.Subscription, text string) *nats.Msg {
	t.Helper()
	for {
		m, err := s.NextMsg(patience)
		if err != nil {
			t.Fatalf("%q has not arrived on %s: %v", text, s.Subject, err)
		}
		if string(m.Data) == text {
			return m
		}
	}
}

// What is stored is published by the server again, with its place in the stream, and to be had by that place.
func TestThreeServers(t *testing.T) {
	t.Parallel()
	c := Start(t)
	nc, reader := c.Connect(t, 0), c.Connect(t, 1)
	tail := subscribe(t, reader, "sshchat.tail")
	interested(t, reader, "sshchat.node.zero", nc) // the stream may be led by either of the others
	interested(t, reader, "sshchat.node.two", c.Connect(t, 2))
	makeStream(t, c, nc)
	store(t, nc, "hello")
	if m := expect(t, tail, "hello"); m.Header.Get("Nats-Sequence") != "1" {
		t.Errorf("hello came with %v", m.Header)
	}
	if said := ask(t, nc, "$JS.API.DIRECT.GET.SSHCHAT", `{"seq":1}`); said != "hello" {
		t.Errorf("the stream has %q", said)
	}
	for i := range c.Len() {
		var v struct {
			Name      string `json:"server_name"`
			JetStream struct {
				Config struct {
					Always bool `json:"sync_always"`
				}
			}
		}
		if err := c.Ask(i, "/varz", &v); err != nil || v.Name != c.ServerName(i) || !v.JetStream.Config.Always {
			t.Errorf("%s says %+v, %v", c.ServerName(i), v, err)
		}
	}
}

// The stream goes on without its leader, and what the leader missed it has after its restart.
func TestKillTheLeader(t *testing.T) {
	t.Parallel()
	c := Start(t)
	makeStream(t, c, c.Connect(t, 0))
	leader := c.WaitLeader(t, "SSHCHAT")
	nc := c.Connect(t, (leader+1)%3)
	store(t, nc, "before")
	c.Kill(leader)
	if c.Leader("SSHCHAT") == leader {
		t.Error("a killed server leads")
	}
	store(t, nc, "after")
	if next := c.WaitLeader(t, "SSHCHAT"); next == leader {
		t.Errorf("%d was killed and leads", next)
	}
	c.Restart(leader)
	c.WaitReady(t, leader)
	store(t, c.Connect(t, leader), "again")
}

// A frozen server keeps its connections and answers nothing, until it is thawed.
func TestFreeze(t *testing.T) {
	t.Parallel()
	c := StartOne(t)
	nc := c.Connect(t, 0)
	c.Freeze(0)
	if err := nc.FlushTimeout(100 * time.Millisecond); err == nil {
		t.Error("a frozen server answers")
	}
	if c.Leader("SSHCHAT") >= 0 || !nc.IsConnected() {
		t.Error("a frozen server has ended its connections")
	}
	c.Thaw(0)
	c.WaitReady(t, 0)
	c.Freeze(0) // and so it ends: frozen servers must be killed as well
}

func TestLameDuck(t *testing.T) {
	t.Parallel()
	c := StartOne(t)
	told := make(chan struct{})
	nc := c.Connect(t, 0, nats.LameDuckModeHandler(func(*nats.Conn) { close(told) }))
	makeStream(t, c, nc)
	store(t, nc, "before")
	c.LameDuck(0)
	<-told
	c.Restart(0)
	c.WaitReady(t, 0)
	if said := ask(t, nc, "$JS.API.DIRECT.GET.SSHCHAT", `{"seq":1}`); said != "before" {
		t.Errorf("the stream has %q", said)
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := StartOne(t, DefaultSync(), MaxPayload(4096), TLS(), StoreIn(func(int) string { return dir }))
	nc := c.Connect(t, 0)
	if nc.MaxPayload() != 4096 {
		t.Errorf("the largest message is %d", nc.MaxPayload())
	}
	if plain, err := nats.Connect(strings.Replace(c.URLs()[0], "tls://", "nats://", 1)); err == nil {
		plain.Close()
		t.Error("a client that does not trust the certificate is connected")
	}
	var v map[string]any
	if err := c.Ask(0, "/varz", &v); err != nil || strings.Contains(fmt.Sprint(v["jetstream"]), "sync_always") {
		t.Errorf("it syncs always: %v, %v", v["jetstream"], err)
	}
	makeStream(t, c, nc)
	if files, err := os.ReadDir(dir); err != nil || len(files) == 0 {
		t.Errorf("nothing is in %s: %v", dir, err)
	}
}
