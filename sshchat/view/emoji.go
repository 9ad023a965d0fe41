package view

import (
	"strings"
	"sync"

	"github.com/yuin/goldmark-emoji/definition"
)

// emojiNames are the names of GitHub's emoji, made when the first is met.
var emojiNames = sync.OnceValue(func() definition.Emojis { return definition.Github() })

// maxEmojiName is longer than any name.
const maxEmojiName = 48

// emojis puts the characters in the place of the :names: in s. A name that is unknown stays.
func emojis(s string) string {
	if strings.Count(s, ":") < 2 {
		return s
	}
	var b strings.Builder
	for {
		start := strings.IndexByte(s, ':')
		if start < 0 {
			break
		}
		end := strings.IndexByte(s[start+1:min(len(s), start+1+maxEmojiName)], ':')
		if end < 1 {
			b.WriteString(s[:start+1])
			s = s[start+1:]
			continue
		}
		name := s[start+1 : start+1+end]
		if e, ok := emojiNames().Get(name); ok && e.IsUnicode() {
			b.WriteString(s[:start])
			b.WriteString(string(e.Unicode))
			s = s[start+end+2:]
		} else {
			b.WriteString(s[:start+1+end]) // the second colon may begin a name
			s = s[start+1+end:]
		}
	}
	b.WriteString(s)
	return b.String()
}
