package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"

	charm "charm.land/ssh"
	"golang.org/x/crypto/ssh"

	"sshchat/sshchat/attack"
)

// The first admin is whoever shows the code that the server printed, once.
func TestClaim(t *testing.T) {
	t.Parallel()
	s := startServer(t, "")
	code := s.claimCode()
	alice := s.login("alice", newSigner(t))
	if _, _, exit := alice.exec("claim not-the-code", ""); exit != 3 {
		t.Errorf("a wrong code: exit %d", exit)
	}
	alice.must("claim " + code)
	alice = s.login("alice", alice.signer)
	if out := alice.must("whoami"); !strings.HasPrefix(out, "alice (admin)") {
		t.Errorf("alice is %s", out)
	}
	bob := s.register("bob")
	if _, _, exit := bob.exec("claim "+code, ""); exit != 3 {
		t.Errorf("the code a second time: exit %d", exit)
	}
}

// Stock clients get in, talk and run commands.
func TestStockClients(t *testing.T) {
	t.Parallel()
	s := startServer(t, "")
	key := keyFile(t, "-t", "ed25519")
	s.registerWith(t, "alice", key)
	openssh := []string{"-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR",
		"-o", "IdentitiesOnly=yes", "-i", key, "-p", s.port(), "alice@127.0.0.1"}

	out, errs, code := runClient(t, "hello from ssh -T\n/who\n", "ssh", append([]string{"-T"}, openssh...)...)
	if code != 0 || out != "alice: hello from ssh -T\n" || !strings.Contains(errs, "alice ") {
		t.Errorf("ssh -T: exit %d, %q, %q", code, out, errs)
	}
	if out, errs, code := runClient(t, "", "ssh", append(openssh, "say", "general", "by", "exec")...); code != 0 || out != "general/2\n" {
		t.Errorf("ssh say: exit %d, %q, %q", code, out, errs)
	}
	if _, errs, code := runClient(t, "", "sftp", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
		"-i", key, "-P", s.port(), "alice@127.0.0.1:x"); code == 0 || !strings.Contains(errs, "it has no file") {
		t.Errorf("sftp: exit %d, %q", code, errs)
	}
	dropbear := key + ".db"
	if _, errs, code := runClient(t, "", "dropbearconvert", "openssh", "dropbear", key, dropbear); code != 0 {
		t.Fatal(errs)
	}
	if out, errs, code := runClient(t, "", "dbclient", "-y", "-y", "-i", dropbear, "-p", s.port(), "alice@127.0.0.1", "whoami"); code != 0 || !strings.HasPrefix(out, "alice") {
		t.Errorf("dbclient: exit %d, %q, %q", code, out, errs)
	}
	hostKey, _, _ := strings.Cut(strings.TrimPrefix(s.log.String(), "host key "), "\n")
	if out, errs, code := runClient(t, "", "plink", "-batch", "-ssh", "-P", s.port(), "-hostkey", hostKey, "-l", "stranger",
		"-pw", "whatever it may be", "127.0.0.1", "whoami"); code != 3 {
		t.Errorf("plink as a stranger: exit %d, %q, %q", code, out, errs)
	}
}

// A client that makes room in its window only when all of it is used gets all that a command prints: the server holds nothing
// back that such a client waits for. The window is dropbear's, and so does dropbear.
func TestSmallWindow(t *testing.T) {
	t.Parallel()
	const window = 24 << 10
	s := startServer(t, "")
	key := keyFile(t, "-t", "ed25519")
	alice := s.registerWith(t, "alice", key)
	alice.exec("say general -", strings.Repeat(strings.Repeat("x", 4000)+"\n", 50))
	const line = "follow general --since general/0 --count 50 --json"
	want := alice.must(line)
	r := s.raw()
	r.prove("alice", alice.signer)
	channel := r.channel(window)
	r.request(channel, "exec", wireString(line))
	var got strings.Builder
	for left := window; got.Len() < len(want); {
		packet := r.receive()
		if packet[0] != msgData {
			continue
		}
		got.Write(packet[9:])
		if left -= len(packet[9:]); left == 0 {
			r.send(binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32([]byte{msgWindowAdjust}, channel), window))
			left = window
		}
	}
	if got.String() != want {
		t.Error("what arrives is not what was sent")
	}
	dropbear := key + ".db"
	if _, errs, code := runClient(t, "", "dropbearconvert", "openssh", "dropbear", key, dropbear); code != 0 {
		t.Fatal(errs)
	}
	if out, errs, code := runClient(t, "", "dbclient", "-y", "-y", "-i", dropbear, "-p", s.port(), "alice@127.0.0.1", line); code != 0 || out != want {
		t.Errorf("dbclient: exit %d, %d bytes of %d, %q", code, len(out), len(want), errs)
	}
}

