package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/creack/pty"
)

// studio is a server, a home with keys for it, and a shell on a terminal.
type studio struct {
	home string
	tty  *os.File

	mu     sync.Mutex
	begun  time.Time
	events []event
	shown  string // since the last wait
}

// record plays the script, and returns what the terminal was sent.
func record() ([]event, error) {
	home, err := os.MkdirTemp("", "demo")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(home)
	s := &studio{home: home}
	server, err := s.serve()
	if err != nil {
		return nil, err
	}
	defer func() { server.Process.Signal(os.Interrupt); server.Wait() }()
	shell := s.command("bash", "--norc", "--noprofile", "-i")
	if s.tty, err = pty.StartWithSize(shell, &pty.Winsize{Rows: rows, Cols: columns}); err != nil {
		return nil, err
	}
	s.begun = time.Now()
	ended := make(chan struct{})
	go func() { defer close(ended); s.watch() }() // until the terminal closes
	err = s.play()
	shell.Process.Kill() // and with it the terminal closes
	shell.Wait()
	<-ended
	s.tty.Close()
	return s.events, err
}

// serve starts the server, and prepares the home: ssh finds chat.example.org there, and bob and dana have accounts.
func (s *studio) serve() (*exec.Cmd, error) {
	if err := s.prepare(); err != nil {
		return nil, err
	}
	program := filepath.Join(s.home, "sshchat")
	if out, err := exec.Command("go", "build", "-o", program, "./cmd/sshchat").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("go build: %w\n%s", err, out)
	}
	log := &bytes.Buffer{}
	reader, writer, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	server := exec.Command(program, "--listen", "127.0.0.1:0", "--data", filepath.Join(s.home, "data"), "--name", "chat.example.org")
	server.Stderr = writer
	if err := server.Start(); err != nil {
		return nil, err
	}
	writer.Close()
	port := ""
	for one := make([]byte, 1); port == ""; {
		if _, err := reader.Read(one); err != nil {
			return nil, fmt.Errorf("the server ended: %s", log)
		}
		log.Write(one)
		if m := regexp.MustCompile(`(?m)^listening on \S+:(\d+)\n`).FindSubmatch(log.Bytes()); m != nil {
			port = string(m[1])
		}
	}
	go io.Copy(io.Discard, reader) // until the server ends
	ssh, err := exec.LookPath("ssh")
	if err != nil {
		return nil, err
	}
	wrapper := fmt.Sprintf("#!/bin/sh\nexec %s -F %s/.ssh/config -o Port=%s \"$@\"\n", ssh, s.home, port)
	if err := os.WriteFile(filepath.Join(s.home, "bin/ssh"), []byte(wrapper), 0o700); err != nil {
		return nil, err
	}
	for _, line := range []string{"alice register", "bob register", "dana register", "alice topic general disks, backups, and who brings the cake"} {
		name, words, _ := strings.Cut(line, " ")
		if err := s.as(name, words); err != nil {
			return nil, errors.Join(err, server.Process.Kill())
		}
	}
	return server, nil
}

func (s *studio) prepare() error {
	for _, dir := range []string{"bin", ".ssh"} {
		if err := os.Mkdir(filepath.Join(s.home, dir), 0o700); err != nil {
			return err
		}
	}
	for _, name := range []string{"alice", "bob", "dana"} {
		if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", filepath.Join(s.home, name)).CombinedOutput(); err != nil {
			return fmt.Errorf("ssh-keygen: %w\n%s", err, out)
		}
	}
	if err := os.Symlink(filepath.Join(s.home, "alice"), filepath.Join(s.home, ".ssh/id_ed25519")); err != nil {
		return err
	}
	config := "Host *\n  HostName 127.0.0.1\n  StrictHostKeyChecking no\n  UserKnownHostsFile /dev/null\n  LogLevel ERROR\n  IdentityFile " + s.home + "/%r\n"
	return os.WriteFile(filepath.Join(s.home, ".ssh/config"), []byte(config), 0o600)
}

func (s *studio) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Dir = s.home
	cmd.Env = []string{"HOME=" + s.home, "PATH=" + s.home + "/bin:" + os.Getenv("PATH"), "TERM=xterm-256color", "LANG=C.UTF-8", "PS1=$ ", "HISTFILE="}
	return cmd
}

// as runs a command on the server.
func (s *studio) as(name, words string) error {
	if out, err := s.command(filepath.Join(s.home, "bin/ssh"), name+"@chat.example.org", words).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %s: %w\n%s", name, words, err, out)
	}
	return nil
}

// watch keeps what the terminal is sent.
func (s *studio) watch() {
	buf := make([]byte, 64<<10)
	for {
		n, err := s.tty.Read(buf)
		if err != nil {
			return
		}
		s.mu.Lock()
		s.events = append(s.events, event{time.Since(s.begun), string(buf[:n])})
		s.shown += string(buf[:n])
		s.mu.Unlock()
	}
}

// waits waits until the terminal shows a text.
func (s *studio) waits(text string) error {
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		s.mu.Lock()
		_, rest, found := strings.Cut(s.shown, text)
		if found {
			s.shown = rest
		}
		s.mu.Unlock()
		if found {
			return nil
		}
	}
	return fmt.Errorf("%q does not come:\n%q", text, s.shown)
}

// types presses the keys of a text, as a person does.
func (s *studio) types(text string) error {
	keys := strings.Split(text, "")
	if strings.HasPrefix(text, "\x1b") {
		keys = []string{text} // Alt and a key are pressed together
	}
	for _, key := range keys {
		if _, err := io.WriteString(s.tty, key); err != nil {
			return err
		}
		time.Sleep(55 * time.Millisecond)
	}
	return nil
}
