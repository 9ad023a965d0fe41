package main

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sshchat/sshchat/attack"
	"sshchat/sshchat/cluster/natstest"

	"github.com/pires/go-proxyproto"
	"golang.org/x/crypto/ssh"
)

// balancer is where the load balancer of these tests connects from. Its clients are where no test can connect from.
const balancer = "127.0.0.9"

// proxyHeader is a PROXY protocol header as another implementation writes it.
func proxyHeader(t testing.TB, version byte, client string) []byte {
	t.Helper()
	addr := func(ip string) net.Addr {
		return net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(ip), 4711))
	}
	server := "203.0.113.1"
	if netip.MustParseAddr(client).Is6() {
		server = "2001:db8:ffff::1"
	}
	b, err := proxyproto.HeaderProxyFromAddrs(version, addr(client), addr(server)).Format()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// behindBalancer has the test's clients come via the balancer, from whatever address they say.
func (s *testServer) behindBalancer() *testServer {
	at := *s
	at.via = balancer
	return &at
}

// opened is what a connection from an address answers to its first bytes, until the server closes it.
func (s *testServer) opened(ip string, first []byte) string {
	s.t.Helper()
	conn, err := s.dialFrom(ip)
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write(first); err != nil {
		s.t.Fatal(err)
	}
	var answer []byte
	closes(s.t, fmt.Sprintf("sends %.40q", first), func() (err error) { answer, err = io.ReadAll(conn); return err })
	return string(answer)
}

// logs waits for so many lines of the log.
func (s *testServer) logs(n int, expr string) {
	s.t.Helper()
	waitFor(s.t, fmt.Sprintf("%d lines with %s", n, expr), func() bool {
		return len(regexp.MustCompile(expr).FindAllString(s.log.String(), -1)) == n
	})
}

// I guess passwords, and hold connections open, through the load balancer that everybody comes through. Only my own address
// pays for it. Where the server does not know of the balancer, I am everybody, and nobody gets in.
func TestAttackGuesserBehindABalancer(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Guessing, "lock out everybody behind the same load balancer")
	flags := append(guarded, "--per-source-max-startups", "10")
	const me, paula = "198.51.100.66", "198.51.100.7"
	attackIt := func(s *testServer) {
		t.Helper()
		for range 4 { // the first three owe a little less than 15 s when the third is answered
			if r := s.rawFrom(me); r.password("paula", "wrong but long enough") != msgAuthFailure {
				t.Fatal("a wrong password is right")
			}
		}
	}
	const refused = "too many failed logins from your address"

	s := startServer(t, "", append(flags, "--proxy-from", balancer)...)
	s.registerByPassword("paula")
	via := s.behindBalancer()
	attackIt(via)
	if answer := via.opened(me, []byte("SSH-2.0-me\r\n")); !strings.Contains(answer, refused) {
		t.Errorf("the guesser is answered %q", answer)
	}
	if err := via.passwordFrom(paula, "paula", goodPassword); err != nil {
		t.Errorf("paula: %v", err)
	}
	const other = "198.51.100.67"
	for range 10 {
		conn, err := via.dialFrom(other)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if !taken(conn) {
			t.Fatal("a half-open connection is refused before there are too many")
		}
	}
	if answer := via.opened(other, []byte("SSH-2.0-me\r\n")); !strings.Contains(answer, "too many connections from your address") {
		t.Errorf("the eleventh half-open connection is answered %q", answer)
	}
	if err := via.passwordFrom(paula, "paula", goodPassword); err != nil {
		t.Errorf("paula beside half-open connections: %v", err)
	}
	s.logs(1, `source kept away source=198\.51\.100\.66 `)
	row.Tried("4 wrong passwords and 10 half-open connections through the balancer")
	row.Held("with `proxy-from`, only the address that the balancer names is refused")

	s = startServer(t, "", flags...) // the control: the balancer sends no header, and the server would take none
	s.registerByPassword("paula")
	for range 4 {
		if r := s.rawFrom(balancer); r.password("paula", "wrong but long enough") != msgAuthFailure {
			t.Fatal("a wrong password is right")
		}
	}
	if answer := s.opened(balancer, []byte("SSH-2.0-paula\r\n")); !strings.Contains(answer, refused) {
		t.Errorf("the control: paula is answered %q", answer)
	}
	row.Control("without it, 4 wrong passwords lock out everybody behind the balancer")
}

