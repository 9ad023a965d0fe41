package command

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"

	"github.com/spf13/pflag"
)

var _ = add(&Command{
	Name: "whois", Args: "USER", Brief: "show who a person is", Group: People,
	UIs: Both, Effect: Reads, Account: true, Words: 1, Flags: jsonFlag,
	Run: func(_ context.Context, c *Call) error {
		if len(c.Args) != 1 {
			return c.usage("whois needs a name")
		}
		name, err := c.person(c.Args[0])
		if err != nil {
			return err
		}
		a, ok := c.Hub.View().ByName(name)
		if !ok {
			return notFound("no account named %s", name)
		}
		if c.json() {
			c.printJSON(whoisAsJSON(c, a))
			return nil
		}
		c.Printf("%s (%s), %s\n", a.Name, a.Role, whereabouts(c, a.Name))
		c.Printf("  account since %s\n", a.Created.Format(time.DateOnly))
		var rooms []string
		for _, room := range sharedRooms(c, name) {
			rooms = append(rooms, "#"+room.String())
		}
		c.Printf("  rooms you share: %s\n", strings.Join(rooms, " "))
		if zone := ParseSettings(a.Settings).Zone; zone != nil {
			c.Printf("  local time: %s\n", time.Now().In(zone).Format("Monday 15:04"))
		}
		return nil
	},
})

var _ = add(&Command{
	Name: "report", Args: "ID|USER [WHY]", Brief: "report a message or a person to the moderators", Group: People,
	More: "ID is a message ID, such as general/12 or @bob/3, as `search` lists it. The message is quoted, as far as the server\n" +
		"has it in memory. Every moderator and admin gets the report as a direct message from you, but for the person whom\n" +
		"you report, who is not notified.",
	UIs: Both, Effect: Speaks, Account: true, Words: 1, Text: true,
	Run: func(ctx context.Context, c *Call) error {
		if err := c.need(1); err != nil {
			return err
		}
		about, report, err := reportOf(c)
		if err != nil {
			return err
		}
		if err := c.Caller.Pace(ctx, Message, c.Text); err != nil {
			return err
		}
		told, err := c.Hub.Report(ctx, c.Who(), about, report)
		if told > 0 {
			c.Notef("Reported %s to %s.", about, text.Count(told, "moderator"))
		}
		return err
	},
})

// quote is a text as it is quoted, or its first lines.
func quote(said string) string {
	var b strings.Builder
	for line := range strings.SplitSeq(said, "\n") {
		left := maxQuoted - b.Len()
		if left <= 0 {
			b.WriteString("\n> …")
			break
		}
		b.WriteString("\n> " + text.Clean(line, left))
	}
	return b.String()
}

// maxQuoted is how much of a reported message is quoted, in bytes.
const maxQuoted = 2048

// reportOf is whom the call reports, and what their moderators get. That a message is not there, and that it is not the caller's to
// read, is refused in the same words.
func reportOf(c *Call) (about chat.Name, report text.Text, err error) {
	head, excerpt := "", ""
	if word := c.Args[0]; strings.Contains(word, "/") {
		room, seq, err := parseID(c, word)
		if err != nil {
			return about, report, err
		}
		m, there := c.Hub.Find(c.Account.Name, room, seq)
		if !there || !m.Said() {
			return about, report, chat.ErrNoMessage.With("the server has no message %s in memory that you can read", text.Clean(word, 80))
		}
		about, head = m.From, fmt.Sprintf("Report of %s by %s", m.ID(c.Account.Name), m.From)
		if room.IsDirect() {
			head = fmt.Sprintf("Report of a direct message from %s", m.From)
		}
		excerpt = quote(m.Text.String())
	} else if about, err = c.person(word); err != nil {
		return about, report, err
	} else {
		head = fmt.Sprintf("Report of %s", about)
	}
	if about == c.Account.Name {
		return about, report, failed("you cannot report yourself")
	}
	if c.Text != "" {
		head += ": " + c.Text
	}
	report, err = text.ParseText(head + excerpt)
	return about, report, err
}

