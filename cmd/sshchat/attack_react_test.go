package main

import (
	"fmt"
	"strings"
	"testing"

	"sshchat/sshchat/attack"
)

// I am not in a room, or was put out of it, and want a trace of me in it: a reaction, a reply, a pin, on a message whose ID I guess.
// I am refused as if there were no such room, and learn nothing of what is pinned there. Neither do I react to what was said
// before I came, or through a conversation of two others. The control is a member, who does all of it.
func TestAttackReactingFromOutside(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Room, "react, reply and pin in a room one is not in")
	s := startServer(t, "")
	alice, bob, mallory := s.register("alice"), s.register("bob"), s.register("mallory")
	alice.must("join #ops")
	bob.must("join #ops")
	alice.must("say ops the key is under the mat")
	alice.must("msg bob between us")
	tries := []string{
		"react ops/1 👍", "unreact ops/1 👍", "reply-to ops/1 hello", "say --reply ops/1 ops hello", "pin ops/1", "unpin ops/1", "pins ops",
		"react @bob/1 👍", "reply-to @bob/1 hello", "pin @bob/1", "react @mallory/1 👍",
	}
	for _, line := range tries {
		out, errs, code := mallory.exec(line, "")
		if code == 0 || out != "" || strings.Contains(errs, "mat") {
			t.Errorf("%s: exit %d, %s%s", line, code, out, errs)
		}
	}
	// In the room, too, but only since just now: what was before is not there.
	mallory.must("join #ops")
	for _, line := range []string{"react ops/1 👍", "reply-to ops/1 hello", "say --reply ops/1 ops hello"} {
		if out, errs, code := mallory.exec(line, ""); code != 4 || out != "" {
			t.Errorf("of the time before: %s: exit %d, %s%s", line, code, out, errs)
		}
	}
	mallory.must("part ops")
	if out := alice.must("search --json mat"); strings.Contains(out, "reactions") {
		t.Errorf("it left a trace: %s", out)
	}
	for _, line := range []string{"react ops/1 👍", "reply-to ops/1 hello", "say --reply ops/1 ops hello", "react @alice/1 👍", "pin @alice/1"} {
		bob.must(line)
	}
	alice.must("pin ops/1")
	row.Tried("%d lines from outside, 3 about what was said before one came", len(tries))
	row.Held("each is refused as if there were no such room or message")
	row.Control("a member does all of it")
}

// I am in a room, and neither its moderator nor the server's. I pin what I like, unpin what others have pinned, and pin
// more than anybody finds their way through. The control are a moderator's pins.
func TestAttackPinsByNonModerators(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Room, "pin and unpin in a room that others run")
	s := startServer(t, "", "--command-burst", "1000", "--command-rate", "1000", "--message-burst", "1000", "--message-rate", "1000")
	alice, bob := s.register("alice"), s.register("bob")
	alice.must("join #ops")
	bob.must("join #ops")
	alice.must("say ops read this")
	bob.must("say ops buy this")
	alice.must("pin ops/1")
	pipe := bob.pipe()
	pipe.typeln("/join ops")
	for _, line := range []string{"pin ops/2", "unpin ops/1", "pin general/1", "pin #ops/2"} {
		if out, errs, code := bob.exec(line, ""); code < 3 || out != "" {
			t.Errorf("%s: exit %d, %s%s", line, code, out, errs)
		}
		pipe.typeln("/" + line)
	}
	pipe.sees("only moderators of the room")
	if out := bob.must("pins ops --json"); strings.Count(out, "\n") != 1 || !strings.Contains(out, `"id":"ops/1"`) {
		t.Errorf("the pins are %s", out)
	}
	pinned := 1
	for i := range 30 { // of two people either may, but not without end
		bob.must(fmt.Sprint("msg alice ", i))
		if _, _, code := bob.exec(fmt.Sprintf("pin @alice/%d", i+1), ""); code == 0 {
			pinned++
		}
	}
	if pinned != 21 {
		t.Errorf("%d pins", pinned)
	}
	row.Tried("by exec and in a session; 30 pins in a conversation of two")
	row.Held("only who runs the room; at most 20 pins in a room")
	row.Control("its moderator pins; of two people either does")
}

// I react and take it back, again and again, and with each emoji there is, so that everybody's screen is drawn anew and memory
// fills. Reactions come no faster than messages, and a message takes 20 different ones. The control is a server that lets me.
func TestAttackReactionFlood(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Room, "a flood of reactions")
	count := func(t *testing.T, flags ...string) (done, kinds int) {
		s := startServer(t, "", flags...)
		alice, mallory := s.register("alice"), s.register("mallory")
		alice.must("say general hello")
		screen := mallory.plain(100, 24)
		screen.sees("Welcome")
		const n = 60
		for i := range n {
			screen.typeln("/react general/1 " + string([]rune{0x1F1E6, rune(0x1F1E6 + i%26)}))
			screen.typeln("/unreact general/1 " + string([]rune{0x1F1E6, rune(0x1F1E6 + i%26)}))
			screen.typeln("/react general/1 " + string(rune(0x1F600+i)))
		}
		screen.typeln("/whoami")
		screen.sees("mallory (user)")
		for line := range strings.Lines(alice.must("search --json hello")) {
			kinds += strings.Count(line, `{"emoji":`)
		}
		if _, err := fmt.Sscanf(alice.must("say general bye"), "general/%d", &done); err != nil {
			t.Fatal(err)
		}
		return done - 2, kinds
	}
	limited, _ := count(t, "--command-burst", "10000", "--command-rate", "10000", "--message-burst", "5", "--message-rate", "0.01")
	if limited > 6 {
		t.Errorf("%d reactions at the pace of 5 messages", limited)
	}
	free, most := count(t, "--command-burst", "10000", "--command-rate", "10000", "--message-burst", "10000", "--message-rate", "10000")
	if free < 40 || most != 20 {
		t.Errorf("the control: %d reactions, %d kinds", free, most)
	}
	row.Tried("180 reactions typed in one go")
	row.Held("%d came, as of messages; a message takes %d kinds", limited, most)
	row.Control("without the limit %d come", free)
}
