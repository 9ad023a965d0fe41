package command

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/past"
	"sshchat/sshchat/text"

	"filippo.io/age"
	"github.com/spf13/pflag"
)

// The sealed history: exported, opened, and what reading it costs.

var _ = add(&Command{
	Name: "history", Args: "ROOM [WINDOW]", Brief: "print a room's history, sealed to your keys", Group: Reading,
	More: "Prints an age file that only your keys can open:\n" +
		"ssh … history general | age -d -i ~/.ssh/id_ed25519\n" +
		"ssh … history --tar general | tar x --to-command='age -d -i ~/.ssh/id_ed25519'\n" +
		"Sealed means encrypted to the keys of the people who could read a message when it was sent. A window is a stretch of\n" +
		"messages sealed to the same people; its head holds, for each of them, the key that opens it.\n" +
		"WINDOW is a number from --list. @bob is your conversation with bob.",
	UIs: Exec, Effect: Reads, Account: true, Words: -1,
	Bytes: func(c *Call) bool {
		list, _ := c.Flags.GetBool("list")
		tar, _ := c.Flags.GetBool("tar")
		return tar || !list
	},
	Flags: func(f *pflag.FlagSet) {
		f.Bool("tar", false, "print everything you can open, as a tar of age files in order")
		f.StringArray("since", nil, "with --tar: files with messages after `ID`, such as general/12 (one per room)")
		f.Bool("list", false, "list the room's windows (messages under one key)")
		jsonFlag(f)
	},
	Run: func(ctx context.Context, c *Call) error {
		tar, _ := c.Flags.GetBool("tar")
		list, _ := c.Flags.GetBool("list")
		switch {
		case tar:
			return printTar(ctx, c)
		case len(c.Args) == 0:
			return c.usage("history needs a room")
		case list:
			return listWindows(ctx, c)
		case len(c.Args) == 2:
			return printWindow(ctx, c)
		case len(c.Args) > 2:
			return c.usage("history: too many arguments")
		}
		return printLast(ctx, c)
	},
})

// memberRoom is a room whose history the caller may ask for.
func memberRoom(c *Call, word string) (chat.RoomName, error) {
	room, err := c.room(word)
	if err != nil {
		return room, err
	}
	if !c.Hub.In(c.Account.Name, room) {
		return room, notFound("no such room, or you are not in it: %s", room.For(c.Account.Name))
	}
	return room, nil
}

func printLast(ctx context.Context, c *Call) error {
	room, err := memberRoom(c, c.Args[0])
	if err != nil {
		return err
	}
	me := c.Account.Name
	later := 0
	err = readOut(ctx, c, func(out io.Writer) (err error) {
		later, err = c.History.Export(out, me, room, c.Hub.Since(me, room), c.Accounts.Recipients(nil, room, me))
		return err
	})
	if err != nil {
		return err
	}
	if later > 0 {
		first, second := c.reading(roomArg(room, me))
		c.Notef("%s stored one by one; to read all %s", text.Are(later, "later line"), first)
		c.Notef("%s", second)
	}
	return nil
}

func printWindow(ctx context.Context, c *Call) error {
	room, err := memberRoom(c, c.Args[0])
	if err != nil {
		return err
	}
	n, err := strconv.ParseUint(c.Args[1], 10, 64)
	if err != nil {
		return c.usage("history: %q is not a window number; for a list: history --list", text.Clean(c.Args[1], 40))
	}
	return readOut(ctx, c, func(out io.Writer) error { return c.History.ExportWindow(out, c.Account.Name, room, n) })
}

func listWindows(ctx context.Context, c *Call) error {
	room, err := memberRoom(c, c.Args[0])
	if err != nil {
		return err
	}
	var windows []Window
	err = readStored(ctx, c, func() (err error) { windows, err = c.History.List(c.Account.Name, room); return err })
	if err != nil {
		return err
	}
	for _, w := range windows {
		if c.json() {
			c.printJSON(w)
			continue
		}
		state := "open"
		if w.Closed {
			state = "closed"
		}
		yours := "sealed to you"
		if !w.Readable {
			yours = "not sealed to you"
		}
		c.Printf("%6d  %d-%d  %s, %s\n", w.W, w.From, w.To, state, yours)
	}
	return nil
}

