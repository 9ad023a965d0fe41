package command

import (
	"context"
	"slices"
	"strings"

	"sshchat/sshchat/alias"
	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"

	"github.com/spf13/pflag"
)

// What acts on the caller's own session, and whether they are there.

// maxWhy is the longest reason for being away, in bytes.
const maxWhy = 256

var _ = add(&Command{
	Name: "away", Args: "[REASON]", Brief: "mark yourself as away", Group: People,
	More: "Lasts until `back`, or until your last session ends. People who send you direct messages are informed.",
	UIs:  Both, Effect: Speaks, Says: withText, Account: true, Text: true,
	Run: func(ctx context.Context, c *Call) error {
		var why chat.Text
		if c.Text != "" {
			var err error
			if why, err = text.ParseLine(c.Text, maxWhy); err != nil {
				return c.usage("%v", err)
			}
			if err = c.Caller.Pace(ctx, Message, c.Text); err != nil {
				return err
			}
		}
		if !c.Hub.Online(c.Account.Name) {
			return failed("you have no open session, so everyone already sees that you are offline")
		}
		c.Hub.SetAway(c.Account.Name, why)
		c.Notef("You are away%s.", because(why))
		return nil
	},
})

var _ = add(&Command{
	Name: "back", Brief: "mark yourself as back", Group: People,
	UIs: Both, Effect: ChangesOwn, Account: true, Words: 0,
	Run: func(_ context.Context, c *Call) error {
		if c.Hub.ClearAway(c.Account.Name) {
			c.Notef("You are back.")
		} else {
			c.Notef("You were not away.")
		}
		return nil
	},
})

// because is a reason as it follows "away".
func because(why chat.Text) string {
	if why.String() == "" {
		return ""
	}
	return " (" + why.String() + ")"
}

var _ = add(&Command{
	Name: "quit", Aliases: []string{"exit"}, Brief: "end this session; you stay in your rooms",
	UIs: Chat, Effect: Reads, Free: true, Words: -1,
	Run: func(_ context.Context, c *Call) error {
		c.Session.Quit()
		return nil
	},
})

var _ = add(&Command{
	Name: "clear", Brief: "clear the screen; nothing is deleted", Group: Reading,
	UIs: Chat, Effect: Reads, Free: true, Words: 0,
	Run: func(_ context.Context, c *Call) error {
		c.Session.Clear()
		return nil
	},
})

var _ = add(&Command{
	Name: "go", Args: "[NAME|!|-]", Brief: "go to a room or person by part of the name", Group: Rooms,
	More: "A few letters are enough: /go dep goes to #deployments. A number is that of the bar: /go 12.\n" +
		"Without a name, /go goes to the next room with unread messages, mentions first (Alt+A).\n" +
		"/go ! goes to the next room that mentions you (Alt+M), and /go - back to the previous room (Alt+O).\n" +
		"Alt+G starts the command and keeps what you were typing.",
	UIs: Chat, Effect: Reads, Account: true, Words: 1,
	Run: func(_ context.Context, c *Call) error {
		rooms, before := c.Session.Standing()
		var room chat.RoomName
		var err error
		switch word := firstOf(c.Args); word {
		case "", "!":
			room, err = nextUnread(rooms, c.Session.Room(), word == "!")
		case "-":
			if room = before; room.IsZero() || !room.IsDirect() && !c.Hub.In(c.Account.Name, room) {
				err = notFound("you were in no other room in this session")
			}
		default:
			room, err = findRoom(c, rooms, word)
		}
		if err != nil {
			return err
		}
		c.Session.SetRoom(room)
		return nil
	},
})

// nextUnread is the room after now with a mention, or else, unless only those are wanted, with unread messages.
func nextUnread(rooms []chat.InboxRoom, now chat.RoomName, mentions bool) (unread chat.RoomName, err error) {
	at := slices.IndexFunc(rooms, func(r chat.InboxRoom) bool { return r.Name == now })
	for i := range rooms {
		switch r := &rooms[(at+1+i)%len(rooms)]; {
		case r.Name == now:
		case r.Mentions > 0:
			return r.Name, nil
		case r.News() > 0 && unread.IsZero() && !mentions:
			unread = r.Name
		}
	}
	switch {
	case !unread.IsZero():
		return unread, nil
	case mentions:
		return unread, notFound("no other room has unread messages that mention you")
	}
	return unread, notFound("no other room has unread messages")
}

