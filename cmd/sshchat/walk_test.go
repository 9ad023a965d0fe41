package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sshchat/sshchat/attack"
	"sshchat/sshchat/chat"
	"sshchat/sshchat/command"

	"golang.org/x/crypto/ssh"
)

// This file walks the registry: each command, as somebody in each of the conditions in which people are refused things.

// answer is whether a condition forbids an effect.
type answer int

const (
	free      answer = iota
	refused          // whatever the command is
	ifWords          // if others see words of it
	ifSaid           // if these come to a room that is slow
	ifRole           // if the command needs a role
	ifAgainst        // if it needs an admin, or acts against somebody of higher rank
	unheard          // it is done, and not shown to those who ignore its author
)

// forbidden is what is refused to people in a condition, by the effect of the command.
var forbidden = map[string]map[command.Effect]answer{
	"muted":      effects(free, refused, ifWords, ifWords, ifWords, ifWords),
	"slowed":     effects(free, ifSaid, free, free, free, free), // a room is slow, and they have spoken there
	"ignored":    effects(free, unheard, free, free, free, free),
	"banned":     effects(refused, refused, refused, refused, refused, refused),
	"disabled":   effects(refused, refused, refused, refused, refused, refused),
	"removed":    effects(refused, refused, refused, refused, refused, refused), // their account is deleted
	"restricted": effects(refused, refused, refused, refused, refused, refused), // their key is for whoami alone
	"outranked":  effects(ifAgainst, ifAgainst, ifAgainst, ifAgainst, ifAgainst, ifAgainst),
	"guessed":    effects(ifRole, ifRole, ifRole, ifRole, ifRole, ifRole), // an admin, by a password without a second factor
	"plain":      effects(ifRole, ifRole, ifRole, ifRole, ifRole, ifRole), // neither admin nor moderator
}

func effects(reads, speaks, own, account, others, server answer) map[command.Effect]answer {
	return map[command.Effect]answer{
		command.Reads: reads, command.Speaks: speaks, command.ChangesOwn: own,
		command.ChangesAccount: account, command.ChangesOthers: others, command.ChangesServer: server,
	}
}

// why is what each of them is told.
var why = map[string]string{
	"muted": "ou are muted", "slowed": "is in slow mode; you can post again in", "banned": "You are banned", "disabled": "this account is disabled",
	"removed": "no account named removed|already has an admin|only people on the allowlist", "restricted": "this key may only be used for whoami", "plain": "only (moderators of the room, server moderators and |moderators and )?admins can",
	"outranked": "only an admin can do that|closed only by an admin|only admins can|only an admin can", "guessed": "needs a login by key or with a second factor",
}

// harmless is what everybody may who gets as far as a session, for it does nothing and shows nothing of anybody's.
var harmless = map[string][]string{
	"removed":    {"help", "version", "/quit", "/clear", "register"}, // which exits 1, as for any name that is taken
	"restricted": {"help", "whoami"},
}

// walker is somebody in a condition.
type walker struct {
	*user
	condition string
	room      string // that they are in
	mine      string // the ID of their message there
}

// walk is a server with somebody in each condition.
type walk struct {
	*testServer
	boss, carol *user
	chief       *user // an admin who moderates #lab
	bob         *openSession
	people      []*walker
	read        int64             // how much of the audit log
	once        map[string]string // what it has once an hour, by name
	before      string            // all that is kept, before what must not change it
	n           int               // examples so far
}

