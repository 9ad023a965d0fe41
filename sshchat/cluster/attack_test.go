package cluster

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sshchat/sshchat/attack"
	"sshchat/sshchat/chat"
	"sshchat/sshchat/chat/journaltest"
	"sshchat/sshchat/cluster/natstest"
	"sshchat/sshchat/text"
)

// I run the NATS servers of a chat, and look at all that they have: their files, and their memory. I find nothing of what is said,
// nobody's name and no password file. The controls: what one who does not seal would have put there is found, in files and in memory.
func TestAttackReadWhatServersHave(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Nodes, "run the NATS servers of a chat, and look through their files and memory")
	servers := natstest.StartOne(t)
	r := newRig(t, servers, 2, journaltest.Options{})
	who := r.alice(t)
	secret := "the password is " + rand.Text()
	recipient, sealed := r.Password()
	zora, err := text.ParseName("zora-" + strings.ToLower(rand.Text()[:8]))
	if err != nil {
		t.Fatal(err)
	}
	account := chat.Account{ID: fmt.Sprintf("%032x", time.Now().UnixNano()), Name: zora, Role: chat.User, Created: time.Now().UTC().Truncate(time.Second)}
	account = account.WithPassword(recipient, sealed)
	follower := r.sites[0]
	if follower.node.Here() {
		follower = r.sites[1]
	}
	if err := follower.hub.Load().Decide(t.Context(), chat.TheServer, chat.CreateAccount{Account: account}, nil); err != nil {
		t.Fatal(err)
	}
	words, err := text.ParseText(secret)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 { // from a follower: it goes to the leader, and to all screens
		if _, err := follower.hub.Load().Post(t.Context(), who.Caller, chat.General, chat.Say, words); err != nil {
			t.Fatal(err)
		}
	}
	nc := servers.ConnectAdmin(t, 0)
	open := "nobody seals " + rand.Text()                                                   // the control
	if _, err := nc.RequestWithContext(t.Context(), logSubject, []byte(open)); err != nil { // answered once it is stored
		t.Fatal(err)
	}
	secrets := map[string]string{
		"what was said": secret, "a name": zora.String(), "a password file": sealed.Sealed()[:40], "a recipient": recipient,
		"what was said, in base64": base64.StdEncoding.EncodeToString([]byte(secret))[:24],
	}
	looks := map[string]func(string) bool{"files": inFiles(t, servers.StoreDir(0))}
	if runtime.GOOS == "linux" && os.Geteuid() == 0 {
		looks["memory"] = inMemory(t, servers.Pid(0))
	}
	for where, has := range looks {
		if !has(open) {
			t.Errorf("the control: what is not sealed is not found in the %s of the server", where)
		}
		for what, s := range secrets {
			if has(s) {
				t.Errorf("%s is in the %s of the server", what, where)
			}
		}
	}
	row.Tried("%d secrets: what was said on another node than the leader, a name, a password file", len(secrets))
	row.Held("the stream holds what is sealed under cluster.key, without texts; those go from node to node under keys used once: none is found")
	row.Control("what a client publishes unsealed is found in both")
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

// inFiles reports whether a file below the folder has some words.
func inFiles(t *testing.T, dir string) func(string) bool {
	t.Helper()
	var all []byte
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		all = append(append(all, b...), 0)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return func(words string) bool { return bytes.Contains(all, []byte(words)) }
}

// inMemory reports whether the memory of a process has some words.
func inMemory(t *testing.T, pid int) func(string) bool {
	t.Helper()
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		t.Fatal(err)
	}
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		t.Fatal(err)
	}
	defer mem.Close()
	var all []byte
	for line := range strings.Lines(string(maps)) {
		var from, to int64
		var rights string
		if _, err := fmt.Sscanf(line, "%x-%x %s", &from, &to, &rights); err != nil || rights[:2] != "rw" {
			continue
		}
		b := make([]byte, to-from)
		n, _ := mem.ReadAt(b, from) // parts may not be readable
		all = append(append(all, b[:n]...), 0)
	}
	return func(words string) bool { return bytes.Contains(all, []byte(words)) }
}

