package command

import (
	"fmt"
	"strings"
	"testing"

	"sshchat/sshchat/chat"
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