// ssh-audit finds nothing to fail.
func TestAttackAlgorithmsPassTheAudit(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Connections, "weak algorithms")
	s := startServer(t, "")
	out, _, _ := runClient(t, "", "ssh-audit", "-n", "-p", s.port(), "127.0.0.1")
	if !strings.Contains(out, "(key) ssh-ed25519") || strings.Contains(out, "[fail]") {
		t.Errorf("ssh-audit:\n%s", out)
	}
	weak, _, _ := runClient(t, "", "ssh-audit", "-n", "-p", weakServer(t), "127.0.0.1")
	if !strings.Contains(weak, "[fail]") {
		t.Errorf("control: ssh-audit:\n%s", weak)
	}
	row.Tried("ssh-audit")
	row.Held("%d [fail]", strings.Count(out, "[fail]"))
	row.Control("several, for a server with SHA-1 and 3DES")
}

// weakServer is a server with the algorithms of twenty years ago, and returns its port.
func weakServer(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	config := &ssh.ServerConfig{NoClientAuth: true}
	config.KeyExchanges, config.Ciphers, config.MACs = []string{"diffie-hellman-group1-sha1"}, []string{"3des-cbc"}, []string{"hmac-sha1"}
	config.AddHostKey(newSigner(t))
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() { // until the client goes
				defer conn.Close()
				ssh.NewServerConn(conn, config)
			}()
		}
	}()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// The window-change wedge, giant and zero terminals, a storm of sizes: the session lives, and at most 500x200.
func TestAttackTerminalsCannotHurt(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Connections, "huge and zero terminal sizes, and resizes that nobody reads")
	s := startServer(t, "")
	alice := s.register("alice")
	sizes, resizes := [][2]int{{65535, 65535}, {0, 0}, {1 << 31, 1}, {80, 24}}, 1000
	for _, size := range sizes {
		sess, err := alice.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		if err := sess.RequestPty("xterm", size[1], size[0], ssh.TerminalModes{}); err != nil {
			t.Fatal(err)
		}
		for i := range resizes {
			if err := sess.WindowChange(i, size[0]); err != nil {
				t.Fatal(err)
			}
		}
		if out, err := sess.Output("whoami"); err != nil || !strings.HasPrefix(string(out), "alice") {
			t.Errorf("%v: %q, %v", size, out, err)
		}
	}
	if width := bareTerminal(t); width != 65535 {
		t.Errorf("control: the library alone makes it %d wide", width)
	}
	row.Tried("%d sizes up to 65535x65535 and 2147483648x1, %d resizes before the command", len(sizes), resizes)
	row.Held("the session runs with at most 500x200, and only the last size is kept")
	row.Control("the SSH library alone passes on a width of 65535")
}

// bareTerminal is how wide a terminal of 65535 columns is to a server that has nothing before the SSH library.
func bareTerminal(t *testing.T) (width int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	bare := &charm.Server{HostSigners: []charm.Signer{newSigner(t)}, Handler: func(s charm.Session) {
		pty, _, _ := s.Pty()
		fmt.Fprint(s, pty.Window.Width)
	}}
	t.Cleanup(func() { bare.Close() })
	go bare.Serve(l)
	c, err := ssh.Dial("tcp", l.Addr().String(), &ssh.ClientConfig{User: "x", HostKeyCallback: ssh.InsecureIgnoreHostKey()})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	sess, err := c.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	if err := sess.RequestPty("xterm", 24, 65535, ssh.TerminalModes{}); err != nil {
		t.Fatal(err)
	}
	out, err := sess.Output("size")
	if err != nil {
		t.Fatal(err)
	}
	width, err = strconv.Atoi(string(out))
	if err != nil {
		t.Fatal(err)
	}
	return width
}

// One connection has four sessions at once; with the limit raised the same attack gets more.
func TestAttackSessionsOfOneConnection(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Connections, "sessions in a connection")
	counts := make(map[string]int)
	for flag, want := range map[string]int{"4": 4, "50": 30} {
		s := startServer(t, "", "--max-sessions", flag)
		alice := s.register("alice")
		opened := 0
		for range 30 {
			sess, err := alice.NewSession()
			if err != nil {
				continue
			}
			if _, err := sess.StdinPipe(); err != nil { // kept open, and so the session
				t.Fatal(err)
			}
			if err := sess.Shell(); err != nil {
				t.Fatal(err)
			}
			opened++
		}
		if opened != want {
			t.Errorf("--max-sessions %s: %d opened", flag, opened)
		}
		counts[flag] = opened
	}
	row.Tried("30")
	row.Held("%d", counts["4"])
	row.Control("%d with the limit raised", counts["50"])
}

