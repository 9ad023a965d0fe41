package main

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sshchat/sshchat/attack"
	"sshchat/sshchat/command"

	"golang.org/x/crypto/ssh"
)

// send is typeln to a session that may have ended.
func (o *openSession) send(text string) { io.WriteString(o.typed, text+o.enter) }

func line(key ssh.Signer) string {
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key.PublicKey())))
}

// began waits until so many commands run.
func (s *testServer) began(admin *user, face string, n int) {
	s.t.Helper()
	waitFor(s.t, fmt.Sprintf("%d sessions of kind %s", n, face), func() bool {
		return strings.Count(admin.must("sessions --json"), `"face":"`+face+`"`) == n+1 // and the one that asks
	})
}

// I begin a command while I may, and let it wait for its input. Then I may no more: the stolen key is removed, the admin
// that I was is demoted, disabled, banned or deleted. What I send after that, or have sent without ending it, must not be
// done when I end the input, and neither when I hang up. The control is that nothing happens to me meanwhile.
func TestAttackCommandOutlivesItsRights(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Identity, "start a command, lose the right to it, then send its input")
	s := startServer(t, "", "--registration", "open")
	boss := s.register("boss")
	boss.must("claim " + s.claimCode())
	ways := map[string]string{
		"nothing":  "",
		"demoted":  "user set-role NAME user",
		"muted":    "mute NAME",
		"disabled": "user disable NAME",
		"banned":   "ban NAME",
		"key gone": "user remove-key NAME FINGERPRINT",
		"key out":  "ban key=FINGERPRINT",
		"deleted":  "user delete NAME --yes",
	}
	commands := []string{
		"user create made%d --admin -", "user add-key boss -", "user reset-password victim%d - --yes", "motd set -",
		"say general -", "key add -", "msg boss -",
	}
	registry := command.NewRegistry()
	for _, e := range registry.Manual() { // and there are no others
		if _, _, err := registry.Find(command.Exec, e.Name); err != nil {
			continue // a chat command has no standard input
		}
		isOf := func(line string) bool {
			cmd, _, err := registry.Find(command.Exec, line)
			return err == nil && cmd.Name == e.Name
		}
		if regexp.MustCompile(`[|[]-`).MatchString(strings.ReplaceAll(e.Usage, "[--", "")) != slices.ContainsFunc(commands, isOf) {
			t.Errorf("%s: who takes standard input is to be tried, and nobody else", e.Usage)
		}
	}
	row.Tried("%d commands, %d ways", len(commands), len(ways)-1)
	row.Held("rights are checked after every wait and when the change is made")
	row.Control("done if the rights are kept")
	n := 0
	for way, decision := range ways {
		n++
		t.Run(way, func(t *testing.T) {
			name := fmt.Sprintf("mallory%d", n)
			mallory := s.register(name)
			mallory.must("key add " + line(newSigner(t))) // so that one can be removed
			boss.must("user set-role " + name + " admin")
			s.register(fmt.Sprintf("victim%d", n))
			var begun []*openSession
			var made []ssh.Signer
			for _, command := range commands {
				made = append(made, newSigner(t))
				begun = append(begun, s.login(name, mallory.signer).run(strings.ReplaceAll(command, "%d", fmt.Sprint(n))))
				begun[len(begun)-1].send(line(made[len(made)-1]))
			}
			s.began(boss, "exec", len(commands))
			if decision != "" {
				fingerprint := ssh.FingerprintSHA256(mallory.signer.PublicKey())
				boss.must(strings.NewReplacer("NAME", name, "FINGERPRINT", fingerprint).Replace(decision))
			}
			for i, command := range commands {
				o := begun[i]
				o.send(fmt.Sprintf("# second%d by %s", n, strings.Fields(command)[0])) // to what takes keys it is a comment
				o.typed.Close()
				err := <-o.ended
				may := way == "nothing" || way == "demoted" && !strings.HasPrefix(command, "user") && !strings.HasPrefix(command, "motd") ||
					way == "muted" && (strings.HasPrefix(command, "user") || strings.HasPrefix(command, "key"))
				if exit, is := err.(*ssh.ExitError); (err == nil) != may || !may && (!is || exit.ExitStatus() != 3) {
					t.Errorf("%s after %s: %v\n%s", command, way, err, o.seen)
				}
				do, said := regexp.MustCompile(`^(user|key|motd)? ?[a-z-]+`).FindString(command), strings.HasPrefix(command, "say") || strings.HasPrefix(command, "msg")
				result := map[bool]string{true: "done", false: "denied"}[may]
				line := regexp.MustCompile(fmt.Sprintf(`"do":"%s",[^}]*"result":"%s"`, do, result))
				if acts := boss.must("audit 10000 --json --by " + name); line.MatchString(acts) == (may && said) {
					t.Errorf("%s after %s, in the audit log:\n%s", command, way, acts)
				}
				boss.check(t, n, made[i], command, may)
			}
		})
	}
}

