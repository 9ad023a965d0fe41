package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"sshchat/sshchat/attack"
	"sshchat/sshchat/text"

	"golang.org/x/crypto/ssh"
)

// door are the limits on newcomers and guesses as a server has them that was told nothing.
var door = slices.Concat(crowded, guarded)

// Six newcomers come from one address, by keys and passwords, one of them mistypes, and the admin works from there too. Three
// make an account at once; the others are told why not, and for how long, and come in with an invite. Nobody is kept out.
func TestNewcomersBehindOneAddress(t *testing.T) {
	t.Parallel()
	adminKey := newSigner(t)
	s := startServer(t, "", append(slices.Clone(door), "--per-source-max-registrations", "8", "--admin", "root="+writePublic(t, adminKey))...)
	root := s.login("root", adminKey)
	root.must("whoami")
	byKey := func(name string) *user { return s.login(name, newSigner(t)) }
	hal := byKey("hal").plain(250, 24) // is asked, and answers when others were faster
	hal.sees("Create it? [y/N]")
	byKey("ann").must("register")
	s.registerByPassword("ben")
	byKey("cat").must("register")
	hal.typeln("y")
	hal.sees("the next can be created in")
	hal.sees("Invite code, if you have one:")
	hal.typeln("")
	hal.sees("No account created.")
	hal.u.Close()

	dan := byKey("dan")
	if _, errs, code := dan.exec("register", ""); code != 1 || !strings.Contains(errs, "too many accounts were created from your address in the last hour; the next can be created in 60 minutes, or now with an invite") {
		t.Errorf("the fourth: exit %d, %q", code, errs)
	}
	eva, err := s.dialAs("eva", ssh.Password("anything at all"))
	if err != nil {
		t.Fatal(err)
	}
	defer eva.Close()
	asked := (&user{eva, t, s, "eva", nil}).plain(250, 24)
	asked.sees("the next can be created in")
	asked.sees("Invite code, if you have one:")
	for range 30 { // fay has no account yet, and does not know which name she will have
		if err := s.passwordFrom("127.0.0.1", "fay", "what I always type"); err != nil {
			t.Fatalf("a name without an account: %v", err)
		}
	}
	for range 8 { // ben mistypes his password
		if s.passwordFrom("127.0.0.1", "ben", "not what it is, alas") == nil {
			t.Fatal("in by a wrong password")
		}
	}
	s.login("root", adminKey).must("whoami")
	waitFor(t, "ben to log in from where he did before", func() bool { // a second or a few after so many
		err := s.passwordFrom("127.0.0.1", "ben", goodPassword)
		return err == nil
	})

	code := strings.TrimSpace(root.must("invite create --uses 5"))
	if _, errs, exit := dan.exec("register nonsense", ""); exit != 3 || !strings.Contains(errs, "the invite code is wrong") {
		t.Errorf("a wrong invite: exit %d, %q", exit, errs)
	}
	dan.must("register " + code)
	byKey("fay").must("register " + code)
	asked.typeln(code)
	for _, step := range [][2]string{{"New password:", goodPassword}, {"Repeat the password:", goodPassword}} {
		asked.sees(step[0])
		asked.typeln(step[1])
	}
	asked.sees("Welcome to sshchat")
	waitFor(t, "sources list to show three accounts, and nobody who registers", func() bool { // connections end a moment after they are closed
		return strings.HasPrefix(root.must("sources list"), "127.0.0.1             not refused, 3 new accounts within an hour, known")
	})
	root.must("sources forgive 127.0.0.1")
	byKey("gus").must("register")
}

// The prompt for a password says what keeps newcomers of this address out, and for how long.
func TestInstructionTellsTheWait(t *testing.T) {
	t.Parallel()
	s := startServer(t, "", door...)
	instruction := func(name string, before ...ssh.AuthMethod) (said string) {
		_, err := s.dialAs(name, append(before, ssh.KeyboardInteractive(func(_, instruction string, questions []string, _ []bool) ([]string, error) {
			said = instruction
			return nil, errors.New("enough")
		}))...)
		if err == nil {
			t.Fatal("in")
		}
		return said
	}
	if said := instruction("somebody"); !strings.HasSuffix(said, "\nNo account is named somebody. New here? Press Enter.") {
		t.Errorf("at first: %q", said)
	}
	for _, name := range []string{"ann", "ben", "cat"} {
		s.login(name, newSigner(t)).must("register")
	}
	for _, name := range []string{"somebody", "ann"} {
		if said := instruction(name); !strings.Contains(said, "the next can be created in 60 minutes, or now with an invite") || strings.Count(said, "\n") != 1 {
			t.Errorf("after three, for %s: %q", name, said)
		}
	}
	if said := instruction("ann", ssh.PublicKeys(newSigner(t))); !strings.Contains(said, "\nNo key you offered is ann's. Lost it? Ask an admin.\n") {
		t.Errorf("with another key: %q", said)
	}
}

