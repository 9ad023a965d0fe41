// Package strength estimates how soon a password is guessed, as zxcvbn does. The lists, the entropies and the score are those of zxcvbn-go;
// what is in a password is found here, and the lists are read when the first password is judged: the entry to zxcvbn-go reads them in
// every process that starts, which takes a tenth of a second.
package strength

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/ccojocar/zxcvbn-go/adjacency"
	"github.com/ccojocar/zxcvbn-go/data"
	"github.com/ccojocar/zxcvbn-go/entropy"
	"github.com/ccojocar/zxcvbn-go/match"
	"github.com/ccojocar/zxcvbn-go/scoring"
)

// Score is how hard the password is to guess for somebody who knows these words of its owner, from 0 to 4, as zxcvbn has it. It takes
// time that grows with the third power of its length: bound that. The first call takes a tenth of a second more.
func Score(password string, known []string) int {
	ranks := func(word string) (rank int) {
		rank = ranks()[word]
		if i := slices.IndexFunc(known, func(k string) bool { return strings.ToLower(k) == word }); i >= 0 && (rank == 0 || i < rank) {
			rank = i + 1
		}
		return rank
	}
	matches := slices.Concat(words(password, password, ranks), keys(password), repeats(password), sequences(password), dates(password))
	for _, signs := range disguises {
		if plain := signs.Replace(password); plain != password {
			matches = append(matches, words(password, plain, ranks)...)
		}
	}
	return scoring.MinimumEntropyMatchSequence(password, matches).Score
}

// ranks is the place of each word in the list that has it first: of the most common words, names and passwords.
var ranks = sync.OnceValue(func() map[string]int {
	all := make(map[string]int, 100_000)
	for _, name := range []string{"English", "FemaleNames", "MaleNames", "Passwords", "Surnames"} {
		text, err := data.Asset("data/" + name + ".json")
		if err != nil {
			panic("internal error: zxcvbn's lists: " + err.Error())
		}
		var list struct{ List []string }
		if err := json.Unmarshal(text, &list); err != nil || len(list.List) == 0 {
			panic("internal error: zxcvbn's list " + name + " is not one")
		}
		for i, word := range list.List {
			word = strings.ToLower(word)
			if rank, listed := all[word]; !listed || i < rank {
				all[word] = i + 1
			}
		}
	}
	return all
})

// disguises undo the signs that stand for letters. Some stand for either of two.
var disguises = func() (all []*strings.Replacer) {
	for _, one := range []string{"i", "l"} {
		for _, seven := range []string{"t", "l"} {
			all = append(all, strings.NewReplacer("4", "a", "@", "a", "8", "b", "(", "c", "{", "c", "[", "c", "<", "c", "3", "e", "6", "g", "9", "g",
				"!", "i", "|", one, "1", one, "0", "o", "$", "s", "5", "s", "+", "t", "7", seven, "%", "x", "2", "z"))
		}
	}
	return all
}()

// words are the parts of plain, which is the password or what it stands for, that a list has.
func words(password, plain string, ranks func(string) int) (found []match.Match) {
	lower := strings.ToLower(plain)
	if len(lower) != len(password) {
		return nil // a letter whose small form is shorter: what is found would be at other places
	}
	for i := range lower {
		for j := i; j < len(lower); j++ {
			if j+1 < len(lower) && !utf8.RuneStart(lower[j+1]) {
				continue // within a letter
			}
			if rank := ranks(lower[i : j+1]); rank > 0 {
				m := match.Match{Pattern: "dictionary", I: i, J: j, Token: password[i : j+1]}
				m.Entropy = entropy.DictionaryEntropy(m, float64(rank))
				found = append(found, m)
			}
		}
	}
	return found
}

// leastRun is how long what follows a rule must be to be taken for one, in characters.
const leastRun = 3

// keys are the parts typed with keys that are beside each other.
func keys(password string) (found []match.Match) {
	for _, name := range []string{"qwerty", "dvorak", "keypad", "macKeypad"} {
		graph := adjacency.GraphMap[name]
		for i := 0; i < len(password); {
			j, turns, shifted, last := i+1, 0, 0, -1
			for ; j < len(password); j++ {
				direction, shift := beside(graph, password[j-1], password[j])
				if direction < 0 {
					break
				}
				if direction != last {
					turns++
				}
				if shift {
					shifted++
				}
				last = direction
			}
			if j-i >= leastRun {
				m := match.Match{Pattern: "spatial", I: i, J: j - 1, Token: password[i:j], DictionaryName: graph.Name}
				m.Entropy = entropy.SpatialEntropy(m, turns, shifted)
				found = append(found, m)
			}
			i = j
		}
	}
	return found
}

// beside is in which direction of one key another is, and whether that is typed with shift; -1 if it is not beside it.
func beside(graph adjacency.Graph, key, other byte) (direction int, shift bool) {
	for direction, signs := range graph.Graph[string(rune(key))] {
		if at := strings.IndexByte(signs, other); at >= 0 {
			return direction, at == 1
		}
	}
	return -1, false
}

// repeats are the parts that are one character many times.
func repeats(password string) (found []match.Match) {
	for i := 0; i < len(password); {
		j := i + 1
		for j < len(password) && password[j] == password[i] {
			j++
		}
		if j-i >= leastRun {
			m := match.Match{Pattern: "repeat", I: i, J: j - 1, Token: password[i:j]}
			m.Entropy = entropy.RepeatEntropy(m)
			found = append(found, m)
		}
		i = j
	}
	return found
}

// sequences are the parts that go up or down the alphabet, or the digits.
func sequences(password string) (found []match.Match) {
	for i := 0; i+1 < len(password); {
		of := series(password[i])
		step := int(password[i+1]) - int(password[i])
		j := i + 1
		for of > 0 && (step == 1 || step == -1) && j < len(password) && series(password[j]) == of && int(password[j])-int(password[j-1]) == step {
			j++
		}
		if j-i >= leastRun {
			m := match.Match{Pattern: "sequence", I: i, J: j - 1, Token: password[i:j]}
			m.Entropy = entropy.SequenceEntropy(m, of, step > 0)
			found = append(found, m)
		}
		i = max(j-1, i+1) // the last may begin another
	}
	return found
}

// series is how many characters are in the series of one; 0 if it is in none.
func series(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return 10
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z':
		return 26
	}
	return 0
}
