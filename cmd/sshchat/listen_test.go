//go:build linux

package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"sshchat/sshchat/attack"

	"golang.org/x/crypto/ssh"
)

// socketPath is a path for a Unix socket: those of t.TempDir may be too long for one.
func socketPath(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "sshchat-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "chat.sock")
}

// byUnix tries to log in through a Unix socket, from an end that has the name; "" for none.
func byUnix(path, from, name string, auth ssh.AuthMethod) (*ssh.Client, error) {
	var local *net.UnixAddr
	if from != "" {
		defer os.Remove(from)
		local = &net.UnixAddr{Name: from, Net: "unix"}
	}
	conn, err := net.DialUnix("unix", local, &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	c, channels, requests, err := ssh.NewClientConn(conn, path, &ssh.ClientConfig{
		User: name, Auth: []ssh.AuthMethod{auth}, HostKeyCallback: ssh.InsecureIgnoreHostKey(),
	})
	if err != nil {
		conn.Close()
		return nil, err
	}
	return ssh.NewClient(c, channels, requests), nil
}

// throughUnix logs the user in through a Unix socket.
func (u *user) throughUnix(path string) *user {
	u.t.Helper()
	client, err := byUnix(path, "", u.name, ssh.PublicKeys(u.signer))
	if err != nil {
		u.t.Fatal(err)
	}
	u.t.Cleanup(func() { client.Close() })
	return &user{client, u.t, u.server, u.name, u.signer}
}

// The chat is served on a Unix socket as on a port, and a planned restart keeps both.
func TestUnixSocketIsServed(t *testing.T) {
	t.Parallel()
	path := socketPath(t)
	s := startProcess(t, "", "--listen", "127.0.0.1:0", "--listen", "unix:"+path)
	waitFor(t, "both addresses", func() bool { return strings.Contains(s.log.String(), "listening on unix:"+path+"\n") })
	boss := s.register("boss")
	boss.must("claim " + s.claimCode())
	alice := s.register("alice")
	in := alice.throughUnix(path)
	in.must("say general by a socket")
	screen := in.plain(80, 24)
	screen.sees("by a socket")
	if out := boss.must("sessions"); !strings.Contains(out, "alice") || !strings.Contains(out, "unix") {
		t.Errorf("sessions:\n%s", out)
	}
	if out := boss.must("sessions --json"); !strings.Contains(out, `"address":"unix"`) || !strings.Contains(out, `"address":"127.0.0.1"`) {
		t.Errorf("sessions --json:\n%s", out)
	}
	bob := (&user{nil, t, s, "bob", newSigner(t)}).throughUnix(path)
	if _, errs, _ := bob.exec("whoami", ""); !strings.Contains(errs, "ssh -o ProxyCommand='nc -U "+path+"' bob@localhost register") {
		t.Errorf("a stranger is told %q", errs)
	}
	boss.must("reload --restart")
	<-screen.ended
	alice.throughUnix(path).must("say general after a restart")
	s.login("alice", alice.signer).must("whoami")
	s.stop()
	if _, err := os.Lstat(path); err == nil {
		t.Error("the socket is left after the end")
	}
}

// I connect through a Unix socket, and name my end of it as a new address each time, or as the owner's. Each of my guesses counts against
// one source all the same, and I am not where the owner has logged in from. The control: real addresses are sources of their own.
func TestAttackNamesOfUnixClients(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Guessing, "connect through a Unix socket, whose other end is named like an IP address")
	path := socketPath(t)
	s := startServer(t, "", append(guarded, "--listen", "127.0.0.1:0", "--listen", "unix:"+path)...)
	boss := s.register("boss")
	boss.must("claim " + s.claimCode())
	s.registerByPassword("paula")
	const tries = 8
	refused := 0
	// The names have no slash: they are files in the folder of the test, for a moment.
	for i := range tries {
		if _, err := byUnix(path, fmt.Sprintf("198.51.100.%d:22", i), "paula", ssh.Password("wrong but long enough")); err == nil {
			t.Fatal("a wrong password is right")
		} else if strings.Contains(err.Error(), "too many failed logins") {
			refused++
		}
	}
	if refused < tries/2 {
		t.Errorf("%d of %d are refused", refused, tries)
	}
	if out := boss.must("sources list"); !strings.Contains(out, "unix ") || strings.Contains(out, "198.51.100") {
		t.Errorf("sources:\n%s", out)
	}
	if log := s.log.String(); strings.Contains(log, "198.51.100") || !strings.Contains(log, "login failed source=unix") {
		t.Errorf("the log:\n%s", log)
	}
	boss.must("sources forgive unix")
	if out := boss.must("sources list"); strings.Contains(out, "unix ") {
		t.Errorf("forgiven:\n%s", out)
	}
	row.Tried("%d wrong passwords, each from an end with another address as its name", tries)
	row.Held("all of them count as one source, unix")
	row.Control("%d from as many real addresses are all heard", tries)
	for i := range tries {
		if err := s.passwordFrom(fmt.Sprintf("127.0.1.%d", i+1), "paula", "wrong but long enough"); err == nil || strings.Contains(err.Error(), "too many failed logins") {
			t.Errorf("from an address of its own: %v", err)
		}
	}
}