// I am muted, banned, outranked or otherwise to be refused, and try each command there is. It must be refused with exit
// code 3, be in the audit log, and change nothing. The control: the same line by somebody who may succeeds, and changes
// something if the command says that it does.
func TestAttackEveryCommandInEveryCondition(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Identity, "every command while muted, slowed, ignored, banned, disabled, removed, restricted, outranked, without a role or without a second factor")
	w := newWalk(t)
	registry, tried, left := command.NewRegistry(), 0, make(map[string]bool)
	for name := range examples {
		left[name] = true
	}
	for _, entry := range registry.Manual() {
		cmd, _, err := registry.Find(entry.UIs&-entry.UIs, entry.Name)
		if err != nil {
			t.Fatal(err)
		}
		name := entry.Name
		if cmd.UIs == command.Chat {
			name = "/" + name
		}
		e, is := examples[name]
		if !is {
			t.Errorf("%s has no line among the examples: nobody knows what it is refused to", name)
			continue
		}
		delete(left, name)
		tried += w.try(cmd, name, e)
	}
	for name := range left {
		t.Errorf("the example of %s is of no command", name)
	}
	w.typed(registry)
	w.nothingSeen()
	if tried < 5*len(examples) {
		t.Errorf("%d tries of %d commands", tried, len(examples))
	}
	row.Tried("every command, over ssh and in the chat, in %d conditions", len(forbidden))
	row.Held("one dispatcher checks each command by its effect: exit 3, a line in the audit log, nothing changed")
	row.Control("the same commands by somebody with the rights")
}

func newWalk(t *testing.T) *walk {
	t.Helper()
	w := &walk{testServer: startServer(t, "", "--max-sessions", "100"), once: make(map[string]string)}
	w.boss, w.carol, w.chief = w.register("boss"), w.register("carol"), w.register("chief")
	w.boss.must("claim " + w.claimCode())
	w.boss.must("user set-role chief admin")
	w.boss.must("room create snail")
	for _, u := range []*user{w.boss, w.carol, w.chief} {
		u.must("join lab")
	}
	w.boss.must("mod chief lab")
	for condition := range forbidden {
		w.people = append(w.people, w.enter(condition))
	}
	slices.SortFunc(w.people, func(a, b *walker) int { return strings.Compare(a.condition, b.condition) })
	w.boss.must("slow snail 1d")
	w.become()
	bob := w.register("bob")
	bob.must("join lab")
	bob.must("ignore ignored")
	w.bob = bob.plain(200, 50)
	w.bob.sees("Welcome")
	for _, name := range []string{"carol", "bob", "plain"} {
		w.boss.must("allowlist add " + name)
	}
	screen := w.carol.plain(200, 50) // and so carol is here, who can go away
	screen.sees("Welcome")
	return w
}

// enter makes the account of somebody who is to be in the condition, and has them say something. They are admins, so that
// nothing else is in their way.
func (w *walk) enter(condition string) *walker {
	w.t.Helper()
	p := &walker{user: w.register(condition), condition: condition, room: "lab"}
	switch condition {
	case "plain":
	case "outranked":
		w.boss.must("user set-role outranked mod")
	default:
		w.boss.must("user set-role " + condition + " admin")
	}
	if condition == "slowed" {
		p.room = "snail"
	}
	p.must("join " + p.room)
	p.mine = strings.TrimSpace(p.must("say " + p.room + " hello"))
	return p
}

// become puts all of them into their conditions, with a login as it then is.
func (w *walk) become() {
	w.t.Helper()
	for _, p := range w.people {
		switch p.condition {
		case "muted":
			w.boss.must("mute muted")
		case "ignored":
			p.pipe() // who has no session cannot be away from it
			w.boss.here("ignored")
		case "slowed":
			p.must("say snail hello again")
		case "banned", "disabled", "removed":
			w.boss.must(map[string]string{"banned": "ban banned", "disabled": "user disable disabled", "removed": "user delete removed --yes"}[p.condition])
			p.user = w.login(p.name, p.signer)
		case "restricted":
			key := newSigner(w.t)
			p.must("key add --only whoami " + line(key))
			p.user = w.login(p.name, key)
		case "guessed":
			client, err := w.dialAs("guessed", ssh.Password(strings.TrimSpace(w.boss.must("user reset-password guessed --yes"))))
			if err != nil {
				w.t.Fatal(err)
			}
			w.t.Cleanup(func() { client.Close() })
			p.user = &user{client, w.t, w.testServer, p.name, nil}
		}
		p.give("whoami", "lab") // the first session of a day is noted
	}
}