func printTar(ctx context.Context, c *Call) error {
	since, err := c.Flags.GetStringArray("since")
	if err != nil {
		return err
	}
	after, err := parseIDs(c, since)
	if err != nil {
		return err
	}
	var rooms []chat.RoomName
	for _, word := range c.Args {
		room, err := memberRoom(c, word)
		if err != nil {
			return err
		}
		rooms = append(rooms, room)
	}
	if len(rooms) == 0 {
		rooms = c.Hub.RoomsOf(c.Account.Name)
	}
	return readOut(ctx, c, func(out io.Writer) error { return c.History.Tar(out, c.Account.Name, rooms, after) })
}

// parseIDs reads message IDs, "general/12" or "@bob/3", at most one a room.
func parseIDs(c *Call, ids []string) (map[chat.RoomName]uint64, error) {
	after := make(map[chat.RoomName]uint64)
	for _, id := range ids {
		room, seq, err := parseID(c, id)
		if err != nil {
			return nil, err
		}
		if _, twice := after[room]; twice {
			return nil, c.usage("%s is given twice", roomArg(room, c.Account.Name))
		}
		after[room] = seq
	}
	return after, nil
}

// parseID reads one message's ID.
func parseID(c *Call, id string) (chat.RoomName, uint64, error) {
	word, number, ok := strings.Cut(id, "/")
	seq, err := strconv.ParseUint(number, 10, 64)
	if !ok || err != nil || word == "" {
		return chat.RoomName{}, 0, c.usage("%q is not a message ID, such as general/12", text.Clean(id, 80))
	}
	room, err := c.room(word)
	return room, seq, err
}

var _ = add(&Command{
	Name: "head", Args: "ROOM", Brief: "print a room's head, signed by the host key", Group: Reading,
	More: "The head identifies the newest point of the room's history.\n" +
		"The first line is the head, the rest is its signature (SSHSIG, namespace sshchat-history):\n" +
		"ssh … head general > h; head -n 1 h > head.json; tail -n +2 h > head.sig\n" +
		"ssh-keygen -Y verify -f allowed -I sshchat -n sshchat-history -s head.sig < head.json",
	UIs: Exec, Effect: Reads, Bytes: bytesOut, Account: true, Words: 1, RoomAt: 1,
	Run: func(_ context.Context, c *Call) error {
		room, err := c.target()
		if err != nil {
			return err
		}
		if !c.Hub.In(c.Account.Name, room) {
			return notFound("no such room, or you are not in it: %s", room.For(c.Account.Name))
		}
		line, err := c.History.Head(room)
		if err != nil {
			return err
		}
		signature, err := c.Sign(line)
		if err != nil {
			return fmt.Errorf("sign head: %w", err)
		}
		c.Printf("%s%s", line, signature)
		return nil
	},
})

var _ = add(&Command{
	Name: "unlock", Brief: "read this room's older messages here", Group: Reading,
	More: "Asks for your password. Then scroll up: older messages come page by page. `history` and `search` find them, too.\n" +
		"One room is unlocked at a time, in this session only. `lock` locks it again; so do leaving the room, the end of the\n" +
		"session, and 15 minutes in which you type nothing. Without a password, it prints a command for your own machine.",
	UIs: Chat, Effect: Reads, Secret: true, Account: true, Words: 0,
	Run: func(ctx context.Context, c *Call) error {
		me, room := c.Account.Name, c.Session.Room()
		if c.Above(me, room, chat.LogLines) == 0 {
			return failed("%s has no messages older than those that /history lists", room.For(me))
		}
		if !c.Account.Password {
			if !c.Account.Reads() {
				return failed("you have no password, and no key that opens history; to be able to read later messages, set a password: %s", c.typed("passwd"))
			}
			first, second := c.reading(roomArg(room, me))
			return failed("you have no password; to read it %s; %s", first, second)
		}
		ids, err := askIdentities(ctx, c)
		if err != nil {
			return err
		}
		p, err := unlock(ctx, c, room, ids)
		if err != nil {
			return err
		}
		if before := c.Past.Unlocked(); before != nil && before.Room() != room {
			c.Notef("%s is locked again.", before.Room().For(me))
		}
		c.Past.SetUnlocked(p)
		c.Notef("%s unlocked: scroll up, or use /history and /search. To lock %s again: /lock",
			text.Are(p.Count(c.firstInMemory(room)), "older line"), room.For(me))
		return nil
	},
})

