// Command pingbot answers "!ping" in #general, once each, even if it was posted while the bot or the server was down.
//
//	go run ./examples/pingbot -key ~/.ssh/bot -state bot.state -known ~/.ssh/known_hosts bot@chat.host:2222
//
// It shows everything a bot needs: "follow --json --since ID" for messages, "say" for answers, and for messages that the
// server no longer has in memory the sealed files of "history --tar", opened with the bot's own key.
package main

import (
	"archive/tar"
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"strconv"
	"strings"
	"time"

	"filippo.io/age"
	"filippo.io/age/agessh"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

const room = "general"

// bot is one account's. What it has dealt with is in its state file.
type bot struct {
	address string
	config  *ssh.ClientConfig
	opens   age.Identity
	state   string
	done    uint64 // Seq of the last message dealt with
}

// line is a message, as follow prints it and as sealed files hold it.
type line struct {
	Seq        uint64
	From, Text string
}

// gap is what follow prints of messages that memory no longer has.
type gap struct {
	Missed int
	To     uint64 // Seq of the last of them
}

func main() {
	key, state := flag.String("key", "", "the bot's private key, ed25519 or RSA"), flag.String("state", "", "file that keeps the last message dealt with")
	known := flag.String("known", "", "known_hosts file with the server's key")
	flag.Parse()
	name, address, ok := strings.Cut(flag.Arg(0), "@")
	if !ok || *key == "" || *state == "" || *known == "" {
		fmt.Fprintln(os.Stderr, "usage: pingbot -key FILE -state FILE -known FILE NAME@HOST:PORT")
		os.Exit(2)
	}
	b, err := newBot(name, address, *key, *state, *known)
	if err != nil {
		log.Fatal(err)
	}
	for {
		if err := b.follow(); err != nil {
			log.Print(err)
		}
		time.Sleep(time.Second) // the server is away; come back
	}
}

func newBot(name, address, key, state, known string) (*bot, error) {
	data, err := os.ReadFile(key)
	if err != nil {
		return nil, err
	}
	signer, err := ssh.ParsePrivateKey(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	opens, err := agessh.ParseIdentity(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	hostKey, err := knownhosts.New(known)
	if err != nil {
		return nil, err
	}
	b := &bot{address: address, opens: opens, state: state, config: &ssh.ClientConfig{
		User: name, Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)}, HostKeyCallback: hostKey, HostKeyAlgorithms: []string{ssh.KeyAlgoED25519}, Timeout: 10 * time.Second,
	}}
	switch text, err := os.ReadFile(state); {
	case errors.Is(err, os.ErrNotExist):
		return b, nil
	case err != nil:
		return nil, err
	default:
		b.done, err = strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
		return b, err
	}
}

// follow handles messages until the connection ends.
func (b *bot) follow() error {
	client, err := ssh.Dial("tcp", b.address, b.config)
	if err != nil {
		return err
	}
	defer client.Close()
	session, err := client.NewSession()
	if err != nil {
		return err
	}
	out, err := session.StdoutPipe()
	if err != nil {
		return err
	}
	if err := session.Start(fmt.Sprintf("follow %s --json --since %s/%d", room, room, b.done)); err != nil {
		return err
	}
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 64<<10)
	for lines.Scan() {
		if err := b.took(client, lines.Bytes()); err != nil {
			return err
		}
	}
	return lines.Err()
}

// took deals with a line that follow printed.
func (b *bot) took(client *ssh.Client, printed []byte) error {
	var g gap
	if err := json.Unmarshal(printed, &g); err != nil {
		return err
	}
	if g.Missed > 0 {
		return b.catchUp(client, g.To)
	}
	var l line
	if err := json.Unmarshal(printed, &l); err != nil {
		return err
	}
	return b.deal(client, l)
}

// deal answers one message, and notes that it did. What is noted is never dealt with again.
func (b *bot) deal(client *ssh.Client, l line) error {
	if l.Seq <= b.done {
		return nil
	}
	if l.Text == "!ping" {
		if _, err := run(client, "say "+room+" "+l.From+": pong"); err != nil {
			return err
		}
	}
	if err := os.WriteFile(b.state+".tmp", fmt.Appendln(nil, l.Seq), 0o600); err != nil {
		return err
	}
	b.done = l.Seq
	return os.Rename(b.state+".tmp", b.state)
}

// catchUp deals with what the server's memory no longer has, up to a message: it is sealed to the bot's key.
func (b *bot) catchUp(client *ssh.Client, to uint64) error {
	sealed, err := run(client, fmt.Sprintf("history --tar %s --since %s/%d", room, room, b.done))
	if err != nil {
		return err
	}
	for files := tar.NewReader(bytes.NewReader(sealed)); ; {
		if _, err := files.Next(); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		plain, err := age.Decrypt(files, b.opens)
		if err != nil {
			return err
		}
		for lines := json.NewDecoder(plain); ; {
			var l line
			if err := lines.Decode(&l); err == io.EOF {
				break
			} else if err != nil {
				return err
			}
			if l.Seq > to {
				return nil
			}
			if err := b.deal(client, l); err != nil {
				return err
			}
		}
	}
}

// run runs a command of the server.
func run(client *ssh.Client, command string) ([]byte, error) {
	session, err := client.NewSession()
	if err != nil {
		return nil, err
	}
	defer session.Close()
	out, err := session.Output(command)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", command, err)
	}
	return out, nil
}
