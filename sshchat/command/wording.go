package command

import (
	"cmp"
	"net"
	"strconv"
	"strings"

	"sshchat/sshchat/chat"
)

// This file is how commands and the server are named to people, so that what they read works as it is printed.

// Type is how a command is typed in a face: "/key add" in the chat, "key add" after ssh and its host.
func (f Face) Type(line string) string {
	if f == Chat {
		return "/" + line
	}
	return line
}

// words returns a text with its commands, which stand in backquotes, as they are typed in the face. In the chat there is a
// terminal to ask on, and nothing needs to be said of that.
func (f Face) words(s string) string {
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

// typed is how a command is typed by the person who reads what the call says. Who has registered at a prompt goes on in the chat.
func (c *Call) typed(line string) string { return cmp.Or(c.Next, c.Face).Type(line) }

// Reach is how ssh is to be called to reach the server under a name: "-p 2222 alice@chat.host". It is what the operator has
// set, or the address that a connection came to, which is one that its user can reach.
func (s *Services) Reach(name string, at net.Addr) string {
	return strings.Replace(cmp.Or(s.Address, AddressOf(at)), "NAME", name, 1)
}

// Login is Reach for the caller.
func (c *Call) Login() string { return c.Reach(c.Name.String(), c.At) }

// AddressOf is how the server is reached at a TCP address that it listens on, or that a connection came to, as far as it
// can know: "-p 2222 NAME@192.0.2.1".
func AddressOf(at net.Addr) string {
	host, port := "localhost", ""
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
