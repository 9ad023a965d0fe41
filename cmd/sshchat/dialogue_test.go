package main

import (
	"fmt"
	"strings"
	"testing"
)

// Whatever dialogue ends because of what was answered, and however fast it is answered: the next line is not said in the
// room, and neither is what was typed ahead. The control is the same line where no question was asked.
func TestDialoguesStayOutOfTheRoom(t *testing.T) {
	t.Parallel()
	s := startServer(t, "", "--password-delay-after", "1000", "--command-burst", "1000", "--message-burst", "1000")
	s.registerByPassword("paula")
	bob := s.register("bob")
	const asks, swallowed = "What you type now is not sent", "typed before the question was answered: not sent"
	fresh := "a long new password 7"
	for name, d := range map[string]struct {
		steps [][2]string // what is seen, and what is typed then
		plain bool        // it is declined: nothing is swallowed
	}{
		"passwd": {steps: [][2]string{
			{"", "/passwd"}, {"Current password:", "not this"}, {"New password:", fresh}, {"Repeat the password:", fresh},
			{"Please try again.", "nor this"}, {"Please try again.", "nor this one"},
		}},
		"passwd, all too short": {steps: [][2]string{
			{"", "/passwd"}, {"Current password:", goodPassword}, {"New password:", "short"}, {"must have at least", "short"}, {"must have at least", "short"},
		}},
		"passwd recover": {steps: [][2]string{
			{"", "/passwd recover"}, {"Current password:", "a"}, {"Previous password:", "b"},
		}},
		"totp enable, the password": {steps: [][2]string{
			{"", "/totp enable"}, {"Password:", "no"}, {"Please try again.", "nono"}, {"Please try again.", "nonono"},
		}},
		"totp enable, the code": {steps: [][2]string{
			{"", "/totp enable"}, {"Password:", goodPassword}, {"Code from your authenticator:", "000000"}, {"Please try again.", "letters"}, {"Please try again.", "12"},
		}},
		"key share": {steps: [][2]string{
			{"", "/key share"}, {"Password:", "no"}, {"Please try again.", "nono"}, {"Please try again.", "nonono"},
		}},
		"account delete": {steps: [][2]string{
			{"", "/account delete"}, {"Type its name to continue:", "pauli"}, {"Please type paula", "pula"}, {"Please type paula", "paola"},
		}},
		"account delete, declined": {plain: true, steps: [][2]string{
			{"", "/account delete"}, {"Type its name to continue:", "no"},
		}},
	} {
		for _, face := range []string{"plain", "full"} {
			for _, ahead := range []bool{false, true} {
				t.Run(fmt.Sprint(name, " ", face, " ahead ", ahead), func(t *testing.T) {
					paula := s.byPassword("paula", goodPassword)
					o := paula.plain(80, 24)
					if face == "full" {
						o = paula.full(80, 24)
					}
					o.sees("Welcome")
					secret := "hunter2 " + strings.Map(letters, t.Name())
					if ahead {
						all := ""
						for _, step := range d.steps {
							all += step[1] + "\r"
						}
						fmt.Fprint(o.typed, all+secret+" one\r"+secret+" two\r")
						o.sees(swallowed)
					} else {
						for i, step := range d.steps {
							o.seesTimes(step[0], times(d.steps[:i+1], step[0]))
							o.typeln(step[1])
						}
						if !d.plain {
							o.seesTimes(asks, 1)
							o.typeln(secret + " one")
						}
					}
					done := "done " + strings.Map(letters, t.Name())
					waitFor(t, "the room again", func() bool { // what is typed too soon is dropped, and that is said
						o.typeln(done)
						return strings.Contains(bob.must("search "+done), done)
					})
					if said := bob.must("search hunter2"); strings.Contains(said, "paula: "+secret) {
						t.Errorf("in the room: %s", said)
					}
					if strings.Contains(o.seen.String(), secret) {
						t.Errorf("on the screen: %q", o.seen)
					}
					o.typed.Close()
				})
			}
		}
	}
	o := s.byPassword("paula", goodPassword).plain(80, 24)
	o.sees("Welcome")
	o.typeln("hunter2 in the open")
	o.sees("paula: hunter2 in the open")
	if said := bob.must("search hunter2"); !strings.Contains(said, "paula: hunter2 in the open") {
		t.Errorf("the control is not in the room: %s", said)
	}
	if out := bob.must("whois paula"); !strings.Contains(out, "paula") {
		t.Error("paula is gone")
	}
}

// letters leaves nothing else.
func letters(r rune) rune {
	if r >= 'a' && r <= 'z' {
		return r
	}
	return -1
}

// times is how often the steps have waited for the text.
func times(steps [][2]string, text string) int {
	n := 0
	for _, step := range steps {
		if step[0] == text {
			n++
		}
	}
	return n
}

// seesTimes waits until text has been shown so often.
func (o *openSession) seesTimes(text string, n int) {
	o.u.t.Helper()
	if text == "" {
		return
	}
	waitFor(o.u.t, fmt.Sprintf("%q on %s's screen %d times", text, o.u.name, n), func() bool {
		return strings.Count(o.seen.String(), text) >= n
	})
}
