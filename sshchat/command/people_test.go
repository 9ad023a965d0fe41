package command

import (
	"fmt"
	"strings"
	"testing"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
)

func TestAwayAndBack(t *testing.T) {
	r := newRig(t, "alice", "bob")
	r.refuses("away lunch", chat.Failed, "you have no open session")
	r.hub.SessionOpened(r.me)
	r.sees("away  lunch, then a \x1b\u202enap", "You are away (lunch, then a nap).")
	r.sees("away", "You are away.\n")
	r.sees("away lunch", "You are away (lunch).")
	r.refuses("away "+strings.Repeat("x", maxWhy+1), chat.Usage, "too long")

	r.as("bob")
	r.sees("whois alice", "alice (user), away since ")
	r.sees("whois alice", "(lunch)\n")
	r.sees("who", "alice  away\n")
	r.sees("msg alice are you there", "alice is away (lunch).")
	r.face = Exec
	r.sees("who general --json", `{"name":"alice","here":true,"away":true}`)
	if seen := r.must("msg alice hello"); seen != "@alice/2\n" {
		t.Errorf("a script is told %q", seen)
	}

	r.as("alice")
	r.sees("back", "You are back.")
	r.sees("back", "You were not away.")
	r.refuses("back now", chat.Usage, "too many")
	r.face = Chat
	r.as("bob")
	r.sees("whois alice", "alice (user), online\n")
	if seen := r.must("msg alice hello again"); seen != "" || r.session.noted != "-- to alice: hello again" {
		t.Errorf("bob is told %q and %q", seen, r.session.noted)
	}
	r.must("msg alice " + strings.Repeat("long ", 30))
	if want := "-- to alice: " + strings.Repeat("long ", 12)[:59] + "…"; r.session.noted != want {
		t.Errorf("bob is told %q", r.session.noted)
	}
	r.refuses("msg alice", chat.Usage, "/msg needs a name and a message; /query alice opens the conversation\nusage: /msg USER TEXT")
	r.face = Exec
	r.refuses("msg alice", chat.Usage, "msg needs a name and a message\nusage")
}

func TestWhois(t *testing.T) {
	r := newRig(t, "alice", "bob")
	r.must("join #dev")
	r.must("join #own")
	r.as("bob")
	r.must("join #dev")
	r.must("join #bobs")
	r.must("tz Asia/Kolkata")
	r.as("alice")
	r.must("msg bob hi") // a room of two is not one they share with anybody to see
	seen := r.must("whois @Bob")
	for _, want := range []string{"bob (user), offline\n", "  account since 2026-11-02\n", "  rooms you share: #general #dev\n", "  local time: "} {
		if !strings.Contains(seen, want) {
			t.Errorf("no %q in\n%s", want, seen)
		}
	}
	if strings.Contains(seen, "bobs") || strings.Contains(seen, "own") || strings.Contains(seen, "Kolkata") {
		t.Errorf("too much is told:\n%s", seen)
	}
	if seen := r.must("whois alice"); strings.Contains(seen, "time") {
		t.Errorf("a time without a zone:\n%s", seen)
	}
	r.face = Exec
	r.sees("whois bob --json", `{"name":"bob","role":"user","here":false,"away":false,"created":"2026-11-02","rooms":["general","dev"],"time":"`)
	r.refuses("whois", chat.Usage, "needs a name")
	r.refuses("whois nobody", chat.NotFound, "no account named nobody")
	r.refuses("whois b!b", chat.Usage, "not a valid name")
	r.refuses("whois bob carol", chat.Usage, "too many")
}

func TestIgnore(t *testing.T) {
	r := newRig(t, "alice", "bob", "carol")
	r.sees("ignore", "You are not ignoring anyone.")
	r.sees("ignore @bob", "You are ignoring bob")
	r.must("ignore bob")
	r.must("ignore carol")
	if seen := r.must("ignore"); seen != "bob\ncarol\n" {
		t.Errorf("ignored: %q", seen)
	}
	r.refuses("ignore alice", chat.Failed, "yourself")
	r.refuses("ignore nobody", chat.NotFound, "no account named nobody")
	r.refuses("ignore b!b", chat.Usage, "not a valid name")
	r.refuses("unignore", chat.Usage, "needs a name")
	r.refuses("unignore dave", chat.Failed, "you are not ignoring dave")

	if err := r.hub.Decide(t.Context(), chat.TheServer, chat.DeleteAccount{ID: "id-bob"}, nil); err != nil { // who is gone stands in nobody's way
		t.Fatal(err)
	}
	r.must("ignore carol")
	r.sees("unignore @bob", "You are no longer ignoring bob.")
	r.must("unignore carol")
	r.sees("ignore", "You are not ignoring anyone.")
}

func TestNobodyIgnoresTooMany(t *testing.T) {
	var people []string
	for i := range maxIgnored + 2 {
		people = append(people, fmt.Sprintf("p%d", i))
	}
	r := newRig(t, people...)
	for _, p := range people[1 : maxIgnored+1] {
		r.must("ignore " + p)
	}
	r.refuses("ignore "+people[maxIgnored+1], chat.Failed, "at most 100")
	r.must("unignore " + people[1])
	r.must("ignore " + people[maxIgnored+1])
}

