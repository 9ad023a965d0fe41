package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// What others may notice of a flood, at most.
const (
	loginMost   = time.Second
	messageMost = 200 * time.Millisecond
)

// flood is an attack that goes on until stop is closed. Its errors are the server's defence.
type flood struct {
	name string
	run  func(s *server, mallory ssh.Signer, stop <-chan struct{})
}

var floods = []flood{
	{"none", func(_ *server, _ ssh.Signer, stop <-chan struct{}) { <-stop }},
	{"half-open connections, 400 addresses", halfOpen("")},
	{"slowloris, 200 addresses", halfOpen("SSH-2.0-slow")},
	{"passwords, 200 at once", storm},
	{"messages, as fast as they go", talk},
	{"a reader that reads nothing", stall},
	{"resizes, as fast as they go", resize},
	{"channels, as fast as they go", channels},
}

// halfOpen holds connections that say no more than a beginning.
func halfOpen(begin string) func(*server, ssh.Signer, <-chan struct{}) {
	return func(s *server, _ ssh.Signer, stop <-chan struct{}) {
		for i := range 400 {
			d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, byte(10+i/200), byte(1+i%200))}}
			if nc, err := d.Dial("tcp", s.addr); err == nil {
				defer nc.Close()
				io.WriteString(nc, begin)
			}
		}
		<-stop
	}
}

// storm tries wrong passwords from 200 addresses, each again when it is answered.
func storm(s *server, _ ssh.Signer, stop <-chan struct{}) {
	var all sync.WaitGroup
	for i := range 200 {
		all.Go(func() {
			for running(stop) {
				if c, err := s.dial(fmt.Sprintf("127.0.20.%d", 1+i), "mallory", ssh.Password("a wrong but long enough one")); err == nil {
					c.Close()
				}
				time.Sleep(50 * time.Millisecond)
			}
		})
	}
	all.Wait()
}

func talk(s *server, mallory ssh.Signer, stop <-chan struct{}) {
	inside(s, mallory, func(_ *ssh.Session, in io.Writer) {
		for i := 0; running(stop) && i < 1_000_000; i++ {
			if _, err := fmt.Fprintf(in, "flood %d\n", i); err != nil {
				return
			}
		}
	}, stop)
}

// stall opens a session and reads nothing of its connection: the room's messages pile up on the server's side.
func stall(s *server, mallory ssh.Signer, stop <-chan struct{}) {
	inside(s, mallory, func(*ssh.Session, io.Writer) { <-stop }, stop)
}

func resize(s *server, mallory ssh.Signer, stop <-chan struct{}) {
	inside(s, mallory, func(sess *ssh.Session, _ io.Writer) {
		for i := 0; running(stop); i++ {
			if sess.WindowChange(1+i%65535, 65535-i%65535) != nil {
				return
			}
		}
	}, stop)
}

func channels(s *server, mallory ssh.Signer, stop <-chan struct{}) {
	for running(stop) {
		c, err := s.dial("127.0.0.9", "mallory", ssh.PublicKeys(mallory))
		if err != nil {
			time.Sleep(50 * time.Millisecond)
			continue
		}
		for range 1000 {
			if _, requests, err := c.OpenChannel("session", nil); err == nil {
				go ssh.DiscardRequests(requests)
			} else if !running(stop) {
				break
			}
		}
		c.Close()
	}
}

// inside has mallory do something in a session with a terminal, and ends with stop.
func inside(s *server, mallory ssh.Signer, do func(*ssh.Session, io.Writer), stop <-chan struct{}) {
	c, err := s.dial("127.0.0.9", "mallory", ssh.PublicKeys(mallory))
	if err != nil {
		return
	}
	defer c.Close()
	go func() { <-stop; c.Close() }()
	sess, err := c.NewSession()
	if err != nil || sess.RequestPty("xterm", 24, 80, ssh.TerminalModes{}) != nil {
		return
	}
	in, err := sess.StdinPipe()
	if err != nil || sess.Shell() != nil {
		return
	}
	do(sess, in)
}

func running(stop <-chan struct{}) bool {
	select {
	case <-stop:
		return false
	default:
		return true
	}
}

