package command

import (
	"context"

	"sshchat/sshchat/chat"
)

// This file is what counts as speaking: all that one has others see. It is refused to the muted, and comes no faster than
// messages may.
//
//	                              | slow rooms slow it | who ignores the author
//	a message, /me, an edit       |        yes         | does not see it
//	a topic                       |        yes         | does not see its notice
//	an invitation                 |         -          | does not see its notice
//	a reason for putting one out  |         -          | does not see its notice
//	a reason for being away       |         -          | sees it on asking
//	the name of a new room        |         -          | sees it on asking
//	an announcement               |         -          | sees it
//
// Deleting a message says nothing, and coming and going neither.

// speaks refuses the muted, and who is too fast, what has others see the text. Under the context it returns the mute is
// looked at again at the place of the change.
func (c *Call) speaks(ctx context.Context, text string) (context.Context, error) {
	ctx, err := c.mayBeHeard(ctx)
	if err != nil {
		return ctx, err
	}
	return ctx, c.Caller.Pace(ctx, Message, text)
}

// mayBeHeard is speaks without the pace.
func (c *Call) mayBeHeard(ctx context.Context) (context.Context, error) {
	return c.Services.mayBeHeard(ctx, c.Account.Name)
}

func (s *Services) mayBeHeard(ctx context.Context, name chat.Name) (context.Context, error) {
	check := func() error { return s.maySpeak(name) }
	return chat.AlsoCheck(ctx, check), check()
}

// maySpeak refuses the muted.
func (s *Services) maySpeak(name chat.Name) error {
	if m, found := s.Accounts.Muted(name); found {
		return denied("not sent: %s", muted(m))
	}
	return nil
}
