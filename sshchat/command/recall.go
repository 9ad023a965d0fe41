package command

import (
	"bufio"
	"context"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/command/printed"
	"sshchat/sshchat/fence"
	"sshchat/sshchat/text"

	"github.com/spf13/pflag"
)

// What memory holds: listed, searched, and followed as it grows.

// fewListed is how many messages are listed by default.
const fewListed = 50

var _ = add(&Command{
	Name: "history", Args: "[N|2h] [ID]", Brief: "list the last messages in this room", Group: Reading,
	More: "N is a number of messages; 30m, 2h or 7d goes back that far. It lists up to 200 messages that are still in memory or\n" +
		"that `unlock` has opened. With an ID, such as general/120, it lists the messages before that one.",
	UIs: Chat, Effect: Reads, Account: true, List: true, Words: 2,
	Run: func(ctx context.Context, c *Call) error {
		n, since, err := parseHowFar(c, firstOf(c.Args), time.Now())
		if err != nil {
			return err
		}
		me, room := c.Account.Name, c.Session.Room()
		if !c.Hub.In(me, room) && !room.IsDirect() {
			return chat.NotIn(c.Account.Name, room)
		}
		before, err := parseBefore(c, room)
		if err != nil {
			return err
		}
		said, err := recent(ctx, c, room, before, n+1, since)
		if err != nil {
			return err
		}
		if len(said) > n {
			said = said[1:]
			if c.unlocked(room) != nil {
				printFoot(c, "-- older: /history %d %s", n, said[0].ID(me))
			} else if n == maxListed {
				printFoot(c, "-- the last %d", n)
			}
		}
		if len(said) == 0 && !c.json() {
			printFoot(c, "-- no messages in memory")
		}
		listMessages(c, said)
		noteSealed(c, room)
		return nil
	},
})

// recent returns the last n messages of a room from before a Seq, and none from before a time: from memory, and what is
// unlocked.
func recent(ctx context.Context, c *Call, room chat.RoomName, before uint64, n int, since time.Time) ([]chat.Message, error) {
	said := c.Hub.Before(c.Account.Name, room, 0, chat.LogLines)
	for i := range said {
		if said[i].Seq >= before {
			said = said[:i]
			break
		}
	}
	all := len(said)
	for len(said) > 0 && said[0].At.Before(since) {
		said = said[1:]
	}
	whole := len(said) == all
	said = pickWanted(c, said, n)
	p := c.unlocked(room)
	if p == nil || len(said) == n || !whole {
		return said, nil
	}
	more, err := older(ctx, c, p, min(before, c.firstInMemory(room)), n-len(said), since, func(*chat.Message) bool { return true })
	return append(more, said...), err
}

// parseBefore reads the ID of the message that the list ends before; beyond any if there is none.
func parseBefore(c *Call, room chat.RoomName) (uint64, error) {
	if len(c.Args) < 2 {
		return math.MaxUint64, nil
	}
	of, seq, err := parseID(c, strings.TrimPrefix(c.Args[1], "#"))
	if err == nil && of != room {
		err = c.usage("history: %s is not in this room", text.Clean(c.Args[1], 80))
	}
	return seq, err
}

