package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// refused is what the server says to a message that it does not take; to try again would not help.
type refused struct{ said string }

func (r *refused) Error() string { return "the chat refused it: " + r.said }

// chat says messages in one room, one connection for as many as are waiting.
type chat struct {
	address, room string
	config        *ssh.ClientConfig
	client        *ssh.Client // nil: none is open
}

// newChat reads the key, and the server's key from a known_hosts file: there is no other server that it would talk to.
func newChat(name, address, room, key, known string) (*chat, error) {
	data, err := os.ReadFile(key)
	if err != nil {
		return nil, err
	}
	signer, err := ssh.ParsePrivateKey(data)
	clear(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	hostKey, err := knownhosts.New(known)
	if err != nil {
		return nil, err
	}
	return &chat{address: address, room: strings.TrimPrefix(room, "#"), config: &ssh.ClientConfig{
		User: name, Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)}, HostKeyCallback: hostKey, HostKeyAlgorithms: []string{ssh.KeyAlgoED25519}, Timeout: 10 * time.Second,
	}}, nil
}

// patience is how long the server may take for one message. Then the connection is given up.
const patience = 30 * time.Second

// say posts a message and returns its ID. It fails with refused if the server does not take it.
func (c *chat) say(message string) (id string, err error) {
	if message == "-" || strings.HasPrefix(message, "--") { // which the command would take for itself
		message = "text: " + message
	}
	id, err = c.run("say " + c.room + " " + message)
	if err != nil && !errors.As(err, new(*refused)) {
		c.hangUp()
	}
	return strings.TrimSpace(id), err
}

// run runs a command of the server.
func (c *chat) run(command string) (string, error) {
	if c.client == nil {
		client, err := ssh.Dial("tcp", c.address, c.config)
		if err != nil {
			return "", err
		}
		c.client = client
		c.warnOfRights()
	}
	late := time.AfterFunc(patience, func() { c.client.Close() })
	defer late.Stop()
	session, err := c.client.NewSession()
	if err != nil {
		return "", err
	}
	defer session.Close()
	var said bytes.Buffer
	session.Stderr = &said
	out, err := session.Output(command)
	if exit := (*ssh.ExitError)(nil); errors.As(err, &exit) && exit.ExitStatus() >= 2 && exit.ExitStatus() <= 4 { // usage, denied, not found
		return "", &refused{one(said.String())}
	}
	return string(out), err
}

// warnOfRights warns if the key can do more than it needs: whoever steals it from here could do that as well.
func (c *chat) warnOfRights() {
	session, err := c.client.NewSession()
	if err != nil {
		return // which the message will find, too
	}
	defer session.Close()
	if session.Run("key list") == nil {
		log.Printf("warning: the key can do more than post; remove it, and add it with: key add --only say:#%s", c.room)
	}
}

// hangUp ends the connection. An idle one would be ended by the server.
func (c *chat) hangUp() {
	if c.client != nil {
		c.client.Close()
		c.client = nil
	}
}

// post is a message that waits to be said. Whoever sends it may wait for done.
type post struct {
	text string
	at   time.Time
	id   string
	err  error
	done chan struct{} // closed when it is said or given up
}

// queue holds what is to be said, in memory, in order.
type queue struct {
	posts chan *post
	keep  time.Duration // a message that cannot be said for so long is given up
	say   func(string) (id string, err error)
	idle  func()              // called when nothing waits
	pause func(time.Duration) // waits before it tries again, or until the end
}

// add puts a message into the queue. ok is false if it is full: then it is not accepted.
func (q *queue) add(message string) (p *post, ok bool) {
	p = &post{text: message, at: time.Now(), done: make(chan struct{})}
	select {
	case q.posts <- p:
		return p, true
	default:
		return nil, false
	}
}

// run says what is in the queue until that is closed and empty, or until ctx ends. It returns how many are left.
func (q *queue) run(ctx context.Context) (left int) {
	for p := range q.posts {
		if q.deliver(ctx, p); p.err != nil {
			log.Printf("not posted: %v: %q", p.err, cut(p.text, 80))
			if errors.Is(p.err, context.Canceled) {
				left++
			}
		}
		close(p.done)
		if len(q.posts) == 0 {
			q.idle()
		}
	}
	q.idle()
	return left
}

// deliver says a message, as often as it takes: a message may be said twice if the connection is lost at the wrong moment.
func (q *queue) deliver(ctx context.Context, p *post) {
	const longest = time.Minute
	for wait := time.Second; ; wait = min(2*wait, longest) {
		if ctx.Err() != nil {
			p.err = context.Canceled
			return
		}
		p.id, p.err = q.say(p.text)
		if p.err == nil || errors.As(p.err, new(*refused)) {
			return
		}
		if time.Since(p.at)+wait > q.keep {
			p.err = fmt.Errorf("given up after %v: %w", time.Since(p.at).Round(time.Second), p.err)
			return
		}
		log.Printf("the chat cannot be reached; next try in %v: %v", wait, p.err)
		q.pause(wait)
	}
}