// whereabouts says whether somebody is online or away.
func whereabouts(c *Call, name chat.Name) string {
	why, since, away := c.Hub.Away(name)
	switch {
	case away:
		return "away since " + since.In(c.zone()).Format("15:04 MST") + because(why)
	case c.Hub.Online(name):
		return "online"
	}
	return "offline"
}

// sharedRooms lists the rooms that the caller and somebody else are both in.
func sharedRooms(c *Call, name chat.Name) []chat.RoomName {
	var rooms []chat.RoomName
	for _, room := range c.Hub.RoomsOf(c.Account.Name) {
		if !room.IsDirect() && c.Hub.In(name, room) {
			rooms = append(rooms, room)
		}
	}
	return rooms
}

type whoisJSON struct {
	Name    chat.Name       `json:"name"`
	Role    chat.Role       `json:"role"`
	Here    bool            `json:"here"`
	Away    bool            `json:"away"`
	Why     string          `json:"why,omitempty"`
	Created string          `json:"created"` // a day
	Rooms   []chat.RoomName `json:"rooms"`   // that the caller is in too
	Time    string          `json:"time,omitempty"`
}

func whoisAsJSON(c *Call, a chat.Account) whoisJSON {
	why, _, away := c.Hub.Away(a.Name)
	w := whoisJSON{
		Name: a.Name, Role: a.Role, Here: c.Hub.Online(a.Name), Away: away, Why: why.String(),
		Created: a.Created.Format(time.DateOnly), Rooms: sharedRooms(c, a.Name),
	}
	if zone := ParseSettings(a.Settings).Zone; zone != nil {
		w.Time = time.Now().In(zone).Format("15:04")
	}
	return w
}

var _ = add(&Command{
	Name: "ignore", Args: "[USER]", Brief: "ignore a person, or list whom you ignore", Group: People,
	More: "You no longer see their messages, including direct ones. They are not notified. The setting is saved.",
	UIs:  Both, Effect: ChangesOwn, Account: true, Words: 1, Flags: jsonFlag,
	Run: func(ctx context.Context, c *Call) error {
		ignored := c.settings().Ignore
		if len(c.Args) == 0 {
			listIgnored(c, ignored)
			return nil
		}
		name, err := c.person(c.Args[0])
		if err != nil {
			return err
		}
		if name == c.Account.Name {
			return failed("you cannot ignore yourself")
		}
		if err := saveIgnored(ctx, c, append(ignored, name)); err != nil {
			return err
		}
		c.Notef("You are ignoring %s. To undo: %s %s", name, c.typed("unignore"), name)
		return nil
	},
})

func listIgnored(c *Call, ignored []chat.Name) {
	if len(ignored) == 0 && !c.json() {
		c.Notef("You are not ignoring anyone.")
	}
	for _, n := range ignored {
		if c.json() {
			c.printJSON(struct {
				Name chat.Name `json:"name"`
			}{n})
			continue
		}
		c.Printf("%s\n", n)
	}
}

var _ = add(&Command{
	Name: "unignore", Args: "USER", Brief: "stop ignoring a person", Group: People,
	UIs: Both, Effect: ChangesOwn, Account: true, Words: 1,
	Run: func(ctx context.Context, c *Call) error {
		if len(c.Args) != 1 {
			return c.usage("unignore needs a name")
		}
		name, err := c.personName(c.Args[0])
		if err != nil {
			return err
		}
		ignored := c.settings().Ignore
		if !slices.Contains(ignored, name) {
			return failed("you are not ignoring %s", name)
		}
		if err := saveIgnored(ctx, c, slices.DeleteFunc(ignored, func(n chat.Name) bool { return n == name })); err != nil {
			return err
		}
		c.Notef("You are no longer ignoring %s.", name)
		return nil
	},
})

