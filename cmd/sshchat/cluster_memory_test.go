//go:build linux && (amd64 || arm64)

package main

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"sshchat/sshchat/attack"
	"sshchat/sshchat/cluster/natstest"
	"sshchat/sshchat/cluster/peer"

	"github.com/nats-io/nats.go"
	"golang.org/x/crypto/chacha20"
)

// I recorded what the nodes send each other, and take the memory of all of them later, with alice's key and the key that the texts
// between the nodes had at the beginning, to recognise what opens something: none of it is there any more.
func TestAttackMemoryOfNodes(t *testing.T) {
	t.Parallel()
	noRaces(t)
	if !long {
		t.Skip("building everything anew takes a minute: SSHCHAT_LONG=1")
	}
	row := attack.On(t, attack.Nodes, "search the memory of all nodes for keys of stored messages, and of the texts that they sent each other")
	program := buildWith(t, "runtimesecret")
	servers := natstest.Start(t)
	c := startClusterOf(t, program, servers, 3, "--dumpable")
	nc := servers.ConnectAdmin(t, 0)
	var mu sync.Mutex
	var last uint64 // position of the last packet of texts
	packets := 0
	if _, err := nc.Subscribe("sshchat.text", func(m *nats.Msg) {
		mu.Lock()
		defer mu.Unlock()
		last, packets = binary.BigEndian.Uint64(m.Data[16:]), packets+1
	}); err != nil {
		t.Fatal(err)
	}
	first, key := c.chain(t, nc)
	terms := func(node *testServer) int { return strings.Count(node.log.String(), " leads ") }
	before := terms(c.nodes[0])

	v := &victim{t: t, server: c.nodes[1], data: c.nodes[1].data, key: writeKey(t)}
	v.talk()
	for i, node := range c.nodes {
		u := v.server.login("alice", signerOf(t, v.key)).at(node).login()
		u.must(fmt.Sprintf("say general 'by node %d'", i+1))
		if out := u.must("follow general --since general/0 --count 66"); !strings.Contains(out, lastSaid) {
			t.Fatalf("node %d: %s", i+1, out)
		}
	}
	mu.Lock()
	until := last
	mu.Unlock()
	if until-first < 60 {
		t.Fatalf("%d packets of texts, from %d to %d", packets, first, until)
	}
	used := v.usedKeys()
	for n := first; n <= until; n++ {
		once, next := chainStep(t, key)
		used = append(used, key, once)
		key = next
	}
	for i, node := range c.nodes {
		v.server = node
		if found := v.left(used); found != 0 {
			t.Errorf("node %d: %d copies of %d used keys", i+1, found, len(used))
		}
		if found := v.find([][]byte{key}); found == 0 && terms(c.nodes[0]) != before {
			t.Logf("node %d: another node leads since then, and the key is gone", i+1)
		} else if found == 0 {
			t.Errorf("node %d: the key of the next packet is not found, which has to be there", i+1)
		} else {
			row.Control("the key of the next packet, which is there, is found on each node")
		}
	}
	row.Tried("%d keys in the memory of 3 nodes", len(used))
	row.Held("no used key is there, in a build with GOEXPERIMENT=runtimesecret")
}

// chain asks the leader, as a node of the chat, for the key of its texts, and returns the packet from which on it opens them.
func (c *testCluster) chain(t *testing.T, nc *nats.Conn) (first uint64, key []byte) {
	t.Helper()
	own, err := peer.LoadOrCreate(filepath.Join(t.TempDir(), "node.key"))
	if err != nil {
		t.Fatal(err)
	}
	public := make(map[string]string)
	for i, node := range c.nodes {
		listed := strings.Fields(c.must("cluster", "node", "key", "--node", fmt.Sprint("n", i+1), "--data", node.data))
		public[listed[0]] = listed[1]
	}
	admin := c.nodes[0].register("root")
	admin.must("claim " + c.nodes[0].claimCode())
	admin.at(c.nodes[0]).login().must("node add n9 " + own.Public())
	var at struct{ Genesis string }
	if err := json.Unmarshal([]byte(readText(t, filepath.Join(c.nodes[0].data, "cluster.json"))), &at); err != nil {
		t.Fatal(err)
	}
	known := func(name string) (string, bool) { key, ok := public[name]; return key, ok }
	peers := peer.New(nc, at.Genesis, "n9", own, known, slog.New(slog.DiscardHandler))
	if err := peers.Listen(); err != nil {
		t.Fatal(err)
	}
	defer peers.Close()
	for name := range public {
		if b, err := peers.Call(t.Context(), name, "chain", nil); err == nil {
			return binary.BigEndian.Uint64(b[8:]), b[16:]
		}
	}
	t.Fatal("no node leads")
	return 0, nil
}

// chainStep returns the key of a packet, and that of the chain behind it: FORMAT.md says how they are made.
func chainStep(t *testing.T, key []byte) (once, next []byte) {
	t.Helper()
	c, err := chacha20.NewUnauthenticatedCipher(key, make([]byte, chacha20.NonceSize))
	if err != nil {
		t.Fatal(err)
	}
	block := make([]byte, 64)
	c.XORKeyStream(block, block)
	return block[32:], block[:32]
}
