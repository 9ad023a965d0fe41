package command

import (
	"slices"
	"strings"
	"testing"
	"time"

	"sshchat/sshchat/chat"
)

// heard is a cluster in which some nodes were heard.
type heard []NodeStatus

func (h heard) Nodes() []NodeStatus { return h }

// Admins list, add and remove nodes, in the chat and over ssh; each change has its line in the audit log. Nobody else does, and a
// server without a cluster refuses.
func TestNodeCommands(t *testing.T) {
	const keyA, keyB = "CAkKCwwNDg8QERITFBUWFxgZGhscHR4fICEiIyQlJic=", "AAkKCwwNDg8QERITFBUWFxgZGhscHR4fICEiIyQlJic="
	q := newQueue(t, nil)
	lines := []string{"node list", "node", "node add a " + keyA, "node remove a"}
	for _, line := range lines {
		q.refuses(line, chat.Failed, "this server is not part of a cluster")
	}
	at := time.Date(2026, 11, 26, 17, 4, 5, 0, time.UTC)
	q.services.Cluster = heard{
		{Name: "a", Here: true, Alive: true, Heard: at, Applied: 4711, Version: "v1.2.0"},
		{Name: "b", Leader: true, Alive: true, Heard: at, Applied: 4712, Version: "v1.2.0"},
		{Name: "c", Leader: true, Heard: at, Applied: 4000, Version: "v1.1.0"},
		{Name: "removed", Alive: true, Heard: at},
	}
	if seen := q.must("node list"); seen != "No nodes.\n" {
		t.Errorf("no nodes: %s", seen)
	}
	for _, role := range []chat.Role{chat.User, chat.Mod} {
		q.role(role)
		for _, line := range lines {
			q.refuses(line, chat.Denied, "only admins")
		}
	}
	q.role(chat.Admin)
	q.acts.all = nil
	q.sees("node add a "+keyA, "Added node a.")
	q.sees("node add b "+keyB, "Added node b.")
	for name, key := range map[string]string{"c": "c", "d": "d"} {
		q.must("node add " + name + " " + strings.Repeat(key, 42) + "A=")
	}
	q.refuses("node add a "+keyA, chat.Failed, "already a node a")
	q.refuses("node add e "+keyA, chat.Failed, "that of node a")
	q.refuses("node add A.b "+keyA, chat.Usage, "name of a node")
	q.refuses("node add e "+keyA[4:], chat.Usage, "key of a node")
	q.refuses("node add e", chat.Usage, "node add needs the name of a node and a key")
	q.refuses("node remove", chat.Usage, "node remove needs")
	q.refuses("node remove e", chat.NotFound, "no node named e")
	q.refuses("node remove ''", chat.Usage, "the name of a node")
	q.refuses("node remove "+strings.Repeat("a", 33), chat.Usage, "the name of a node")
	q.refuses("node list x", chat.Usage, "usage: /node list")
	seen := q.must("node list")
	for _, want := range []string{
		"a  online, this node                   4711  v1.2.0  " + keyA, "b  leader                              4712  v1.2.0  " + keyB,
		"c  last heard 2026-11-26 17:04:05 UTC  4000  v1.1.0  ", "d  not heard from                      -     -       ",
	} {
		if !strings.Contains(seen, want) {
			t.Errorf("without %q:\n%s", want, seen)
		}
	}
	if strings.Contains(seen, "removed") || strings.Count(seen, "leader") != 1 {
		t.Errorf("a node that is not one, or that is not heard any more, is listed:\n%s", seen)
	}
	for line, want := range map[string]string{"/node remove ": "a b c d", "/node remove a ": "", "/node ": "add list remove"} {
		got := q.services.Commands.Complete(q.services, q.account(q.me), line).Words
		if slices.Sort(got); strings.Join(got, " ") != want {
			t.Errorf("%q is completed by %q", line, got)
		}
	}
	q.face = Exec
	added := q.hub.View().Nodes()[1].Added.Format(time.RFC3339)
	if seen := q.must("node list --json"); strings.Count(seen, `"leader":true`) != 1 {
		t.Errorf("not one leader:\n%s", seen)
	}
	q.sees("node list --json", `{"name":"b","key":"`+keyB+`","added":"`+added+`","here":false,"leader":true,"alive":true,"heard":"2026-11-26T17:04:05Z","applied":4712,"version":"v1.2.0"}`)
	q.services.Cluster = heard{{Name: "a", Here: true, Alive: true}, {Name: "c", Heard: at}, {Name: "removed", Alive: true}}
	q.refuses("node remove a", chat.Failed, "a is the only node that runs") // nobody could log in to add another
	q.services.Cluster = heard{{Name: "a", Here: true, Alive: true}, {Name: "c", Alive: true}}
	q.sees("node remove a", "Removed node a.") // the control
	q.sees("node add a "+keyA, "Added node a.")
	for _, n := range []string{"b", "c", "d"} {
		q.sees("node remove "+n, "Removed node "+n+".")
	}
	q.refuses("node remove a", chat.Failed, "sshchat cluster leave")
	var did []string
	for _, a := range q.acts.all {
		if a.Result == "done" {
			did = append(did, a.Do+" "+a.On)
		}
	}
	slices.Sort(did)
	if got := strings.Join(did, ", "); got != "node add a, node add a, node add b, node add c, node add d, node remove a, node remove b, node remove c, node remove d" {
		t.Errorf("the audit log has %s", got)
	}
}