// saveIgnored does not ask, as set does, whether all of them have accounts: some may be gone.
func saveIgnored(ctx context.Context, c *Call, names []chat.Name) error {
	value, err := joinNames(names)
	if err != nil {
		return err
	}
	return saveSetting(ctx, c, ignoreSetting, value)
}

const (
	maxHighlights = 20      // words that a person has highlighted at most
	maxWordBytes  = 1 << 10 // what is looked at of one; text.MaxWord limits its letters
)

// parseWords reads words separated by spaces.
func parseWords(value string) *text.Words {
	words := strings.Fields(value)
	return text.NewWords(words[:min(len(words), maxHighlights)])
}

func checkHighlight(c *Call, value string) (string, error) {
	return joinHighlights(c, nil, strings.Fields(value))
}

// joinHighlights is the stored form of the words, and of more: each once, in either case.
func joinHighlights(c *Call, words, more []string) (string, error) {
	words = slices.Clone(words)
	for _, word := range more {
		word = text.Clean(word, maxWordBytes)
		switch {
		case word == "" || strings.Contains(word, " "):
			return "", c.usage("%q is not a word: highlight single words", word)
		case utf8.RuneCountInString(word) > text.MaxWord:
			return "", c.usage("a word to highlight has at most %d letters", text.MaxWord)
		case slices.ContainsFunc(words, func(have string) bool { return text.SameWord(have, word) }):
			continue
		}
		words = append(words, word)
	}
	if len(words) > maxHighlights {
		return "", failed("you can highlight at most %d words", maxHighlights)
	}
	return strings.Join(words, " "), nil
}

var _ = add(&Command{
	Name: "highlight", Args: "[WORD…]", Brief: "count messages with these words as mentions", Group: Looks,
	More: "Messages from others with such a word count as if they named you: in the bar, for the bell and notifications, in\n" +
		"`mentions` and in `inbox`. Words are found whole and in any case, at most 20 of at most 40 letters. The setting is\n" +
		"saved. Without a word, it lists them. Only messages in memory are searched: older ones are sealed.",
	UIs: Both, Effect: ChangesOwn, Account: true, Secret: true, Words: -1,
	Flags: func(f *pflag.FlagSet) {
		f.BoolP("delete", "d", false, "stop highlighting these words")
		jsonFlag(f)
	},
	Run: func(ctx context.Context, c *Call) error {
		removes, err := c.Flags.GetBool("delete")
		if err != nil {
			return err
		}
		words := c.settings().Highlight.List()
		switch {
		case removes && len(c.Args) == 0:
			return c.usage("highlight -d needs a word")
		case len(c.Args) == 0:
			listHighlights(c, words)
			return nil
		case removes:
			return removeHighlights(ctx, c, words)
		}
		value, err := joinHighlights(c, words, c.Args)
		if err != nil {
			return err
		}
		if err := saveSetting(ctx, c, highlightSetting, value); err != nil {
			return err
		}
		c.Notef("Highlighted: %s", value)
		return nil
	},
})

func listHighlights(c *Call, words []string) {
	c.empty(len(words), "You are not highlighting any words.")
	for _, word := range words {
		if c.json() {
			c.printJSON(struct {
				Word string `json:"word"`
			}{word})
			continue
		}
		c.Printf("%s\n", word)
	}
}

func removeHighlights(ctx context.Context, c *Call, words []string) error {
	words = slices.Clone(words)
	for _, word := range c.Args {
		i := slices.IndexFunc(words, func(have string) bool { return text.SameWord(have, word) })
		if i < 0 {
			return failed("you are not highlighting %q", text.Clean(word, 80))
		}
		words = slices.Delete(words, i, i+1)
	}
	if err := saveSetting(ctx, c, highlightSetting, strings.Join(words, " ")); err != nil {
		return err
	}
	if len(words) == 0 {
		c.Notef("You are not highlighting any words.")
	} else {
		c.Notef("Highlighted: %s", strings.Join(words, " "))
	}
	return nil
}