func TestFocus(t *testing.T) {
	r := newRig(t, "alice", "bob", "carol")
	r.sees("focus", "You see everyone.")
	r.sees("focus bob @carol", "In rooms you see only messages from bob, carol and yourself.")
	if f := r.session.Focus(); len(f) != 2 || f[0] != name(t, "bob") {
		t.Errorf("in focus: %v", f)
	}
	r.sees("focus carol", "messages from carol and")
	r.refuses("focus bob nobody", chat.NotFound, "no account named nobody")
	r.refuses("focus $ bob", chat.Usage, "not a valid name")
	r.refuses("focus"+strings.Repeat(" bob", maxIgnored+1), chat.Failed, "at most 100")
	r.sees("focus", "messages from carol and") // what is refused changes nothing
	r.sees("focus $", "You see everyone.")
	if f := r.session.Focus(); len(f) != 0 {
		t.Errorf("in focus: %v", f)
	}
	r.face = Exec
	r.refuses("focus bob", chat.Usage, "unknown command focus")
}

func TestShrugAndClear(t *testing.T) {
	r := newRig(t, "alice")
	r.must("shrug")
	r.must("shrug it's 'fine'")
	var said []string
	for _, m := range r.hub.Before(r.me, chat.General, 0, 10) {
		said = append(said, m.Text.String())
	}
	if got := strings.Join(said, "|"); got != `¯\_(ツ)_/¯|it's 'fine' ¯\_(ツ)_/¯` {
		t.Errorf("said: %s", got)
	}
	if r.session.said != 2 {
		t.Errorf("%d messages were paced", r.session.said)
	}
	r.must("clear")
	if r.session.cleared != 1 {
		t.Error("nothing was cleared")
	}
}

func TestHighlight(t *testing.T) {
	r := newRig(t, "alice", "bob")
	r.sees("highlight", "You are not highlighting any words.")
	r.sees("highlight deploy Release", "Highlighted: deploy Release")
	r.sees("highlight DEPLOY #4711", "Highlighted: deploy Release #4711")
	if seen := r.must("highlight"); seen != "deploy\nRelease\n#4711\n" {
		t.Errorf("highlighted: %q", seen)
	}
	r.sees("highlight -d release", "Highlighted: deploy #4711")
	r.refuses("highlight -d release", chat.Failed, `you are not highlighting "release"`)
	r.refuses("highlight -d", chat.Usage, "needs a word")
	r.refuses("highlight "+strings.Repeat("é", text.MaxWord+1), chat.Usage, "at most 40 letters")
	r.refuses(`highlight "two words"`, chat.Usage, "single words")
	r.must("highlight " + strings.Repeat("é", text.MaxWord))
	r.must("set highlight Deploy deploy")
	r.sees("set highlight", "Deploy\n")
	var many []string
	for i := range maxHighlights + 1 {
		many = append(many, fmt.Sprint("word", i))
	}
	r.refuses("highlight "+strings.Join(many, " "), chat.Failed, "at most 20 words")
	r.refuses("set highlight "+strings.Join(many, " "), chat.Failed, "at most 20 words")
	r.must("set highlight " + strings.Join(many[1:], " "))
	r.face = Exec
	r.must("highlight -d " + strings.Join(many[2:], " "))
	r.sees("highlight --json", `{"word":"word1"}`)
	r.sees("highlight -d word1", "You are not highlighting any words.")
	if seen := r.must("highlight --json"); seen != "" {
		t.Errorf("nothing is highlighted: %q", seen)
	}
}

func TestHush(t *testing.T) {
	r := newRig(t, "alice", "bob")
	r.must("join #dev")
	r.sees("hush #dev", "#dev no longer alerts you. To undo: /unhush #dev")
	r.must("hush #dev")
	r.sees("hush @bob", "@bob no longer alerts you. To undo: /unhush @bob")
	r.sees("set hush", "@bob dev\n")
	r.refuses("hush #ops", chat.NotFound, "you are not in #ops")
	r.refuses("hush @nobody", chat.NotFound, "no account named nobody")
	r.sees("unhush #dev", "#dev alerts you again.")
	r.refuses("unhush #dev", chat.Failed, "#dev is not hushed")
	r.face = Exec
	r.sees("hush dev", "To undo: unhush dev")
	r.refuses("hush", chat.Usage, "needs a room")
	r.must("set hush general")
	r.sees("set hush", "general\n")
	r.as("bob")
	r.must("say general hello")
	r.must("say general alice?")
	r.as("alice")
	r.sees("inbox", "2 unread, 1 to you (hushed)")
	r.sees("inbox --json", `"unread":2,"mentions":1,"read":0,"hushed":true}`)
	r.must("set hush -")
	if seen := r.must("inbox --json"); strings.Contains(seen, "hushed") {
		t.Errorf("not hushed: %s", seen)
	}
}