// unlock opens the room's windows with the identities, which it forgets, and then the newest page.
func unlock(ctx context.Context, c *Call, room chat.RoomName, ids []age.Identity) (*past.Past, error) {
	defer clear(ids)
	me, top := c.Account.Name, c.firstInMemory(room)-1
	var source past.Source
	err := readStored(ctx, c, func() (err error) {
		source, err = c.History.Unlock(me, room, ids)
		return err
	})
	if err != nil {
		return nil, err
	}
	p := past.New(room, source, c.Hub.Since(me, room), top)
	n := p.Count(top + 1)
	if n == 0 {
		p.Wipe()
		return nil, failed("your password cannot open any of the %s: it was set later", text.Count(c.Above(me, room, chat.LogLines), "sealed line"))
	}
	p.Before(top+1, 1) // wants the page
	if err := c.OpenMore(ctx, p); err != nil {
		p.Wipe()
		return nil, err
	}
	return p, nil
}

// firstInMemory is the first message of a room that is in memory; the next one to come if there is none.
func (c *Call) firstInMemory(room chat.RoomName) uint64 {
	info, err := c.Hub.Room(c.Account.Name, room)
	if err != nil {
		return 1
	}
	return info.Last - uint64(c.Hub.Kept(c.Account.Name, room)) + 1
}

var _ = add(&Command{
	Name: "lock", Brief: "lock what /unlock has opened", Group: Reading,
	UIs: Chat, Effect: Reads, Account: true, Words: 0,
	Run: func(_ context.Context, c *Call) error {
		p := c.Past.Unlocked()
		if p == nil {
			return failed("nothing is unlocked")
		}
		c.Past.SetUnlocked(nil)
		c.Notef("%s is locked again.", p.Room().For(c.Account.Name))
		return nil
	},
})

// OpenMore opens what was asked for last of an unlocked past, for a caller who may still read the room.
func (c *Call) OpenMore(ctx context.Context, p *past.Past) error { return c.open(ctx, p, p.Load) }

// open runs what opens a page of a past, in the call's turn and at its cost.
func (c *Call) open(ctx context.Context, p *past.Past, load func() (read int, err error)) error {
	me := c.Account.Name
	if !c.Hub.In(me, p.Room()) {
		return chat.NotIn(me, p.Room())
	}
	read := 0
	if err := readStored(ctx, c, func() (err error) { read, err = load(); return err }); err != nil {
		return err
	}
	for c.opened += read; c.opened >= readCost; c.opened -= readCost {
		if err := c.Caller.Pace(ctx, Work, "/history"); err != nil {
			return err
		}
	}
	return nil
}

// unlocked is what is unlocked of a room in this session; nil for nothing.
func (c *Call) unlocked(room chat.RoomName) *past.Past {
	if c.UI != Chat {
		return nil
	}
	if p := c.Past.Unlocked(); p != nil && p.Room() == room && c.Hub.In(c.Account.Name, room) {
		return p
	}
	return nil
}

// older returns the last n wanted messages of an unlocked past from before a Seq, the newest last, and none from before a time.
func older(ctx context.Context, c *Call, p *past.Past, before uint64, n int, since time.Time, wanted func(*chat.Message) bool) (found []chat.Message, err error) {
	filter := filterOf(c)
	load := func(open func() (int, error)) error { return c.open(ctx, p, open) }
	err = p.Backward(before, load, func(m chat.Message) bool {
		if m.At.Before(since) && m.Seq > 0 {
			return false
		}
		if m.Said() && filter.Shows(&m, c.Account.Name) && wanted(&m) {
			found = append(found, m)
		}
		return len(found) < n
	})
	slices.Reverse(found)
	return found, err
}