// check looks whether the command was done.
func (u *user) check(t *testing.T, n int, made ssh.Signer, command string, may bool) {
	t.Helper()
	fingerprint := ssh.FingerprintSHA256(made.PublicKey())
	done := false
	switch strings.Join(strings.Fields(command)[:2], " ") {
	case "user create":
		done = strings.Contains(u.must("user list --json"), fmt.Sprintf(`"made%d"`, n))
	case "user add-key":
		done = strings.Contains(u.must("user info boss --json"), fingerprint)
	case "motd set":
		out, _, _ := u.exec("motd", "")
		done = strings.Contains(out, line(made))
	case "say general", "msg boss":
		done = strings.Contains(u.must(fmt.Sprintf("search second%d by %s", n, strings.Fields(command)[0])), "second")
	case "key add":
		done = strings.Contains(u.must("user list --json"), fingerprint)
	default:
		return // its exit code says it
	}
	if done != may {
		t.Errorf("%s: done is %v", command, done)
	}
}

// I let a command ask me something, and answer when I may no more. The control is that nothing happens to me meanwhile.
func TestAttackAnswerOutlivesItsRights(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Identity, "start a command that asks a question, lose the right to it, then answer")
	s := startServer(t, "")
	boss := s.register("boss")
	boss.must("claim " + s.claimCode())
	asked := map[string]string{ // and by what
		"passwd": "New password: ", "account delete": "Type its name to continue: ", "user reset-password victim": "password? [y/N] ",
		"key share": "Password: ", "totp enable": "Password: ", "passwd recover": "Current password: ",
	}
	ways := []string{"user disable NAME", "ban NAME", "user delete NAME --yes", "user set-role NAME user", ""}
	s.register("victim")
	n := 0
	for line, question := range asked {
		for _, way := range ways {
			ofRole := strings.HasPrefix(line, "user")
			if way == "user set-role NAME user" && !ofRole {
				continue
			}
			n++
			name := fmt.Sprintf("mallory%d", n)
			mallory := s.register(name)
			boss.must("user set-role " + name + " admin")
			if question == "Password: " || question == "Current password: " {
				boss.must("user reset-password " + name + " --yes")
			}
			o := mallory.ask(line)
			o.sees(question)
			if way == "" {
				o.send(map[bool]string{true: "y", false: "no"}[ofRole])
				if ofRole {
					if err := <-o.ended; err != nil {
						t.Errorf("control: %s: %v\n%s", line, err, o.seen)
					}
				}
				continue
			}
			boss.must(strings.ReplaceAll(way, "NAME", name))
			before := boss.must("user list --json") + boss.must("user info victim --json")
			o.send(map[bool]string{true: "y", false: name}[ofRole])
			if exit, is := (<-o.ended).(*ssh.ExitError); !is || exit.ExitStatus() != 3 {
				t.Errorf("%s after %s: %v\n%s", line, way, exit, o.seen)
			}
			if boss.must("user list --json")+boss.must("user info victim --json") != before {
				t.Errorf("%s after %s has changed something", line, way)
			}
			if acts := boss.must("audit 10000 --json --by " + name); !strings.Contains(acts, `"result":"denied"`) {
				t.Errorf("%s after %s, in the audit log:\n%s", line, way, acts)
			}
		}
	}
	row.Tried("%d commands, %d ways", len(asked), len(ways)-1)
	row.Held("rights are checked again when the answer arrives")
	row.Control("done, or the next question is asked, if the rights are kept")
}

// I begin a command, send half of what it needs or all of it, and hang up. A lost connection is not the end of the input:
// nothing must be done. The control is the end of the input.
func TestAttackHangUpIsNoEndOfInput(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Identity, "disconnect instead of ending the input")
	s := startServer(t, "")
	boss := s.register("boss")
	boss.must("claim " + s.claimCode())
	bob := s.register("bob")
	boss.must("user set-role bob admin")
	commands := []string{"key add -", "user create made0 --admin -", "user add-key boss -", "user reset-password boss - --yes", "motd set -", "say general -"}
	for _, hangUp := range []bool{true, false} {
		for _, command := range commands {
			made := newSigner(t)
			u := s.login("bob", bob.signer)
			o := u.run(command)
			io.WriteString(o.typed, line(made)) // no end of the line, either
			s.began(boss, "exec", 1)
			if hangUp {
				u.Close()
			} else {
				o.typed.Close()
			}
			<-o.ended
			s.began(boss, "exec", 0)
			switch {
			case strings.HasPrefix(command, "user reset-password"):
				if has := strings.Contains(boss.must("user info boss --json"), `"password":true`); has == hangUp {
					t.Errorf("hung up %v: the password is set: %v", hangUp, has)
				}
			case strings.HasPrefix(command, "say"):
				if found := strings.Contains(boss.must("search ssh-ed25519"), line(made)); found == hangUp {
					t.Errorf("hung up %v: said: %v", hangUp, found)
				}
			default:
				boss.check(t, 0, made, command, !hangUp)
			}
		}
	}
	row.Tried("%d commands", len(commands))
	row.Held("the reader gets an error for a lost connection")
	row.Control("done if the input ends")
}

// Whom one writes to may be gone while one is in the room of two.
func TestWritingToADeletedAccount(t *testing.T) {
	t.Parallel()
	s := startServer(t, "")
	boss, carol := s.register("boss"), s.register("carol")
	boss.must("claim " + s.claimCode())
	o := boss.plain(80, 24)
	o.sees("Welcome")
	o.typeln("/query carol")
	o.typeln("are you there")
	o.sees("boss: are you there")
	boss.must("user delete carol --yes")
	o.typeln("hello again")
	o.sees("no account named carol")
	carol.Close()
}