// What the prompt for a password says fits into 80 columns. At the second it says that the first was wrong. While registration is
// closed it is the same for a name that has an account, with a password or without, and for one that has none.
func TestInstructionsSayWhatHelps(t *testing.T) {
	t.Parallel()
	longest := "x" + strings.Repeat("y", text.MaxName-1)
	for _, registration := range []string{"open", "invite", "closed"} {
		s := startServer(t, "", "--registration", registration, "--admin", "root="+writePublic(t, newSigner(t)))
		said := func(name string) (prompts []string) {
			s.dialAs(name, ssh.PublicKeys(newSigner(t)), ssh.RetryableAuthMethod(ssh.KeyboardInteractive(func(_, instruction string, questions []string, _ []bool) ([]string, error) {
				prompts = append(prompts, instruction)
				return make([]string, len(questions)), nil
			}), 2))
			return prompts
		}
		known := said("root")
		if len(known) != 2 || !strings.Contains(known[0], "No key you offered is root's.") || known[1] != "Wrong password or code. Please try again." {
			t.Errorf("%s: %q", registration, known)
		}
		if registration == "closed" {
			if unknown := said(longest); strings.ReplaceAll(strings.Join(unknown, "|"), longest, "root") != strings.Join(known, "|") {
				t.Errorf("a name without an account: %q, and with one %q", unknown, known)
			}
		}
		for _, prompt := range append(known, said(longest)...) {
			for line := range strings.SplitSeq(prompt, "\n") {
				if len(line) > 80 {
					t.Errorf("%d columns: %s", len(line), line)
				}
			}
		}
	}
}

// Stock ssh shows why it is turned away, and an admin ends that.
func TestWordsForThoseTurnedAway(t *testing.T) {
	t.Parallel()
	adminKey := keyFile(t, "-t", "ed25519")
	s := startServer(t, "", append(slices.Clone(door), "--admin", "root="+adminKey+".pub")...)
	for range 4 {
		if s.passwordFrom("127.0.0.3", "root", "wrong but long enough") == nil {
			t.Fatal("in")
		}
	}
	from := func(ip string, words ...string) (errs string, code int) {
		_, errs, code = runClient(t, "", "ssh", append([]string{"-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR",
			"-o", "IdentitiesOnly=yes", "-i", adminKey, "-b", ip, "-p", s.port(), "root@127.0.0.1"}, words...)...)
		return errs, code
	}
	if errs, code := from("127.0.0.3", "whoami"); code != 255 || !strings.Contains(errs, "too many failed logins from your address; please try again in ") {
		t.Errorf("exit %d, %q", code, errs)
	}
	if errs, code := from("127.0.0.2", "sources", "forgive", "127.0.0.3"); code != 0 || !strings.Contains(errs, "127.0.0.3 is no longer refused") {
		t.Errorf("forgive: exit %d, %q", code, errs)
	}
	for range 2 { // the second time from a source that is known
		if errs, code := from("127.0.0.3", "whoami"); code != 0 {
			t.Errorf("after that: exit %d, %q", code, errs)
		}
	}
	if errs, code := from("127.0.0.2", "ban", "ip=127.0.0.3", "--force"); code != 0 {
		t.Fatalf("ban: exit %d, %q", code, errs)
	}
	if errs, code := from("127.0.0.3", "whoami"); code != 255 || !strings.Contains(errs, "connections from your address are banned here") {
		t.Errorf("banned: exit %d, %q", code, errs)
	}
}