// Whoever offers alice's key and signs with another is not alice; nor is bob, who is known by his own.
func TestAttackNobodyIsAliceWithoutHerKey(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Identity, "offer a key and sign with another")
	s := startServer(t, "")
	alice, bob := s.register("alice"), s.register("bob")
	ways := map[string]ssh.AuthMethod{
		"alice's key, signed with bob's": ssh.PublicKeys(&unproven{alice.signer, bob.signer}),
		"bob's key":                      ssh.PublicKeys(bob.signer),
		"a password she does not have":   ssh.Password("she has none at all"),
	}
	for attack, method := range ways {
		if c, err := s.dialAs("alice", method); err == nil {
			c.Close()
			t.Errorf("in as alice with %s", attack)
		}
	}
	if out := s.login("alice", alice.signer).must("whoami"); !strings.HasPrefix(out, "alice ") {
		t.Errorf("with her key: %s", out)
	}
	row.Tried("%d ways", len(ways))
	row.Held("refused")
	row.Control("her key gets in")
}

// unproven offers one key and signs with another.
type unproven struct {
	ssh.Signer
	other ssh.Signer
}

func (u *unproven) Sign(rand io.Reader, data []byte) (*ssh.Signature, error) {
	return u.other.Sign(rand, data)
}

// Two who register a name at once: one gets it, and the other's session is nobody's.
func TestAttackOneWinsTheName(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Identity, "use a connection from before the name was registered")
	s := startServer(t, "")
	names := []string{"ann", "ben", "cat", "dan", "eva"}
	for _, name := range names {
		first, second := s.login(name, newSigner(t)), s.login(name, newSigner(t))
		codes := make(chan int, 2)
		for _, u := range []*user{first, second} {
			go func() { _, _, code := u.exec("register", ""); codes <- code }()
		}
		if a, b := <-codes, <-codes; (a == 0) == (b == 0) {
			t.Errorf("%s: exit codes %d and %d", name, a, b)
		}
		for _, u := range []*user{first, second} { // also the winner's other channels must log in again
			if _, _, code := u.exec("whoami", ""); code != 3 {
				t.Errorf("%s: a connection without a proof acts: exit %d", name, code)
			}
		}
		in := 0
		for _, u := range []*user{first, second} {
			if c, err := s.dialAs(name, ssh.PublicKeys(u.signer)); err == nil {
				c.Close()
				in++
			}
		}
		if in != 1 {
			t.Errorf("control: %s: %d of 2 keys log in", name, in)
		}
	}
	row.Tried("%d names, two connections each", len(names))
	row.Held("only the session that registered continues; no other one on either connection does")
	row.Control("the winner's key logs in again; the loser's does not")
}

// A key that is removed while a session is open ends it.
func TestAttackRemovedKeyIsOut(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Identity, "stay connected with a key that was removed")
	s := startServer(t, "")
	alice := s.register("alice")
	other := newSigner(t)
	alice.must("key add " + string(ssh.MarshalAuthorizedKey(other.PublicKey())))
	second := s.login("alice", other)
	o, own := second.plain(80, 24), alice.again(t).plain(80, 24)
	o.sees("Welcome")
	own.sees("Welcome")
	alice.must("key remove " + ssh.FingerprintSHA256(other.PublicKey()))
	o.sees("The key of this session has been removed.")
	closes(t, "a session whose key is removed", func() error { return <-o.ended })
	own.typeln("still here")
	own.sees("alice: still here")
	row.Tried("an open session")
	row.Held("it ends with the reason")
	row.Control("a session of the account's other key continues")
}

// A connection tries three passwords; the fourth ends it.
func TestPasswordsOfOneConnection(t *testing.T) {
	t.Parallel()
	for flag, want := range map[string]int{"3": 3, "6": 6} {
		s := startServer(t, "", "--max-password-tries", flag)
		s.register("alice")
		tried := 0
		_, err := s.dialAs("alice", ssh.RetryableAuthMethod(ssh.PasswordCallback(func() (string, error) {
			tried++
			return "a wrong but long enough one", nil
		}), 6))
		if err == nil {
			t.Fatal("in")
		}
		failed := func() int { return strings.Count(s.log.String(), "login failed") }
		waitFor(t, fmt.Sprintf("%d failures in the log, of %d tried", want, tried), func() bool { return failed() >= want })
		if n := failed(); n > want+1 {
			t.Errorf("--max-password-tries %s: %d tried, %d failures logged", flag, tried, n)
		}
	}
}
