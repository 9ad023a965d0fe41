package main

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// build builds the server from this checkout and returns its path.
func build(folder string) (string, error) {
	module, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return "", fmt.Errorf("find ourselves: %w", err)
	}
	program := filepath.Join(folder, "sshchat")
	cmd := exec.Command("go", "build", "-o", program, "./cmd/sshchat")
	cmd.Dir = filepath.Dir(strings.TrimSpace(string(module)))
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return program, nil
}

// server is a running one, with the admin root.
type server struct {
	cmd  *exec.Cmd
	addr string
	root ssh.Signer
}

func start(program, folder string, flags ...string) (*server, error) {
	data, err := os.MkdirTemp(folder, "data-")
	if err != nil {
		return nil, err
	}
	s := &server{}
	if s.root, err = newSigner(); err != nil {
		return nil, err
	}
	key := filepath.Join(data, "root.pub")
	if err := os.WriteFile(key, ssh.MarshalAuthorizedKey(s.root.PublicKey()), 0o600); err != nil {
		return nil, err
	}
	s.cmd = exec.Command(program, append([]string{"--listen=127.0.0.1:0", "--data=" + filepath.Join(data, "data"), "--admin=root=" + key}, flags...)...)
	log, err := s.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(log)
	for s.addr == "" && lines.Scan() {
		s.addr, _ = strings.CutPrefix(lines.Text(), "listening on ")
		if s.addr == lines.Text() {
			s.addr = ""
		}
	}
	go func() {
		for lines.Scan() {
		}
	}()
	if s.addr == "" {
		return nil, errors.Join(errors.New("the server does not listen"), s.cmd.Wait())
	}
	return s, nil
}

func (s *server) stop() {
	s.cmd.Process.Signal(os.Interrupt)
	s.cmd.Wait()
}

// peak is the most memory the server has held, in MiB.
func (s *server) peak() int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	m := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(text)
	if m == nil {
		return 0
	}
	kib, _ := strconv.Atoi(string(m[1]))
	return kib >> 10
}

func newSigner() (ssh.Signer, error) {
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, err
	}
	return ssh.NewSignerFromKey(private)
}

// dial logs in from an address of the loopback network.
func (s *server) dial(from, name string, auth ...ssh.AuthMethod) (*ssh.Client, error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: time.Minute}
	nc, err := d.Dial("tcp", s.addr)
	if err != nil {
		return nil, err
	}
	c, channels, requests, err := ssh.NewClientConn(nc, s.addr, &ssh.ClientConfig{
		User: name, Auth: auth, HostKeyCallback: ssh.InsecureIgnoreHostKey(), // a server of ours, started a moment ago
	})
	if err != nil {
		nc.Close()
		return nil, err
	}
	return ssh.NewClient(c, channels, requests), nil
}

// account has root make an account, with a new key or, without, a password, which is returned.
func (s *server) account(name string, key ssh.Signer) (password string, err error) {
	root, err := s.dial("127.0.0.1", "root", ssh.PublicKeys(s.root))
	if err != nil {
		return "", err
	}
	defer root.Close()
	sess, err := root.NewSession()
	if err != nil {
		return "", err
	}
	line := "user create " + name
	if key != nil {
		line += " " + string(bytes.TrimSpace(ssh.MarshalAuthorizedKey(key.PublicKey())))
	}
	out, err := sess.Output(line)
	return string(bytes.TrimSpace(out)), err
}