// Who takes too long to make an account is told so before the connection is closed.
func TestWhoTakesTooLongToRegisterIsTold(t *testing.T) {
	t.Parallel()
	s := startServer(t, "", "--registration-grace-time", "3s")
	byKey := s.login("slow", newSigner(t)).plain(80, 24)
	byPassword, err := s.dialAs("slower", ssh.Password("anything at all"))
	if err != nil {
		t.Fatal(err)
	}
	defer byPassword.Close()
	o := (&user{byPassword, t, s, "slower", nil}).plain(80, 24)
	o.sees("Create it? [y/N]")
	o.typeln("y")
	o.sees("New password:")
	o.sees("no account was created within 3 seconds")
	byKey.sees("Create it? [y/N]")
	byKey.sees("no account was created within 3 seconds. Please connect again.")
	var exit *ssh.ExitError
	if err := <-byKey.ended; !errors.As(err, &exit) || exit.ExitStatus() != 1 {
		t.Errorf("the session ends with %v", err)
	}
}

// A name that cannot be an account's is let in to be told so, by key and by password, and that costs its address nothing.
func TestNamesThatCannotBe(t *testing.T) {
	t.Parallel()
	for _, registration := range []string{"open", "closed"} {
		s := startServer(t, "", append(slices.Clone(door), "--registration", registration, "--address", "NAME@chat.host")...)
		for name, want := range map[string]string{
			"jane.doe": "No account can be named jane.doe: a name is a letter followed by up to 31 of a-z, 0-9, _ and -. Try: ssh jane-doe@chat.host",
			"4real":    "Try: ssh real@chat.host", `DOMAIN\jane`: "Try: ssh jane@chat.host", "josé": "No account can be named josé",
			`CORP\Jane Doe`: "Try: ssh jane-doe@chat.host",
		} {
			for method, auth := range map[string]ssh.AuthMethod{"key": ssh.PublicKeys(newSigner(t)), "password": ssh.Password("anything at all")} {
				for _, line := range []string{"register", "whoami", ""} {
					client, err := s.dialAs(name, auth)
					if err != nil {
						t.Fatalf("%s by %s: %v", name, method, err)
					}
					u := &user{client, t, s, name, nil}
					if line == "" {
						o := u.plain(80, 24)
						o.sees(want)
						var exit *ssh.ExitError
						if err := <-o.ended; !errors.As(err, &exit) || exit.ExitStatus() != 3 {
							t.Errorf("%s by %s: %v", name, method, err)
						}
					} else if _, errs, code := u.exec(line, ""); code != 3 || !strings.Contains(errs, want) {
						t.Errorf("%s by %s: %s: exit %d, %q", name, method, line, code, errs)
					}
					client.Close()
				}
			}
		}
		if strings.Contains(s.log.String(), "login failed") || strings.Contains(s.log.String(), "kept away") {
			t.Errorf("it is counted:\n%s", s.log)
		}
		for range 4 { // nor is what is no name anywhere, though it is let in to nothing
			if s.passwordFrom("127.0.0.1", "a/b", "anything at all") == nil {
				t.Error("let in as a/b")
			}
		}
		if strings.Contains(s.log.String(), "kept away") {
			t.Errorf("it is counted:\n%s", s.log)
		}
	}
}

// Upper case is lower case: people type their names as they write them.
func TestNamesInUpperCase(t *testing.T) {
	t.Parallel()
	s := startServer(t, "", door...)
	key := newSigner(t)
	s.login("Newbie", key).must("register")
	for _, name := range []string{"newbie", "Newbie", "NEWBIE"} {
		if out := s.login(name, key).must("whoami"); !strings.HasPrefix(out, "newbie ") {
			t.Errorf("%s is %q", name, out)
		}
	}
	s.registerByPassword("Paula")
	s.byPassword("PAULA", goodPassword).must("whoami")
}

