package main

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"
	"golang.org/x/crypto/ssh"

	"sshchat/sshchat/attack"
)

// secondFactor has paula, who has a password, enable a second factor in her session, and returns its secret and the
// recovery codes.
func secondFactor(t *testing.T, o *openSession) (secret string, recovery []string) {
	t.Helper()
	o.typeln("/totp enable")
	o.sees("Password:")
	o.typeln(goodPassword)
	o.sees("Code from your authenticator:")
	secret = regexp.MustCompile(`secret=([A-Z2-7]{32})`).FindStringSubmatch(strings.ReplaceAll(o.seen.String(), "\r\n", ""))[1]
	code, err := totp.GenerateCode(secret, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	o.typeln(code)
	o.sees("Second factor on")
	pattern := regexp.MustCompile(`[a-z2-7]{5}-[a-z2-7]{5}-[a-z2-7]{5}-[a-z2-7]{5}`)
	waitFor(t, "recovery codes", func() bool { return len(pattern.FindAllString(o.seen.String(), -1)) == 8 })
	return secret, pattern.FindAllString(o.seen.String(), -1)
}

// interactive answers the prompts of keyboard-interactive, in turn.
func interactive(answers ...string) ssh.AuthMethod {
	return ssh.KeyboardInteractive(func(_, _ string, questions []string, _ []bool) ([]string, error) {
		var given []string
		for range questions {
			if len(answers) == 0 {
				return given, errLeft
			}
			given, answers = append(given, answers[0]), answers[1:]
		}
		return given, nil
	})
}

type leftError struct{}

func (leftError) Error() string { return "the client has left" }

var errLeft = leftError{}

// I have paula's password. Without her authenticator it is worth nothing: not by the method that asks for no code, not
// with a code that was used, or guessed, and not to learn that it is right. The control is paula without a second factor.
func TestAttackPasswordAloneIsWorthNothing(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Identity, "a password without its second factor")
	s := startServer(t, "")
	s.registerByPassword("paula")
	if _, err := s.dialAs("paula", ssh.Password(goodPassword)); err != nil {
		t.Fatalf("the control: %v", err)
	}
	o := s.byPassword("paula", goodPassword).plain(100, 40)
	other := s.byPassword("paula", goodPassword)
	secret, recovery := secondFactor(t, o)
	in := func(auth ...ssh.AuthMethod) bool {
		c, err := s.dialAs("paula", auth...)
		if err == nil {
			c.Close()
		}
		return err == nil
	}
	used, err := totp.GenerateCode(secret, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	next, err := totp.GenerateCode(secret, time.Now().Add(30*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	ways := map[string]ssh.AuthMethod{
		"the password alone": ssh.Password(goodPassword), "no code": interactive(goodPassword), "an empty code": interactive(goodPassword, ""),
		"a used code": interactive(goodPassword, used), "a guessed code": interactive(goodPassword, "123456"),
		"a code and a wrong password": interactive("wrong but long enough", next),
	}
	for what, auth := range ways {
		if in(auth) {
			t.Errorf("in by %s", what)
		}
	}
	if _, _, code := other.exec("whoami", ""); code != 3 {
		t.Errorf("a session that a password opened goes on: exit %d", code)
	}
	if !in(interactive(goodPassword, next)) {
		t.Error("a good code is refused")
	}
	if in(interactive(goodPassword, next)) {
		t.Error("a code serves twice")
	}
	if !in(interactive(goodPassword, recovery[0])) || in(interactive(goodPassword, recovery[0])) {
		t.Error("a recovery code serves not, or twice")
	}
	row.Tried("%d ways, a code and a recovery code twice, a session from before", len(ways))
	row.Held("refused in the same way; each code works once")
	row.Control("the password alone works before the second factor is set")
}

// I know paula's password and guess codes: they are counted with the passwords. With the limits off all are looked at.
func TestAttackCodesAreNotGuessed(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Identity, "guess codes with the right password")
	for name, c := range map[string]struct {
		flags []string
		in    bool
	}{"guarded": {[]string{"--password-delay-after", "5", "--max-password-failures", "5"}, false}, "limits off": {nil, true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startServer(t, "", c.flags...)
			s.registerByPassword("paula")
			_, recovery := secondFactor(t, s.byPassword("paula", goodPassword).plain(100, 40))
			for range 5 {
				if s.loginFrom("127.0.0.3", "paula", interactive(goodPassword, "123456")) == nil {
					t.Fatal("in by a guessed code")
				}
			}
			err := s.loginFrom("127.0.0.3", "paula", interactive(goodPassword, recovery[0]))
			if (err == nil) != c.in {
				t.Errorf("the sixth, a good one: %v", err)
			} else if c.in {
				row.Control("the right one gets in with the limits off")
			} else {
				row.Tried("5 wrong codes, then the right one")
				row.Held("counted like passwords: the right one is not checked")
			}
		})
	}
}

// I have guessed an admin's password. Admin commands want a key or a second factor, in every face.
func TestAttackAdminByPasswordAloneIsNone(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Identity, "an admin's guessed password")
	s := startServer(t, "")
	s.registerByPassword("paula")
	paula := s.byPassword("paula", goodPassword)
	paula.must("claim " + s.claimCode())
	lines := []string{"user list", "ban paula", "audit", "user set-role paula admin"}
	for _, line := range lines {
		_, errs, code := paula.exec(line, "")
		if code != 3 || !strings.Contains(errs, "needs a login by key or with a second factor") {
			t.Errorf("%s: exit %d, %s", line, code, errs)
		}
	}
	o := paula.plain(100, 40)
	o.sees("Welcome")
	o.typeln("/user list")
	o.sees("needs a login by key or with a second factor")
	_, recovery := secondFactor(t, o)
	o.typeln("/user list")
	o.sees("paula  admin")
	c, err := s.dialAs("paula", interactive(goodPassword, recovery[1]))
	if err != nil {
		t.Fatal(err)
	}
	both := &user{c, t, s, "paula", nil}
	both.must("user list")
	if out := both.must("audit"); !strings.Contains(out, "paula  user list , denied") && !strings.Contains(out, "paula  ban paula, denied") {
		t.Errorf("the audit log says nothing of it:\n%s", out)
	}
	o.typeln("/totp disable")
	o.sees("Password:")
	o.typeln(goodPassword)
	o.sees("Code:")
	o.typeln(recovery[2])
	o.sees("no longer needs a code")
	o.typeln("/stats")
	waitFor(t, "a refusal", func() bool { return strings.Count(o.seen.String(), "stats needs a login by key") == 1 })
	if _, _, code := both.exec("user list", ""); code != 3 {
		t.Errorf("a session whose second factor is gone: exit %d", code)
	}
	row.Tried("%d commands, in the chat and over ssh", len(lines))
	row.Held("admin commands need a key or a second factor, and the login is in the audit log")
	row.Control("they run after totp enable, and no longer after totp disable")
}
