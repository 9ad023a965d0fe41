// Command ssh-chat is github.com/shazow/ssh-chat, the chat server for SSH that people know, as one of the columns. It is a
// module of its own: if ssh-chat cannot be downloaded, only this column is missing. It uses the same golang.org/x/crypto
// as the others.
//
// It is put together of ssh-chat's packages as its own command does, less the limits on how fast people speak: three
// messages in three seconds for each session, and the bytes a connection may send. It listens on 127.0.0.1 only.
package main

import (
	"crypto/ed25519"
	"fmt"
	"log"
	"os"

	"sshchat/bench/yardstick/stats"

	sshchat "github.com/shazow/ssh-chat"
	"github.com/shazow/ssh-chat/chat"
	"github.com/shazow/ssh-chat/chat/message"
	"github.com/shazow/ssh-chat/sshd"
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
	config := sshd.MakeNoAuth() // any key logs in, as with the other yardsticks
	config.AddHostKey(signer)
	l, err := sshd.ListenSSH("127.0.0.1:0", config)
	if err != nil {
		log.Fatal(err)
	}
	room := chat.NewRoom()
	go room.Serve()
	l.HandlerFunc = func(term *sshd.Terminal) {
		if err := talk(room, term); err != nil {
			log.Print(err)
		}
	}
	fmt.Fprintf(os.Stderr, "listening on %s\n", l.Addr())
	l.Serve()
}

// talk serves one session, until it ends.
func talk(room *chat.Room, term *sshd.Terminal) error {
	defer term.Close()
	user := message.NewUserScreen(sshchat.NewIdentity(term.Conn), term)
	defer user.Close()
	settings := user.Config()
	settings.Theme = &message.Themes[0]
	user.SetConfig(settings)
	go user.Consume()
	if _, err := room.Join(user); err != nil {
		return err
	}
	defer room.Leave(user) // its error: somebody who is not there
	term.SetPrompt("[" + user.Name() + "] ")
	for {
		line, err := term.ReadLine()
		if err != nil {
			return nil // the client's end
		}
		if line != "" {
			room.HandleMsg(message.ParseInput(line, user))
		}
	}
}
