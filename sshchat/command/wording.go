package command

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"

	"github.com/spf13/pflag"
)

// This file is how commands, the server and what went wrong are named to people, so that what they read works as it is
// printed.

// Type is how a command is typed in a UI: "/key add" in the chat, "key add" after ssh and its host.
func (f UI) Type(line string) string {
	if f == Chat {
		return "/" + line
	}
	return line
}

// words returns a text with its commands, which are in backquotes, as they are typed in the UI. The chat has a terminal
// to ask on, so remarks about it are left out.
func (f UI) words(s string) string {
	parts := strings.Split(s, "`")
	for i := 1; i < len(parts)-1; i += 2 {
		parts[i] = f.Type(parts[i])
	}
	s = strings.Join(parts, "")
	if f == Chat {
		s = strings.TrimSuffix(strings.TrimSuffix(s, needsTerminal), " It needs ssh -t.")
	}
	return s
}

// needsTerminal ends the brief help of a command that asks something.
const needsTerminal = " (needs ssh -t)"

// typed is how the caller types a command. After registering at a prompt, that is in the chat.
func (c *Call) typed(line string) string { return cmp.Or(c.Next, c.UI).Type(line) }

// Reach returns ssh's arguments to reach the server under a name: "-p 2222 alice@chat.host". It uses the operator's
// setting, or the address that the connection came to, which its user can reach.
func (s *Services) Reach(name string, at net.Addr) string {
	return strings.Replace(cmp.Or(s.configured().Address, AddressOf(at)), "NAME", name, 1)
}

// Login is Reach for the caller.
func (c *Call) Login() string { return c.Reach(c.Name.String(), c.At) }

// Reading is how the account reads a room's stored history on its own machine, with what it has: the first line goes on after
// "to read", and works with stock tools if there is a key. key is the fingerprint of the one that logged in, reach what
// Reach returns, room "" for all rooms.
func (s *Services) Reading(a chat.Account, key, reach, room string) (first, second string) {
	if room != "" {
		room = " " + room
	}
	file := identityFile(a, key)
	if file == "" {
		return fmt.Sprintf("with your password: ssh %s identity > me.age", reach), fmt.Sprintf("then, with sshchat on your machine: sshchat read -i me.age %s%s", reach, room)
	}
	return fmt.Sprintf("with your key: ssh %s history --tar%s | tar x --to-command='age -d -i %s'", reach, room, file),
		fmt.Sprintf("or, with sshchat on your machine: sshchat read %s%s", reach, room)
}

// identityFile is where people usually have the private key that opens the account's history; the key that logged in first. It
// is empty if none does.
func identityFile(a chat.Account, key string) (file string) {
	for _, k := range a.Keys {
		if !k.Reads || file != "" && k.Fingerprint != key {
			continue
		}
		switch kind, _, _ := strings.Cut(k.Line, " "); kind {
		case "ssh-ed25519":
			file = "~/.ssh/id_ed25519"
		case "ssh-rsa":
			file = "~/.ssh/id_rsa"
		default:
			file = "YOUR_KEY"
		}
	}
	return file
}

// reading is Reading for the caller.
func (c *Call) reading(room string) (first, second string) {
	key := ""
	if c.Who != nil {
		key = c.Who().Login.Key
	}
	return c.Reading(c.Account, key, c.Login(), room)
}

// unixSocket is the address of everyone who connects through a Unix socket.
const unixSocket = "unix"

// shownAddr is a client's address.
func shownAddr(addr netip.Addr) string {
	if !addr.IsValid() {
		return unixSocket
	}
	return addr.String()
}

// AddressOf is how the server is reached at an address that it listens on, or that a connection came to, as far as it
// can know: "-p 2222 NAME@192.0.2.1".
func AddressOf(at net.Addr) string {
	host, port := "localhost", ""
	if at != nil && at.Network() == "unix" {
		return fmt.Sprintf("-o ProxyCommand='nc -U %s' NAME@localhost", at)
	}
	if tcp, ok := at.(*net.TCPAddr); ok && tcp != nil {
		a := tcp.AddrPort().Addr().Unmap().WithZone("")
		if s := a.String(); a.IsValid() && !a.IsUnspecified() && s != "127.0.0.1" && s != "::1" {
			host = s
		}
		if tcp.Port != 22 {
			port = "-p " + strconv.Itoa(tcp.Port) + " "
		}
	}
	return port + "NAME@" + host
}

