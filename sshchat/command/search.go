package command

import (
	"context"

	"sshchat/sshchat/chat"
)

// What a search may cost. A full room takes 7 ms to look through.
const (
	maxWords   = 16
	searchWork = 8 * chat.LogLines // so many messages to look through count as one more command
)

var _ = add(&Command{
	Name: "search", Args: "WORDS", Brief: "list messages that hold all of these words", Group: Reading,
	More: "In all your rooms, as far as memory goes back; the newest 200. Case does not matter.\n" +
		`Words in quotes stand together: "the build". Flags may stand anywhere; -- ends them.`,
	Faces: Both, Effect: Reads, Account: true, List: true, Text: true, WordsOnly: true, Flags: jsonFlag,
	Run: func(ctx context.Context, c *Call) error {
		words := phrases(c.Text)
		switch {
		case len(words) == 0:
			return c.usage("search needs a word")
		case len(words) > maxWords:
			return c.usage("search takes at most %d words", maxWords)
		}
		if err := payForMemory(ctx, c, "/search "+c.Text); err != nil {
			return err
		}
		listFound(c, c.Hub.Search(c.Account.Name, nil, words, maxLooked))
		return nil
	},
})

// phrases splits a text into words, and what is in quotes.
func phrases(text string) []string {
	var found []string
	for text != "" {
		var word string
		if word, text = cutPhrase(text); word != "" {
			found = append(found, word)
		}
	}
	return found
}

var _ = add(&Command{
	Name: "mentions", Brief: "list messages that name you", Group: Reading,
	More:  "And those to you alone; in all your rooms, as far as memory goes back; the newest 200.",
	Faces: Both, Effect: Reads, Account: true, List: true, Words: 0, Flags: jsonFlag,
	Run: func(ctx context.Context, c *Call) error {
		if err := payForMemory(ctx, c, "/mentions"); err != nil {
			return err
		}
		listFound(c, c.Hub.Mentions(c.Account.Name, maxLooked))
		return nil
	},
})

// payForMemory charges for looking through all messages in memory that the caller may read.
func payForMemory(ctx context.Context, c *Call, line string) error {
	kept := 0
	for _, room := range c.Hub.RoomsOf(c.Account.Name) {
		kept += c.Hub.Kept(c.Account.Name, room)
	}
	for range kept / searchWork {
		if err := c.Caller.Pace(ctx, Work, line); err != nil {
			return err
		}
	}
	return nil
}

// listFound lists what was found in all of the caller's rooms.
func listFound(c *Call, found []chat.Message) {
	found = pickWanted(c, found, maxListed+1)
	if len(found) > maxListed {
		found = found[1:]
		printFoot(c, "-- the last %d", maxListed)
	}
	if len(found) == 0 {
		printFoot(c, "-- nothing found")
	}
	listMessages(c, found)
	tellSealed(c, c.Hub.RoomsOf(c.Account.Name)...)
}
