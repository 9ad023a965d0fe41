//go:build linux

package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"sshchat/sshchat/attack"
	"sshchat/sshchat/handover"

	"golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"
)

// manager is what the server knows of systemd: it is notified, keeps files, and starts the server with them.
type manager struct {
	t    *testing.T
	addr string

	mu    sync.Mutex
	ready bool
	files map[string]*os.File
	order []string // names of files
	heard []string // all lines but those about files

	socket *os.File // of a socket unit: it is passed at each start; nil: none
	env    []string // of the unit
}

func newManager(t *testing.T) *manager {
	t.Helper()
	m := &manager{t: t, addr: filepath.Join(t.TempDir(), "notify"), files: make(map[string]*os.File)}
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: m.addr, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() { // ends when the socket is closed
		state, rights := make([]byte, 4096), make([]byte, 4096)
		for {
			n, nr, _, _, err := conn.ReadMsgUnix(state, rights)
			if err != nil {
				return
			}
			m.take(string(state[:n]), rights[:nr])
		}
	}()
	return m
}

// take does what systemd does with a message (sd_notify(3)).
func (m *manager) take(state string, rights []byte) {
	var fds []int
	if messages, err := syscall.ParseSocketControlMessage(rights); err == nil && len(messages) > 0 {
		fds, _ = syscall.ParseUnixRights(&messages[0])
	}
	said := make(map[string]string)
	for line := range strings.Lines(state) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		said[name] = value
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ready = m.ready || said["READY"] == "1"
	if said["FDNAME"] == "" {
		m.heard = append(m.heard, strings.Split(strings.TrimSuffix(state, "\n"), "\n")...)
	}
	switch name := said["FDNAME"]; {
	case said["FDSTORE"] == "1" && len(fds) == 1:
		poll := []unix.PollFd{{Fd: int32(fds[0])}}
		unix.Poll(poll, 0)
		if said["FDPOLL"] != "0" && poll[0].Revents&(unix.POLLHUP|unix.POLLERR) != 0 {
			break // systemd closes what has hung up
		}
		m.files[name] = os.NewFile(uintptr(fds[0]), name)
		m.order = append(m.order, name)
		return
	case said["FDSTOREREMOVE"] == "1":
		if f := m.files[name]; f != nil {
			f.Close()
			delete(m.files, name)
		}
	}
	for _, fd := range fds {
		unix.Close(fd)
	}
}

// hears reports whether a line that begins so was sent, and forgets all up to it.
func (m *manager) hears(line string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, l := range m.heard {
		if strings.HasPrefix(l, line) {
			m.heard = m.heard[i+1:]
			return true
		}
	}
	return false
}

func (m *manager) kept() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.files)
}

// start starts the server over data, with the files that were kept. They stay open here, until the server has them forgotten.
func (m *manager) start(data string, flags ...string) *testServer {
	m.t.Helper()
	m.mu.Lock()
	var names []string
	var files []*os.File
	if m.socket != nil {
		names, files = append(names, "sshchat.socket"), append(files, duplicate(m.t, m.socket))
	}
	for _, name := range m.order {
		if f := m.files[name]; f != nil { // a copy: the server may have it forgotten while it is still being started
			fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
			if err != nil {
				m.t.Fatal(err)
			}
			names, files = append(names, name), append(files, os.NewFile(uintptr(fd), name))
		}
	}
	m.ready = false
	m.mu.Unlock()
	s := m.startWith(data, names, files, flags...)
	for _, f := range files {
		f.Close()
	}
	waitFor(m.t, "READY=1", func() bool { m.mu.Lock(); defer m.mu.Unlock(); return m.ready })
	return s
}

