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
	reader := hubOf().Reader(who.name, chat.From{})
	defer reader.Close()
	v := &display{who: who, reader: reader} // without a screen: what draws more than nothing panics
	if err := v.draw(); !errors.Is(err, errOver) {
		t.Errorf("it draws: %v", err)
	}
}
