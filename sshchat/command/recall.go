package command

import (
	"context"
	"strconv"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
)

// fewListed is how many messages are recalled where nobody says how many.
const fewListed = 50

var _ = add(&Command{
	Name: "history", Args: "[N|2h]", Brief: "list what was said last in this room", Group: Reading,
	More:  "So many messages, or those of so long: 30m, 2h, 7d. It lists what memory holds, at most 200 messages.",
	Faces: Chat, Effect: Reads, Account: true, List: true, Words: 1,
	Run: func(_ context.Context, c *Call) error {
		n, since, err := parseHowFar(c, firstOf(c.Args), time.Now())
		if err != nil {
			return err
		}
		me, room := c.Account.Name, c.Session.Room()
		if !c.Hub.In(me, room) && !room.IsDirect() {
			return chat.NotIn(c.Account.Name, room)
		}
		said := c.Hub.Before(me, room, 0, chat.LogLines)
		for len(said) > 0 && said[0].At.Before(since) {
			said = said[1:]
		}
		said = pickWanted(c, said, n+1)
		if len(said) > n {
			said = said[1:]
			if n == maxListed {
				printFoot(c, "-- the last %d", n)
			}
		}
		if len(said) == 0 {
			printFoot(c, "-- nothing that memory still holds")
		}
		listMessages(c, said)
		tellSealed(c, room)
		return nil
	},
})

// parseHowFar reads how many messages are meant, or since when.
func parseHowFar(c *Call, word string, now time.Time) (n int, since time.Time, err error) {
	if word == "" {
		return fewListed, since, nil
	}
	if n, err := strconv.Atoi(word); err == nil {
		if n < 1 {
			return 0, since, c.usage("history: %d messages are none", n)
		}
		return min(n, maxListed), since, nil
	}
	d, err := chat.ParseDuration(word)
	if err != nil || d == 0 {
		return 0, since, c.usage("history: %q is neither a number of messages nor a time like 30m, 2h or 7d", text.Clean(word, 40))
	}
	return maxListed, now.Add(-d), nil
}

// firstOf is the first word, or none.
func firstOf(words []string) string {
	if len(words) == 0 {
		return ""
	}
	return words[0]
}
