package accounts

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"unicode"

	"sshchat/store/accounts/strength"
)

const (
	leastScore  = 3  // of zxcvbn's 0 to 4: more than 10^8 guesses
	scoredRunes = 64 // of a password; the estimate takes time that grows much faster than the text
	leastOfOwn  = 8  // letters and digits a password must have beside somebody's name
)

// Refusals of a password that is long enough and still among the first to be guessed (NIST SP 800-63B-4, 3.1.1.2).
var (
	errCommon    = errors.New("it is a common password, so it would be among the first to be tried")
	errRepeats   = errors.New("it repeats itself, which is easy to guess; use several unrelated words")
	errNamed     = errors.New("it is too similar to a name that everyone can see")
	errGuessable = errors.New("it is easy to guess; use several unrelated words")
	errNoLetters = errors.New("it has no letters; use several unrelated words")
)

// commonPasswords is the 30 000 most common passwords of leaked lists, one a line, sorted by bytes: the list of
// Dropbox's zxcvbn 4.4.2 (MIT licence, Copyright (c) 2012-2016 Dan Wheeler and Dropbox, Inc.).
//
//go:embed common-passwords.gz
var commonPasswords []byte

// common is the list, opened when the first password is chosen.
var common = sync.OnceValue(func() []string {
	r, err := gzip.NewReader(bytes.NewReader(commonPasswords))
	if err != nil {
		panic("internal error: the list of common passwords: " + err.Error())
	}
	text, err := io.ReadAll(r)
	if err != nil {
		panic("internal error: the list of common passwords: " + err.Error())
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
})

func isCommon(word string) bool {
	_, found := slices.BinarySearch(common(), word)
	return found
}

// resist refuses a password that would be guessed early: a common one, also dressed up; a name; one short thing
// repeated; and whatever the estimator finds weak. names are what everybody knows: the user's, the server's.
// It takes milliseconds, whatever the password.
func resist(phrase []byte, names []string) error {
	plain := strings.ToLower(string(phrase))
	if strings.IndexFunc(plain, unicode.IsLetter) < 0 {
		return errNoLetters
	}
	for _, form := range []string{plain, undressed(plain), letters(undressed(plain)), strings.TrimFunc(plain, isSign), trimmed(plain)} {
		if isCommon(form) || isCommon(trimmed(form)) || isCommon(strings.TrimRightFunc(form, notLetter)) {
			return errCommon
		}
		if unit := period(form); len(unit) < len(form) && (len([]rune(unit)) < leastOfOwn || isCommon(unit)) {
			return errRepeats
		}
	}
	for _, name := range names {
		if nearName(letters(undressed(plain)), letters(undressed(strings.ToLower(name)))) {
			return errNamed
		}
	}
	runes := []rune(plain)
	inputs := slices.Concat([]string{"sshchat", "chat"}, names)
	if strength.Score(string(runes[:min(len(runes), scoredRunes)]), inputs) < leastScore {
		return errGuessable
	}
	return nil
}

// undressed undoes the signs that stand for letters in passwords.
func undressed(s string) string { return undress.Replace(s) }

var undress = strings.NewReplacer("0", "o", "1", "l", "3", "e", "4", "a", "5", "s", "7", "t", "@", "a", "$", "s", "!", "i", "+", "t")

// letters leaves out everything but letters and digits.
func letters(s string) string {
	return strings.Map(func(r rune) rune {
		if isSign(r) {
			return -1
		}
		return r
	}, s)
}

// trimmed leaves out what people put before and after a word to satisfy a rule: digits and signs.
func trimmed(s string) string { return strings.TrimFunc(s, notLetter) }

func notLetter(r rune) bool { return !unicode.IsLetter(r) }

func isSign(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }

// period is the shortest prefix that s repeats, perhaps incompletely at the end; s itself if there is no repetition.
func period(s string) string {
	for n := 1; n <= len(s)/2; n++ {
		if s[n:] == s[:len(s)-n] {
			return s[:n]
		}
	}
	return s
}

// nearName reports whether s is name and little else. A 1 stands for an i as well as for an l.
func nearName(s, name string) bool {
	s, name = strings.ReplaceAll(s, "l", "i"), strings.ReplaceAll(name, "l", "i")
	return len(name) >= 3 && strings.Contains(s, name) && len([]rune(strings.ReplaceAll(s, name, ""))) < leastOfOwn
}
