// Command hook posts what webhooks send into one room: alerts of Alertmanager and Grafana, events of GitHub, and plain JSON.
//
//	go run ./examples/hook -key hook.key -known known_hosts -room ci hookbot@chat.host:2222
//
// It listens on a loopback address unless -listen names another; there each source needs its own secret. Its key needs no
// right but to post in that room: key add --only say:#ci. See docs/bots.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	log.SetFlags(0) // the journal has the time
	err := run(os.Args[1:])
	switch {
	case errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errUsage):
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	case err != nil:
		log.Fatal(err)
	}
}

var errUsage = errors.New("usage: hook -key FILE -known FILE -room ROOM [FLAG...] NAME@HOST:PORT; for the flags: hook -h")

func run(args []string) error {
	flags := flag.NewFlagSet("hook", flag.ContinueOnError)
	listen := flags.String("listen", "127.0.0.1:9119", "address to take webhooks on")
	room := flags.String("room", "", "room to post in")
	key, known := flags.String("key", "", "private key to post with"), flags.String("known", "", "known_hosts file with the server's key")
	keep := flags.Duration("keep", time.Hour, "how long messages are kept while the chat cannot be reached")
	secrets := make(map[string]*string)
	for source := range readers {
		what := "bearer token"
		if source == "github" {
			what = "secret of the webhook"
		}
		secrets[source] = flags.String(source+"-secret", "", "file with the "+what+" of /"+source)
	}
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return errUsage
	}
	name, address, ok := strings.Cut(flags.Arg(0), "@")
	if !ok || flags.NArg() != 1 || *key == "" || *known == "" || *room == "" {
		return errUsage
	}
	c, err := newChat(name, address, *room, *key, *known)
	if err != nil {
		return err
	}
	h := &handler{sources: make(map[string][]byte), wait: 5 * time.Second, working: make(chan struct{}, maxWorking)}
	for source, file := range secrets {
		if *file == "" {
			continue
		}
		if h.sources[source], err = readSecret(*file); err != nil {
			return err
		}
	}
	l, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	if h.open = l.Addr().(*net.TCPAddr).IP.IsLoopback(); !h.open && len(h.sources) == 0 {
		return fmt.Errorf("%s can be reached from other machines, so sources need secrets: -alertmanager-secret FILE and so on", l.Addr())
	}
	ended, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	h.queue = &queue{posts: make(chan *post, maxQueue), keep: *keep, say: c.say, idle: c.hangUp}
	return serve(ended, l, h)
}

// serve serves until ended, and then says what is still in the queue, for a few seconds.
func serve(ended context.Context, l net.Listener, h *handler) error {
	const grace = 8 * time.Second
	late, giveUp := context.WithCancel(context.Background())
	defer giveUp()
	h.queue.pause = func(d time.Duration) {
		select {
		case <-time.After(d):
		case <-ended.Done(): // one more try, then a short while for each
			select {
			case <-time.After(min(d, time.Second)):
			case <-late.Done():
			}
		}
	}
	left := make(chan int)
	go func() { left <- h.queue.run(late) }() // ends when the queue is closed and empty, at the latest soon after giveUp
	server := &http.Server{
		Handler: h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 15 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(l) }() // ends with server.Shutdown
	log.Printf("listening on %s", l.Addr())
	var err error
	select {
	case err = <-failed:
	case <-ended.Done():
	}
	time.AfterFunc(grace, giveUp)
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	h.close(server.Shutdown(ctx))
	if n := <-left; n > 0 {
		return errors.Join(err, fmt.Errorf("messages lost: %d", n))
	}
	return err
}

// readSecret reads a secret from a file: its first line.
func readSecret(file string) ([]byte, error) {
	const least = 16 // bytes
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	line, _, _ := strings.Cut(string(data), "\n")
	if line = strings.TrimSpace(line); len(line) < least {
		return nil, fmt.Errorf("%s: a secret needs at least %d characters; for one: openssl rand -hex 32", file, least)
	}
	return []byte(line), nil
}
