package sshchat

import (
	"errors"
	"testing"

	"sshchat/sshchat/chat"
)

// Of a session that somebody has ended nothing more is drawn: it may be late to notice, and messages have come since.
func TestEndedSessionDrawsNothing(t *testing.T) {
	who := &caller{}
	who.terminated.Store(&chat.Refusal{Code: chat.Denied, Text: "You are banned."})
	reader := hubOf().Reader(who.name, chat.From{})
	defer reader.Close()
	v := &display{who: who, reader: reader} // without a screen: what draws more than nothing panics
	if err := v.draw(); !errors.Is(err, errOver) {
		t.Errorf("it draws: %v", err)
	}
}
