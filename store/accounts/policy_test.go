package accounts

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"sshchat/sshchat/attack"
	"sshchat/store/agesplit"
)

// I have the lists that everybody has, and the tricks that everybody knows. None of these may be anybody's password,
// though each is long enough.
func TestAttackPasswordsOfTheListsAreRefused(t *testing.T) {
	t.Parallel()
	u := open(t, t.TempDir())
	u.opt.Server = "chat.example"
	row := attack.On(t, attack.Guessing, "common passwords with variations")
	common := []string{
		"passwordpassword", "Password1Password1", "p@ssw0rdp@ssw0rd", "password12345678", "PASSWORD!!!!!!!!!", "123456789012345", "111111111111111",
		"2026-11-24 2026", "qwertyuiopasdfgh", "qwertyqwertyqwerty", "1qaz2wsx1qaz2wsx", "1qaz2wsx3edc4rfv", "abcdefghijklmnop", "iloveyouiloveyou",
		"letmeinletmein1", "aaaaaaaaaaaaaaaaaaaa", "abcabcabcabcabcabc", "Summer2026Summer", "monkeymonkeymonkey", "trustno1trustno1!", "football1234567",
		"alice", "alicealicealice", "alice20261124!!", "4l1c3-4l1c3-1990", "chat.example2026", "Chat-Example-1234", "               ",
		"dragon dragon dragon", "welcome1welcome1", "sunshine12345678", "superman!superman", strings.Repeat("password1", 100),
	}
	long := 0
	for _, password := range common {
		if utf8.RuneCountInString(password) >= u.opt.MinPassword {
			long++
		}
		if err := u.CheckPolicy(name("alice"), []byte(password)); !errors.Is(err, ErrPolicy) {
			t.Errorf("%q may be a password: %v", password, err)
		}
	}
	good := []string{
		"blue lamps on the old pier", "seven olive lanterns", "ein schönes Paßwort", "水車小屋の前の猫が三匹と犬が一匹いる", "xK9#mQ2$vL7!pR4", "my alice drinks tea at noon",
		"staple battery horse correct",
	}
	for _, password := range good {
		if err := u.CheckPolicy(name("alice"), []byte(password)); err != nil {
			t.Errorf("%q may not be a password: %v", password, err)
		}
	}
	row.Tried("%d from well-known lists, and variations", len(common))
	row.Held("refused when they are set, with the reason")
	row.Control("a length rule alone accepts %d of them; %d good ones are accepted", long, len(good))
}

// The control: length alone lets them in.
func TestLengthAloneLetsCommonPasswordsIn(t *testing.T) {
	t.Parallel()
	for _, password := range []string{"passwordpassword", "123456789012345", "qwertyuiopasdfgh"} {
		if _, err := longPassphrase([]byte(password), defaultMinPassword); err != nil {
			t.Errorf("%q: %v", password, err)
		}
	}
}

func TestEveryCommonPasswordIsRefused(t *testing.T) {
	t.Parallel()
	list := common()
	if len(list) != 30_000 {
		t.Fatalf("%d are on the list", len(list))
	}
	for _, word := range list {
		for _, dressed := range []string{word, strings.ToUpper(word), strings.TrimFunc(word, isSign) + "!"} {
			if dressed == "!" || strings.HasSuffix(dressed, "!") && !isCommon(strings.TrimFunc(word, isSign)) {
				continue // a sign that was part of it
			}
			if resist([]byte(dressed), nil) == nil {
				t.Errorf("%q passes", dressed)
			}
		}
	}
}

// Whatever somebody sends as a new password, it is judged in bounded time, and nothing is reached outside the list.
func FuzzPolicy(f *testing.F) {
	for _, s := range []string{"passwordpassword", strings.Repeat("1qaz2wsx", 128), strings.Repeat("é", 500), "\u0301\u0301", "a b c d e f g h"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if len(s) > agesplit.MaxPassword || !utf8.ValidString(s) {
			return
		}
		resist([]byte(s), []string{"alice", s})
	})
}

func BenchmarkPolicy(b *testing.B) {
	worst := []byte(strings.Repeat("1qaz2wsx", agesplit.MaxPassword/8-1) + "anoldpier")
	for b.Loop() {
		resist(worst, []string{"alice"})
	}
}
