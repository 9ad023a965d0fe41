package command

import (
	"context"
	"strings"

	"sshchat/sshchat/chat"

	"filippo.io/age"
)

// Common parts of dialogues. If a wrong answer ended one, the next answer would be posted in the room: so the question is
// repeated, and the session discards the line after the last attempt.

// tries is how often a question is asked that is answered wrongly.
const tries = 3

var (
	// ErrCancelled ends a dialogue by Ctrl+C or Ctrl+D.
	ErrCancelled = &chat.Refusal{Code: chat.Failed, Text: "cancelled"}
	// ErrDeclined ends a dialogue whose question was answered with no.
	ErrDeclined = &chat.Refusal{Code: chat.Failed, Text: "cancelled; nothing was changed"}
)

// askAgain repeats a dialogue while a password or code is wrong, tries times in all.
func askAgain(c *Call, dialogue func() error) error {
	for n := 1; ; n++ {
		err := dialogue()
		if err == nil || n == tries || !c.Passwords.Wrong(err) {
			return err
		}
		said, _ := Text(err)
		c.Notef("%s. Please try again.", said)
	}
}

// askSecret asks for what is not shown. The caller clears it; the string that it was typed as cannot be wiped.
func askSecret(ctx context.Context, c *Call, question string) ([]byte, error) {
	answer, err := c.Session.Ask(ctx, question, false)
	return []byte(answer), err
}

// askIdentities asks for the caller's password, and returns what it opens.
func askIdentities(ctx context.Context, c *Call) (ids []age.Identity, err error) {
	err = askAgain(c, func() error {
		password, err := askSecret(ctx, c, "Password: ")
		if err != nil {
			return err
		}
		return c.Caller.CheckPassword(func() (err error) { ids, err = c.Passwords.Unlock(ctx, c.Account.ID, password); return err })
	})
	return ids, err
}

// confirm asks a question until the answer is one of yes, or one of no: none at all is one.
func confirm(ctx context.Context, c *Call, question string, yes, no []string) error {
	for range tries {
		answer, err := c.Session.Ask(ctx, question, true)
		if err != nil {
			return err
		}
		answer = strings.ToLower(strings.TrimSpace(answer))
		for _, word := range yes {
			if answer == word {
				return nil
			}
		}
		for _, word := range append(no, "") {
			if answer == word {
				return ErrDeclined
			}
		}
		c.Notef("Please type %s, or press Enter to cancel.", yes[0])
	}
	return failed("cancelled; nothing was changed")
}