// An agent offers a key that no account can have, or a certificate, before one that is good.
func TestUnusableKeysAreExplainedAndPassedOver(t *testing.T) {
	t.Parallel()
	s := startServer(t, "", door...)
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Skip(err) // a later Go refuses to make one
	}
	rsaSigner, err := ssh.NewSignerFromKey(weak)
	if err != nil {
		t.Fatal(err)
	}
	sha256, err := ssh.NewSignerWithAlgorithms(rsaSigner.(ssh.AlgorithmSigner), []string{ssh.KeyAlgoRSASHA256})
	if err != nil {
		t.Fatal(err)
	}
	good, authority := newSigner(t), newSigner(t)
	cert := &ssh.Certificate{Key: good.PublicKey(), CertType: ssh.UserCert, ValidBefore: ssh.CertTimeInfinity}
	if err := cert.SignCert(rand.Reader, authority); err != nil {
		t.Fatal(err)
	}
	certSigner, err := ssh.NewCertSigner(cert, good)
	if err != nil {
		t.Fatal(err)
	}
	for name, first := range map[string]ssh.Signer{"weak": sha256, "certified": certSigner} {
		var banner string
		client, err := ssh.Dial("tcp", s.addr, &ssh.ClientConfig{
			User: name, Auth: []ssh.AuthMethod{ssh.PublicKeys(first, good)}, HostKeyCallback: ssh.InsecureIgnoreHostKey(),
			BannerCallback: func(message string) error { banner += message; return nil },
		})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		defer client.Close()
		if !strings.Contains(banner, "your key SHA256:") || !strings.Contains(banner, "is not accepted") {
			t.Errorf("%s: told %q", name, banner)
		}
		(&user{client, t, s, name, nil}).must("register")
		if out := s.login(name, good).must("whoami"); !strings.HasPrefix(out, name+" ") {
			t.Errorf("%s: %q", name, out)
		}
	}
	if strings.Contains(s.log.String(), "ERROR") {
		t.Errorf("the log:\n%s", s.log)
	}
}

// Libraries that bots are made with have neither AES-GCM nor encrypt-then-MAC.
func TestOldLibrariesConnect(t *testing.T) {
	t.Parallel()
	s := startServer(t, "", door...)
	signer := newSigner(t)
	s.login("bot", signer).must("register")
	for _, config := range []ssh.Config{
		{Ciphers: []string{ssh.CipherAES128CTR}, MACs: []string{ssh.HMACSHA256}},
		{Ciphers: []string{ssh.CipherAES256CTR}, MACs: []string{ssh.HMACSHA512}, KeyExchanges: []string{"curve25519-sha256@libssh.org"}},
		{Ciphers: []string{ssh.CipherAES192CTR}, MACs: []string{ssh.HMACSHA256ETM}},
	} {
		c, err := ssh.Dial("tcp", s.addr, &ssh.ClientConfig{
			Config: config, User: "bot", Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)}, HostKeyCallback: ssh.InsecureIgnoreHostKey(),
		})
		if err != nil {
			t.Errorf("%v: %v", config, err)
			continue
		}
		c.Close()
	}
}

func TestParamiko(t *testing.T) {
	t.Parallel()
	s := startServer(t, "", door...)
	key := keyFile(t, "-t", "ed25519")
	s.registerWith(t, "bot", key)
	script := filepath.Join(t.TempDir(), "bot.py")
	if err := os.WriteFile(script, []byte(`
import sys
try:
    import paramiko
except ImportError:
    print("no paramiko")
    sys.exit()
c = paramiko.SSHClient()
c.set_missing_host_key_policy(paramiko.AutoAddPolicy())
c.connect("127.0.0.1", int(sys.argv[1]), username="bot", key_filename=sys.argv[2], allow_agent=False, look_for_keys=False)
_, out, _ = c.exec_command("whoami")
print(out.read().decode(), end="")
c.close()
`), 0o600); err != nil {
		t.Fatal(err)
	}
	out, errs, code := runClient(t, "", "/usr/bin/python3", script, s.port(), key)
	if strings.HasPrefix(out, "no paramiko") {
		if os.Getenv("SSHCHAT_REQUIRE_CLIENTS") == "1" {
			t.Fatal(out)
		}
		t.Skip(out)
	}
	if code != 0 || !strings.HasPrefix(out, "bot ") {
		t.Errorf("exit %d, %q, %q", code, out, errs)
	}
}

// A client with which the server has no algorithm in common is not kept out for trying again, and the operator learns what it
// offered.
func TestFailedKeyExchangesAreLoggedAndForgiven(t *testing.T) {
	t.Parallel()
	s := startServer(t, "", append(slices.Clone(door), "--max-startups", "100:30:100")...)
	for range 40 {
		_, err := s.dialWith("127.0.0.3", ssh.Config{KeyExchanges: []string{ssh.InsecureKeyExchangeDH14SHA1}})
		if err == nil || strings.Contains(err.Error(), "too many") {
			t.Fatalf("refused otherwise: %v", err)
		}
	}
	s.dialWith("127.0.0.4", ssh.Config{Ciphers: []string{ssh.InsecureCipherAES128CBC}})
	for _, want := range []string{
		`key exchange failed source=127.0.0.3 for="key exchange" offered="diffie-hellman-group14-sha1`, `source=127.0.0.4 for="client to server cipher" offered=aes128-cbc`,
	} {
		waitFor(t, want, func() bool { return strings.Contains(s.log.String(), want) })
	}
	if n := strings.Count(s.log.String(), "key exchange failed"); n > 25 {
		t.Errorf("%d lines", n)
	}
	if strings.Contains(s.log.String(), "kept away") {
		t.Errorf("kept away:\n%s", s.log)
	}
}