// measureFloods times logins by key and messages between two users during each flood, with the default limits.
func measureFloods(program, folder string, span time.Duration) error {
	fmt.Printf("others beside each flood of %v; a login by key and a message of somebody else, ms\n\n", span)
	fmt.Println("| flood | logins p50 | worst | messages p50 | worst | server's peak MiB | |\n|---|---|---|---|---|---|---|")
	for _, f := range floods {
		if err := f.measure(program, folder, span); err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
	}
	return nil
}

func (f flood) measure(program, folder string, span time.Duration) error {
	// The senders of the measure say more than two messages a second, and log in more often than people do.
	s, err := start(program, folder, "--per-source-penalty-exempt-list=127.0.0.1/32", "--command-rate=1000")
	if err != nil {
		return err
	}
	defer s.stop()
	keys := map[string]ssh.Signer{}
	for _, name := range []string{"alice", "bob", "mallory"} {
		if keys[name], err = newSigner(); err != nil {
			return err
		}
		if _, err := s.account(name, keys[name]); err != nil {
			return err
		}
	}
	p, err := s.newProbe(keys["alice"], keys["bob"])
	if err != nil {
		return err
	}
	defer p.close()
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() { f.run(s, keys["mallory"], stop); close(ended) }()
	time.Sleep(time.Second) // for it to begin
	logins, messages, err := p.beside(span)
	close(stop)
	<-ended
	if err != nil {
		return err
	}
	l, m := quartiles(logins), quartiles(messages)
	worstL, worstM := slices.Max(logins), slices.Max(messages)
	fmt.Printf("| %s | %.1f | %.1f | %.1f | %.1f | %d | %s |\n", f.name, ms(l[1]), ms(worstL), ms(m[1]), ms(worstM), s.peak(), met(worstL <= loginMost && worstM <= messageMost))
	return nil
}

// probe is two users who are not part of the flood.
type probe struct {
	server   *server
	alice    ssh.Signer
	reads    *ssh.Client
	speaks   *ssh.Client
	in       io.Writer
	messages *bufio.Reader
}

func (s *server) newProbe(alice, bob ssh.Signer) (*probe, error) {
	p := &probe{server: s, alice: alice}
	var err error
	if p.reads, err = s.dial("127.0.0.1", "alice", ssh.PublicKeys(alice)); err != nil {
		return nil, err
	}
	if p.speaks, err = s.dial("127.0.0.1", "bob", ssh.PublicKeys(bob)); err != nil {
		return nil, err
	}
	reading, err := p.reads.NewSession()
	if err != nil {
		return nil, err
	}
	out, err := reading.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if _, err = reading.StdinPipe(); err == nil {
		err = reading.Shell()
	}
	if err != nil {
		return nil, err
	}
	p.messages = bufio.NewReader(out)
	speaking, err := p.speaks.NewSession()
	if err != nil {
		return nil, err
	}
	if p.in, err = speaking.StdinPipe(); err != nil {
		return nil, err
	}
	return p, speaking.Shell()
}

func (p *probe) close() { p.reads.Close(); p.speaks.Close() }

// beside logs in and speaks, twice a second, for as long as the flood lasts.
func (p *probe) beside(span time.Duration) (logins, messages []time.Duration, err error) {
	for n, end := 0, time.Now().Add(span); time.Now().Before(end); n++ {
		begun := time.Now()
		c, err := p.server.dial("127.0.0.1", "alice", ssh.PublicKeys(p.alice))
		if err != nil {
			return nil, nil, fmt.Errorf("log in: %w", err)
		}
		logins = append(logins, time.Since(begun))
		c.Close()
		begun = time.Now()
		if _, err := fmt.Fprintf(p.in, "probe %d\n", n); err != nil {
			return nil, nil, err
		}
		for want := fmt.Sprintf("bob: probe %d\n", n); ; {
			line, err := p.messages.ReadString('\n')
			if err != nil {
				return nil, nil, fmt.Errorf("wait for a message: %w", err)
			}
			if strings.HasSuffix(line, want) {
				break
			}
		}
		messages = append(messages, time.Since(begun))
		time.Sleep(500 * time.Millisecond)
	}
	return logins, messages, nil
}
