package command

import (
	"fmt"
	"strings"
)

// cutWord returns the first word of line and what follows it, without the spaces between.
func cutWord(line string) (word, rest string) {
	line = strings.TrimLeft(line, blanks)
	i := strings.IndexAny(line, blanks)
	if i < 0 {
		return line, ""
	}
	return line[:i], strings.TrimLeft(line[i:], blanks)
}

// cutQuoted is cutWord for a word that may be in quotes, as where a whole command is in others: ssh h "say '#ops' hi".
// What follows is not looked at.
func cutQuoted(line string) (word, rest string) {
	if quoted, after := cutPhrase(line); !strings.ContainsAny(quoted, blanks) {
		return quoted, after
	}
	return cutWord(line)
}

// cutPhrase is cutWord for a word, or several in quotes.
func cutPhrase(line string) (phrase, rest string) {
	phrase, rest = cutWord(line)
	if phrase == "" || phrase[0] != '\'' && phrase[0] != '"' {
		return phrase, rest
	}
	line = strings.TrimLeft(line, blanks)
	quoted, after, closed := strings.Cut(line[1:], line[:1])
	if !closed || after != "" && strings.IndexByte(blanks, after[0]) < 0 {
		return phrase, rest
	}
	return quoted, strings.TrimLeft(after, blanks)
}

// blanks are what words are separated by.
const blanks = " \t\n"

// split splits a line into words; quotes and backslashes work as in a POSIX shell.
func split(line string) ([]string, error) {
	var words []string
	var word strings.Builder
	inWord, quote := false, rune(0)
	runes := []rune(line)
	for i := 0; i < len(runes); i++ {
		switch r := runes[i]; {
		case r == '\\' && quote != '\'' && i+1 < len(runes):
			i++
			word.WriteRune(runes[i])
			inWord = true
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '"' || r == '\''):
			quote, inWord = r, true
		case quote == 0 && strings.ContainsRune(blanks, r):
			if inWord {
				words = append(words, word.String())
				word.Reset()
				inWord = false
			}
		default:
			word.WriteRune(r)
			inWord = true
		}
	}
	if quote != 0 {
		return nil, fmt.Errorf("a quote %c is not closed", quote)
	}
	if inWord {
		words = append(words, word.String())
	}
	return words, nil
}

// Nearest is the name that a word may have been meant for; empty if none is near.
func Nearest(word string, names []string) (near string) {
	best := min(2, len(word)/2) + 1 // a word of two letters is near to everything
	for _, name := range names {
		if d := distance(word, name); d < best {
			best, near = d, name
		}
	}
	return near
}

// distance is the number of edits between two words, for words short enough to be commands: a letter more, less or
// another one, or two neighbours the wrong way round (Damerau and Levenshtein, as optimal string alignment).
func distance(a, b string) int {
	if len(a) > 32 || len(b) > 32 {
		return 32
	}
	before, row, next := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		next[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			next[j+1] = min(next[j]+1, row[j+1]+1, row[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				next[j+1] = min(next[j+1], before[j-1]+1)
			}
		}
		before, row, next = row, next, before
	}
	return row[len(b)]
}