// I am no load balancer, and send its header: to be from an address that is exempt, or not banned, or somebody else's who is
// to be blamed for my guesses. Or I am a client of the balancer, and send a header of my own after the balancer's.
func TestAttackForgedProxyHeader(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Identity, "choose one's address by a PROXY protocol header")
	const me, exempt, victim, mine = "127.0.0.66", "198.51.100.1", "198.51.100.7", "198.51.100.66"
	s := startServer(t, "", append(guarded, "--proxy-from", balancer, "--per-source-penalty-exempt-list", exempt, "--max-password-failures", "1000")...)
	root := s.register("root")
	root.must("claim " + s.claimCode())
	s.registerByPassword("paula")
	via := s.behindBalancer()
	hello := []byte("SSH-2.0-me\r\n")
	forged := 0
	for _, version := range []byte{1, 2} {
		for _, claimed := range []string{exempt, victim, balancer} {
			if answer := s.opened(me, append(proxyHeader(t, version, claimed), hello...)); strings.Contains(answer, "\x14") { // a key exchange
				t.Errorf("version %d, %s: %q", version, claimed, answer)
			}
			forged++
		}
	}
	s.logs(forged, `closed: PROXY header from 127\.0\.0\.66, which is not in proxy-from source=127\.0\.0\.66 `)
	via.opened(mine, append(proxyHeader(t, 2, exempt), hello...))
	s.logs(1, `closed: PROXY header from 198\.51\.100\.66, which is not in proxy-from source=198\.51\.100\.66 `)
	root.must("ban ip=198.51.100.66")
	root.must("ban --force ip=127.0.0.66")
	if answer := via.opened(mine, append(proxyHeader(t, 2, exempt), hello...)); !strings.Contains(answer, "banned") {
		t.Errorf("banned, behind the balancer: %q", answer)
	}
	if answer := s.opened(me, append(proxyHeader(t, 2, exempt), hello...)); !strings.Contains(answer, "banned") {
		t.Errorf("banned: %q", answer)
	}
	if listed := root.must("sources list"); strings.Contains(listed, exempt) || strings.Contains(listed, victim) || strings.Contains(listed, balancer) {
		t.Errorf("a forged header counts:\n%s", listed)
	}
	row.Tried("%d headers from elsewhere, and one after the balancer's own; each for an exempt, an innocent and the balancer's address", forged)
	row.Held("only addresses in `proxy-from` may send one, and only the first counts: the connection is closed, and bans and penalties are those of who sent it")

	// The control: from the balancer it counts.
	for range 4 {
		via.rawFrom(exempt).password("paula", "wrong but long enough")
	}
	if err := via.passwordFrom(exempt, "paula", goodPassword); err != nil {
		t.Errorf("the control: an exempt address: %v", err)
	}
	for range 4 {
		via.rawFrom(victim).password("paula", "wrong but long enough")
	}
	if answer := via.opened(victim, hello); !strings.Contains(answer, "too many failed logins") {
		t.Errorf("the control: a guesser who the balancer names is answered %q", answer)
	}
	row.Control("from the balancer, the address that it names is exempt or refused")
}

// I have the balancer's address, or hold many of its connections open, and never end the header.
func TestAttackEndlessProxyHeaders(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Connections, "never end the header of a load balancer")
	const most = 5
	begun := func(s *testServer) (open []net.Conn) {
		for range 3 * most {
			conn, err := s.dialFrom(balancer)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { conn.Close() })
			conn.Write(proxyHeader(t, 2, "198.51.100.66")[:15]) // one that is refused may be closed already
			open = append(open, conn)
		}
		return open
	}
	s := startServer(t, "", "--proxy-from", balancer, "--max-startups", fmt.Sprint(most), "--key-exchange-timeout", "1500ms")
	open := begun(s)
	s.logs(2*most, `closed: no valid PROXY header from 127\.0\.0\.9, which is in proxy-from source=127\.0\.0\.9 why="5 connections have not sent`)
	if err := s.loginFrom("127.0.0.2", "new", ssh.PublicKeys(newSigner(t))); err != nil {
		t.Errorf("somebody who does not come via the balancer: %v", err)
	}
	for _, conn := range open {
		closes(t, "does not end its header", func() error { _, err := io.Copy(io.Discard, conn); return err })
	}
	s.logs(most, `closed: no valid PROXY header from 127\.0\.0\.9, which is in proxy-from source=127\.0\.0\.9 why="it did not come in time"`)
	via := s.behindBalancer()
	waitFor(t, "a client of the balancer", func() bool {
		return via.loginFrom("198.51.100.7", "new", ssh.PublicKeys(newSigner(t))) == nil
	})
	row.Tried("%d connections", 3*most)
	row.Held("as many are kept as `max-startups` allows, until `key-exchange-timeout`; nobody else's places are taken")

	s = startServer(t, "", "--proxy-from", balancer, "--max-startups", "1000") // the control
	slow := begun(s)[0]
	if _, err := slow.Write(proxyHeader(t, 2, "198.51.100.66")[15:]); err != nil {
		t.Fatal(err)
	}
	if !taken(slow) {
		t.Error("the control: a slow header is not taken")
	}
	s.stop() // within its time, with headers that are awaited
	row.Control("with more places and more time, all of them are kept, and one that ends is taken")
}