// give gives a line over ssh, or, if it begins with a slash or a line end, in the room of a session that ends with it. The code is -1
// where there was none: the connection has ended.
func (u *user) give(line, room string) (stdout, stderr string, code int) {
	u.t.Helper()
	sess, err := u.NewSession()
	if err != nil {
		return "", err.Error(), -1
	}
	defer u.server.clients.add(u.Client, -1)
	if strings.TrimLeft(line, "/\n") == line {
		return runIn(sess, line, "")
	}
	defer sess.Close()
	var out, errs strings.Builder
	sess.Stdout, sess.Stderr, sess.Stdin = &out, &errs, strings.NewReader("/join #"+room+"\n"+line+"\n")
	if err := sess.Shell(); err != nil {
		return "", err.Error(), -1
	}
	err = sess.Wait()
	if exit, is := err.(*ssh.ExitError); is {
		return out.String(), errs.String(), exit.ExitStatus()
	} else if err != nil {
		return out.String(), errs.String() + err.Error(), -1
	}
	return out.String(), errs.String(), 0
}

// blanks is what an example's lines leave open.
type blanks struct {
	victim, room, fresh, word, key, fp, mine, caught string
}

func (l blanks) fill(line string) string {
	return strings.NewReplacer("VICTIM", l.victim, "ROOM", "#"+l.room, "NEW", "#"+l.fresh, "WORD", l.word, "KEY", l.key, "FP", l.fp,
		"MINE", l.mine, "CAUGHT", l.caught).Replace(line)
}

// try has everybody give a command's line to whom it is forbidden, and then somebody to whom it is not. It returns how
// many were refused.
func (w *walk) try(cmd *command.Command, name string, e example) (count int) {
	w.t.Helper()
	w.n++
	key := newSigner(w.t)
	l := blanks{victim: fmt.Sprintf("v%d", w.n), room: "lab", fresh: fmt.Sprintf("n%d", w.n), word: fmt.Sprintf("good%d", w.n), key: line(key), fp: ssh.FingerprintSHA256(key.PublicKey())}
	may := w.prepare(cmd, e, &l)
	w.before = w.state()
	for _, p := range w.people {
		theirs := l
		theirs.word, theirs.room, theirs.mine = fmt.Sprintf("evil-%s-%d", p.condition, w.n), p.room, p.mine
		if e.mayBeRefused(p.condition, cmd, name) {
			if p.condition == "outranked" && e.against {
				theirs.victim = "chief"
			}
			for _, slash := range p.faces(cmd) {
				for _, line := range append([]string{e.line}, e.also...) {
					w.refuse(p, cmd, slash+theirs.fill(line))
					count++
				}
			}
		}
	}
	if !long {
		w.unchanged(name)
	}
	if e.done != "" {
		return count
	}
	if e.says && cmd.Effect == command.Speaks {
		w.unheard(cmd, e, l)
	}
	l.mine = strings.TrimSpace(may.must("say lab hello"))
	before := w.state(e.see...)
	if out, errs, code := may.give(faces(cmd)[0]+l.fill(e.line), "lab"); code != 0 {
		w.t.Errorf("control: %s: %s: exit %d, %s%s", may.name, e.line, code, out, errs)
	}
	if changed := w.state(e.see...) != before; changed != (cmd.Effect != command.Reads) && e.unseen == "" {
		w.t.Errorf("%s says that its effect is %d; it has changed something: %v", name, cmd.Effect, changed)
	}
	for _, line := range e.after {
		w.boss.must(l.fill(line))
	}
	return count
}

// faces are the ways to give the command: over ssh, and behind a slash in the chat.
func faces(cmd *command.Command) (slashes []string) {
	if cmd.UIs&command.Exec != 0 {
		slashes = append(slashes, "")
	}
	if cmd.UIs&command.Chat != 0 {
		slashes = append(slashes, "/")
	}
	return slashes
}

