package sshchat

import (
	"errors"
	"testing"

	"sshchat/sshchat/chat"
)

// Of a session that somebody has ended nothing more is drawn: it may be late to notice, and messages have come since.
func TestEndedSessionDrawsNothing(t *testing.T) {
	why := "You are banned."
	who := &caller{}
	who.terminated.Store(&why)
	v := &display{who: who} // without a screen: what draws more than nothing panics
	reader := hubOf().Reader(who.name, chat.From{})
	defer reader.Close()
	if err := v.draw(reader); !errors.Is(err, errOver) {
		t.Errorf("it draws: %v", err)
	}
}
