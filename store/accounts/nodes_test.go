package accounts

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"sshchat/sshchat/chat"
)

// Nodes of a cluster survive a stop and a crash, a file edited by hand may add and remove them while the server runs and after a
// crash, and a server that is no cluster stores nothing of them.
func TestNodesSurviveAndAreEditedByHand(t *testing.T) {
	t.Parallel()
	u, _, _ := begun(t)
	add := func(name string) {
		t.Helper()
		key := strings.Repeat(name, 42) + "A=" // 32 bytes
		u.must(t, chat.AddNode{Node: chat.Node{Name: name, Key: key}})
	}
	holds := func(u *Store, want string) {
		t.Helper()
		var got []string
		for _, n := range u.View().Nodes() {
			if err := n.Check(); err != nil || n.Added.IsZero() {
				t.Errorf("%+v: %v", n, err)
			}
			got = append(got, n.Name)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("the nodes are %v, not %s", got, want)
		}
	}
	path := u.files.path
	if text := mustRead(t, path); strings.Contains(text, "nodes") {
		t.Errorf("without a cluster users.json has nodes: %s", text)
	}
	add("a")
	add("b")
	crashed, _ := asked(t, crash(t, u))
	holds(crashed, "a b")
	checkpoint(t, u)
	line := fmt.Sprintf("\n  {%s},", strings.ReplaceAll(oneNode, `"a"`, `"d"`))
	replaceIn(t, path, `"nodes":[`, `"nodes":[`+line)
	add("c")
	dir := crash(t, u) // with the edit, and what was decided after it
	if changed, err := u.reload(); err != nil || changed != 0 {
		t.Fatalf("%d, %v", changed, err)
	}
	holds(u, "a b c d")
	again, _ := asked(t, dir)
	holds(again, "a b c d")
	u.must(t, chat.RemoveNode{Name: "a"})
	checkpoint(t, u)
	// A key that another node has is refused, and nothing changes.
	text := mustRead(t, path)
	key := u.View().Nodes()[0].Key
	replaceIn(t, path, nodeKey, key)
	if _, err := u.reload(); err == nil || !strings.Contains(err.Error(), "is that of node b") {
		t.Errorf("two nodes with one key: %v", err)
	}
	holds(u, "b c d")
	replaceIn(t, path, mustRead(t, path), text)
	if err := u.Close(); err != nil {
		t.Fatal(err)
	}
	third, _ := asked(t, filepath.Dir(path))
	holds(third, "b c d")
	for _, n := range []string{"b", "c", "d"} {
		third.must(t, chat.RemoveNode{Name: n})
	}
	checkpoint(t, third)
	if text := mustRead(t, path); strings.Contains(text, "nodes") {
		t.Errorf("users.json has nodes though there are none: %s", text)
	}
}
