package sshchat

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"sshchat/sshchat/attack"
	"sshchat/sshchat/chat"
	"sshchat/sshchat/command"
	"sshchat/sshchat/limit"
)

// lock is Passwords that counts how often it was looked at, and for whom.
type lock struct{ looked []chat.Name }

var errWrong = errors.New("wrong")

func (l *lock) CheckBoth(_ context.Context, n chat.Name, _ []byte) (chat.Account, []byte, error) {
	l.looked = append(l.looked, n)
	return chat.Account{}, nil, errWrong
}
func (l *lock) Spend(string, []byte, string) (in chat.SpendCode) { return in }
func (l *lock) Wrong(err error) bool                             { return errors.Is(err, errWrong) }

// I try a password for names of every kind and compare: an account with a password, one that has only keys, one whose
// passwords are not looked at any more, and with registration closed a name without an account. Each answer is the same
// error, no earlier than the floor, and after one scrypt. The control: a server without a floor answers at once.
func TestAttackNamesAreNotToldApart(t *testing.T) {
	row := attack.On(t, attack.Guessing, "find out which names exist, have a password, are locked")
	synctest.Test(t, func(t *testing.T) {
		for name, floor := range map[string]time.Duration{"with the floor": 300 * time.Millisecond, "without": 0} {
			limits := DefaultLimits
			limits.FailDelay, limits.Passwords, limits.Penalties = floor, 1000, false
			known, keyOnly, locked, unknown := testName(t, "alice"), testName(t, "bob"), testName(t, "carol"), testName(t, "nobody")
			l := &lock{}
			s := &Server{
				passwords: l, log: slog.New(slog.DiscardHandler),
				services: &command.Services{Hub: hubOf(
					chat.Account{ID: "1", Name: known, Password: true}, chat.Account{ID: "2", Name: keyOnly}, chat.Account{ID: "3", Name: locked, Password: true},
				)},
			}
			s.sourceCounts = newSourceCounts(limits)
			for range 200 {
				s.attempts.Try(t.Context(), locked, testSource(t, "198.51.100.7"))
				time.Sleep(limit.LongestWait)
			}
			answers := map[chat.Name]time.Duration{}
			for _, n := range []chat.Name{known, keyOnly, locked, unknown} {
				before, begun := len(l.looked), time.Now()
				c := &conn{server: s, from: testSource(t, "192.0.2.1")}
				p, err := (&authentication{server: s, conn: c, ctx: context.Background()}).tryPassword(n.String(), []byte("a guess"), nil)
				if p != nil || err != errLogin {
					t.Errorf("%s: %v, %v", n, p, err)
				}
				if len(l.looked) != before+1 {
					t.Errorf("%s: %d scrypts", n, len(l.looked)-before)
				}
				answers[n] = time.Since(begun)
			}
			for n, took := range answers {
				if took != floor {
					t.Errorf("%s, %s: answered after %v", name, n, took)
				}
			}
			if last := l.looked[2]; last == locked {
				t.Error("the password of a locked name is looked at")
			}
			if floor > 0 {
				row.Tried("a password for each of %d kinds of names, registration closed", len(answers))
				row.Held("the same error, after one scrypt, and after %v", answers[unknown])
			} else {
				row.Control("answered after %v without the delay", answers[unknown])
			}
		}
	})
}