// One address that cannot be had: nothing is served, nothing is made, and the message names it.
func TestOneBadAddressFailsTheStart(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	path := socketPath(t)
	for _, bad := range []string{taken.Addr().String(), "192.0.2.1:2222", "unix:/nowhere/at/all/chat.sock", "unix:" + filepath.Dir(path)} {
		data := filepath.Join(t.TempDir(), "data")
		_, errs, code := runHere(t, "--data", data, "--listen", "127.0.0.1:0", "--listen", "unix:"+path, "--listen", bad)
		if code != 1 || !strings.Contains(errs, "--listen: "+bad+": ") || strings.Contains(errs, "listening on") {
			t.Errorf("%s: exit %d, %s", bad, code, errs)
		}
		for _, made := range []string{data, path} {
			if _, err := os.Lstat(made); err == nil {
				t.Errorf("%s: %s was made", bad, made)
			}
		}
	}
}

// The setting takes several addresses in each of its sources.
func TestListenTakesSeveralAddresses(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "sshchat.toml")
	if err := os.WriteFile(file, []byte(`listen = [":2022", "unix:/run/sshchat/chat.sock"]`), 0o600); err != nil {
		t.Fatal(err)
	}
	const want = `listen = [":2022", "unix:/run/sshchat/chat.sock"]`
	words := []string{":2022", "unix:/run/sshchat/chat.sock"}
	for _, c := range []struct{ args, env []string }{
		{[]string{"--listen", words[0], "--listen", words[1]}, nil},
		{[]string{"--listen", strings.Join(words, ",")}, nil},
		{[]string{"--config", file}, nil},
		{nil, []string{"SSHCHAT_LISTEN=" + strings.Join(words, ",")}},
		{nil, []string{"SSHCHAT_LISTEN=" + strings.Join(words, " ")}},
		{nil, []string{"SSHCHAT_LISTEN=" + strings.Join(words, ", ")}},
	} {
		cmd := serveCommand()
		if err := cmd.ParseFlags(c.args); err != nil {
			t.Fatal(err)
		}
		s, err := sources{cmd.Flags(), c.env}.load()
		if err != nil {
			t.Errorf("%v %v: %v", c.args, c.env, err)
			continue
		}
		var printed strings.Builder
		s.print(&printed)
		if !strings.Contains(printed.String(), want) {
			t.Errorf("%v %v: %v", c.args, c.env, s.listen)
		}
	}
	if _, errs, code := runHere(t, "config", "check", "--listen", ":2022", "--listen", ":2022"); code != 2 || !strings.Contains(errs, ":2022 is set twice") {
		t.Errorf("twice: exit %d, %s", code, errs)
	}
}

// listening is a socket as a socket unit has it, and its address.
func listening(t *testing.T) (*os.File, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	file, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return file, l.Addr().String()
}

// systemd has opened the port, which takes rights that the server does not have. The server serves it, and nothing else if no address
// is set; it keeps it when it restarts itself, and has it passed again, beside what rooms had in memory, when systemd restarts it.
func TestSocketActivation(t *testing.T) {
	t.Parallel()
	m := newManager(t)
	var address string
	m.socket, address = listening(t)
	s := m.start("")
	if log := s.log.String(); !strings.Contains(log, "listening on "+address+" (opened by systemd)\n") || strings.Count(log, "listening on") != 1 {
		t.Fatalf("the log:\n%s", log)
	}
	boss := s.register("boss")
	boss.must("claim " + s.claimCode())
	boss.must("say general word of the picnic")
	screen := boss.plain(80, 24)
	boss.must("reload --restart")
	<-screen.ended
	if got := boss.recalls(s); !strings.Contains(got, "picnic") {
		t.Errorf("after its own restart: %s", got)
	}
	waitFor(t, "both starts in the log", func() bool {
		return strings.Count(s.log.String(), "listening on "+address+" (opened by systemd)\n") == 2
	})
	s.stop()
	if m.kept() != 2 {
		t.Fatalf("systemd keeps %d files", m.kept())
	}
	s = m.start(s.data)
	if s.addr != address {
		t.Errorf("it listens on %s", s.addr)
	}
	if got := boss.recalls(s); !strings.Contains(got, "picnic") {
		t.Errorf("after a restart by systemd: %s", got)
	}
	s.stop()

	// Addresses that are set are opened beside it, and the same one is not opened again.
	s = m.start(s.data, "--listen", address, "--listen", "127.0.0.1:0")
	waitFor(t, "another address", func() bool { return strings.Count(s.log.String(), "listening on ") == 2 })
	s.stop()
}

// systemd hears what the server does: that it is ready, how many people are there, that it is alive, that it reads its settings
// again, and that it stops.
func TestSystemdHearsWhatHappens(t *testing.T) {
	t.Parallel()
	m := newManager(t)
	m.env = []string{"WATCHDOG_USEC=400000"}
	s := m.start("")
	for _, line := range []string{"READY=1", "WATCHDOG=1", "STATUS=0 sessions, 1 room", "WATCHDOG=1"} {
		waitFor(t, line, func() bool { return m.hears(line) })
	}
	alice := s.register("alice")
	alice.plain(80, 24).sees("Welcome")
	waitFor(t, "the status", func() bool { return m.hears("STATUS=1 session, 1 room") })
	if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"RELOADING=1", "MONOTONIC_USEC=", "READY=1", "WATCHDOG=1"} {
		waitFor(t, line, func() bool { return m.hears(line) })
	}
	s.stop()
	waitFor(t, "STOPPING=1", func() bool { return m.hears("STOPPING=1") })
}
