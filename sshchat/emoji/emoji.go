// Package emoji reads emoji as people type them: as themselves, or by the names that GitHub gives them. It knows nothing of
// messages or screens.
package emoji

import (
	"reflect"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/yuin/goldmark-emoji/definition"

	"sshchat/sshchat/text"
)

// names are made when the first is met.
var names = sync.OnceValue(func() definition.Emojis { return definition.Github() })

// MaxName is longer than any name, in bytes.
const MaxName = 48

// Named returns the emoji of that name, without colons; ok is false if there is none.
func Named(name string) (emoji string, ok bool) {
	if len(name) > MaxName {
		return "", false
	}
	e, ok := names().Get(name)
	if !ok || !e.IsUnicode() {
		return "", false
	}
	return string(e.Unicode), true
}

// sorted is all names. The library finds an emoji by its name, but cannot list them: its map is read by reflection.
var sorted = sync.OnceValue(func() (all []string) {
	byName := reflect.Indirect(reflect.ValueOf(names())).FieldByName("m")
	if byName.Kind() != reflect.Map {
		return nil
	}
	for _, key := range byName.MapKeys() {
		if _, ok := Named(key.String()); ok {
			all = append(all, key.String())
		}
	}
	slices.Sort(all)
	return all
})

// Begun returns the names, with their colons, that begin with what s ends with, from its last colon on, and where that is. There
// are none for a colon alone, or one within a word, as in 12:30.
func Begun(s string) (start int, found []string) {
	start = strings.LastIndexByte(s, ':')
	if start < 0 || len(s)-start < 2 || len(s)-start > MaxName {
		return start, nil
	}
	if before, _ := utf8.DecodeLastRuneInString(s[:start]); before == ':' || unicode.IsLetter(before) || unicode.IsDigit(before) {
		return start, nil
	}
	begun := strings.ToLower(s[start+1:])
	i, _ := slices.BinarySearch(sorted(), begun)
	for _, name := range sorted()[i:] {
		if !strings.HasPrefix(name, begun) {
			break
		}
		found = append(found, ":"+name+":")
	}
	return start, found
}

// Parse reads one emoji, or its :name:. Errors wrap text.ErrNotEmoji or text.ErrNotUTF8.
func Parse(s string) (text.Text, error) {
	if bare, ok := strings.CutPrefix(s, ":"); ok {
		if name, ok := strings.CutSuffix(bare, ":"); ok {
			if e, ok := Named(name); ok {
				return text.ParseEmoji(e)
			}
		}
	}
	return text.ParseEmoji(s)
}