// roomArg is a room as typed in exec: without the #, which a shell would take for a comment.
func roomArg(room chat.RoomName, me chat.Name) string { return strings.TrimPrefix(room.For(me), "#") }

// ExitDone is the exit code of a command that did what it was asked. The others are the chat.Codes.
const ExitDone = 0

func refuse(code chat.Code, format string, args []any) error {
	return &chat.Refusal{Code: code, Text: fmt.Sprintf(format, args...)}
}

func failed(format string, args ...any) error { return refuse(chat.Failed, format, args) }

func denied(format string, args ...any) error { return refuse(chat.Denied, format, args) }

func notFound(format string, args ...any) error { return refuse(chat.NotFound, format, args) }

// ErrNobodyToAsk is returned by Session.Ask if there is no terminal.
var ErrNobodyToAsk = &chat.Refusal{Code: chat.Usage, Text: "this command asks questions and needs a terminal; use ssh -t"}

// ErrInterrupted is the cause of the end of a command's context when the person at its terminal pressed Ctrl+C.
var ErrInterrupted = &chat.Refusal{Code: chat.Failed, Text: "interrupted"}

// ExitCode is the code an error ends with.
func ExitCode(err error) int {
	if err == nil {
		return ExitDone
	}
	if r, ok := chat.Refused(err); ok {
		return int(r.Code)
	}
	return int(chat.Failed)
}

// Text is what a person reads of an error. An error that is not about what they asked for is not shown to them:
// it goes to the log, and ok is false.
func Text(err error) (text string, ok bool) {
	if r, ok := chat.Refused(err); ok {
		return r.Text, true
	}
	return "internal error; the server's log has the details", false
}

// accepted is what flags of the types of Go's own take, as people write it.
var accepted = map[string]string{
	"int": "a whole number", "int64": "a whole number", "uint": "a whole number, 0 or more", "uint64": "a whole number, 0 or more",
	"float64": "a number, such as 2 or 0.5", "duration": "a duration, such as 500ms, 30s, 5m or 2h", "bool": "true or false",
}

// FlagError words an error of pflag for people: without the functions of Go that have refused the value.
func FlagError(err error) string {
	var value *pflag.InvalidValueError
	var unknown *pflag.NotExistError
	var missing *pflag.ValueRequiredError
	var syntax *pflag.InvalidSyntaxError
	switch {
	case errors.As(err, &value):
		return "--" + value.GetFlag().Name + ": " + FlagValueError(value)
	case errors.As(err, &unknown):
		if unknown.GetSpecifiedShortnames() != "" {
			return fmt.Sprintf("unknown flag -%s", text.Clean(unknown.GetSpecifiedName(), 40))
		}
		return fmt.Sprintf("unknown flag --%s", text.Clean(unknown.GetSpecifiedName(), 40))
	case errors.As(err, &missing):
		return fmt.Sprintf("--%s needs a value", missing.GetFlag().Name)
	case errors.As(err, &syntax):
		return fmt.Sprintf("%s is not a flag", text.Clean(syntax.GetSpecifiedFlag(), 40))
	}
	return err.Error()
}

// FlagValueError is FlagError for a value, without the name of its flag. Flags with types of this project have their own
// error texts.
func FlagValueError(err error) string {
	var value *pflag.InvalidValueError
	if !errors.As(err, &value) {
		return err.Error()
	}
	said := text.Clean(value.GetValue(), 40)
	what, known := accepted[value.GetFlag().Value.Type()]
	switch {
	case !known:
		return value.Unwrap().Error()
	case said == "":
		return "it is empty; it must be " + what
	case errors.Is(err, strconv.ErrRange):
		return fmt.Sprintf("%s is too large", said)
	}
	return fmt.Sprintf("%q is not %s", said, what)
}