// dialWith connects with these algorithms, as a name without an account.
func (s *testServer) dialWith(ip string, config ssh.Config) (ssh.Conn, error) {
	s.t.Helper()
	tcp, err := s.dialFrom(ip)
	if err != nil {
		s.t.Fatal(err)
	}
	defer tcp.Close()
	c, _, _, err := ssh.NewClientConn(tcp, s.addr, &ssh.ClientConfig{
		Config: config, User: "old", Auth: []ssh.AuthMethod{ssh.Password("anything at all")}, HostKeyCallback: ssh.InsecureIgnoreHostKey(),
	})
	return c, err
}

// A load balancer that speaks the PROXY protocol is found out, and not taken for all its clients.
func TestProxyHeaderIsRefused(t *testing.T) {
	t.Parallel()
	s := startServer(t, "")
	for _, header := range []string{"PROXY TCP4 192.0.2.1 192.0.2.2 4711 22\r\n", "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x01\xc0\x00\x02\x02\x12\x67\x00\x16"} {
		tcp, err := net.Dial("tcp", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(tcp, header+"SSH-2.0-behind\r\n")
		closes(t, "sends a PROXY header", func() error { _, err := io.Copy(io.Discard, tcp); return err })
		tcp.Close()
	}
	waitFor(t, "two lines of the log", func() bool {
		return strings.Count(s.log.String(), `closed: PROXY header from 127.0.0.1, which is not in proxy-from source=127.0.0.1 `) == 2
	})
}

// I show wrong codes until there is none left for the operator. There is no end of it: my address waits, the operator's does
// not, and SIGHUP prints a new code, with which the old one is void.
func TestAttackClaimIsNotUsedUp(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Identity, "use up the first admin's code")
	s := startProcess(t, "", "--max-registrations", "100") // it is sent a signal
	old := s.claimCode()
	mallory := dialHome(t, s, "mallory", newSigner(t), "127.0.0.3")
	waits := 0
	for i := range 150 {
		_, errs, code := mallory.exec(fmt.Sprintf("claim wrong%d", i), "")
		if code == 0 {
			t.Fatal("claimed")
		}
		if strings.Contains(errs, "too many wrong codes came from your address; try again in ") {
			waits++
		}
	}
	if waits != 140 {
		t.Errorf("%d of 150 wait", waits)
	}
	row.Tried("150 wrong codes from one source")
	row.Held("%d of them are not checked, and the code stays valid; SIGHUP prints a new one", waits)
	if _, _, code := mallory.exec("claim "+old, ""); code == 0 {
		t.Error("the right code is looked at after 150 wrong ones")
	}
	if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "a new code", func() bool { return strings.Count(s.log.String(), " claim ") == 2 })
	_, fresh, _ := strings.Cut(s.log.String()[strings.LastIndex(s.log.String(), " claim "):], " claim ")
	alice := s.login("alice", newSigner(t))
	if _, errs, code := alice.exec("claim "+old, ""); code != 3 || !strings.Contains(errs, "SIGHUP") {
		t.Errorf("the old code: exit %d, %q", code, errs)
	}
	alice.must("claim " + strings.TrimSpace(fresh))
	row.Control("the new code works from another source")
	if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "another reload", func() bool { return strings.Count(s.log.String(), "INFO  reload") == 2 })
	if n := strings.Count(s.log.String(), " claim "); n != 2 {
		t.Errorf("with an admin, %d codes are printed", n)
	}
}

