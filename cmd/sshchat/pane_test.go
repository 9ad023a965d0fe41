package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/charmbracelet/colorprofile"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/view/theme"
)

// paneOf is what stands in the pane of a screen of 120 columns, which has 20 of them.
func paneOf(screen string) string {
	var names []string
	for row := range strings.Lines(screen) {
		cells := []rune(strings.TrimRight(row, "\n"))
		if len(cells) > 100 && cells[99] == '│' {
			names = append(names, strings.TrimSpace(string(cells[100:])))
		}
	}
	return strings.TrimSpace(strings.Join(names, " "))
}

// The pane follows who is in the room: who comes and goes, is away, moderates, and which room it is.
func TestPaneFollows(t *testing.T) {
	t.Parallel()
	s := startServer(t, "", "--command-burst", "1000")
	alice, bob, carol := s.register("alice"), s.register("bob"), s.register("carol")
	alice.must("claim " + s.claimCode())
	alice = s.login("alice", alice.signer)
	o := bob.full(120, 24)
	o.sees("Welcome, bob")
	shows := func(what, want string) {
		t.Helper()
		o.looks(120, 24, fmt.Sprintf("%s: a pane with %q", what, want), func(screen string) bool { return paneOf(screen) == want })
	}
	shows("not asked for", "")
	o.typeln("/pane")
	shows("asked for", "bob ─ offline @alice carol")
	o.looks(120, 24, "an answer", func(s string) bool { return strings.Contains(s, "pane is on") })
	session := carol.plain(80, 24)
	shows("carol came", "bob carol ─ offline @alice")
	carol.must("away for lunch")
	shows("carol is away", "bob ─ away carol ─ offline @alice")
	alice.must("user set-role bob mod")
	shows("bob is a moderator", "@bob ─ away carol ─ offline @alice")
	session.typed.Close()
	<-session.ended
	shows("carol left", "@bob ─ offline @alice carol")
	alice.must("user delete carol --yes")
	shows("carol has no account any more", "@bob ─ offline @alice")
	alice.must("say general beside the pane")
	o.looks(120, 24, "a message", func(screen string) bool {
		return strings.Contains(screen, "alice │ beside the pane") && paneOf(screen) == "@bob ─ offline @alice"
	})
	o.typeln("/join #dev")
	shows("another room", "@bob")
	alice.must("join dev")
	shows("alice joined it", "@bob ─ offline @alice")
	alice.must("part dev")
	shows("alice left it", "@bob")
	o.typeln("/query alice")
	shows("a conversation of two", "")
	o.typeln("/go general")
	shows("back", "@bob ─ offline @alice")
	for _, width := range []int{99, 120} {
		if err := o.WindowChange(24, width); err != nil {
			t.Fatal(err)
		}
		shows(fmt.Sprint(width, " columns"), map[int]string{99: "", 120: "@bob ─ offline @alice"}[width])
	}
	again := s.login("bob", bob.signer).full(120, 24)
	again.looks(120, 24, "the pane in a later session", func(screen string) bool { return paneOf(screen) == "@bob ─ offline @alice" })
	again.typeln("/pane off")
	shows("switched off in another session", "")
}

// The color that somebody chooses is seen by others: in the pane, which follows it, and in what they say next.
func TestOthersSeeOnesColor(t *testing.T) {
	t.Parallel()
	s := startServer(t, "")
	alice, bob := s.register("alice"), s.register("bob")
	bob.must("set pane on")
	o := bob.full(120, 24)
	o.sees("Welcome, bob")
	alice.plain(80, 24)
	o.looks(120, 24, "alice in the pane", func(screen string) bool { return paneOf(screen) == "alice bob" })
	teal := theme.For("dark", colorprofile.ANSI256).Name("alice", slices.Index(chat.NameColors, "teal")+1) + "alice"
	if strings.Contains(o.seen.String(), teal) {
		t.Fatal("alice has that color without having chosen it")
	}
	alice.must("set color teal")
	o.sees(teal) // in the pane
	alice.must("say general in my color")
	o.sees("in my color")
	seen := o.seen.String()
	if end := strings.Index(seen, "in my color"); !strings.Contains(seen[max(0, end-len(teal)-40):end], teal) {
		t.Errorf("a message by a name in another color: %q", seen[max(0, end-100):end])
	}
}

// /theme and /color show the themes over the messages of a full screen, and name them elsewhere.
func TestThemesAreShown(t *testing.T) {
	t.Parallel()
	s := startServer(t, "")
	alice := s.register("alice")
	o := alice.full(80, 24)
	o.sees("Welcome, alice")
	for _, line := range []string{"/theme", "/color"} {
		o.typeln(line)
		o.looks(80, 24, "the themes over the messages", func(screen string) bool {
			return strings.Contains(screen, "\n "+line+" ") && strings.Contains(screen, "\n dark  <- your theme") && strings.Contains(screen, "\n light")
		})
		fmt.Fprint(o.typed, "q")
		o.looks(80, 24, "the messages", func(screen string) bool {
			return !strings.Contains(screen, "your theme") && strings.Contains(screen, "Welcome, alice")
		})
	}
	plain := alice.plain(80, 24)
	plain.typeln("/theme")
	plain.sees("theme is dark (dark, light or mono)")
}