// I have the nkey of a node, and write to the log. What I write is skipped, the chat goes on, and all nodes have the same.
func TestAttackWriteToTheLog(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Nodes, "write to the log of a cluster with the nkey of a node")
	servers := natstest.StartOne(t)
	r := newRig(t, servers, 3, journaltest.Options{})
	c := r.talk(t, 6, 5*time.Millisecond)
	c.more(30)
	nc := servers.Connect(t, 0)
	for i := range 5 {
		if err := nc.Publish(logSubject, fmt.Appendf(nil, "%s and some more words, number %d, that are none of the chat's", magic, i)); err != nil {
			t.Fatal(err)
		}
		c.more(20)
	}
	c.end()
	for _, s := range r.status() {
		if s.Broken != nil {
			t.Errorf("node %s: %v", s.Node, s.Broken)
		}
	}
	row.Tried("5 messages among those of 6 people on 3 nodes")
	row.Held("what cluster.key does not open is skipped: nothing is lost or stored twice, and all nodes have the same")
	row.Control("what the nodes publish is taken: all that was acknowledged is stored")
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

// I have damaged the stream: a message is gone, and others are in its place. Every node notices it, names the message, and takes
// nothing more.
func TestAttackReplaceAMessage(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Nodes, "put another message into the stream in the place of one")
	servers := natstest.StartOne(t)
	r := newRig(t, servers, 2, journaltest.Options{})
	c := r.talk(t, 2, 5*time.Millisecond)
	c.more(10)
	c.stop()
	c.ends.Wait()
	for _, s := range r.sites {
		if err := s.stop(); err != nil {
			t.Fatal(err)
		}
	}
	at, err := ReadPosition(r.sites[0].dir)
	if err != nil {
		t.Fatal(err)
	}
	forged := at
	forged.Seq, forged.Sum = at.Seq-3, strings.Repeat("0", 64) // as if another message stood there
	if err := forged.write(r.sites[0].dir); err != nil {
		t.Fatal(err)
	}
	err = r.sites[0].start()
	broken := (*BrokenError)(nil)
	if !errors.As(err, &broken) || broken.Seq != at.Seq-3 {
		t.Errorf("it starts: %v", err)
	}
	if err := at.write(r.sites[0].dir); err != nil { // the control
		t.Fatal(err)
	}
	if err := r.sites[0].start(); err != nil {
		t.Errorf("the control: %v", err)
	}
	row.Tried("a node that has seen another message than the one in the stream starts")
	row.Held("a node knows the SHA-256 of the last message that it has, and each message names that of the one before: the node does not start, and names the message that is another")
	row.Control("with the message that it has seen it starts")
	if err := r.sites[0].stop(); err != nil {
		t.Error(err)
	}
}

// Of messages that are published for the same place one is stored. The control: publishers that do not say what theirs follow on fill
// the stream with all of them.
func TestOneMessageForAPlace(t *testing.T) {
	t.Parallel()
	const publishers, places = 4, 20
	for _, blind := range []bool{false, true} {
		log := &stream{nc: natstest.StartOne(t).Connect(t, 0)}
		if err := log.create(t.Context(), "a chat", 1, time.Hour); err != nil {
			t.Fatal(err)
		}
		log.blind.Store(blind)
		for place := range uint64(places) {
			var all sync.WaitGroup
			var stored atomic.Int64
			for i := range publishers {
				all.Go(func() {
					if log.publish(t.Context(), place, fmt.Append(nil, i)) == nil {
						stored.Add(1)
					}
				})
			}
			all.Wait()
			if n := stored.Load(); n != 1 && !blind {
				t.Errorf("place %d was given to %d messages", place+1, n)
			}
		}
		is, err := log.info(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if want := map[bool]uint64{false: places, true: publishers * places}[blind]; is.State.Last != want {
			t.Errorf("blind: %v: the stream has %d messages, not %d", blind, is.State.Last, want)
		}
	}
}
