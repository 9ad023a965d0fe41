package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"sshchat/sshchat/attack"
)

// guarded are the limits on guessing as a server has them that was told nothing.
var guarded = []string{"--password-delay-after", "5", "--max-password-failures", "100", "--fail-delay", "300ms", "--per-source-penalties=true"}

// I have a list with the right password in it, and hydra. It must not come to it, and come to it at once where
// the limits are off; and the owner's key logs in from elsewhere meanwhile.
func TestAttackHydraDoesNotFindThePassword(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Guessing, "hydra with a list that contains the right password")
	if !long {
		t.Skip("it takes as long as hydra is to try: SSHCHAT_LONG=1; TestAttackHydraFromOneSource in sshchat/limit tries it by a clock of its own, TestAttackGuessersAreTurnedAwayAndTold on a server")
	}
	client(t, "hydra")
	list := filepath.Join(t.TempDir(), "list")
	var words strings.Builder
	for i := range 60 {
		fmt.Fprintf(&words, "a wrong guess, number %d\n", i)
	}
	words.WriteString(goodPassword + "\n")
	if err := os.WriteFile(list, []byte(words.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	const tries = 25 * time.Second
	for name, c := range map[string]struct {
		flags []string
		finds bool
		tries time.Duration
	}{"guarded": {guarded, false, tries}, "limits off": {nil, true, patience}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startServer(t, "", append(c.flags, "--max-password-tries", "100", "--login-grace-time", "20s")...)
			// paula is never where hydra is: from an address that she logs in from, more would be checked.
			s.byPasswordFrom("127.0.0.2", "paula", "anything at all").createsAccount()
			key := newSigner(t)
			s.byPasswordFrom("127.0.0.2", "paula", goodPassword).must("key add " + string(ssh.MarshalAuthorizedKey(key.PublicKey())))
			stop, owner := make(chan struct{}), make(chan int)
			go func() { // paula comes and goes meanwhile
				logins := 0
				for running := true; running; logins++ {
					if err := s.loginFrom("127.0.0.2", "paula", ssh.PublicKeys(key)); err != nil {
						t.Errorf("the owner's key, login %d: %v", logins, err)
					}
					select {
					case <-stop:
						running = false
					case <-time.After(500 * time.Millisecond):
					}
				}
				owner <- logins
			}()
			hydra := func() string {
				out, _, _ := runClient(t, "", "timeout", fmt.Sprint(c.tries.Seconds()), "hydra", "-l", "paula", "-P", list, "-t", "4", "-W", "1", "-I", "-f", "-s", s.port(), "ssh://127.0.0.1")
				return out
			}
			out := hydra()
			for end := time.Now().Add(c.tries); time.Now().Before(end) && !strings.Contains(out, "password: "+goodPassword); {
				out += hydra() // it gives up when it is turned away, and now and then over its own threads; somebody who means it does not
			}
			close(stop)
			t.Logf("the owner's key logged in %d times meanwhile", <-owner)
			if found := strings.Contains(out, "password: "+goodPassword); found != c.finds {
				t.Errorf("found: %v\n%s\n%.2000s", found, out, s.log)
			} else if found {
				row.Control("found with the limits off")
			} else {
				row.Tried("%d passwords, real hydra for %v", strings.Count(words.String(), "\n"), c.tries)
				row.Held("not found: delays for the name and penalties for the source; the owner's key still gets in")
			}
		})
	}
}

