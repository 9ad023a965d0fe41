// Command bare is a yardstick: the least that a chat over golang.org/x/crypto/ssh can be. Whoever proves any key is in.
// It checks no limits, keeps nothing, and listens on 127.0.0.1 only.
package main

import (
	"crypto/ed25519"
	"fmt"
	"log"
	"net"
	"os"

	"sshchat/bench/yardstick/room"
	"sshchat/bench/yardstick/stats"

	"golang.org/x/crypto/ssh"
)

func main() {
	stats.OnSignal()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		log.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		log.Fatal(err)
	}
	config := &ssh.ServerConfig{
		PublicKeyCallback: func(ssh.ConnMetadata, ssh.PublicKey) (*ssh.Permissions, error) { return nil, nil },
	}
	config.AddHostKey(signer)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Fprintf(os.Stderr, "listening on %s\n", l.Addr())
	log.Fatal(serve(l, config))
}

func serve(l net.Listener, config *ssh.ServerConfig) error {
	everyone := room.New()
	for {
		nc, err := l.Accept()
		if err != nil {
			return err
		}
		go serveConn(nc, config, everyone)
	}
}

func serveConn(nc net.Conn, config *ssh.ServerConfig, everyone *room.Room) {
	defer nc.Close()
	conn, channels, requests, err := ssh.NewServerConn(nc, config)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(requests)
	for offered := range channels {
		if offered.ChannelType() != "session" {
			offered.Reject(ssh.UnknownChannelType, "sessions only") // fails only with the connection
			continue
		}
		ch, requests, err := offered.Accept()
		if err != nil {
			return
		}
		go serveSession(conn.User(), ch, requests, everyone)
	}
}

// serveSession answers the channel's requests until it is closed.
func serveSession(user string, ch ssh.Channel, requests <-chan *ssh.Request, everyone *room.Room) {
	for req := range requests {
		shell := req.Type == "shell"
		req.Reply(shell || req.Type == "pty-req", nil) // fails only with the connection
		if shell {
			go func() {
				defer ch.Close()
				everyone.Talk(user, ch) // its error is the client's end
			}()
		}
	}
}
