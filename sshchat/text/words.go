package text

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Words finds words in texts, in any case and as words of their own. It takes time in proportion to the text alone, however
// many words there are and whatever they are, and allocates nothing: everybody may choose words, and anybody may send texts
// (Aho and Corasick 1975). It is never changed. The nil Words has no words.
type Words struct {
	words []string
	nodes []wordNode
}

// wordNode is reached after reading what some word begins with.
type wordNode struct {
	next    []wordEdge
	fail    int32 // the node of the longest end of this one's letters that a word begins with, too
	word    int32 // how many letters the word has that ends here; 0: none ends
	shorter int32 // the node of the next shorter word that ends here as well; 0: none
}

type wordEdge struct {
	letter rune
	to     int32
}

// MaxWord is the longest word that is found, in letters.
const MaxWord = 40

// NewWords returns the Words of a list, without those that are empty or longer than MaxWord; nil for none.
func NewWords(words []string) *Words {
	w := &Words{nodes: make([]wordNode, 1)}
	for _, word := range words {
		if n := utf8.RuneCountInString(word); n > 0 && n <= MaxWord && w.insert(word) {
			w.words = append(w.words, word)
		}
	}
	if len(w.words) == 0 {
		return nil
	}
	w.link()
	return w
}

// insert adds a word, and reports whether it was not there, in any case.
func (w *Words) insert(word string) bool {
	at, letters := int32(0), int32(0)
	for _, r := range word {
		r = foldLetter(r)
		letters++
		to := w.nodes[at].step(r)
		if to == 0 {
			to = int32(len(w.nodes))
			w.nodes = append(w.nodes, wordNode{})
			w.nodes[at].next = append(w.nodes[at].next, wordEdge{r, to})
		}
		at = to
	}
	isNew := w.nodes[at].word == 0
	w.nodes[at].word = letters
	return isNew
}

// link sets where to go on when the next letter does not fit, in order of depth.
func (w *Words) link() {
	queue := []int32{0}
	for len(queue) > 0 {
		at := queue[0]
		queue = queue[1:]
		for _, e := range w.nodes[at].next {
			n := &w.nodes[e.to]
			if at != 0 {
				n.fail = w.after(w.nodes[at].fail, e.letter)
			}
			if n.shorter = n.fail; w.nodes[n.fail].word == 0 {
				n.shorter = w.nodes[n.fail].shorter
			}
			queue = append(queue, e.to)
		}
	}
}

// step is the node after a letter; 0 if no word goes on with it.
func (n *wordNode) step(r rune) int32 {
	for _, e := range n.next {
		if e.letter == r {
			return e.to
		}
	}
	return 0
}

// after is the node of the longest beginning of a word that ends with the letter.
func (w *Words) after(at int32, r rune) int32 {
	for {
		if to := w.nodes[at].step(r); to != 0 || at == 0 {
			return to
		}
		at = w.nodes[at].fail
	}
}

// List returns the words as they were given. The caller must not change it.
func (w *Words) List() []string {
	if w == nil {
		return nil
	}
	return w.words
}

// In reports whether one of the words stands in t as a word of its own.
func (w *Words) In(t Text) bool {
	if w == nil {
		return false
	}
	var starts [MaxWord]int // where the last letters begin
	at, letters := int32(0), 0
	for i, r := range t.s {
		starts[letters%MaxWord] = i
		letters++
		at = w.after(at, foldLetter(r))
		for found := at; found != 0; found = w.nodes[found].shorter {
			n := int(w.nodes[found].word)
			if n == 0 {
				continue
			}
			to := i + utf8.RuneLen(r)
			if isWord(t.s, starts[(letters-n)%MaxWord], to) {
				return true
			}
		}
	}
	return false
}

// isWord reports whether text[from:to] is a word of its own. An end that is no letter, as of "c++", needs no end of a word.
func isWord(text string, from, to int) bool {
	first, size := utf8.DecodeRuneInString(text[from:])
	last, _ := utf8.DecodeLastRuneInString(text[:to])
	return size > 0 && (!isLetter(first) || isUnspaced(first) || beginsAt(text, from) && !joins(text, from, first)) &&
		(!isLetter(last) || isUnspaced(last) || endsAt(text, to) && !joined(text, to, last))
}

// joins and joined report whether a letter before or after makes another word of one that begins or ends with edge. For Latin
// letters beginsAt and endsAt know: they take only Latin ones for part of a name.
func joins(text string, from int, edge rune) bool {
	before, _ := utf8.DecodeLastRuneInString(text[:from])
	return !ofWord(edge) && unicode.IsLetter(before) && !isUnspaced(before)
}

func joined(text string, to int, edge rune) bool {
	next, _ := utf8.DecodeRuneInString(text[to:])
	return !ofWord(edge) && unicode.IsLetter(next) && !isUnspaced(next)
}

func isLetter(r rune) bool { return ofWord(r) || unicode.IsLetter(r) }

// isUnspaced reports whether a script has no blanks between words, so that a word may stand among others.
func isUnspaced(r rune) bool {
	return r >= 0xe00 && unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar)
}

// foldLetter is what letters that differ only in case have in common.
func foldLetter(r rune) rune {
	switch {
	case r >= 'A' && r <= 'Z':
		return r + 'a' - 'A'
	case r < utf8.RuneSelf:
		return r
	}
	return unicode.ToLower(unicode.ToUpper(r))
}

// SameWord reports whether two words differ at most in case.
func SameWord(a, b string) bool { return strings.Map(foldLetter, a) == strings.Map(foldLetter, b) }
