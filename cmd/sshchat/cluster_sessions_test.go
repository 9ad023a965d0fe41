package main

import (
	"strings"
	"testing"

	"sshchat/sshchat/cluster/natstest"
)

// Admins see the sessions of all nodes, and end them, on whichever node they are; what was decided has ended sessions on all nodes when
// the command returns. A node that does not answer is named.
func TestClusterSessions(t *testing.T) {
	t.Parallel()
	c := startCluster(t, natstest.StartOne(t), 2)
	n1, n2 := c.nodes[0], c.nodes[1]
	alice := n1.register("alice")
	alice.must("claim " + n1.claimCode())
	alice = n1.login("alice", alice.signer)
	bob := n2.register("bob")
	open := func() *openSession {
		s := bob.at(n2).login().plain(80, 24)
		s.sees("Welcome")
		return s
	}
	first := open()
	list := alice.must("sessions")
	if !lineHas(list, "bob", "plain", "n2") || !lineHas(list, "alice", "exec", "n1") {
		t.Errorf("the sessions:\n%s", list)
	}
	if list := alice.must("sessions --json"); !lineHas(list, `"name":"bob"`, `"node":"n2"`, `"key":"SHA256:`) {
		t.Errorf("as JSON:\n%s", list)
	}
	if _, errs, code := alice.exec("kick bob general loud", ""); code != 0 || !strings.Contains(errs, "Ended 1 session of bob.") {
		t.Errorf("kick: exit %d, %s", code, errs)
	}
	first.sees("alice ended your session: loud")
	if _, errs, code := alice.exec("kick bob general", ""); code != 4 || !strings.Contains(errs, "not connected") {
		t.Errorf("kick again: exit %d, %s", code, errs)
	}
	open()
	open()
	if _, errs, code := alice.exec("ban bob", ""); code != 0 || !strings.Contains(errs, "2 sessions ended") {
		t.Errorf("ban: exit %d, %s", code, errs)
	}
	if list := alice.must("sessions"); strings.Contains(list, "bob") {
		t.Errorf("after the ban:\n%s", list)
	}
	n2.stop()
	if _, errs, code := alice.exec("sessions", ""); code != 0 || !strings.Contains(errs, "No answer from node n2: sessions there are not listed.") {
		t.Errorf("without n2: exit %d, %s", code, errs)
	}
}

// lineHas reports whether a line has all of those words.
func lineHas(lines string, words ...string) bool {
	for line := range strings.Lines(lines) {
		has := true
		for _, word := range words {
			has = has && strings.Contains(line, word)
		}
		if has {
			return true
		}
	}
	return false
}
