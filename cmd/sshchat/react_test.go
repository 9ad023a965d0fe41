package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// A reply, reactions and pins are what FORMAT.md says, to tools that have nothing of ours: age and jq, and a reader in another
// language. They are there after a restart, and also in what a window was closed with.
func TestOthersReadRepliesReactionsAndPins(t *testing.T) {
	t.Parallel()
	l := newLife(t)
	client(t, "jq")
	bob := l.s.register("bob")
	for _, line := range []string{"say general shall we", "say general gone", "say --reply general/1 general no", "react general/1 :+1:", "edit general/3 yes", "react general/2 🎉"} {
		l.alice.must(line)
	}
	for _, line := range []string{"react general/1 👍", "react general/1 ❤", "unreact general/1 ❤", "reply-to general/3 when?"} {
		bob.must(line)
	}
	l.alice.must("delete general/2")
	l.alice.must("pin general/1")
	bob.must("say @alice psst")
	bob.must("pin @alice/1")
	history, users := filepath.Join(l.s.data, "message_history.json"), filepath.Join(l.s.data, "users.json")
	const want = `general/1 alice shall we {"👍":["alice","bob"]} replies [3]
general/2 alice  deleted
general/3 alice yes of 1 replies [10]
general/10 bob when? of 3
@alice+bob/1 bob psst
`
	const table = `"\(.room)/\(.seq) \(.from) \(.text)" + (if .of then " of \(.of)" else "" end) + (if .deleted then " deleted" else "" end) +
		(if .reactions then " \(.reactions)" else "" end) + (if .replies then " replies \(.replies)" else "" end)`
	reads := func(when string) {
		t.Helper()
		out, errs, code := otherReader(t, "--now", history, "alice", l.key)
		if code != 0 {
			t.Fatalf("%s: read.py: %s", when, errs)
		}
		if got, errs, _ := runClient(t, out, "jq", "-r", table); got != want {
			t.Errorf("%s:\n%s%s\nwant\n%s", when, got, errs, want)
		}
	}
	reads("messages one by one")
	// The recipe of FORMAT.md, for the reply and a reaction.
	const recipe = `set -eo pipefail
		message=$(jq -c --argjson n "$3" '.records[] | select(.t == "msg" and .room == "general" and .seq == $n)' "$1")
		{ jq -j --argjson m "$message" '.records[] | select(.t == "window" and .room == "general" and .w == $m.w) | .heads.alice' "$1"
		  jq -nj --argjson m "$message" '$m.body' | base64 -d; } | age -d -i "$2" | jq -c '{from, kind, of, text}'`
	for n, want := range map[string]string{"3": `{"from":"alice","kind":"say","of":1,"text":"no"}`, "7": `{"from":"bob","kind":"react","of":1,"text":"👍"}`} {
		got, errs, code := runClient(t, "", "bash", "-c", recipe, "sh", history, l.key, n)
		if code != 0 || strings.TrimSpace(got) != want {
			t.Errorf("message %s: %s, want %s; %s", n, got, want, errs)
		}
	}
	const pinned = `general/1 alice, @alice+bob/1 bob`
	const pins = `[.pins[] | "\(.room)/\(.seq) \(.by)"] | join(", ")`
	l.s.stop()
	if got, errs, _ := runClient(t, "", "jq", "-r", pins, users); strings.TrimSpace(got) != pinned {
		t.Errorf("users.json has the pins %s%s", got, errs)
	}
	l.s = startServer(t, l.s.data)
	l.alice = l.s.login("alice", signerOf(t, l.key))
	if out := l.alice.must("pins general --json"); !strings.Contains(out, `{"id":"general/1","by":"alice","at":"`) {
		t.Errorf("after a restart: %s", out)
	}
	if out := l.alice.must("pins @bob"); !strings.Contains(out, "@bob/1 (no longer in memory); pinned by bob") {
		t.Errorf("after a restart: %s", out)
	}
	reads("closed")
	if out := l.alice.must("history --tar general"); strings.Contains(out, "gone") {
		t.Error("the tar is in clear")
	}
	l.alice.must("unpin general/1")
	l.alice.must("reply-to general/1 after the restart") // what memory has not can be replied to, and no more
	if _, _, code := l.alice.exec("react general/1 👍", ""); code != 4 {
		t.Errorf("a reaction to what is not in memory: exit %d", code)
	}
}
