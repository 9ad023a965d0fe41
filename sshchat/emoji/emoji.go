// Package emoji reads emoji as people type them: as themselves, or by the names that GitHub gives them. It knows nothing of
// messages or screens.
package emoji

import (
	"strings"
	"sync"

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