// faces are the ways that somebody in the condition has: of those who get no session one is enough.
func (p *walker) faces(cmd *command.Command) []string {
	if p.nothing() {
		return faces(cmd)[:1]
	}
	return faces(cmd)
}

// nothing reports whether somebody in the condition gets no session at all.
func (p *walker) nothing() bool {
	return slices.Contains([]string{"banned", "disabled", "removed", "restricted"}, p.condition)
}

// unheard has somebody speak whom bob ignores. It is done, and bob does not see it.
func (w *walk) unheard(cmd *command.Command, e example, l blanks) {
	w.t.Helper()
	p := w.people[slices.IndexFunc(w.people, func(p *walker) bool { return p.condition == "ignored" })]
	l.victim, l.word, l.mine, l.fresh = "bob", fmt.Sprintf("unheard-%d", w.n), p.mine, "i"+l.fresh
	if e.everybody {
		l.word = "an " + l.word[2:]
	}
	for _, line := range e.first {
		p.must(l.fill(line))
	}
	if out, errs, code := p.give(faces(cmd)[0]+l.fill(e.line), "lab"); code != 0 {
		w.t.Errorf("ignored: %s: exit %d, %s%s", l.fill(e.line), code, out, errs)
	}
}

// mayBeRefused reports whether the condition forbids the command.
func (e example) mayBeRefused(condition string, cmd *command.Command, name string) bool {
	if slices.Contains(harmless[condition], name) {
		return false
	}
	switch forbidden[condition][cmd.Effect] {
	case refused:
		return true
	case ifWords:
		return e.says
	case ifSaid:
		return e.said
	case ifRole:
		return cmd.Role != ""
	case ifAgainst:
		return cmd.Role == chat.Admin || e.against || e.lifts
	}
	return false
}

// prepare does what must be there for the line. It returns who may give it.
func (w *walk) prepare(cmd *command.Command, e example, l *blanks) (may *user) {
	w.t.Helper()
	if strings.Contains(e.line, "VICTIM") {
		signer := newSigner(w.t)
		w.boss.must("user create " + l.victim + " " + line(signer))
		for _, line := range e.victim {
			w.login(l.victim, signer).must(l.fill(line))
		}
	}
	for _, line := range e.before {
		out := w.boss.must(l.fill(line))
		l.caught = strings.TrimSpace(out)
		if id := regexp.MustCompile(`"id":"([^"]+)"`).FindStringSubmatch(out); id != nil {
			l.caught = id[1]
		}
	}
	may = w.carol
	if cmd.Role != "" || e.admins {
		may = w.boss
	}
	for _, line := range e.first {
		may.must(l.fill(line))
	}
	return may
}

// refuse has somebody give a line that must be refused, audited and done nothing.
func (w *walk) refuse(p *walker, cmd *command.Command, line string) {
	w.t.Helper()
	out, errs, code := p.give(line, p.room)
	if code == -1 && p.nothing() { // it hangs up on them two seconds after a decision that was made just as a session of theirs was ending
		p.user = w.login(p.name, p.signer)
		out, errs, code = p.give(line, p.room)
	}
	if code != 3 || !regexp.MustCompile(why[p.condition]).MatchString(errs) {
		w.t.Errorf("%s: %s: exit %d, not 3 for %q: %s%s", p.condition, line, code, why[p.condition], out, errs)
	}
	if long { // else after all of a command's lines
		w.unchanged(p.condition + ": " + line)
	}
	audited := w.denials(p.name)
	is := fmt.Sprintf(`"do":%q`, cmd.Name)
	if strings.HasPrefix(line, "\n") { // it is not said where to
		is += `,"on":"#` + p.room
	}
	if p.nothing() && audited != "" { // of a login that is not let in, and of people without an account, there is one line an hour
		is = ""
	}
	if strings.Contains(audited, "evil-") && cmd.Role == "" {
		w.t.Errorf("%s: %s: the audit log has what was to be said: %s", p.condition, line, audited)
	}
	if !strings.Contains(audited, is) && (cmd.Effect != command.Reads || cmd.Role != "") {
		w.t.Errorf("%s: %s: the audit log has no line for it: %s", p.condition, line, audited)
	}
}