// What the balancer sends that is not the header of a client is refused, and not held against it; health checks are answered.
func TestHeadersOfTheBalancer(t *testing.T) {
	t.Parallel()
	s := startServer(t, "", append(guarded, "--proxy-from", balancer+",::1")...)
	root := s.register("root")
	root.must("claim " + s.claimCode())
	const start = "\r\n\r\n\x00\r\nQUIT\n"
	const v4 = "\xc6\x33\x64\x07\x7f\x00\x00\x01\x12\x67\x08\xae"
	answer := s.opened(balancer, []byte("SSH-2.0-direct\r\n"))
	if !strings.Contains(answer, "must come with a PROXY protocol header") {
		t.Errorf("a client at the balancer's address is answered %q", answer)
	}
	s.logs(1, `closed: no valid PROXY header from 127\.0\.0\.9, which is in proxy-from source=127\.0\.0\.9 why="no PROXY protocol header"`)
	refused := 1
	for first, why := range map[string]string{
		string(proxyHeader(t, 1, "198.51.100.7")):                 "version 1; only version 2",
		start + "\x21\x00\x00\x00":                                "family 0x00",
		start + "\x21\x12\x00\x0c" + v4:                           "family 0x12",
		start + "\x21\x31\x00\xd8" + strings.Repeat("/sock", 50):  "family 0x31",
		start + "\x21\x11\x00\x08" + v4:                           "8 bytes of addresses",
		start + "\x21\x11\xff\xff" + v4:                           "65551 bytes; the limit is 536",
		start + "\x2a\x11\x00\x0c" + v4:                           "command 0x2a",
		start + "\x21\x11\x00\x0c" + "\x00\x00\x00\x00" + v4[4:]:  "nobody can connect from 0.0.0.0",
		"GET / HTTP/1.1\r\nX-Forwarded-For: 198.51.100.7\r\n\r\n": "no PROXY protocol header",
	} {
		if answer := s.opened(balancer, []byte(first+"SSH-2.0-x\r\n")); strings.Contains(answer, "\x14") {
			t.Errorf("%.40q is answered %q", first, answer)
		}
		refused++
		s.logs(refused, `closed: no valid PROXY header from`)
		if last := s.log.tail(1); !strings.Contains(last, why) {
			t.Errorf("%.40q is logged as %s", first, last)
		}
	}
	for range 10 { // health checks: with the balancer's own header, and of whether the port is open
		for _, check := range []string{start + "\x20\x00\x00\x00", start + "\x20\x11\x00\x0c" + v4} {
			conn, err := s.dialFrom(balancer)
			if err != nil {
				t.Fatal(err)
			}
			io.WriteString(conn, check)
			line := make([]byte, len("SSH-2.0-sshchat\r\n"))
			if _, err := io.ReadFull(conn, line); err != nil || string(line) != "SSH-2.0-sshchat\r\n" {
				t.Errorf("a health check is answered %q, %v", line, err)
			}
			conn.Close()
			if conn, err = s.dialFrom(balancer); err != nil {
				t.Fatal(err)
			}
			conn.Close()
		}
	}
	if got := root.must("stats"); !regexp.MustCompile(fmt.Sprintf(`(?m)^refused-proxy +%d$`, refused)).MatchString(got) {
		t.Errorf("stats after %d refused headers:\n%s", refused, got)
	}
	if listed := root.must("sources list"); strings.Contains(listed, balancer) {
		t.Errorf("it is held against the balancer:\n%s", listed)
	}
	s.logs(refused, `closed: no valid PROXY header from`)
	if err := s.behindBalancer().loginFrom("198.51.100.7", "new", ssh.PublicKeys(newSigner(t))); err != nil {
		t.Errorf("a client of the balancer: %v", err)
	}
}