// findRoom is the room of the caller's that part of a name fits best, or the conversation with the person of that name.
func findRoom(c *Call, rooms []chat.InboxRoom, word string) (chat.RoomName, error) {
	me, now := c.Account.Name, c.Session.Room()
	best, least := -1, [4]int{}
	for i := range rooms {
		r := &rooms[i]
		name := r.Name.For(me)
		rank, ok := matchName(name, strings.ToLower(word))
		if !ok {
			continue
		}
		key := [4]int{rank, 0, -2*min(r.Mentions, 1) - min(r.News(), 1), len(name)}
		if r.Name == now {
			key[1] = 1
		}
		if best < 0 || slices.Compare(key[:], least[:]) < 0 {
			best, least = i, key
		}
	}
	exact := best >= 0 && least[0] == 0
	if !exact && !strings.HasPrefix(word, "#") {
		if other, err := c.person(word); err == nil && other != me {
			return text.Direct(me, other), nil
		}
	}
	if best >= 0 {
		return rooms[best].Name, nil
	}
	if room, err := text.ParseRoomName(word); err == nil {
		if _, err := c.Hub.Room(me, room); err == nil {
			return room, notFound("you are not in #%s; to join it: /join #%s", room, room)
		}
	}
	return chat.RoomName{}, notFound("none of your rooms matches %q; for a list: /list", text.Clean(word, 40))
}

// matchName reports whether part of a name, in lower case, fits a name such as "#dev" or "@bob", and how well: 0 is the whole name.
func matchName(name, word string) (rank int, ok bool) {
	if word == "" || word == "#" || word == "@" {
		return 0, false
	}
	bare := name[1:]
	if word[0] == '#' || word[0] == '@' {
		if word[0] != name[0] {
			return 0, false
		}
		word = word[1:]
	}
	i := strings.Index(bare, word)
	switch {
	case bare == word:
		return 0, true
	case i == 0:
		return 1, true
	case strings.Contains(bare, "-"+word) || strings.Contains(bare, "_"+word):
		return 2, true
	case i > 0:
		return 3, true
	}
	for _, c := range []byte(bare) { // names are ASCII: its letters in their order
		if word != "" && word[0] == c {
			word = word[1:]
		}
	}
	return 4, word == ""
}

var _ = add(&Command{
	Name: "focus", Args: "[USER…|$]", Brief: "show only these people in rooms; $ ends it", Group: People,
	More: "In this session only. Direct messages are always shown. Without a name, it lists whom you see.",
	UIs:  Chat, Effect: Reads, Account: true, Words: -1,
	Run: func(_ context.Context, c *Call) error {
		switch {
		case len(c.Args) == 0:
			printFocus(c)
			return nil
		case len(c.Args) == 1 && c.Args[0] == "$":
			c.Session.SetFocus(nil)
			printFocus(c)
			return nil
		case len(c.Args) > maxIgnored:
			return failed("you can focus on at most %d people", maxIgnored)
		}
		var people []chat.Name
		for _, word := range c.Args {
			name, err := c.person(word)
			if err != nil {
				return err
			}
			people = append(people, name)
		}
		c.Session.SetFocus(people)
		printFocus(c)
		return nil
	},
})

func printFocus(c *Call) {
	var names []string
	for _, n := range c.Session.Focus() {
		names = append(names, n.String())
	}
	if len(names) == 0 {
		c.Notef("You see everyone.")
		return
	}
	c.Notef("In rooms you see only messages from %s and yourself. To see everyone: /focus $", strings.Join(names, ", "))
}

// Aliases stand for typed lines. They are kept with the settings, and expanded before the registry sees the line: what one stands
// for goes the way of every other line.

// aliasSetting is how they are kept. `set` does not list it.
var aliasSetting = &setting{name: "aliases"}

// Aliases are those of an account.
func Aliases(a chat.Account) alias.Aliases { return alias.Parse(a.Settings[aliasSetting.name]) }

// ExpandAlias returns what is typed with a slash, without it, as a whole line: with another one's text if it begins with an alias of
// the account. It is expanded once, and never if it is a command. Errors are for the person.
func (r *Registry) ExpandAlias(a chat.Account, typed string) (line string, err error) {
	word, args := cutWord(typed)
	if found, ok := Aliases(a).Find(word); ok && !r.takes(word) {
		if line, err = found.Expand(args); err != nil {
			return "", failed("/%s: %v", found.Name, err)
		}
		return line, nil
	}
	return "/" + typed, nil
}