// I guess in turn from one address: after four wrong passwords the next connection is closed with a word, before any
// cryptography. The one whose name it is learns of it at the next login, from elsewhere.
func TestAttackGuessersAreTurnedAwayAndTold(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Guessing, "wrong passwords one after another")
	s := startServer(t, "", guarded...)
	s.registerByPassword("paula")
	for range 4 { // the first three owe a little less than 15 s when the third is answered
		if r := s.rawFrom("127.0.0.3"); r.password("paula", "wrong but long enough") != msgAuthFailure {
			t.Fatal("a wrong password is right")
		}
	}
	conn, err := s.dialFrom("127.0.0.3")
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(conn, "SSH-2.0-hydra\r\n")
	closes(t, "is kept away", func() error {
		answer, err := io.ReadAll(conn)
		if !regexp.MustCompile(`^SSH-2\.0-sshchat\r\n[^\n]*too many failed logins from your address; please try again in \d+ seconds[^\n]*$`).Match(answer) {
			t.Errorf("a source with a penalty is answered %q", answer)
		}
		return err
	})
	conn.Close()
	paula := s.byPasswordFrom("127.0.0.2", "paula", goodPassword)
	o := paula.plain(80, 24)
	o.sees("! 4 wrong passwords were tried on your account since your last login, most")
	o.sees("from 127.0.0.3 at ")

	s = startServer(t, "") // the control
	s.registerByPassword("paula")
	off := 0
	for range 10 {
		if r := s.rawFrom("127.0.0.3"); r.password("paula", "wrong but long enough") != msgAuthFailure {
			t.Fatal("a wrong password is right")
		}
		off++
	}
	row.Tried("4 from one address, then a new connection")
	row.Held("the connection is refused, with the time to wait; the owner sees them at the next login")
	row.Control("%d are checked with the limits off", off)
}

// dialFrom connects from another address of the loopback network, or from any via a load balancer.
func (s *testServer) dialFrom(ip string) (net.Conn, error) {
	from := ip
	if s.via != "" {
		from = s.via
	}
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: patience}
	conn, err := d.Dial("tcp", s.addr)
	if err == nil {
		err = conn.SetReadDeadline(time.Now().Add(patience))
	}
	if err == nil && s.via != "" {
		_, err = conn.Write(proxyHeader(s.t, 2, ip))
	}
	return conn, err
}

// byPasswordFrom logs in from there.
func (s *testServer) byPasswordFrom(ip, name, password string) *user {
	s.t.Helper()
	conn, err := s.dialFrom(ip)
	if err != nil {
		s.t.Fatal(err)
	}
	c, channels, requests, err := ssh.NewClientConn(conn, s.addr, &ssh.ClientConfig{
		User: name, Auth: []ssh.AuthMethod{ssh.Password(password)}, HostKeyCallback: ssh.InsecureIgnoreHostKey(),
	})
	if err != nil {
		s.t.Fatal(err)
	}
	conn.SetReadDeadline(time.Time{})
	s.t.Cleanup(func() { c.Close() })
	return &user{ssh.NewClient(c, channels, requests), s.t, s, name, nil}
}

// I have used up the guesses, and wait for the server to restart, or make it: the count outlives that. A key, somewhere
// paula has logged in before, and an admin end it. With the limits off the right password is right at once.
func TestAttackGuessesOutliveARestart(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Guessing, "guess before and after a restart or a crash")
	for name, c := range map[string]struct {
		flags []string
		in    bool
	}{"guarded": {[]string{"--password-delay-after", "5", "--max-password-failures", "5"}, false}, "limits off": {nil, true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startProcess(t, "", c.flags...)
			root := s.register("root")
			root.must("claim " + s.claimCode())
			s.registerByPassword("paula")
			s.byPasswordFrom("127.0.0.2", "paula", goodPassword).Close()
			for range 5 {
				if s.passwordFrom("127.0.0.3", "paula", "wrong but long enough") == nil {
					t.Fatal("a wrong password is right")
				}
			}
			if c.in {
				if err := s.passwordFrom("127.0.0.3", "paula", goodPassword); err != nil {
					t.Error(err)
				}
				row.Control("the right password gets in with the limits off")
				return
			}
			waitFor(t, "the count on the disk", func() bool {
				b, err := os.ReadFile(filepath.Join(s.data, "state.json"))
				return err == nil && strings.Contains(string(b), `"wrong":5`)
			})
			s.kill()
			s = startServer(t, s.data, c.flags...)
			if s.passwordFrom("127.0.0.3", "paula", goodPassword) == nil {
				t.Error("a crash ends the count")
			}
			s.stop()
			s = startServer(t, s.data, c.flags...)
			if s.passwordFrom("127.0.0.3", "paula", goodPassword) == nil {
				t.Error("a restart ends the count")
			}
			s.login("root", root.signer).must("user unlock paula")
			if err := s.passwordFrom("127.0.0.3", "paula", goodPassword); err != nil {
				t.Errorf("after an admin's unlock: %v", err)
			}
			row.Tried("5 wrong passwords, kill -9, SIGTERM, the right one")
			row.Held("the counts are on disk: it is not checked until an admin unlocks the account")
		})
	}
}