// I register as admin, or what looks like it. The controls: the operator does, by --admin and by claim, and so does an admin.
func TestAttackReservedNamesAtTheDoor(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Identity, "register as admin, server, all and similar names")
	s := startServer(t, "")
	names := []string{"admin", "adm1n", "ad-min", "server", "system", "all", "here", "everyone", "general"}
	for _, name := range names {
		if _, errs, code := s.login(name, newSigner(t)).exec("register", ""); code != 3 || !strings.Contains(errs, "the name "+name+" is reserved") {
			t.Errorf("%s: exit %d, %q", name, code, errs)
		}
	}
	o := s.login("admin", newSigner(t)).plain(100, 24)
	o.sees("is reserved")
	if strings.Contains(o.seen.String(), "Create it?") {
		t.Error("asked whether to make what cannot be made")
	}
	row.Tried("%d names by command, one on a screen", len(names))
	row.Held("refused with the reason, and without further questions")
	key := newSigner(t)
	s.login("admin", key).must("claim " + s.claimCode())
	admin := s.login("admin", key)
	admin.must("user create system " + strings.TrimSpace(string(ssh.MarshalAuthorizedKey(newSigner(t).PublicKey()))))
	s = s.again()
	s.login("admin", key).must("whoami")
	s = startServer(t, "", "--admin", "admin="+writePublic(t, key))
	s.login("admin", key).must("whoami")
	row.Control("--admin, claim and user create can create them")
}

// I ask about a key for a name that nobody has, and then log in as the admin on the same connection, so that it counts as a
// stranger's. Its login is in the audit log, and it is one of the account's connections. The control: without asking.
func TestAttackAskingAsAStrangerFirst(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Identity, "offer a key as a stranger, then log in as an admin")
	key := newSigner(t)
	for what, asks := range map[string]bool{"asking": true, "the control": false} {
		s := startServer(t, "", "--per-account-max-connections", "2", "--admin", "root="+writePublic(t, key))
		var words string
		for range 3 {
			r := s.raw()
			if asks {
				if answer := r.about("nobody", key.PublicKey()); answer != msgKeyIsOK {
					t.Fatalf("a key for a stranger: %d; nothing was tested", answer)
				}
			}
			if answer := r.prove("root", key); answer != msgAuthSuccess {
				t.Fatalf("root: %d", answer)
			}
			words, _ = r.exec("audit --json")
		}
		if !strings.Contains(words, "too many connections by this account") {
			t.Errorf("%s: the third of two connections is served: %q", what, words)
		}
		log, err := os.ReadFile(filepath.Join(s.data, "audit.jsonl"))
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(log), `"do":"login"`); n != 1 { // the same is told once an hour
			t.Errorf("%s: the login is in the audit log %d times", what, n)
		}
	}
	row.Tried("3 connections, with a limit of 2 for an account")
	row.Held("only what was proven last counts: the third is refused, and the login is in the audit log")
	row.Control("the same without the offer")
}

// A server listens wherever it is told to, and its hints name the address that one came to.
func TestSeveralAddresses(t *testing.T) {
	t.Parallel()
	s := startServer(t, "", "--listen", "127.0.0.1:0", "--listen", "127.0.0.2:0")
	waitFor(t, "two addresses", func() bool { return strings.Count(s.log.String(), "listening on ") == 2 })
	signer := newSigner(t)
	for line := range strings.Lines(s.log.String()) {
		addr, listens := strings.CutPrefix(strings.TrimSpace(line), "listening on ")
		if !listens {
			continue
		}
		s.addr = addr
		u := s.login("alice", signer)
		if _, _, code := u.exec("whoami", ""); code != 0 {
			u.must("register")
		}
		host, port, _ := net.SplitHostPort(addr)
		hint := fmt.Sprintf("to create it: ssh -p %s bob@%s register", port, strings.Replace(host, "127.0.0.1", "localhost", 1))
		if _, errs, _ := s.login("bob", newSigner(t)).exec("whoami", ""); !strings.Contains(errs, hint) {
			t.Errorf("at %s a stranger is told %q", addr, errs)
		}
	}
	s.stop()
}

// An admin who makes an account, or adds a key, is told at once where nothing of it opens history.
func TestKeysThatReadNothingAreTold(t *testing.T) {
	t.Parallel()
	reads, blind := newSigner(t), ecdsaSigner(t)
	s := startServer(t, "", "--admin", "root="+writePublic(t, reads))
	root := s.login("root", reads)
	line := func(key ssh.Signer) string {
		return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key.PublicKey())))
	}
	const words = "cannot open sealed history"
	for _, c := range []struct {
		line string
		told bool
	}{
		{"user create ann " + line(newSigner(t)), false}, {"user create ben", false}, {"user create cat " + line(blind), true},
		{"user add-key ann " + line(blind), true}, {"user add-key cat " + line(newSigner(t)), false},
	} {
		if _, errs, code := root.exec(c.line, ""); code != 0 || strings.Contains(errs, words) != c.told {
			t.Errorf("%.20s…: exit %d, %q", c.line, code, errs)
		}
	}
}

