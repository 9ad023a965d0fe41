package main

import (
	"io"
	"strings"
	"testing"
)

// Somebody reconnects before the server has noticed that their connection is lost. What they were typing comes once it does, to the
// session that they have begun since: not to one that was there before, nor into what they are typing in another.
func TestDraftFollowsItsPersonBeforeTheLossIsNoticed(t *testing.T) {
	t.Parallel()
	s := startServer(t, "")
	for name, term := range map[string]string{"alice": "dumb", "bob": "xterm"} {
		lost := s.register(name)
		begin := func(u *user, term string) *openSession {
			o := u.terminal(term, 80, 24)
			o.sees("Welcome")
			return o
		}
		before, typing := begin(s.login(name, lost.signer), "dumb"), begin(lost, "dumb")
		io.WriteString(typing.typed, "half a thought")
		typing.sees("half a thought")
		busy := begin(s.login(name, lost.signer), "dumb")
		io.WriteString(busy.typed, "another one")
		busy.sees("another one")
		now := begin(s.login(name, lost.signer), term)
		lost.Close()
		now.sees("Your draft is back.")
		now.typeln("")
		for _, o := range []*openSession{before, busy} {
			o.sees(name + ": half a thought")
			if strings.Contains(o.seen.String(), "draft") {
				t.Errorf("%s: the draft comes to another session: %q", name, o.seen)
			}
		}
	}
}