func (m *manager) startWith(data string, names []string, files []*os.File, flags ...string) *testServer {
	m.t.Helper()
	self, err := os.Executable()
	if err != nil {
		m.t.Fatal(err)
	}
	s := newTestServer(m.t, data)
	s.given = m.socket != nil
	cmd := exec.Command("sh", append([]string{"-c", `LISTEN_PID=$$ exec "$0" "$@"`, self}, s.args(flags)...)...)
	cmd.Env = append(append(os.Environ(), "NOTIFY_SOCKET="+m.addr), m.env...)
	if cmd.ExtraFiles = files; len(files) > 0 {
		cmd.Env = append(cmd.Env, fmt.Sprint("LISTEN_FDS=", len(files)), "LISTEN_FDNAMES="+strings.Join(names, ":"))
	}
	s.start(cmd)
	return s
}

// restartRoom is a server under the manager, with an admin, people in #general and in a private room, and what they said.
func restartRoom(t *testing.T, m *manager) (s *testServer, boss *user, people map[string]*user) {
	t.Helper()
	s = m.start("")
	boss = s.register("boss")
	boss.must("claim " + s.claimCode())
	people = make(map[string]*user)
	for _, name := range []string{"alice", "bob", "carol"} {
		people[name] = s.register(name)
	}
	boss.must("join den")
	boss.must("room set-private den on")
	for _, name := range []string{"bob", "carol"} {
		boss.must("invite " + name + " den")
		people[name].must("join den")
	}
	people["alice"].must("say general word of the picnic")
	people["bob"].must("say general word that is taken back")
	people["bob"].must("say den word in the den")
	people["alice"].must("msg bob word for bob alone")
	return s, boss, people
}

// recalls is what the memory of the server has for somebody.
func (u *user) recalls(s *testServer) string {
	u.t.Helper()
	return s.login(u.name, u.signer).must("search word")
}

// Across a restart by systemd rooms keep their messages. They are passed in memory only, and only once.
func TestRestartBySystemd(t *testing.T) {
	t.Parallel()
	m := newManager(t)
	s, _, people := restartRoom(t, m)
	before := people["bob"].recalls(s)
	if n := strings.Count(before, "word"); n != 4 {
		t.Fatalf("bob finds %d:\n%s", n, before)
	}
	screen := people["alice"].plain(80, 24)
	screen.sees("Welcome")
	s.stop()
	screen.sees("stopping or restarting")
	if m.kept() != 2 {
		t.Fatalf("systemd keeps %d files", m.kept())
	}
	files, err := os.ReadDir(s.data)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if strings.Contains(f.Name(), "rooms") || strings.Contains(f.Name(), "hand") {
			t.Errorf("%s is left in the data folder", f.Name())
		}
	}
	m.mu.Lock()
	again := []*os.File{duplicate(t, m.files[handover.MemoryFile]), duplicate(t, m.files[handover.KeyFile])}
	m.mu.Unlock()

	s = m.start(s.data)
	if after := people["bob"].recalls(s); after != before {
		t.Errorf("after the restart bob finds\n%s\nand before\n%s", after, before)
	}
	if m.kept() != 0 {
		t.Errorf("systemd keeps %d files for ever", m.kept())
	}
	if m := s.login("alice", people["alice"].signer).must("edit general/1 word of the picnics"); m == "" {
		t.Error("what was said before cannot be edited")
	}

	// The same files a second time.
	s.kill()
	s = m.startWith(s.data, []string{handover.MemoryFile, handover.KeyFile}, again)
	if got := people["bob"].recalls(s); strings.Contains(got, "word") {
		t.Errorf("taken twice: %s", got)
	}
	if !strings.Contains(s.log.String(), "taken before") {
		t.Errorf("nobody is told:\n%s", s.log)
	}
}

func duplicate(t *testing.T, f *os.File) *os.File {
	t.Helper()
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		t.Fatal(err)
	}
	file := os.NewFile(uintptr(fd), f.Name())
	t.Cleanup(func() { file.Close() }) // once: the number may be another file's by then
	return file
}