// takes reports whether a word begins a command, of either UI.
func (r *Registry) takes(word string) bool {
	word = strings.ToLower(word)
	for _, ui := range []UI{Chat, Exec} {
		if r.byName[ui][word] != nil || len(r.under(ui, word)) > 0 {
			return true
		}
	}
	return false
}

// aliasNames are the names of the caller's aliases.
func aliasNames(_ *Services, a chat.Account, before []string) (names []string) {
	if len(before) == 0 {
		for _, one := range Aliases(a) {
			names = append(names, one.Name)
		}
	}
	return names
}

var _ = add(&Command{
	Name: "alias", Args: "[NAME] [TEXT]", Brief: "list your aliases, or create one", Group: Yours,
	More: "/NAME ARGUMENTS in the chat then types TEXT for you: a message, or a command with its slash. In TEXT, $1 to $9 are\n" +
		"single arguments, $* is all of them, and $$ is a dollar sign; without any of these they come after TEXT. It cannot\n" +
		"have the name of a command, and is expanded once. -d removes it. Saved, and used in all your sessions.",
	UIs: Both, Effect: ChangesOwn, List: true, Account: true, Text: true, AsIs: true, Choices: aliasNames,
	Flags: func(f *pflag.FlagSet) {
		f.BoolP("delete", "d", false, "remove the alias")
		jsonFlag(f)
	},
	Run: func(ctx context.Context, c *Call) error {
		remove, _ := c.Flags.GetBool("delete")
		name, line := cutWord(c.Text)
		if name == "-d" { // before a text, only long flags are flags
			remove = true
			name, line = cutWord(line)
		}
		switch name = strings.TrimPrefix(name, "/"); {
		case name == "":
			return listAliases(c, Aliases(c.Account))
		case strings.HasPrefix(name, "-"):
			return c.usage("alias: unknown flag %s", text.Clean(name, 40))
		case remove:
			return removeAlias(ctx, c, name)
		case line == "":
			one, ok := Aliases(c.Account).Find(name)
			if !ok {
				return noAlias(name)
			}
			return listAliases(c, alias.Aliases{one})
		default:
			return createAlias(ctx, c, alias.Alias{Name: name, Text: line})
		}
	},
})

var _ = add(&Command{
	Name: "unalias", Args: "NAME", Brief: "remove an alias", Group: Yours,
	UIs: Both, Effect: ChangesOwn, Account: true, Words: 1, Choices: aliasNames,
	Run: func(ctx context.Context, c *Call) error {
		if err := c.need(1); err != nil {
			return err
		}
		return removeAlias(ctx, c, strings.TrimPrefix(c.Args[0], "/"))
	},
})

func noAlias(name string) error { return notFound("you have no alias named %q", text.Clean(name, 40)) }

type aliasJSON struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

func listAliases(c *Call, as alias.Aliases) error {
	if len(as) == 0 && !c.json() {
		c.Notef("No aliases. To create one: %s hi /me says hello to $*", c.typed("alias"))
	}
	for _, a := range as {
		if c.json() {
			c.printJSON(aliasJSON(a))
		} else {
			c.Printf("/%-12s %s\n", a.Name, a.Text)
		}
	}
	return nil
}

func createAlias(ctx context.Context, c *Call, one alias.Alias) error {
	if c.Commands.takes(one.Name) {
		return failed("%q is a command, which no alias can replace", text.Clean(strings.ToLower(one.Name), 40))
	}
	as, err := Aliases(c.Account).With(one)
	if err != nil {
		return c.usage("%v", err)
	}
	if err := saveSetting(ctx, c, aliasSetting, as.String()); err != nil {
		return err
	}
	one, _ = as.Find(one.Name)
	word, _ := cutWord(one.Text)
	if c.Commands.takes(word) && !strings.HasPrefix(word, "/") {
		c.Notef("/%s says %q as a message. For the command, give the text with its slash: /%s", one.Name, text.Clean(one.Text, 60), text.Clean(one.Text, 60))
		return nil
	}
	c.Notef("/%s stands for: %s", one.Name, one.Text)
	return nil
}

func removeAlias(ctx context.Context, c *Call, name string) error {
	as, ok := Aliases(c.Account).Without(name)
	if !ok {
		return noAlias(name)
	}
	if err := saveSetting(ctx, c, aliasSetting, as.String()); err != nil {
		return err
	}
	c.Notef("Removed the alias /%s.", strings.ToLower(name))
	return nil
}