// Everything that names an address names the client's: the log, the audit log, whois, sessions, lists of sources, the word about
// the last login; limits by source and bans hold for it, an IPv4 address in either form, and IPv6 by /64.
func TestAddressesBehindTheBalancer(t *testing.T) {
	t.Parallel()
	config := filepath.Join(t.TempDir(), "sshchat.toml")
	write := func(lines string) {
		if err := os.WriteFile(config, []byte(lines), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("")
	s := startServer(t, "", "--config", config, "--per-source-penalties", "yes", "--password-delay-after", "5")
	root := s.register("root")
	root.must("claim " + s.claimCode())
	via := s.behindBalancer()
	write(`proxy-from = "127.0.0.9/32"`)
	if _, said, code := root.exec("reload", ""); code != 0 || !strings.Contains(said, "proxy-from: 127.0.0.9, was empty") {
		t.Errorf("reload: exit %d, %s", code, said)
	}
	s.registerByPassword("paula")
	paula := via.byPasswordFrom("2001:db8:1:2::7", "paula", goodPassword)
	o := paula.plain(80, 24)
	o.sees("Welcome")
	if got := root.must("sessions"); !regexp.MustCompile(`paula.*2001:db8:1:2::7`).MatchString(got) {
		t.Errorf("sessions:\n%s", got)
	}
	for range 4 {
		if via.passwordFrom("2001:db8:bad::1", "paula", "wrong but long enough") == nil {
			t.Fatal("a wrong password is right")
		}
	}
	s.logs(4, `login failed source=2001:db8:bad::1 `)
	if via.passwordFrom("2001:db8:bad::2", "paula", goodPassword) == nil && via.passwordFrom("2001:db8:bad::3", "paula", goodPassword) == nil {
		t.Error("another address of the guesser's network gets in")
	}
	if got := root.must("sources list"); !strings.Contains(got, "2001:db8:bad::/64") || strings.Contains(got, balancer) {
		t.Errorf("sources:\n%s", got)
	}
	second := via.byPasswordFrom("198.51.100.7", "paula", goodPassword).plain(80, 24)
	second.sees("from 2001:db8:bad::1")
	root.must("ban ip=198.51.100.7")
	if answer := via.opened("::ffff:198.51.100.7", []byte("SSH-2.0-x\r\n")); !strings.Contains(answer, "banned") {
		t.Errorf("a banned IPv4 address in IPv6 form is answered %q", answer)
	}
	rootVia, err := via.dialFrom("203.0.113.9")
	if err != nil {
		t.Fatal(err)
	}
	c, channels, requests, err := ssh.NewClientConn(rootVia, s.addr, &ssh.ClientConfig{
		User: "root", Auth: []ssh.AuthMethod{ssh.PublicKeys(root.signer)}, HostKeyCallback: ssh.InsecureIgnoreHostKey(),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	there := &user{ssh.NewClient(c, channels, requests), t, s, "root", root.signer}
	there.must("motd set via the balancer")
	if got := there.must("audit --json"); !regexp.MustCompile(`motd.*203\.0\.113\.9|203\.0\.113\.9.*motd`).MatchString(got) {
		t.Errorf("the audit log:\n%s", got)
	}
	if strings.Contains(s.log.String(), "source="+balancer) {
		t.Error("the log names the balancer")
	}
}

// haproxyBefore runs HAProxy with the file in deploy before a server, and returns its addresses, and what it says of its checks.
func haproxyBefore(t *testing.T, from, to string) (v4, v6 string, checks func() string) {
	t.Helper()
	source := "source " + from
	if from == "::1" {
		source = "" // it has no other
	}
	return haproxyWith(t, "haproxy.cfg", [2]string{
		"server chat 127.0.0.1:2222 send-proxy-v2 check inter 5s", "server chat " + to + " " + source + " send-proxy-v2 check inter 100ms",
	})
}

// haproxyWith runs HAProxy with a file in deploy, of which some words are replaced.
func haproxyWith(t *testing.T, name string, edits ...[2]string) (v4, v6 string, checks func() string) {
	t.Helper()
	program := client(t, "haproxy")
	text := readText(t, "../../deploy/"+name)
	v4, v6 = ownPort(t), strings.Replace(ownPort(t), "127.0.0.1", "[::1]", 1)
	config := filepath.Join(t.TempDir(), "haproxy.cfg")
	socket := filepath.Join(t.TempDir(), "s")
	for _, edit := range append(edits,
		[2]string{"global\n", "global\n    stats socket " + socket + "\n"},
		[2]string{"bind :::22 v4v6", "bind " + v4 + "\n    bind " + v6},
	) {
		if !strings.Contains(text, edit[0]) {
			t.Fatalf("deploy/%s has no %q", name, edit[0])
		}
		text = strings.Replace(text, edit[0], edit[1], 1)
	}
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-db", "-f", config)
	said := &logBuffer{}
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Logf("haproxy:\n%s", said)
		}
	})
	for _, at := range []string{v4, v6} {
		waitFor(t, "HAProxy at "+at, func() bool {
			conn, err := net.Dial("tcp", at)
			if err == nil {
				conn.Close()
			}
			return err == nil
		})
	}
	waitFor(t, "HAProxy's own socket", func() bool { _, err := os.Stat(socket); return err == nil })
	return v4, v6, func() string {
		conn, err := net.Dial("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		io.WriteString(conn, "show stat\n")
		all, err := io.ReadAll(conn)
		if err != nil {
			t.Fatal(err)
		}
		return string(all)
	}
}

// Behind real HAProxy, with the configuration that we ship, stock ssh gets in over IPv4 and IPv6 as from where it is, and HAProxy
// finds the server healthy. The server listens on either.
func TestBehindHAProxy(t *testing.T) {
	t.Parallel()
	program := client(t, "haproxy")
	client(t, "ssh")
	for _, name := range []string{"haproxy.cfg", "haproxy-cluster.cfg"} {
		if out, err := exec.Command(program, "-c", "-f", "../../deploy/"+name).CombinedOutput(); err != nil {
			t.Errorf("haproxy -c %s: %v\n%s", name, err, out)
		}
	}
	for _, c := range []struct{ listens, from string }{{"127.0.0.1:0", balancer}, {"[::1]:0", "::1"}} {
		t.Run(c.from, func(t *testing.T) {
			t.Parallel()
			s := startServer(t, "", append(guarded, "--listen", c.listens, "--proxy-from", c.from)...)
			v4, v6, checks := haproxyBefore(t, c.from, s.addr)
			key := writeKey(t)
			for _, way := range []struct{ at, from string }{{v4, "127.0.0.77"}, {v6, "::1"}} {
				host, port, err := net.SplitHostPort(way.at)
				if err != nil {
					t.Fatal(err)
				}
				ssh := func(line string) (string, string, int) {
					return runClient(t, "", "ssh", "-p", port, "-b", way.from, "-i", key, "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes",
						"-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "alice@"+host, line)
				}
				waitFor(t, "alice by way of "+way.at, func() bool {
					_, errs, code := ssh("register")
					return code == 0 || strings.Contains(errs, "already") || strings.Contains(errs, "exists")
				})
				if out, errs, code := ssh("whoami"); code != 0 {
					t.Errorf("whoami by way of %s: %d, %s%s", way.at, code, out, errs)
				}
				if said := "login source=" + way.from + " method=publickey name=alice"; !strings.Contains(s.log.String(), said) {
					t.Errorf("by way of %s the log has no %s\n%s", way.at, said, s.log)
				}
			}
			waitFor(t, "a health check that passes", func() bool { return strings.Contains(checks(), "L7OK") })
			if got := s.log.String(); strings.Contains(got, "closed: ") || strings.Contains(got, "kept away") {
				t.Errorf("health checks are held against HAProxy:\n%s", got)
			}
			s.stop()
			waitFor(t, "a health check that fails", func() bool { return strings.Contains(checks(), "DOWN") })
		})
	}
}

// Behind real HAProxy, with the configuration that we ship for a cluster, people reach nodes as from where they are. A node that is cut
// off from the log is taken out while it still runs, everybody gets to the other one, and it comes back by itself.
func TestClusterBehindHAProxy(t *testing.T) {
	t.Parallel()
	servers := natstest.StartOne(t)
	c := startCluster(t, servers, 2, append(guarded, "--proxy-from", balancer)...)
	n1, n2 := c.nodes[0], c.nodes[1]
	n2.stop()
	link, checked := servers.NewLink(t, 0), [2]string{ownPort(t), ownPort(t)}
	n1.stop()
	n1 = c.startAt(n1.data, 1, servers.URLs()[0], "--metrics", checked[0])
	n2 = c.startAt(n2.data, 2, link.URL(), "--metrics", checked[1])
	port := func(address string) string { return address[strings.LastIndex(address, ":")+1:] }
	v4, _, checks := haproxyWith(t, "haproxy-cluster.cfg",
		[2]string{"port 9222 inter 1s", "inter 200ms"},
		[2]string{"server n1 192.0.2.11:2222", "server n1 " + n1.addr + " source " + balancer + " port " + port(checked[0])},
		[2]string{"server n2 192.0.2.12:2222", "server n2 " + n2.addr + " source " + balancer + " port " + port(checked[1])},
		[2]string{"    server n3 192.0.2.13:2222\n", ""})
	is := func(node, state string) func() bool {
		return func() bool {
			return regexp.MustCompile(`(?m)^nodes,` + node + `,.*,` + state + `[,/ ]`).MatchString(checks())
		}
	}
	waitFor(t, "both nodes", func() bool { return is("n1", "UP")() && is("n2", "UP")() })
	key := writeKey(t)
	host, at, err := net.SplitHostPort(v4)
	if err != nil {
		t.Fatal(err)
	}
	ssh := func(line string) (string, string, int) {
		return runClient(t, "", "ssh", "-p", at, "-b", "127.0.0.77", "-i", key, "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes",
			"-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "alice@"+host, line)
	}
	waitFor(t, "alice", func() bool {
		_, errs, code := ssh("register")
		return code == 0 || strings.Contains(errs, "already") || strings.Contains(errs, "exists")
	})
	const login = "login source=127.0.0.77 method=publickey name=alice"
	waitFor(t, "alice on both nodes, from where she is", func() bool {
		ssh("whoami")
		return strings.Contains(n1.log.String(), login) && strings.Contains(n2.log.String(), login)
	})
	link.Cut()
	waitFor(t, "n2 to be taken out", is("n2", "DOWN"))
	before := strings.Count(n2.log.String(), login)
	for range 4 {
		if out, errs, code := ssh("say general while n2 is out"); code != 0 {
			t.Errorf("while n2 is out: %d, %s%s", code, out, errs)
		}
	}
	if n := strings.Count(n2.log.String(), login); n != before {
		t.Errorf("%d logins on n2 while it is out", n-before)
	}
	link.Heal()
	waitFor(t, "n2 to be back", is("n2", "UP"))
	waitFor(t, "alice on n2 again", func() bool { ssh("whoami"); return strings.Count(n2.log.String(), login) > before })
	for _, s := range []*testServer{n1, n2} {
		if got := s.log.String(); strings.Contains(got, "closed: ") || strings.Contains(got, "kept away") || strings.Contains(got, "source="+balancer) {
			t.Errorf("health checks are held against HAProxy, or taken for clients:\n%s", got)
		}
	}
}

// config check warns of a network in proxy-from that is hardly a load balancer.
func TestProxyFromEverybody(t *testing.T) {
	t.Parallel()
	for word, warned := range map[string]bool{
		"0.0.0.0/0": true, "::/0": true, "0.0.0.0/1": true, "10.0.0.0/7": true, "198.50.0.0/15": true, "2000::/3": true,
		"127.0.0.1": false, "10.0.0.0/8": false, "198.51.100.0/24": false, "fd00::/8": false, "2001:db8::/32": false, "::1": false,
	} {
		out, errs, code := runHere(t, "config", "check", "--data", t.TempDir(), "--proxy-from", "192.0.2.1", "--proxy-from", word)
		if code != 0 || strings.Contains(errs, "everybody in "+word+" can choose the address") != warned || strings.Contains(errs, "192.0.2.1") {
			t.Errorf("%s: exit %d, %s%s", word, code, out, errs)
		}
	}
	for _, word := range []string{"everybody", "127.0.0.1:2222", "::ffff:192.0.2.1", "192.0.2.0/33"} {
		if _, errs, code := runHere(t, "config", "check", "--data", t.TempDir(), "--proxy-from", word); code != 2 || !strings.Contains(errs, "--proxy-from") {
			t.Errorf("%s: exit %d, %s", word, code, errs)
		}
	}
}