// parseHowFar reads how many messages are meant, or since when.
func parseHowFar(c *Call, word string, now time.Time) (n int, since time.Time, err error) {
	if word == "" {
		return fewListed, since, nil
	}
	if n, err := strconv.Atoi(word); err == nil {
		if n < 1 {
			return 0, since, c.usage("history: the number of messages must be 1 or more")
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

// What a search may cost. A full room takes 7 ms to look through.
const (
	maxWords   = 16
	searchWork = 8 * chat.LogLines // searching this many messages counts as one more command
)

var _ = add(&Command{
	Name: "search", Args: "WORDS", Brief: "list messages that contain all these words", Group: Reading,
	More: "Searches all your rooms as far as memory goes back, and all of a room that is unlocked (in the chat).\n" +
		"Lists the newest 200. Case does not matter.\n" +
		`Quotes keep words together: "the build". Flags can come anywhere; -- ends them.`,
	UIs: Both, Effect: Reads, Account: true, List: true, Text: true, WordsOnly: true, Flags: jsonFlag,
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
		opened, err := searchUnlocked(ctx, c, words)
		listFound(c, append(opened, c.Hub.Search(c.Account.Name, nil, words, maxSearched)...))
		return err
	},
})

// searchUnlocked finds messages in what is unlocked in this session, the newest last.
func searchUnlocked(ctx context.Context, c *Call, words []string) ([]chat.Message, error) {
	if c.UI != Chat {
		return nil, nil
	}
	p := c.Past.Unlocked()
	if p == nil || c.unlocked(p.Room()) == nil {
		return nil, nil
	}
	return older(ctx, c, p, c.firstInMemory(p.Room()), maxListed+1, time.Time{}, chat.Matching(words))
}

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
	Name: "mentions", Brief: "list messages that mention you", Group: Reading,
	More: "Includes direct messages, and messages with a word of `highlight`. Covers all your rooms as far as memory goes back,\n" +
		"and lists the newest 200.",
	UIs: Both, Effect: Reads, Account: true, List: true, Words: 0, Flags: jsonFlag,
	Run: func(ctx context.Context, c *Call) error {
		if err := payForMemory(ctx, c, "/mentions"); err != nil {
			return err
		}
		filter := filterOf(c)
		listFound(c, c.Hub.Mentions(c.Account.Name, &filter, maxSearched))
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
	if len(found) == 0 && !c.json() {
		printFoot(c, "-- nothing found")
	}
	listMessages(c, found)
	noteSealed(c, c.Hub.RoomsOf(c.Account.Name)...)
}

var _ = add(&Command{
	Name: "inbox", Brief: "count your unread messages", Group: Reading,
	More: "One room per line, with the number of mentions. It does not mark anything as read. Names and `highlight` words\n" +
		"are counted in messages that are in memory: older ones are sealed.",
	UIs: Both, Effect: Reads, Account: true, List: true, Words: 0, Flags: jsonFlag,
	Run: func(ctx context.Context, c *Call) error {
		if err := payForMemory(ctx, c, "/inbox"); err != nil {
			return err
		}
		me := c.Account.Name
		box := chat.NewInbox(me, c.Hub)
		box.Filter(filterOf(c))
		unread := 0
		for _, r := range box.Rooms() {
			if r.Unread == 0 {
				continue
			}
			unread += r.Unread
			if c.json() {
				c.printJSON(inboxJSON{roomArg(r.Name, me), r.Unread, r.Mentions, r.Mark, r.Hushed})
				continue
			}
			hushed := ""
			if r.Hushed {
				hushed = " (hushed)"
			}
			c.Printf("%-33s %5d unread, %d to you%s\n", r.Name.For(me), r.Unread, r.Mentions, hushed)
		}
		c.empty(unread, "No unread messages.")
		return nil
	},
})

type inboxJSON struct {
	Room     string `json:"room"`
	Unread   int    `json:"unread"`
	Mentions int    `json:"mentions"` // of these, messages that mention the person; in a direct room all, unless it is hushed
	Read     uint64 `json:"read"`     // Seq of the last message that is not unread: follow --since resumes there
	Hushed   bool   `json:"hushed,omitempty"`
}

var _ = add(&Command{
	Name: "follow", Args: "[ROOM…]", Brief: "print messages as they arrive", Group: Reading,
	More: "Runs until you stop it, or until --count messages have arrived. It exits with 1 if the server stops, and with 3 if\n" +
		"you are removed from the last of the rooms.\n" +
		"Without a room, it follows all your rooms, including those you join later.\n" +
		"Use --count 1 rather than | head -1: ssh notices a closed pipe only at the next message.\n" +
		"With --since, it first prints the messages after that one, each exactly once.\n" +
		"Messages that are no longer in memory are reported as missed, with --json as\n" +
		`{"missed":37,"room":"general","from":101,"to":137}; to get them: history --tar general --since general/100`,
	UIs: Exec, Effect: Reads, Account: true, Words: -1,
	Flags: func(f *pflag.FlagSet) {
		f.StringArray("since", nil, "resume after the message `ID`, such as general/12 (one per room)")
		f.Int("count", 0, "exit after `N` messages")
		jsonFlag(f)
	},
	Run: runFollow,
})

// followBatch is how many messages of a room are taken at once.
const followBatch = 64

func runFollow(ctx context.Context, c *Call) error {
	count, err := c.Flags.GetInt("count")
	if err != nil {
		return err
	}
	if c.Flags.Changed("count") && count < 1 {
		return c.usage("--count must be 1 or more")
	}
	from, err := parseFollowed(c)
	if err != nil {
		return err
	}
	if err := settleSince(ctx, c, from.After); err != nil {
		return err
	}
	reader := c.Hub.Reader(c.Account.Name, from)
	defer reader.Close()
	c.Hub.ProgramOpened(c.Account.Name)
	defer c.Hub.ProgramClosed(c.Account.Name)
	out, ignored := bufio.NewWriter(c.Out), filterOf(c).Ignore
	c.Out = out
	for {
		ended, came := false, reader.Next(followBatch)
		if err := c.Fence.Wait(ctx, fence.End); err != nil && ctx.Err() == nil { // it may be of somebody who was banned elsewhere
			return err
		}
		if ctx.Err() != nil { // this may be noticed late: later messages are not for a removed member
			return followEnd(ctx)
		}
		for _, d := range came {
			printDelivery(c, d, ignored)
			if d.Kind == chat.Parted && from.Only != nil {
				if err := noteParted(c, d.Room, from.Only); err != nil {
					out.Flush() // fails only if nobody reads
					return err
				}
			}
			if d.Gap.Count() > 0 || !d.Kind.Stored() {
				continue
			}
			if count--; count == 0 {
				ended = true
				break
			}
		}
		if err := out.Flush(); ended || err != nil {
			return nil // or the follower is gone
		}
		if reader.Wait(ctx) != nil {
			return followEnd(ctx)
		}
	}
}

// settleSince looks whether the messages were sent after which rooms are to be resumed. Another server of the chat may have shown one that
// this server does not know yet, so it first waits until it knows what was ordered before now. One that nobody has sent, as after an old
// backup was restored, is reported, and its room is followed from its end: else nothing would come until as many were sent.
func settleSince(ctx context.Context, c *Call, after map[chat.RoomName]uint64) error {
	me := c.Account.Name
	settled := c.Fence == nil // it shares its log with nobody
	for room, seq := range after {
		last := lastOf(c, room)
		if seq > last && !settled {
			if err := c.Hub.Decide(ctx, chat.TheServer, chat.Expire{}, nil); err != nil {
				return ctx.Err() // the reader waits for that message
			}
			settled, last = true, lastOf(c, room)
		}
		if seq <= last {
			continue
		}
		after[room] = last
		shown := roomArg(room, me)
		if last == 0 {
			c.Notef("There is no message %s/%d: following from the beginning.", shown, seq)
		} else {
			c.Notef("There is no message %s/%d: following after %s/%d.", shown, seq, shown, last)
		}
	}
	return nil
}

// lastOf is the Seq of a room's last message; 0: nobody has sent one.
func lastOf(c *Call, room chat.RoomName) uint64 {
	info, err := c.Hub.Room(c.Account.Name, room)
	if err != nil {
		return 0
	}
	return info.Last
}

// followEnd is what the end of ctx means: at a terminal it is how follow is ended.
func followEnd(ctx context.Context) error {
	if errors.Is(context.Cause(ctx), ErrInterrupted) {
		return nil
	}
	return ctx.Err()
}

// parseFollowed is what the command names to follow. It refuses to resume what is not followed: nothing of it would ever come.
func parseFollowed(c *Call) (from chat.From, err error) {
	since, err := c.Flags.GetStringArray("since")
	if err != nil {
		return from, err
	}
	if from.After, err = parseIDs(c, since); err != nil {
		return from, err
	}
	isIn := func(room chat.RoomName) bool { return room.IsDirect() || c.Hub.In(c.Account.Name, room) }
	for _, word := range c.Args {
		room, err := c.room(word)
		if err != nil {
			return from, err
		}
		if !isIn(room) {
			return from, chat.NotIn(c.Account.Name, room)
		}
		from.Only = append(from.Only, room)
	}
	for room := range from.After {
		switch {
		case from.Only != nil && !slices.Contains(from.Only, room):
			return from, c.usage("--since %s: you are not following that room", roomArg(room, c.Account.Name))
		case !isIn(room):
			return from, chat.NotIn(c.Account.Name, room)
		}
	}
	return from, nil
}

// noteParted says that nothing more comes of a room that was asked for, and ends where that was the last.
func noteParted(c *Call, room chat.RoomName, rooms []chat.RoomName) error {
	if slices.ContainsFunc(rooms, func(r chat.RoomName) bool { return r.IsDirect() || c.Hub.In(c.Account.Name, r) }) {
		c.Notef("You are no longer in %s.", room.For(c.Account.Name))
		return nil
	}
	return denied("you are no longer in %s", room.For(c.Account.Name))
}

func printDelivery(c *Call, d chat.Delivery, ignored map[chat.Name]bool) {
	me := c.Account.Name
	shown := roomArg(d.Room, me)
	asJSON := c.json()
	switch {
	case d.Gap.Count() > 0 && asJSON:
		c.printJSON(struct {
			Missed int    `json:"missed"`
			Room   string `json:"room"`
			From   uint64 `json:"from"`
			To     uint64 `json:"to"`
		}{d.Gap.Count(), shown, d.Gap.From, d.Gap.To})
	case d.Gap.Count() > 0:
		c.Notef("%s missed: %s/%d to %s/%d", text.Count(d.Gap.Count(), "message"), shown, d.Gap.From, shown, d.Gap.To)
	case !d.Kind.Stored():
	case asJSON:
		c.printJSON(printed.JSON(&d.Message, me, ignored))
	default:
		c.Printf("%s %s %s\n", d.ID(me), d.At.Format(printed.TimeFormat), printed.Text(&d.Message))
	}
}

// How many messages one answer lists.
const (
	maxListed   = 200           // messages
	maxSearched = 5 * maxListed // messages searched, since some may be from ignored people
)

// pickWanted leaves out what is no message any more, and what the caller does not want to see; of the rest it returns the
// newest n. It does not change said.
func pickWanted(c *Call, said []chat.Message, n int) []chat.Message {
	filter := filterOf(c)
	var kept []chat.Message
	for i := range said {
		m := &said[i]
		if m.Said() && filter.Shows(m, c.Account.Name) {
			kept = append(kept, *m)
		}
	}
	return kept[max(0, len(kept)-n):]
}

// listMessages prints messages, a line each; lines that one has besides are indented.
func listMessages(c *Call, messages []chat.Message) {
	zone, filter := c.zone(), filterOf(c)
	for i := range messages {
		if c.json() {
			c.printJSON(printed.JSON(&messages[i], c.Account.Name, filter.Ignore))
		} else {
			c.Printf("%s\n", listedLine(c, &messages[i], zone, &filter))
		}
	}
}

// listedLine is a message as a list shows it, with its ID: in the chat with the # of its room, which shells take for a comment.
func listedLine(c *Call, m *chat.Message, zone *time.Location, filter *chat.Filter) string {
	at, layout := m.At.In(zone), "02 Jan 15:04"
	if at.Year() != time.Now().In(zone).Year() {
		layout = "02 Jan 2006 15:04"
	}
	line := at.Format(layout) + " " + listedID(c, m.Room, m.Seq) + " " + printed.Text(m)
	if m.Edited {
		line += " (edited)"
	}
	if m.Reactions != nil {
		line += countReactions(c, m, filter)
	}
	return line
}

// listedID is a message's ID as a list shows it.
func listedID(c *Call, room chat.RoomName, seq uint64) string {
	id := chat.Message{Room: room, Seq: seq}.ID(c.Account.Name)
	if c.UI == Chat && !room.IsDirect() {
		id = "#" + id
	}
	return id
}

// printFoot is a last line under a list: in the chat a part of it, for a script words beside the data.
func printFoot(c *Call, format string, args ...any) {
	if c.UI == Chat {
		c.Printf(format+"\n", args...)
	} else {
		c.Notef(format, args...)
	}
}

// noteSealed says how much of the rooms lies before what memory holds, and how to read it.
func noteSealed(c *Call, rooms ...chat.RoomName) {
	n, me, locked := 0, c.Account.Name, false
	for _, room := range rooms {
		sealed, p := c.Above(me, room, chat.LogLines), c.unlocked(room)
		if p != nil {
			sealed = max(0, sealed-p.Count(c.firstInMemory(room)))
		}
		n += sealed
		locked = locked || sealed > 0 && p == nil
	}
	name := ""
	if len(rooms) == 1 {
		name = roomArg(rooms[0], me)
	}
	switch {
	case n == 0:
	case !c.Account.Reads():
		printFoot(c, "-- %s sealed; to be able to read later ones, set a password: %s", text.Are(n, "older line"), c.typed("passwd"))
	case c.Account.Password && c.UI == Chat && locked:
		printFoot(c, "-- %s sealed; to read the latest here: /unlock", text.Are(n, "older line"))
	default:
		first, second := c.reading(name)
		printFoot(c, "-- %s sealed; to read %s", text.Are(n, "older line"), first)
		printFoot(c, "-- %s", second)
	}
}

// Above counts the stored messages of a room that me may read but that are further back than the last n in memory.
func (s *Services) Above(me chat.Name, room chat.RoomName, n int) int {
	info, err := s.Hub.Room(me, room)
	since := s.Hub.Since(me, room)
	if err != nil || since > info.Last {
		return 0
	}
	return max(0, int(info.Last-since+1)-min(n, s.Hub.Kept(me, room)))
}
