package chat

import (
	"testing"

	"sshchat/sshchat/text"
)

func name(t testing.TB, s string) Name {
	t.Helper()
	n, err := text.ParseName(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// words is a text; what is refused stays as it is cleaned.
func words(s string) Text { return text.Sprintf("%s", s) }
