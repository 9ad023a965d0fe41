// Command gliderlabs is a yardstick: the least that a chat over github.com/gliderlabs/ssh can be. Whoever proves any
// key is in. It checks no limits and keeps nothing.
//
// It must never listen on anything but 127.0.0.1. In this library's last release, v0.3.8, the callbacks of a connection
// that tries several names go on seeing the first of them: "as bob, then as alice with bob's key" is let in as alice.
// This yardstick believes nobody anyhow, so here it does no harm.
package main

import (
	"fmt"
	"log"
	"net"
	"os"

	"sshchat/bench/yardstick/room"
	"sshchat/bench/yardstick/stats"

	"github.com/gliderlabs/ssh"
)

func main() {
	stats.OnSignal()
	everyone := room.New()
	server := &ssh.Server{
		Handler:          func(s ssh.Session) { everyone.Talk(s.User(), s) }, // its error is the client's end
		PublicKeyHandler: func(ssh.Context, ssh.PublicKey) bool { return true },
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Fprintf(os.Stderr, "listening on %s\n", l.Addr())
	log.Fatal(server.Serve(l))
}
