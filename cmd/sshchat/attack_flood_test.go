package main

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"sshchat/sshchat/attack"
)

// crowded are the limits on connections as a server has them that was told nothing.
var crowded = []string{
	"--max-startups", "10:30:100", "--per-source-max-startups", "10", "--per-account-max-connections", "16",
	"--per-source-max-connections", "256", "--per-source-max-registrations", "2", "--max-new-accounts", "30", "--per-source-max-new-accounts", "3",
}

// taken reports whether the server waits for a connection that says nothing to go on. One that is turned away is told why,
// in the same packet as the server's version.
func taken(conn net.Conn) bool {
	conn.SetReadDeadline(time.Now().Add(patience))
	hello := make([]byte, 512)
	n, err := conn.Read(hello)
	return err == nil && strings.HasSuffix(string(hello[:n]), "\r\n")
}

// I open connections and say nothing, from one address and from many, so that nobody else gets in. Who has been here
// before gets in all the same. With the limits off I hold as many as I like.
func TestAttackHalfOpenConnectionsKeepNobodyOut(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Connections, "half-open connections")
	for name, c := range map[string]struct {
		flags             []string
		most, mostStrange int
	}{"limited": {crowded, 10, 80}, "limits off": {nil, 1000, 1000}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startServer(t, "", c.flags...)
			signer := newSigner(t)
			register(t, s, "alice", signer, "127.0.0.1")
			open := func(n int, from func(i int) string) (held int) {
				for i := range n {
					conn, err := s.dialFrom(from(i))
					if err != nil {
						t.Fatal(err)
					}
					t.Cleanup(func() { conn.Close() })
					if taken(conn) {
						held++
					}
				}
				return held
			}
			one := open(30, func(int) string { return "127.0.0.9" })
			if one > c.most || one == 0 {
				t.Errorf("one address holds %d connections", one)
			}
			many := open(300, func(i int) string { return fmt.Sprintf("127.0.%d.%d", 1+i/250, 1+i%250) })
			if many > c.mostStrange {
				t.Errorf("300 addresses hold %d connections", many)
			}
			if c.flags == nil {
				if one != 30 || many != 300 {
					t.Errorf("only %d of 30 and %d of 300 with the limits off", one, many)
				}
				row.Control("%d and %d with the limits off", one, many)
			} else {
				row.Tried("30 from one address, 300 from as many")
				row.Held("at most %d and %d are kept, at random; known sources get in", c.most, c.mostStrange)
			}
			alice := dialHome(t, s, "alice", signer, "127.0.0.1")
			if out := alice.must("say general still here"); !strings.HasPrefix(out, "general/") {
				t.Errorf("alice says: %q", out)
			}
		})
	}
}

// I open connection after connection with one account.
func TestAttackConnectionsOfOneAccountAreBounded(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Connections, "connections of one account")
	for name, c := range map[string]struct {
		flags []string
		most  int
	}{"limited": {crowded, 16}, "limits off": {nil, 20}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startServer(t, "", c.flags...)
			signer := newSigner(t)
			register(t, s, "alice", signer, "127.0.0.1")
			served, words := 0, ""
			for range 20 {
				u := dialHome(t, s, "alice", signer, "127.0.0.1")
				out, errs, code := u.exec("whoami", "")
				if code == 0 && out != "" {
					served++
				} else {
					words = errs
				}
			}
			if served != c.most {
				t.Errorf("%d connections served", served)
			} else if c.flags == nil {
				row.Control("%d with the limits off", served)
			} else {
				row.Tried("20")
				row.Held("%d are served; the others are refused with the reason", served)
			}
			if c.most < 20 && !strings.Contains(words, "too many connections by this account") {
				t.Errorf("the refused are told %q", words)
			}
		})
	}
}

// I make accounts until the server is full of them.
func TestAttackAccountsOfOneSourceAreBounded(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Connections, "make accounts from one source")
	for name, c := range map[string]struct {
		flags []string
		most  int
	}{"limited": {crowded, 3}, "limits off": {nil, 6}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startServer(t, "", c.flags...)
			made := 0
			for i := range 6 {
				client, err := s.dialAs(fmt.Sprintf("bot%d", i), ssh.PublicKeys(newSigner(t)))
				if err != nil {
					continue // as for a wrong password
				}
				u := &user{client, t, s, "bot", nil}
				if _, _, code := u.exec("register", ""); code == 0 {
					made++
				}
				client.Close()
			}
			if made != c.most {
				t.Errorf("%d accounts made", made)
			} else if c.flags == nil {
				row.Control("%d with the limits off", made)
			} else {
				row.Tried("6 at once")
				row.Held("%d an hour", made)
			}
		})
	}
}

