package command

import (
	"context"

	"sshchat/sshchat/chat"
)

// This file is what counts as speaking: all that one has others see. The dispatcher refuses it to the muted, before the
// command runs, after each wait and at the place of each change; and it comes no faster than messages may (Caller.Pace).
//
//	                              | slow rooms slow it | who ignores the author
//	a message, /me, an edit       |        yes         | does not see it
//	a topic                       |        yes         | does not see its notice
//	an invitation                 |         -          | does not see its notice
//	a reason for putting one out  |         -          | does not see its notice
//	a reason for a ban or a mute  |         -          | sees it
//	a reason for being away       |         -          | sees it on asking
//	the name of a new room        |         -          | sees it on asking
//	an announcement               |         -          | sees it
//	the message of the day        |         -          | sees it
//
// Deleting a message says nothing, and coming and going neither.

// speaks reports whether the call has others see words of the caller's.
func speaks(c *Call) bool {
	if says := c.Command.Says; says != nil {
		return says(c)
	}
	return c.Command.Effect == Speaks
}

// spoken has chat's rule about speaking asked at the place of what is said.
func (s *Services) spoken(ctx context.Context, who func() chat.Caller, room chat.RoomName) context.Context {
	return chat.AlsoCheck(ctx, func() error {
		_, err := s.Hub.View().Check(who(), chat.Speak{Room: room})
		return err
	})
}

// says has something decided that lets others see the text, no faster than messages may.
func (c *Call) says(ctx context.Context, text string, in chat.Intent) error {
	if err := c.may(in); err != nil {
		return err
	}
	if err := c.Caller.Pace(ctx, Message, text); err != nil {
		return err
	}
	return c.decide(ctx, in)
}

// Values of Says.

func withText(c *Call) bool { return c.Text != "" }

// withReason is withText where a duration comes before the reason.
func withReason(c *Call) bool {
	_, why := cutWord(c.Text)
	return why != ""
}

func always(*Call) bool { return true }