// passwordFrom tries a password from there.
func (s *testServer) passwordFrom(ip, name, password string) error {
	s.t.Helper()
	return s.loginFrom(ip, name, ssh.Password(password))
}

// loginFrom tries to log in from there.
func (s *testServer) loginFrom(ip, name string, auth ssh.AuthMethod) error {
	s.t.Helper()
	conn, err := s.dialFrom(ip)
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	_, _, _, err = ssh.NewClientConn(conn, s.addr, &ssh.ClientConfig{
		User: name, Auth: []ssh.AuthMethod{auth}, HostKeyCallback: ssh.InsecureIgnoreHostKey(),
	})
	return err
}

// Somebody guesses while paula is there: she is told at once, and once.
func TestOpenSessionsAreTold(t *testing.T) {
	t.Parallel()
	s := startServer(t, "")
	s.registerByPassword("paula")
	o := s.byPassword("paula", goodPassword).plain(100, 24)
	o.sees("Welcome")
	for range 3 {
		s.passwordFrom("127.0.0.3", "paula", "wrong but long enough")
	}
	o.sees("A wrong password was just tried for your account, from 127.0.0.3.")
	if n := strings.Count(o.seen.String(), "A wrong password was just tried"); n != 1 {
		t.Errorf("told %d times", n)
	}
}

// I have found paula's session open, and guess her password at its prompt.
func TestAttackPromptsInAnOpenSessionAreCounted(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Guessing, "guess at a password prompt of a session left open")
	for name, c := range map[string]struct {
		flags []string
		held  int
	}{"guarded": {guarded, 2}, "limits off": {nil, 0}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startServer(t, "", c.flags...)
			s.registerByPassword("paula")
			o := s.byPassword("paula", goodPassword).plain(100, 24)
			o.sees("Welcome")
			dialogues, again := 0, 0 // and how often the last one asks again by itself
			for i := range 7 {
				steps := []string{fmt.Sprintf("a wrong guess, number %d", i)}
				if again == 0 {
					steps, again = []string{"/passwd", steps[0], "another good password 7", "another good password 7"}, 3
				}
				for _, step := range steps {
					o.typeln(step)
				}
				again--
				held := strings.Count(o.seen.String(), "too many wrong passwords")
				waitFor(t, "an answer", func() bool {
					seen := o.seen.String()
					return strings.Count(seen, "wrong name or password")+strings.Count(seen, "too many wrong passwords") > i
				})
				if strings.Count(o.seen.String(), "too many wrong passwords") > held {
					again = 0
				}
				if again == 0 {
					dialogues++
					o.typeln("") // what is typed next is swallowed
					waitFor(t, "the prompt", func() bool {
						parts := strings.Split(o.seen.String(), "What you type now is not sent")
						return len(parts) > dialogues && strings.HasSuffix(parts[dialogues], "#general> ")
					})
				}
			}
			if n := strings.Count(o.seen.String(), "too many wrong passwords; try again later"); n != c.held {
				t.Errorf("%d of 7 are not looked at:\n%s", n, o.seen)
			} else if c.held > 0 {
				row.Tried("7 passwords")
				row.Held("counted like logins: %d are checked", 7-n)
			} else {
				row.Control("%d with the limits off", 7-n)
			}
		})
	}
}