func ecdsaSigner(t *testing.T) ssh.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

// While only those on the list are let in, nobody makes an account and is in for having made it. The control: a key, a name
// or an address on the list.
func TestAttackRegisteringAroundTheAllowlist(t *testing.T) {
	row := attack.On(t, attack.Identity, "register while the allowlist is on")
	t.Parallel()
	adminKey, listed := newSigner(t), newSigner(t)
	s := startServer(t, "", "--admin", "root="+writePublic(t, adminKey))
	root := s.login("root", adminKey)
	for _, entry := range []string{"key=" + ssh.FingerprintSHA256(listed.PublicKey()), "ip=192.0.2.0/24"} {
		root.must("allowlist add " + entry)
	}
	root.must("allowlist on")
	code := strings.TrimSpace(root.must("invite create"))
	lines := []string{"register", "register " + code, "help"}
	for _, line := range lines {
		if _, errs, code := s.login("mallory", newSigner(t)).exec(line, ""); code != 3 || !strings.Contains(errs, "only people on the allowlist") {
			t.Errorf("%s: exit %d, %q", line, code, errs)
		}
	}
	if _, _, code := root.exec("user info mallory", ""); code != 4 {
		t.Error("mallory has an account")
	}
	row.Tried("%d commands, one with an invite", len(lines))
	row.Held("refused by the rule that admits logins")
	s.login("ann", listed).must("register")
	root.must("allowlist off")
	s.login("ben", newSigner(t)).must("register")
	row.Control("works with a key on the list, and with the list off")
}

// What an admin decides about registering holds at once, for people who are about to register too: what counts is the order in
// which it is decided. It outlives a restart, and the setting, and reload.
func TestAttackRegisteringAfterTheEnd(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Identity, "register when registration has just been closed")
	adminKey := newSigner(t)
	s := startServer(t, "", "--admin", "root="+writePublic(t, adminKey))
	root := s.login("root", adminKey)
	code := strings.TrimSpace(root.must("invite create --uses 9"))

	asked := s.login("mallory", newSigner(t)).plain(80, 24)
	asked.sees("Create it? [y/N]")
	client, err := s.dialAs("paula", ssh.Password(goodPassword))
	if err != nil {
		t.Fatal(err)
	}
	paula := (&user{client, t, s, "paula", nil}).ask("register")
	paula.sees("New password: ")
	ready := s.login("trudy", newSigner(t))
	var racing sync.WaitGroup
	made := make([]bool, 8)
	for i := range made { // before or after: not both
		racer := s.login(fmt.Sprint("racer", i), newSigner(t))
		racing.Go(func() { _, _, code := racer.exec("register", ""); made[i] = code == 0 })
	}
	root.must("registration closed")
	asked.typeln("y")
	asked.sees("registration is closed; ask an admin for an account")
	paula.typeln(goodPassword)
	paula.sees("Repeat the password: ")
	paula.typeln(goodPassword)
	paula.sees("registration is closed; ask an admin for an account")
	for _, line := range []string{"register", "register " + code} {
		if _, errs, exit := ready.exec(line, ""); exit != 3 || !strings.Contains(errs, "registration is closed") {
			t.Errorf("%s: exit %d, %q", line, exit, errs)
		}
	}
	racing.Wait()
	for i, is := range made {
		if _, _, exit := root.exec(fmt.Sprint("user info racer", i), ""); (exit == 0) != is {
			t.Errorf("racer%d: made %v, exit %d", i, is, exit)
		}
	}
	for _, name := range []string{"mallory", "paula", "trudy"} {
		if _, _, exit := root.exec("user info "+name, ""); exit != 4 {
			t.Errorf("%s has an account", name)
		}
	}
	if list := root.must("invite list"); !strings.Contains(list, "9 uses left") {
		t.Error(list) // no use was taken
	}
	root.must("reload")
	s = s.again("--registration", "open")
	if _, err := s.dialAs("mallory", ssh.PublicKeys(newSigner(t))); err == nil {
		t.Error("a stranger is let in after a restart")
	}
	row.Tried("at the question, at the new password, with a code, in 8 races, and after `reload` and a restart with the setting open")
	row.Held("refused at its place in the order; no use of the invite is taken")
	s.login("root", adminKey).must("registration default")
	s.login("mallory", newSigner(t)).must("register")
	row.Control("after `registration default` it works")
}