// A crash hands nothing over, and a server that nobody restarts leaves nothing.
func TestCrashHandsNothingOver(t *testing.T) {
	t.Parallel()
	m := newManager(t)
	s, _, people := restartRoom(t, m)
	s.kill()
	if m.kept() != 0 {
		t.Errorf("%d files after kill -9", m.kept())
	}
	s = m.start(s.data)
	if got := people["bob"].recalls(s); strings.Contains(got, "word") {
		t.Errorf("after a crash: %s", got)
	}
	alone := startServer(t, "")
	anna := alone.register("anna")
	anna.must("say general word")
	if alone = alone.again(); strings.Contains(anna.recalls(alone), "word") {
		t.Error("a plain stop keeps what rooms had in memory")
	}
}

// I was banned, or have left a private room, or took something back, between the two processes: the memory of the old one
// must show nothing of it. The control is a restart without a change.
func TestAttackReadOnAfterARestart(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Identity, "read what rooms had in memory before a restart, after a decision that the memory does not know")
	changes := map[string]struct {
		change func(boss *user, people map[string]*user)
		who    string
		words  map[string]bool // what they find after the restart
	}{
		"nothing": {func(*user, map[string]*user) {}, "bob", map[string]bool{"picnic": true, "taken back": true, "den": true, "alone": true}},
		"banned":  {func(boss *user, _ map[string]*user) { boss.must("ban bob") }, "bob", nil},
		"left the private room": {
			func(_ *user, people map[string]*user) { people["bob"].must("part den") },
			"bob", map[string]bool{"picnic": true, "den": false, "alone": true},
		},
		"came back to it": {
			func(boss *user, people map[string]*user) {
				people["bob"].must("part den")
				boss.must("invite bob den")
				people["bob"].must("join den")
			},
			"bob", map[string]bool{"picnic": true, "den": false},
		},
		"a message after the restart's memory": {
			func(_ *user, people map[string]*user) { people["bob"].must("say general word beside it") },
			"alice", map[string]bool{"picnic": false, "taken back": false},
		},
		"deleted": {
			func(boss *user, _ map[string]*user) { boss.must("user delete bob --yes") },
			"bob", nil,
		},
	}
	for what, c := range changes {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			m := newManager(t)
			s, boss, people := restartRoom(t, m)
			s.stop()
			between := startServer(t, s.data) // without the memory
			for _, u := range people {
				*u = *between.login(u.name, u.signer)
			}
			c.change(between.login("boss", boss.signer), people)
			between.stop()
			s = m.start(s.data)
			if c.words == nil {
				out, _, code := "", "", 0
				if in, err := s.dialAs(c.who, ssh.PublicKeys(people[c.who].signer)); err == nil {
					sess, err := in.NewSession()
					if err != nil {
						t.Fatal(err)
					}
					out, _, code = runIn(sess, "search word", "")
				}
				if strings.Contains(out, "word") || code == 0 && out != "" {
					t.Errorf("%s finds %s", c.who, out)
				}
				return
			}
			found := people[c.who].recalls(s)
			for word, want := range c.words {
				if strings.Contains(found, word) != want {
					t.Errorf("%q is found: %v\n%s", word, !want, found)
				}
			}
		})
	}
	row.Tried("%d decisions between the two processes: a ban, a deleted account, a private room left or entered anew, more that was said", len(changes)-1)
	row.Held("only an account that is in the room, and was without a break, sees what it held; a room whose history went on begins empty")
	row.Control("without a decision all of it is there")
}

// A message that was deleted is deleted, whenever that was.
func TestRestartKeepsDeletions(t *testing.T) {
	t.Parallel()
	m := newManager(t)
	s, _, people := restartRoom(t, m)
	people["bob"].must("delete general/2")
	s.stop()
	s = m.start(s.data)
	if got := people["alice"].recalls(s); strings.Contains(got, "taken back") || !strings.Contains(got, "picnic") {
		t.Errorf("alice finds %s", got)
	}
	s.stop()
	between := startServer(t, s.data)
	bob := between.login("bob", people["bob"].signer)
	bob.must("say general word to be deleted")
	bob.must("delete general/4")
	between.stop()
	s = m.start(s.data)
	if got := people["alice"].recalls(s); strings.Contains(got, "deleted") || strings.Contains(got, "picnic") {
		t.Errorf("alice finds %s", got)
	}
}