// The cost of reading the stored history. It reads whole files, so it is charged by size, like search, and only a few
// people do it at once on the whole server. A slow client does not hold a place.

const (
	readCost  = 1 << 20  // bytes of history that count as one more command
	readChunk = 64 << 10 // bytes that are gathered before the client gets them
)

// Readers is a semaphore for reading stored history. One person holds at most one place, in all their commands together:
// running many commands gains nothing.
type Readers struct {
	places chan struct{}

	mu     sync.Mutex
	people map[chat.Name]*ownPlace // guarded by mu; people who hold a place or wait for one
}

// ownPlace is the one that a person has.
type ownPlace struct {
	taken chan struct{}
	users int // commands that hold or want it; guarded by the Readers' mu
}

// NewReaders returns a semaphore with n places.
func NewReaders(n int) *Readers {
	return &Readers{places: make(chan struct{}, max(1, n)), people: make(map[chat.Name]*ownPlace)}
}

// acquire waits for a place for one of name's commands. leave gives it up.
func (r *Readers) acquire(ctx context.Context, name chat.Name) error {
	r.mu.Lock()
	own := r.people[name]
	if own == nil {
		own = &ownPlace{taken: make(chan struct{}, 1)}
		r.people[name] = own
	}
	own.users++
	r.mu.Unlock()
	select {
	case own.taken <- struct{}{}:
	case <-ctx.Done():
		r.forget(name)
		return ctx.Err()
	}
	select {
	case r.places <- struct{}{}:
		return nil
	case <-ctx.Done():
		<-own.taken
		r.forget(name)
		return ctx.Err()
	}
}

func (r *Readers) release(name chat.Name) {
	<-r.places
	r.mu.Lock()
	own := r.people[name]
	r.mu.Unlock()
	<-own.taken
	r.forget(name)
}

// forget removes a person none of whose commands holds or wants a place.
func (r *Readers) forget(name chat.Name) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if own := r.people[name]; own != nil {
		if own.users--; own.users == 0 {
			delete(r.people, name)
		}
	}
}

// reading is one use of a place: an output that gives the place up while the client takes what was read.
type reading struct {
	ctx    context.Context
	call   *Call
	chunk  []byte
	unpaid int   // bytes that were passed on and not paid for
	err    error // why no more is passed on; the place is held only while it is nil
}

// readOut has what is stored read into the call's output, in the call's turn and at its cost.
func readOut(ctx context.Context, c *Call, what func(out io.Writer) error) error {
	if c.Readers == nil {
		return what(c.Out)
	}
	if err := c.Readers.acquire(ctx, c.Account.Name); err != nil {
		return err
	}
	r := &reading{ctx: ctx, call: c}
	err := what(r)
	if r.err != nil {
		return r.err
	}
	c.Readers.release(c.Account.Name)
	if err == nil {
		_, err = c.Out.Write(r.chunk)
	}
	return err
}

// readStored reads what is stored without printing it, in the call's turn.
func readStored(ctx context.Context, c *Call, what func() error) error {
	if c.Readers == nil {
		return what()
	}
	if err := c.Readers.acquire(ctx, c.Account.Name); err != nil {
		return err
	}
	defer c.Readers.release(c.Account.Name)
	return what()
}

func (r *reading) Write(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	r.chunk = append(r.chunk, p...)
	if len(r.chunk) < readChunk {
		return len(p), nil
	}
	if r.err = r.pass(); r.err != nil {
		return 0, r.err
	}
	return len(p), nil
}

// pass gives the client what was read, has it paid for, and waits for a place to go on.
func (r *reading) pass() error {
	r.call.Readers.release(r.call.Account.Name)
	if _, err := r.call.Out.Write(r.chunk); err != nil {
		return err
	}
	for r.unpaid += len(r.chunk); r.unpaid >= readCost; r.unpaid -= readCost {
		if err := r.call.Caller.Pace(r.ctx, Work, r.call.Command.Name); err != nil {
			return err
		}
	}
	r.chunk = r.chunk[:0]
	return r.call.Readers.acquire(r.ctx, r.call.Account.Name)
}