// I say nothing, or a byte now and then, or what is no SSH at all. None of it holds a connection, and others get in.
func TestAttackSlowAndStrangeOpenings(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Connections, "slowloris, HTTP, TLS, noise, endless lines")
	s := startServer(t, "", crowded...)
	signer := newSigner(t)
	register(t, s, "alice", signer, "127.0.0.1")
	patient := startServer(t, "")
	control, err := patient.dialFrom("127.0.0.7") // and nothing more, until all others are cut off
	if err != nil {
		t.Fatal(err)
	}
	s = s.again(append(crowded, "--key-exchange-timeout", "1s", "--login-grace-time", "2s")...)
	openings := map[string]func(net.Conn){
		"nothing":                func(net.Conn) {},
		"a version line, slowly": func(c net.Conn) { trickle(c, "SSH-2.0-slow_0123456789") },
		"a version line and no keys": func(c net.Conn) {
			io.WriteString(c, "SSH-2.0-quiet\r\n")
		},
		"a packet of 4 GiB": func(c net.Conn) { io.WriteString(c, "SSH-2.0-big\r\n\xff\xff\xff\xff\x04\x14") },
		"HTTP":              func(c net.Conn) { io.WriteString(c, "GET / HTTP/1.1\r\nHost: chat\r\n\r\n") },
		"a TLS hello":       func(c net.Conn) { io.WriteString(c, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03") },
		"noise":             func(c net.Conn) { io.WriteString(c, strings.Repeat("\x00\xff\x80\n", 20_000)) },
		"a line without end": func(c net.Conn) {
			io.WriteString(c, strings.Repeat("A", 300_000))
		},
	}
	t.Run("together", func(t *testing.T) {
		for name, open := range openings {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				conn, err := s.dialFrom("127.0.0.7")
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				go open(conn)
				closes(t, name, func() error { _, err := io.Copy(io.Discard, conn); return err })
			})
		}
	})
	(&user{nil, t, s, "alice", signer}).soon("whoami")
	if err := control.SetReadDeadline(time.Now().Add(patience)); err != nil { // the others may have waited long for their turn
		t.Fatal(err)
	}
	if _, _, _, err := ssh.NewClientConn(control, patient.addr, &ssh.ClientConfig{
		User: "alice", Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)}, HostKeyCallback: ssh.InsecureIgnoreHostKey(),
	}); err != nil {
		t.Errorf("control: %v", err)
	}
	row.Tried("%d kinds", len(openings))
	row.Held("disconnected when the time for key exchange or login is over; others get in")
	row.Control("with a longer time, a silent connection can still log in")
}

func trickle(c net.Conn, text string) {
	for _, b := range []byte(text) {
		if _, err := c.Write([]byte{b}); err != nil {
			return
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// dialHome logs in from an address.
func dialHome(t testing.TB, s *testServer, name string, signer ssh.Signer, ip string) *user {
	t.Helper()
	conn, err := s.dialFrom(ip)
	if err != nil {
		t.Fatal(err)
	}
	c, channels, requests, err := ssh.NewClientConn(conn, s.addr, &ssh.ClientConfig{
		User: name, Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)}, HostKeyCallback: ssh.InsecureIgnoreHostKey(),
	})
	if err != nil {
		t.Fatalf("login as %s: %v\n%s", name, err, s.log)
	}
	conn.SetReadDeadline(time.Time{})
	t.Cleanup(func() { c.Close() })
	return &user{ssh.NewClient(c, channels, requests), t, s, name, signer}
}

// register makes an account with a key from an address.
func register(t testing.TB, s *testServer, name string, signer ssh.Signer, ip string) {
	t.Helper()
	u := dialHome(t, s, name, signer, ip)
	u.must("register")
	u.Close()
	dialHome(t, s, name, signer, ip).Close() // who has logged in is known
}

// I hold connections that say nothing, each from another address. max-startups 3:100:50 means what it means to sshd: from the
// third on each stranger is refused, long before 50. Somebody who has been here gets in. With max-startups 50 all are held.
func TestAttackStartupsAreDroppedAsBySSHD(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Connections, "half-open connections from changing addresses, with `max-startups 3:100:50`")
	held := make(map[string]int)
	for _, startups := range []string{"3:100:50", "50"} {
		s := startServer(t, "", "--max-startups", startups)
		signer := newSigner(t)
		register(t, s, "alice", signer, "127.0.0.1")
		for i := range 10 {
			conn, err := s.dialFrom(fmt.Sprint("127.0.1.", i+1))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if taken(conn) {
				held[startups]++
			}
		}
		s.login("alice", signer).must("whoami")
	}
	if held["3:100:50"] != 3 || held["50"] != 10 {
		t.Errorf("held: %v", held)
	}
	row.Tried("10 addresses")
	row.Held("%d are kept, and a known source gets in", held["3:100:50"])
	row.Control("all %d with `max-startups 50`", held["50"])
}

// I open sessions and leave them alone for ever. With channel-timeout they end, a shell with its terminal given back and a
// command alike; a session in which something happens goes on. Without it they stay.
func TestAttackSessionsThatDoNothing(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Connections, "idle sessions, with `channel-timeout`")
	s := startServer(t, "")
	alice := s.register("alice")
	left := alice.run("follow general") // the control: until all others have ended
	s2 := startServer(t, "", "--channel-timeout", "session=2s")
	bob, carol := s2.register("bob"), s2.register("carol")
	bob.must("join loud")
	carol.must("join quiet")
	busy, shell, command := bob.run("follow loud"), carol.plain(80, 24), carol.run("follow quiet")
	n := 0
	for what, idle := range map[string]*openSession{"a command": command, "a shell": shell} {
		waitFor(t, what+" to end", func() bool {
			bob.must(fmt.Sprintf("say loud message %d", n))
			n++
			select {
			case err := <-idle.ended:
				return err != nil
			default:
				return false
			}
		})
		idle.sees("nothing was sent or received for 2 seconds")
	}
	busy.sees(fmt.Sprintf("message %d", n-1))
	select {
	case err := <-busy.ended:
		t.Errorf("one in which something happens has ended: %v", err)
	case err := <-left.ended:
		t.Errorf("one of a server without it has ended: %v", err)
	default:
	}
	row.Tried("a shell and a command")
	row.Held("both end with a message; an active session stays open")
	row.Control("without `channel-timeout` (the default) they stay open")
}