// unchanged looks at all that is kept, after lines that must not change it.
func (w *walk) unchanged(what string) {
	w.t.Helper()
	if after := w.state(); after != w.before {
		w.t.Errorf("%s: it has changed something", what)
		w.before = after
	}
}

// denials returns what the audit log has that was refused to the name since it was last asked; and of what it has once an
// hour, what came before as well.
func (w *walk) denials(name string) string {
	w.t.Helper()
	file, err := os.Open(filepath.Join(w.data, "audit.jsonl"))
	if err != nil {
		w.t.Fatal(err)
	}
	defer file.Close()
	b, err := io.ReadAll(io.NewSectionReader(file, w.read, 1<<30))
	if err != nil {
		w.t.Fatal(err)
	}
	w.read += int64(len(b))
	found := ""
	for line := range strings.Lines(string(b)) {
		by := regexp.MustCompile(`"by":"([^"]*)".*"result":"denied"`).FindStringSubmatch(line)
		switch {
		case by == nil:
		case strings.Contains(line, `"do":"login"`) || by[1] == "removed":
			w.once[by[1]] += line
		case by[1] == name:
			found += line
		}
	}
	return found + w.once[name]
}

// state is all that is kept, but what is of reading and refusing alone; and what an admin sees who gives the lines.
func (w *walk) state(see ...string) string {
	w.t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(w.data, func(path string, d os.DirEntry, err error) error {
		name := filepath.Base(path)
		if err != nil || d.IsDir() || strings.HasPrefix(name, "audit") || strings.HasPrefix(name, "state.json") || strings.HasPrefix(name, "users.json") {
			return err
		}
		b, err := os.ReadFile(path)
		fmt.Fprintln(&all, path)
		for line := range bytes.Lines(bytes.TrimRight(b, " ")) { // space is reserved at the ends of files
			if name != "changes.jsonl" || !bytes.HasPrefix(line, []byte(`{"upto":`)) { // each change is a line of it, and users.json follows at a time of its own
				all.Write(line)
			}
		}
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, line := range see {
		all.WriteString(w.boss.must(line))
	}
	return all.String()
}

// typed has those who may not speak type what is no command.
func (w *walk) typed(registry *command.Registry) {
	w.t.Helper()
	say, _, err := registry.Find(command.Exec, "say")
	if err != nil {
		w.t.Fatal(err)
	}
	w.before = w.state()
	for _, p := range w.people {
		if answer := forbidden[p.condition][say.Effect]; answer == refused || answer == ifSaid {
			for _, line := range []string{"evil-typed", "//evil-slash", "-"} {
				w.refuse(p, say, "\n"+line)
			}
		}
	}
	if !long {
		w.unchanged("what is typed into a room")
	}
}

// nothingSeen looks for words of the refused, and on bob's screen for those of somebody ignored.
func (w *walk) nothingSeen() {
	w.t.Helper()
	w.boss.must("say lab the last word")
	w.bob.sees("the last word")
	seen := w.bob.seen.String()
	for _, line := range []string{"search evil", "rooms", "room list", "user list", "motd", "banned"} {
		seen += w.boss.must(line)
	}
	for _, word := range []string{"evil-", "unheard-"} {
		if strings.Contains(seen, word) {
			w.t.Errorf("%q is seen:\n%s", word, seen)
		}
	}
	if !strings.Contains(seen, "an heard-") {
		w.t.Errorf("control: what everybody is to see is not on bob's screen:\n%s", seen)
	}
}