// An admin restarts the server beside fifty people: each is told, nobody is refused meanwhile, and all of them have the same
// scrollback as before.
func TestRestartBesideFiftySessions(t *testing.T) {
	t.Parallel()
	s := startProcess(t, "")
	boss := s.register("boss")
	boss.must("claim " + s.claimCode())
	people := make([]*user, rounds(t, "SSHCHAT_SESSIONS", 20, 50))
	screens := make([]*openSession, len(people))
	for i := range people {
		people[i] = s.register(fmt.Sprintf("p%02d", i))
		screens[i] = people[i].plain(80, 24)
	}
	screens[0].sees("Welcome")
	var lines strings.Builder
	for i := range 300 { // more than rooms keep when all have left
		fmt.Fprintf(&lines, "word %d\n", i)
	}
	if _, errs, code := people[7].exec("say general -", lines.String()); code != 0 {
		t.Fatal(errs)
	}
	people[8].must("msg p09 word for you alone")
	first := func(u *user) string { return u.must("follow general --since general/0 --count 300") }
	before, direct := first(people[3]), people[9].must("search alone")
	pid := s.cmd.Process.Pid
	boss.must("reload --restart")
	var wait sync.WaitGroup
	for i, o := range screens {
		wait.Go(func() {
			<-o.ended
			if seen := o.seen.String(); !strings.Contains(seen, "The server is restarting.") || !strings.Contains(seen, "You can reconnect at") {
				t.Errorf("p%02d is told: %s", i, seen)
			}
			client, err := s.dialAs(people[i].name, ssh.PublicKeys(people[i].signer)) // at once, and once
			if err != nil {
				t.Errorf("p%02d is refused: %v", i, err)
				return
			}
			defer client.Close()
			sess, err := client.NewSession()
			if err != nil {
				t.Error(err)
				return
			}
			out, errs, code := runIn(sess, "follow general --since general/0 --count 300", "")
			if code != 0 || out != before {
				t.Errorf("p%02d: exit %d, %s, and %d bytes of %d", i, code, errs, len(out), len(before))
			}
		})
	}
	wait.Wait()
	if got := s.login("p09", people[9].signer).must("search alone"); got != direct {
		t.Errorf("the direct message: %s", got)
	}
	if got := s.login("p10", people[10].signer).must("search alone"); got != "" {
		t.Errorf("p10 finds %s", got)
	}
	if s.cmd.Process.Pid != pid || s.cmd.ProcessState != nil {
		t.Error("it is another process")
	}
	acts := s.login("boss", boss.signer).must("audit")
	if !strings.Contains(acts, "boss  reload restart, done") {
		t.Errorf("the audit log:\n%s", acts)
	}
	s.stop()
}

// A program that cannot be started ends nobody's session.
func TestRestartWithADamagedProgram(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	program := filepath.Join(dir, "sshchat")
	if err := os.Symlink(self, program); err != nil {
		t.Fatal(err)
	}
	s := startProgram(t, program, "")
	boss := s.register("boss")
	boss.must("claim " + s.claimCode())
	screen := boss.plain(80, 24)
	screen.sees("Welcome")
	damaged := filepath.Join(dir, "new")
	writeProgram(t, damaged, "#!/bin/sh\necho 'unknown flag: --data' >&2\nexit 2\n")
	if err := os.Rename(damaged, program); err != nil {
		t.Fatal(err)
	}
	if _, errs, code := boss.exec("reload --restart", ""); code != 1 || !strings.Contains(errs, "unknown flag: --data") || !strings.Contains(errs, "goes on as it is") {
		t.Errorf("exit %d, %s", code, errs)
	}
	screen.typeln("still here")
	screen.sees("boss: still here")
	mallory := s.register("mallory")
	if _, _, code := mallory.exec("reload --restart", ""); code != 3 {
		t.Errorf("exit %d for somebody who is no admin", code)
	}
}
