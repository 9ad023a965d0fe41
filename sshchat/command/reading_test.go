package command

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
)

// lines are the lines of a list, without its title and without the times.
func lines(seen string) []string {
	var out []string
	for line := range strings.SplitSeq(strings.TrimSuffix(seen, "\n"), "\n") {
		if strings.HasPrefix(line, "/") {
			continue
		}
		if _, err := time.Parse("02 Jan 15:04", line[:min(len(line), 12)]); err == nil {
			line = line[13:]
		}
		out = append(out, line)
	}
	return out
}

func (r *rig) lists(line string, want ...string) {
	r.t.Helper()
	if got := lines(r.must(line)); strings.Join(got, "\n") != strings.Join(want, "\n") {
		r.t.Errorf("%s lists\n%s\nand not\n%s", line, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestHistoryInTheChat(t *testing.T) {
	r := newRig(t, "alice", "bob", "carol")
	r.lists("history", "-- no messages in memory")
	r.say("alice", chat.General, "one")
	r.say("bob", chat.General, "two\n24 Nov 10:00 #general alice: forged")
	r.must("me waves")
	r.say("carol", chat.General, "three")
	r.must("delete") // the wave
	r.must("me waves again")
	all := []string{"#general/1 alice: one", "#general/2 bob: two", "  24 Nov 10:00 #general alice: forged", "#general/4 carol: three", "#general/6 * alice waves again"}
	r.lists("history", all...)
	r.lists("history 2", all[3:]...)
	r.lists("history 1h", all...)
	r.lists("history 9999", all...)
	r.must("ignore carol")
	r.lists("history 2", all[1], all[2], all[4])
	r.must("edit I wave no more")
	r.lists("history 1", "#general/6 * alice I wave no more (edited)")

	for _, word := range []string{"0", "-1", "2x", "forever", "1e3", "99999999999999999999", "h"} {
		r.refuses("history -- "+word, chat.Usage, "history: ")
	}
	r.refuses("history 1 2", chat.Usage, "not a message ID")
	r.refuses("history 1 general/2 3", chat.Usage, "too many")
	r.must("query bob")
	r.lists("history", "-- no messages in memory")
	r.must("msg bob psst")
	r.lists("history", "@bob/1 alice: psst")
}

// However much was said, an answer has an end, and says that it is one.
func TestListsEnd(t *testing.T) {
	r := newRig(t, "alice", "bob")
	for i := range maxListed + 20 {
		r.say("bob", chat.General, fmt.Sprintf("alice, look: %d", i))
	}
	for _, line := range []string{"history 999", "history 2h", "search look", "mentions"} {
		got := lines(r.must(line))
		if len(got) != maxListed+1 || got[0] != "-- the last 200" || got[1] != "#general/21 bob: alice, look: 20" {
			t.Errorf("%s lists %d lines: %s", line, len(got), got[:2])
		}
	}
}

func TestTimesAreThePersons(t *testing.T) {
	zone, err := time.LoadLocation("Asia/Kolkata")
	if err != nil {
		t.Fatal(err)
	}
	words, err := text.ParseText("hi")
	if err != nil {
		t.Fatal(err)
	}
	m := chat.Message{Room: chat.General, Seq: 1, From: name(t, "bob"), Kind: chat.Say, Text: words, At: time.Date(2019, 12, 31, 23, 59, 0, 0, time.UTC)}
	c := Call{UI: Chat, Account: chat.Account{Name: name(t, "alice")}}
	if got := listedLine(&c, &m, zone, nil); got != "01 Jan 2020 05:29 #general/1 bob: hi" {
		t.Errorf("listed: %s", got)
	}
	m.At = time.Now()
	if got, want := listedLine(&c, &m, zone, nil), time.Now().In(zone).Format("02 Jan "); !strings.HasPrefix(got, want) {
		t.Errorf("listed: %s", got)
	}
	r := newRig(t, "alice")
	r.must("tz Asia/Kolkata")
	said := r.say("alice", chat.General, "when")
	r.sees("history", said.At.In(zone).Format("02 Jan 15:04")+" #general/1 alice: when")
}

func TestSearch(t *testing.T) {
	r := newRig(t, "alice", "bob", "carol")
	dev, err := text.ParseRoomName("dev")
	if err != nil {
		t.Fatal(err)
	}
	r.must("join #dev")
	r.say("alice", dev, "the Build is green")
	r.say("bob", chat.General, "who broke the build?")
	r.say("bob", chat.General, "not me")
	r.must("msg carol build it")
	r.lists("search build", "#dev/1 alice: the Build is green", "#general/1 bob: who broke the build?", "@carol/1 alice: build it")
	r.lists("search THE build", "#dev/1 alice: the Build is green", "#general/1 bob: who broke the build?")
	r.lists(`search don't "quote`, "-- nothing found")
	r.lists("search -- --json", "-- nothing found")
	r.lists("search 'the build'", "#dev/1 alice: the Build is green", "#general/1 bob: who broke the build?")
	r.lists(`search "who broke" build`, "#general/1 bob: who broke the build?")
	r.lists("search 'build the'", "-- nothing found")
	r.lists("search build 'tis the season 'tis", "-- nothing found")
	r.refuses("search", chat.Usage, "needs a word")
	r.refuses("search"+strings.Repeat(" a", maxWords+1), chat.Usage, "at most 16 words")
	r.refuses("search --nope x", chat.Usage, "unknown flag")
	r.must("ignore bob")
	r.lists("search build", "#dev/1 alice: the Build is green", "@carol/1 alice: build it")
	r.as("bob")
	r.lists("search build", "#general/1 bob: who broke the build?") // of rooms they are not in people find nothing
	r.face = Exec
	r.sees("search --json broke", `"room":"general","seq":1,"from":"bob","kind":"say","text":"who broke the build?"}`)
	r.sees("search broke --json", `"text":"who broke the build?"}`)
	r.sees("search who --json broke", `"text":"who broke the build?"}`)
	r.lists("search broke -- --json", "-- nothing found")
	r.lists("search broke --nope", "-- nothing found")
	r.lists("search broke", "general/1 bob: who broke the build?") // as a shell takes it
	r.sees("search -h", "search WORDS")
}

// Somebody fills rooms and has the server look through all of them, over and over.
func TestSearchingMuchIsPaced(t *testing.T) {
	r := newRig(t, "mallory", "alice")
	r.hub.SessionOpened(r.me)                     // rooms without anybody keep little
	for i := range searchWork/chat.LogLines + 1 { // a line that she came, after a while, takes the place of a message
		r.must(fmt.Sprintf("join #flood%d", i))
		for range chat.LogLines {
			r.say("mallory", r.session.Room(), "needle")
		}
	}
	r.session.worked = 0
	r.must("search needle")
	if r.session.worked != 2 {
		t.Errorf("it counted as %d commands", r.session.worked)
	}
	r.as("alice") // the control: who has little to look through pays for a command
	r.must("search needle")
	if r.session.worked != 1 {
		t.Errorf("alice's counted as %d commands", r.session.worked)
	}
}

func TestMentions(t *testing.T) {
	r := newRig(t, "alice", "bob")
	r.say("bob", chat.General, "ask alice")
	r.say("bob", chat.General, "or malice")
	r.say("alice", chat.General, "alice speaks")
	r.say("bob", text.Direct(name(t, "alice"), name(t, "bob")), "hey you")
	r.lists("mentions", "#general/1 bob: ask alice", "@bob/1 bob: hey you")
	r.must("ignore bob")
	r.lists("mentions", "-- nothing found")
	r.refuses("mentions 3", chat.Usage, "too many")
	r.face = Exec
	r.must("unignore bob")
	r.sees("mentions --json", `{"id":"general/1"`)
}

func TestInbox(t *testing.T) {
	r := newRig(t, "alice", "bob", "carol")
	r.sees("inbox", "No unread messages.")
	r.say("bob", chat.General, "hi all")
	r.say("carol", chat.General, "hi alice")
	r.say("bob", text.Direct(name(t, "alice"), name(t, "bob")), "psst")
	r.sees("inbox", "#general                              2 unread, 1 to you\n@bob                                  1 unread, 1 to you\n")
	r.face = Exec
	r.sees("inbox --json", `{"room":"general","unread":2,"mentions":1,"read":0}`+"\n"+`{"room":"@bob","unread":1,"mentions":1,"read":0}`+"\n")
	r.sees("inbox", "2 unread") // counting is not reading
	r.must("ignore bob")
	r.sees("inbox --json", `{"room":"general","unread":1,"mentions":1,"read":0}`+"\n")
	r.hub.Mark(r.me, chat.General, 2)
	r.sees("inbox", "No unread messages.")
	r.refuses("inbox general", chat.Usage, "too many")
}

func TestEditAndDelete(t *testing.T) {
	r := newRig(t, "alice", "bob")
	r.refuses("edit x", chat.Failed, "you have no recent message in #general")
	r.refuses("delete", chat.Failed, "you have no recent message in #general")
	r.say("alice", chat.General, "frist")
	r.say("bob", chat.General, "mine")
	r.refuses("edit", chat.Usage, "edit needs a message")
	r.refuses("edit \u200b", chat.Failed, "no printable characters")
	r.refuses("edit "+strings.Repeat("x", text.MaxText+1), chat.Failed, "too long")
	r.must("edit first,  'quoted")
	r.lists("history 2", "#general/1 alice: first,  'quoted (edited)", "#general/2 bob: mine")
	r.refuses("delete general/2", chat.Denied, "not yours")
	r.refuses("delete general/99", chat.NotFound, "no such message in #general")
	r.refuses("delete general/0", chat.NotFound, "no such message")
	r.refuses("delete 1", chat.Usage, "not a message ID")
	r.refuses("delete /1", chat.Usage, "not a message ID")
	r.refuses("delete nowhere/1", chat.Denied, "you are not in #nowhere")
	r.sees("delete", "Deleted: \"first,  'quoted\"\n")
	r.lists("history", "#general/2 bob: mine")
	r.refuses("delete general/1", chat.NotFound, "or it was deleted")

	r.face = Exec
	r.as("bob")
	r.refuses("edit", chat.Usage, "usage: edit ID TEXT")
	r.refuses("edit general/1 x", chat.NotFound, "no such message")
	r.refuses("delete", chat.Usage, "needs a message ID")
	if seen := r.must("edit general/2 yours"); seen != "general/5\n" {
		t.Errorf("printed %q", seen)
	}
	if seen := r.must("delete general/2"); seen != "general/6\n" {
		t.Errorf("printed %q", seen)
	}
}

// The command that is printed is for the key that logged in, else for the first that opens history.
func TestReadingNamesTheKeyFile(t *testing.T) {
	key := func(line string, reads bool) chat.Key {
		return chat.Key{Line: line + " AAAA", Fingerprint: line, Reads: reads}
	}
	ed, rsa, ec := key("ssh-ed25519", true), key("ssh-rsa", true), key("ecdsa-sha2-nistp256", false)
	for _, c := range []struct {
		keys       []chat.Key
		login      string
		first, and string
	}{
		{[]chat.Key{ec, ed, rsa}, "", "-i ~/.ssh/id_ed25519'", "sshchat read -p 2222 alice@host dev"},
		{[]chat.Key{ed, rsa}, "ssh-rsa", "-i ~/.ssh/id_rsa'", "sshchat read -p 2222 alice@host dev"},
		{[]chat.Key{ed, ec}, ec.Fingerprint, "-i ~/.ssh/id_ed25519'", "sshchat read -p 2222 alice@host dev"},
		{[]chat.Key{{Line: "age1xyz", Fingerprint: "age1xyz", Reads: true}}, "", "-i YOUR_KEY'", "sshchat read -p 2222 alice@host dev"},
		{[]chat.Key{ec}, "", "with your password: ssh -p 2222 alice@host identity > me.age", "sshchat read -i me.age -p 2222 alice@host dev"},
	} {
		first, second := new(Services).Reading(chat.Account{Keys: c.keys}, c.login, "-p 2222 alice@host", "dev")
		if !strings.HasSuffix(first, c.first) || !strings.HasSuffix(second, c.and) {
			t.Errorf("%v: %q, %q", c.keys, first, second)
		}
	}
}

// Editing is paced as speaking is: else it would be the way to flood a room.
func TestEditsArePaced(t *testing.T) {
	r := newRig(t, "alice")
	r.must("shrug")
	r.must("edit one")
	r.must("edit two")
	if r.session.said != 3 {
		t.Errorf("%d messages were paced", r.session.said)
	}
}

func TestSealedLinesAreTold(t *testing.T) {
	r := newRigIn(t, chat.RoomState{Name: chat.General, Last: 500}, "alice", "bob")
	r.say("alice", chat.General, "new alice")
	account := func(password bool, keys ...chat.Key) {
		r.change("alice", func(a *chat.Account) { a.Password, a.Keys = password, append(keys, rigKey) })
	}
	key := chat.Key{Reads: true}
	for _, line := range []string{"history", "search new", "search nothing", "mentions"} {
		account(false, key)
		r.sees(line, "-- 500 older lines are sealed; to read with your key: ssh alice@chat.host history --tar")
		account(true, key)
		r.sees(line, "-- 500 older lines are sealed; to read the latest here: /unlock")
		account(false, chat.Key{})
		r.sees(line, "-- 500 older lines are sealed; to be able to read later ones, set a password")
	}
	r.must("msg bob hi") // in that room nothing is older
	r.must("query bob")
	if seen := r.must("history"); strings.Contains(seen, "sealed") {
		t.Errorf("sealed where nothing is:\n%s", seen)
	}
}

func TestUnlock(t *testing.T) {
	r := newRigIn(t, chat.RoomState{Name: chat.General, Last: 500}, "alice", "bob")
	said := func(seq uint64, from, words string) chat.Message {
		clean, err := text.ParseText(words)
		if err != nil {
			t.Fatal(err)
		}
		return chat.Message{Room: chat.General, Seq: seq, From: name(t, from), Kind: chat.Say, Text: clean, At: time.Now()}
	}
	r.history.said = []chat.Message{said(498, "bob", "old"), said(499, "bob", "older"), said(500, "alice", "sealed"), said(501, "bob", "in memory")}
	r.say("bob", chat.General, "in memory")
	r.refuses("unlock", chat.Failed, "you have no password, and no key that opens history")
	r.change("alice", func(a *chat.Account) { a.Keys = append(a.Keys, chat.Key{Line: "ssh-ed25519 A", Reads: true}) })
	r.refuses("unlock", chat.Failed, "you have no password; to read it with your key: ssh alice@chat.host history --tar general | "+
		"tar x --to-command='age -d -i ~/.ssh/id_ed25519'; or, with sshchat on your machine: sshchat read alice@chat.host general")
	r.change("alice", func(a *chat.Account) { a.Password = true })

	r.refuses("unlock", chat.Usage, "use ssh -t")
	r.session.answer = "wrong horse"
	r.refuses("unlock", chat.Failed, "wrong name or password")
	r.session.answer = "correct horse"
	r.sees("unlock", "3 older lines are unlocked: scroll up, or use /history and /search. To lock #general again: /lock")
	if r.session.asked != "Password: " || r.session.echoed {
		t.Errorf("asked %q, echo %v", r.session.asked, r.session.echoed)
	}
	if strings.Trim(string(r.passwords.tried), "\x00") != "" {
		t.Errorf("the password is still there: %q", r.passwords.tried)
	}
	if len(r.history.ids) != 1 || r.history.ids[0] != nil {
		t.Errorf("the identities are still there: %v", r.history.ids)
	}
	key := "-- 497 older lines are sealed; to read with your key: ssh alice@chat.host history --tar general | tar x --to-command='age -d -i ~/.ssh/id_ed25519'"
	or := "-- or, with sshchat on your machine: sshchat read alice@chat.host general"
	r.lists("history", "#general/498 bob: old", "#general/499 bob: older", "#general/500 alice: sealed", "#general/501 bob: in memory", key, or)
	r.lists("history 2", "-- older: /history 2 general/500", "#general/500 alice: sealed", "#general/501 bob: in memory", key, or)
	r.lists("history 2 general/500", "#general/498 bob: old", "#general/499 bob: older", key, or)
	r.lists("history 1 #general/500", "-- older: /history 1 general/499", "#general/499 bob: older", key, or)
	r.refuses("history 2 dev/500", chat.Usage, "dev/500 is not in this room")
	r.refuses("history 2 x", chat.Usage, "not a message ID")
	r.lists("search OLD", "#general/498 bob: old", "#general/499 bob: older", key, or)
	r.must("ignore bob")
	r.lists("history", "#general/500 alice: sealed", key, or)
	r.must("unignore bob")
	r.sees("lock", "#general is locked again")
	if !r.history.wiped {
		t.Error("the keys are still there")
	}
	r.refuses("lock", chat.Failed, "nothing is unlocked")
	r.lists("search OLD", "-- nothing found", "-- 500 older lines are sealed; to read the latest here: /unlock")
	r.history.said = nil
	r.refuses("unlock", chat.Failed, "your password cannot open any of the 500 sealed lines")
	r.must("join #dev")
	r.refuses("unlock", chat.Failed, "#dev has no messages older")
	r.refuses("unlock now", chat.Usage, "too many")
	r.face = Exec
	r.refuses("unlock", chat.Usage, "unknown command unlock")
}

// Somebody who joined late tries to read what was said before, from a server that would open it.
func TestUnlockBeginsWhereThePersonDid(t *testing.T) {
	mallory := name(t, "mallory")
	r := newRigIn(t, chat.RoomState{Name: chat.General, Last: 500, Members: []chat.Member{{Name: mallory, Since: 500}}}, "mallory", "alice")
	r.change("mallory", func(a *chat.Account) { a.Password = true })
	for seq := range uint64(500) {
		said, err := text.ParseText(fmt.Sprintf("secret %d", seq+1))
		if err != nil {
			t.Fatal(err)
		}
		r.history.said = append(r.history.said, chat.Message{Room: chat.General, Seq: seq + 1, From: name(t, "alice"), Kind: chat.Say, Text: said, At: time.Now()})
	}
	r.session.answer = "correct horse"
	r.sees("unlock", "1 older line is unlocked")
	r.lists("history 200", "#general/500 alice: secret 500")
	r.lists("history 200 general/500", "-- no messages in memory")
	r.lists("search secret", "#general/500 alice: secret 500")

	r.as("alice") // the control: who was there reads it
	r.change("alice", func(a *chat.Account) { a.Password = true })
	r.session.answer = "correct horse"
	r.sees("unlock", "500 older lines are unlocked")
	r.sees("history 200", "alice: secret 301\n")
}

// An edit is said anew: to whom nothing can be said, as their account is gone, nothing is edited.
func TestNothingIsEditedForWhoIsGone(t *testing.T) {
	r := newRig(t, "alice", "bob")
	two := text.Direct(name(t, "alice"), name(t, "bob"))
	r.session.room = two
	said := r.say("alice", two, "hi")
	r.must("edit hello")
	if err := r.hub.Decide(t.Context(), chat.TheServer, chat.DeleteAccount{ID: r.account(name(t, "bob")).ID}, nil); err != nil {
		t.Fatal(err)
	}
	r.refuses("edit a secret", chat.NotFound, "no account named bob")
	if m, _ := r.hub.Last(name(t, "alice"), two); m.Seq != said.Seq || m.Text.String() != "hello" {
		t.Errorf("it is %q now", m.Text)
	}
}
