package main

import (
	"errors"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

// Whoever follows rooms and is put out of the last of them is told, and ends with 3: nothing would ever come again.
func TestFollowEndsWithItsRooms(t *testing.T) {
	t.Parallel()
	s := startServer(t, "")
	alice, bob := s.register("alice"), s.register("bob")
	for _, room := range []string{"dev", "lab"} {
		alice.must("join " + room)
		bob.must("join " + room)
	}
	o := bob.run("follow dev lab")
	all := bob.run("follow")
	waitFor(t, "both to follow", func() bool {
		alice.must("say lab are you there")
		return strings.Contains(o.seen.String(), "are you there") && strings.Contains(all.seen.String(), "are you there")
	})
	alice.must("kick bob dev")
	o.sees("You are no longer in #dev.")
	alice.must("say lab still here")
	o.sees("alice: still here")
	alice.must("kick bob lab")
	o.sees("you are no longer in #lab")
	var exit *ssh.ExitError
	if err := <-o.ended; !errors.As(err, &exit) || exit.ExitStatus() != 3 {
		t.Errorf("ended with %v", err)
	}
	alice.must("say general all that is left")
	all.sees("alice: all that is left") // who follows what there is goes on
	if strings.Contains(all.seen.String(), "any more") {
		t.Errorf("whoever names no room is told:\n%s", all.seen)
	}
}

// What is not followed cannot be resumed: it is said, not waited for in silence.
func TestFollowResumesWhatItFollows(t *testing.T) {
	t.Parallel()
	s := startServer(t, "")
	alice, bob := s.register("alice"), s.register("bob")
	alice.must("join dev")
	alice.must("say general hello")
	for line, code := range map[string]int{
		"follow --since dev/0 --count 1": 3, "follow dev --since dev/0 --count 1": 3, "follow general --since @alice/0 --count 1": 2,
		"follow --since nosuch/0 --count 1": 3, "follow --since general/0 --count 1": 0, "follow general --since general/0 --count 1": 0,
	} {
		if _, errs, got := bob.exec(line, ""); got != code {
			t.Errorf("%s: exit %d, %q", line, got, errs)
		}
	}
	o := bob.run("follow --since general/7 --since @alice/3")
	o.sees("There is no message general/7: following after general/1.")
	o.sees("There is no message @alice/3: following from the beginning.")
	alice.must("say general more")
	alice.must("msg bob hello")
	o.sees("alice: more")
	o.sees("alice: hello")
	if out, errs, code := bob.exec("follow --since general/2 --count 1 --since @alice/0", ""); code != 0 || strings.Contains(errs, "There is no") || !strings.Contains(out, "@alice/1") {
		t.Errorf("what was sent last: exit %d, %s%s", code, out, errs)
	}
}
