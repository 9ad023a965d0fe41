package sshchat_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"sshchat/sshchat"
	"sshchat/sshchat/attack"
	"sshchat/sshchat/chat"
	"sshchat/sshchat/command"

	"golang.org/x/crypto/ssh"
)

// returning is accounts in which noting a visit takes until it is let go on, as it does for who returns after months.
type returning struct {
	userAccounts
	begun, goOn chan struct{}
}

func (r returning) Seen(string, func(chat.Visit) error) (time.Time, error) {
	r.begun <- struct{}{}
	<-r.goOn
	return time.Time{}, nil
}

// I log in while I may, and my session takes a while to begin. Meanwhile I am banned, or disabled, or my key is removed. It
// must not begin, or must end at once. The control is that nothing happens meanwhile.
func TestAttackSessionThatBeginsDuringABan(t *testing.T) {
	row := attack.On(t, attack.Identity, "an account is banned, disabled or deleted while its session is starting")
	row.Tried("3 decisions, a shell and a command")
	row.Held("the session is listed before it is admitted, so it is ended")
	row.Control("without a decision it starts")
	for what, c := range map[string]struct {
		decide func(chat.Account) chat.Intent // nil: nothing is decided
		told   string
	}{
		"nothing": {nil, ""},
		"banned": {func(a chat.Account) chat.Intent {
			return chat.Ban{Sanction: chat.Sanction{User: a.Name, Why: "meanwhile"}}
		}, "You are banned forever: meanwhile"},
		"disabled": {func(a chat.Account) chat.Intent { return chat.Disable{ID: a.ID, Disabled: true} }, "This account has been disabled"},
		"deleted":  {func(a chat.Account) chat.Intent { return chat.DeleteAccount{ID: a.ID} }, "This account has been deleted"},
	} {
		for _, line := range []string{"follow", ""} {
			t.Run(what+" "+line, func(t *testing.T) {
				r := returning{begun: make(chan struct{}), goOn: make(chan struct{})}
				s := startInsideWith(t, sshchat.DefaultLimits, func(a userAccounts) command.Accounts { r.userAccounts = a; return r })
				defer s.end()
				client := s.dial()
				defer client.Close()
				sess, err := client.NewSession()
				if err != nil {
					t.Fatal(err)
				}
				var out, errs bytes.Buffer
				sess.Stdout, sess.Stderr = &out, &errs
				typed, err := sess.StdinPipe()
				if err != nil {
					t.Fatal(err)
				}
				if line == "" {
					err = sess.Shell()
				} else {
					err = sess.Start(line)
				}
				if err != nil {
					t.Fatal(err)
				}
				<-r.begun
				for alice := range s.hub.View().Accounts() {
					if c.decide == nil {
						break
					}
					if err := s.hub.Decide(t.Context(), chat.TheServer, c.decide(alice), nil); err != nil {
						t.Fatal(err)
					}
				}
				close(r.goOn)
				if c.told == "" { // it goes on until it is ended
					if line == "" {
						io.WriteString(typed, "/quit\n")
						if err := sess.Wait(); err != nil {
							t.Error(err)
						}
					}
					return
				}
				var exit *ssh.ExitError
				if err := sess.Wait(); !errors.As(err, &exit) || exit.ExitStatus() != 3 {
					t.Errorf("it ends with %v", err)
				}
				if !strings.Contains(out.String()+errs.String(), c.told) {
					t.Errorf("it is told\n%s%s", out.String(), errs.String())
				}
			})
		}
	}
}
