package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/ed25519"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"sshchat/store/durable/testdisk"

	"golang.org/x/crypto/ssh"
)

// TestMain makes the test binary the server itself where a test starts it so: tests run against the real program,
// in a process of its own that can be killed.
func TestMain(m *testing.M) {
	if !long {
		accountsFlush = 10 * time.Millisecond
	}
	if os.Getenv("SSHCHAT_TEST_MAIN") == "1" {
		os.Unsetenv("SSHCHAT_TEST_MAIN")
		journalSocket = cmp.Or(os.Getenv("SSHCHAT_TEST_JOURNAL"), journalSocket)
		environment = func() []string { return append(os.Environ(), "SSHCHAT_TEST_MAIN=1") }
		main()
		return
	}
	testdisk.InMemory()
	replaceProcess = func(string, []string, []string, map[string]*os.File) error { return errors.New("this is a test") }
	if os.Getenv("GOGC") == "" { // a good part of the time would go to garbage, of servers that are here and end soon
		os.Setenv("GOGC", "400")
		debug.SetGCPercent(400)
	}
	flag.Parse()
	parallel := true
	flag.Visit(func(f *flag.Flag) { parallel = parallel && f.Name != "test.parallel" })
	if parallel { // tests mostly wait: for another process, or for a limit on time to end
		flag.Set("test.parallel", strconv.Itoa(4*runtime.GOMAXPROCS(0)))
	}
	code := m.Run()
	for _, folder := range removeAtEnd {
		os.RemoveAll(folder)
	}
	os.Exit(code)
}

// removeAtEnd is the folders that tests share.
var removeAtEnd []string

// long is whether tests take all the time they want, as in .ci/run: more rounds of what is random, real attacks for as
// long as they last, and a server that writes changes of accounts as seldom as people's do.
var long = os.Getenv("SSHCHAT_LONG") != ""

// many is long but under the race detector: it finds in few rounds what it finds in many, and takes ten times as long. The many are
// run without it.
var many = long && !raceDetector()

// patience is how long a test waits for what must come; nothing passes or fails by being faster. It is for a machine that
// is busy with other things, too.
const patience = 2 * time.Minute

// rounds is how often a test does what differs each time: as often as the variable says, often with SSHCHAT_LONG=1, and a few times
// otherwise and under the race detector.
func rounds(t testing.TB, variable string, few, often int) int {
	t.Helper()
	value := os.Getenv(variable)
	switch {
	case value == "" && many:
		return often
	case value == "":
		return few
	}
	n, err := strconv.Atoi(value)
	if err != nil {
		t.Fatalf("%s: %v", variable, err)
	}
	return n
}

// testServer is a server that a test has to itself.
type testServer struct {
	t        testing.TB
	addr     string
	data     string
	log      *logBuffer
	via      string        // a load balancer's address: clients that say where they come from come via it
	given    bool          // it listens on what it is passed
	cmd      *exec.Cmd     // nil if it runs in this process
	stopHere func()        // of one that does
	ended    chan struct{} // closed when it has ended, and all its log is read
	code     int           // its exit code then
	clients  *clients      // who is logged in
}

// clients are the connections of people who log in, and how many sessions each has.
type clients struct {
	mu       sync.Mutex
	sessions map[*ssh.Client]int // guarded by mu
}

// add counts sessions of a client that begin, or, if n is negative, end.
func (c *clients) add(client *ssh.Client, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sessions[client] += n
}

// hangUp closes the connections without a session once the server is stopping, as clients do; it would give each of them a second.
func (s *testServer) hangUp() {
	waitFor(s.t, "server that stops", func() bool {
		select {
		case <-s.ended:
			return true
		default:
			return strings.Contains(s.log.String(), "stopping")
		}
	})
	s.clients.mu.Lock()
	defer s.clients.mu.Unlock()
	for client, sessions := range s.clients.sessions {
		if sessions == 0 {
			client.Close()
		}
	}
}

// logBuffer is the server's standard error.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// tail is the last so many lines.
func (l *logBuffer) tail(lines int) string {
	all := strings.SplitAfter(strings.TrimSuffix(l.String(), "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "")
}

// unhurried lifts the limits on how fast and how slow people are, for tests that are about something else and hurry, or
// run on a machine that is busy.
var unhurried = []string{
	"--message-burst", "1000000", "--message-rate", "1e6", "--command-burst", "1000000", "--command-rate", "1e6",
	"--password-delay-after", "1000000", "--max-password-failures", "1000000", "--fail-delay", "0s", "--per-source-penalties=false",
	"--max-startups", "10000", "--per-source-max-startups", "10000", "--per-account-max-connections", "10000",
	"--per-source-max-connections", "10000", "--per-source-max-registrations", "1000", "--max-new-accounts", "100000", "--per-source-max-new-accounts", "100000",
	"--input-burst", "100000000", "--input-rate", "1e9", "--key-query-burst", "1000000", "--key-query-rate", "1e6",
	"--login-grace-time", "10m", "--key-exchange-timeout", "10m", "--unused-connection-timeout", "10m", "--session-start-timeout", "10m",
	"--registration-grace-time", "10m",
}

// startServer starts a server on a free port over data ("" for a new folder) and waits until it listens. It is in this
// process, as most tests take less time than a process takes to start; with SSHCHAT_LONG=1 it is one of its own, but not under the race
// detector, for which a race in this process fails the test.
func startServer(t testing.TB, data string, flags ...string) *testServer {
	t.Helper()
	if many {
		return startProcess(t, data, flags...)
	}
	s := newTestServer(t, data)
	ctx, stop := context.WithCancel(context.Background())
	s.stopHere, s.ended = stop, make(chan struct{})
	go func() {
		defer close(s.ended)
		s.code = run(ctx, s.args(flags), strings.NewReader(""), io.Discard, s.log)
	}()
	t.Cleanup(func() { stop(); s.wait() })
	s.waitReady()
	return s
}

// startProcess starts a server that can be killed, whose memory is its own, or that takes much of the processor.
func startProcess(t testing.TB, data string, flags ...string) *testServer {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return startProgram(t, self, data, flags...)
}

func startProgram(t testing.TB, program, data string, flags ...string) *testServer {
	t.Helper()
	s := newTestServer(t, data)
	s.start(exec.Command(program, s.args(flags)...))
	return s
}

// start starts the server by a command, which may have an environment of its own, and waits until it listens.
func (s *testServer) start(cmd *exec.Cmd) {
	t := s.t
	t.Helper()
	s.cmd = cmd
	s.cmd.Env = append(cmd.Environ(), "SSHCHAT_TEST_MAIN=1", "GOGC=") // its memory is as people's servers have it
	stderr, err := s.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.ended = make(chan struct{})
	go func() {
		defer close(s.ended)
		io.Copy(s.log, stderr)
		s.cmd.Wait()
		s.code = s.cmd.ProcessState.ExitCode()
	}()
	t.Cleanup(s.kill)
	s.waitReady()
}

func newTestServer(t testing.TB, data string) *testServer {
	t.Helper()
	if data == "" {
		data = filepath.Join(t.TempDir(), "data")
	}
	s := &testServer{t: t, data: data, log: &logBuffer{}, clients: &clients{sessions: make(map[*ssh.Client]int)}}
	t.Cleanup(func() { // after the server's own, so it is all there
		if at := strings.Index(s.log.String(), "WARNING: DATA RACE"); at >= 0 {
			t.Errorf("a race in the server at %s:\n%s", s.addr, s.log.String()[at:])
		}
		if t.Failed() {
			t.Logf("the end of the log of the server at %s:\n%s", s.addr, s.log.tail(40))
		}
	})
	return s
}

func (s *testServer) args(flags []string) []string {
	if !slices.Contains(flags, "--listen") && !s.given {
		flags = append([]string{"--listen", "127.0.0.1:0"}, flags...)
	}
	return slices.Concat([]string{"--data", s.data, "--work-factor", "8"}, unhurried, flags)
}

// waitReady waits for the line that says where the server listens.
func (s *testServer) waitReady() {
	s.t.Helper()
	waitFor(s.t, "server that listens", func() bool {
		select {
		case <-s.ended:
			s.t.Fatalf("the server ended:\n%s", s.log)
		default:
		}
		_, rest, _ := strings.Cut("\n"+s.log.String(), "\nlistening on ")
		line, _, whole := strings.Cut(rest, "\n")
		s.addr, _, _ = strings.Cut(line, " ")
		return whole
	})
}

var lastPort atomic.Int64

// ownPort is a free address that stays free between two servers of a test: the kernel gives it to nobody, as it is below
// the ports from which it takes those for ":0" and for clients.
func ownPort(t testing.TB) string {
	t.Helper()
	for range 1000 {
		address := fmt.Sprint("127.0.0.1:", 20_000+(int64(os.Getpid())*100+lastPort.Add(1))%12_000)
		if l, err := net.Listen("tcp", address); err == nil {
			l.Close()
			return address
		}
	}
	t.Fatal("no free port")
	return ""
}

// claimCode waits for the claim code.
func (s *testServer) claimCode() string {
	s.t.Helper()
	var code string
	waitFor(s.t, "a claim code", func() bool {
		_, rest, ok := strings.Cut(s.log.String(), " claim ")
		code = strings.TrimSpace(strings.SplitN(rest, "\n", 2)[0])
		return ok && strings.Contains(rest, "\n")
	})
	return code
}

func (s *testServer) port() string {
	_, port, err := net.SplitHostPort(s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	return port
}

// stop ends the server in order; it must exit 0.
func (s *testServer) stop() {
	s.t.Helper()
	s.terminate()
	s.hangUp()
	if err := s.wait(); err != nil {
		s.t.Fatalf("after SIGTERM: %v\n%s", err, s.log)
	}
}

// terminate tells the server to end.
func (s *testServer) terminate() {
	s.t.Helper()
	if s.cmd == nil {
		s.stopHere() // as main does at SIGTERM
	} else if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		s.t.Fatal(err)
	}
}

// again stops the server and starts one over its data, with other flags.
func (s *testServer) again(flags ...string) *testServer {
	s.t.Helper()
	s.stop()
	return startServer(s.t, s.data, flags...)
}

// wait waits for the server's end.
func (s *testServer) wait() error {
	select {
	case <-s.ended:
	case <-time.After(patience):
		return errors.New("it does not end")
	}
	if s.code != 0 {
		return fmt.Errorf("exit code %d", s.code)
	}
	return nil
}

// kill ends the server as a power cut would, were it not for the kernel. It must be a process.
func (s *testServer) kill() {
	s.cmd.Process.Kill()
	s.wait()
}

// waitFor waits until ok says so. It asks seldom what takes long to come: asking may be a process, or a login.
func waitFor(t testing.TB, what string, ok func() bool) {
	t.Helper()
	end := time.Now().Add(patience)
	for pause := time.Millisecond; !ok(); pause = min(pause*3/2, 50*time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("no %s in %v", what, patience)
		}
		time.Sleep(pause)
	}
}

// writeProgram writes a script that a test runs. Nothing is started meanwhile: a process that inherits the open file keeps it from
// being run for as long ("text file busy", go.dev/issue/22315).
func writeProgram(t testing.TB, path, text string) {
	t.Helper()
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
}

// writeKey makes an ed25519 key in a file and returns its path.
func writeKey(t testing.TB) string {
	t.Helper()
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// newSigner makes an ed25519 key.
func newSigner(t testing.TB) ssh.Signer {
	t.Helper()
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

// dialAs opens a connection.
func (s *testServer) dialAs(name string, auth ...ssh.AuthMethod) (*ssh.Client, error) {
	return ssh.Dial("tcp", s.addr, &ssh.ClientConfig{
		User: name, Auth: auth, HostKeyCallback: ssh.InsecureIgnoreHostKey(), Timeout: patience,
	})
}

// user is somebody with a key and a connection.
type user struct {
	*ssh.Client
	t      testing.TB
	server *testServer
	name   string
	signer ssh.Signer
}

// login connects with a key the account has, or that is to register.
func (s *testServer) login(name string, signer ssh.Signer) *user {
	s.t.Helper()
	client, err := s.dialAs(name, ssh.PublicKeys(signer))
	if err != nil {
		s.t.Fatalf("login as %s: %v\n%s", name, err, s.log)
	}
	s.t.Cleanup(func() { client.Close() })
	s.clients.add(client, 0)
	return &user{client, s.t, s, name, signer}
}

// register makes an account with a new key and connects to it.
func (s *testServer) register(name string) *user {
	s.t.Helper()
	signer := newSigner(s.t)
	u := s.login(name, signer)
	if out, errs, code := u.exec("register", ""); code != 0 {
		s.t.Fatalf("register %s: exit %d, %s%s", name, code, out, errs)
	}
	u.Close()
	return s.login(name, signer)
}

// exec runs a command and returns what it printed, and its exit code; -1 where it had none.
func (u *user) exec(line, stdin string) (stdout, stderr string, code int) {
	u.t.Helper()
	sess, err := u.NewSession()
	if err != nil {
		u.t.Fatalf("%s: session: %v", u.name, err)
	}
	defer u.server.clients.add(u.Client, -1)
	return runIn(sess, line, stdin)
}

// NewSession opens a channel for a session.
func (u *user) NewSession() (*ssh.Session, error) {
	u.server.clients.add(u.Client, 1)
	return u.Client.NewSession()
}

// at is the user with no connection to a server over the same data.
func (u *user) at(s *testServer) *user { return &user{nil, u.t, s, u.name, u.signer} }

// soon logs in and runs a command that succeeds, as often as it takes: where a test has made the limits on time short, a
// busy machine is now and then too slow for them.
func (u *user) soon(line string) *user {
	u.t.Helper()
	var in *user
	waitFor(u.t, u.name+" to get in and "+line, func() bool {
		client, err := u.server.dialAs(u.name, ssh.PublicKeys(u.signer))
		if err != nil {
			return false
		}
		u.t.Cleanup(func() { client.Close() })
		sess, err := client.NewSession()
		if err != nil {
			return false
		}
		in = &user{client, u.t, u.server, u.name, u.signer}
		_, _, code := runIn(sess, line, "")
		return code == 0
	})
	return in
}

func runIn(sess *ssh.Session, line, stdin string) (stdout, stderr string, code int) {
	defer sess.Close()
	var out, errs bytes.Buffer
	sess.Stdout, sess.Stderr, sess.Stdin = &out, &errs, strings.NewReader(stdin)
	err := sess.Run(line)
	var exit *ssh.ExitError
	switch {
	case err == nil:
		return out.String(), errs.String(), 0
	case errors.As(err, &exit):
		return out.String(), errs.String(), exit.ExitStatus()
	}
	return out.String(), errs.String() + err.Error(), -1
}

// must runs a command that has to succeed and returns its standard output.
func (u *user) must(line string) string {
	u.t.Helper()
	out, errs, code := u.exec(line, "")
	if code != 0 {
		u.t.Fatalf("%s: %s: exit %d\n%s%s", u.name, line, code, out, errs)
	}
	return out
}

// session is an open shell, and everything it has shown.
type openSession struct {
	*ssh.Session
	u     *user
	typed io.WriteCloser
	enter string // what the Enter key sends
	seen  *logBuffer
	ended chan error
}

// pipe opens a session without a terminal, and waits until it is there: it prints nothing that one could wait for.
func (u *user) pipe() *openSession {
	u.t.Helper()
	o := u.startPipe()
	u.here(u.name)
	return o
}

// startPipe is pipe for a session that may end at once.
func (u *user) startPipe() *openSession {
	return u.open("\n", func(*ssh.Session) error { return nil })
}

// plain opens a session on a terminal that has no escape sequences.
func (u *user) plain(width, height int) *openSession { return u.terminal("dumb", width, height) }

// terminal opens a session on the named terminal.
func (u *user) terminal(term string, width, height int) *openSession {
	return u.open("\r", func(s *ssh.Session) error { return s.RequestPty(term, height, width, ssh.TerminalModes{}) })
}

func (u *user) open(enter string, prepare func(*ssh.Session) error) *openSession {
	u.t.Helper()
	return u.start(enter, func(s *ssh.Session) error { return errors.Join(prepare(s), s.Shell()) })
}

// run runs a command whose standard input stays open.
func (u *user) run(line string) *openSession {
	u.t.Helper()
	return u.start("\n", func(s *ssh.Session) error { return s.Start(line) })
}

// ask runs a command on a terminal.
func (u *user) ask(line string) *openSession {
	u.t.Helper()
	return u.start("\r", func(s *ssh.Session) error {
		return errors.Join(s.RequestPty("dumb", 24, 80, ssh.TerminalModes{}), s.Start(line))
	})
}

// start opens a session that begin starts something in, and keeps its input open.
func (u *user) start(enter string, begin func(*ssh.Session) error) *openSession {
	u.t.Helper()
	sess, err := u.NewSession()
	if err != nil {
		u.t.Fatal(err)
	}
	o := &openSession{Session: sess, u: u, enter: enter, seen: &logBuffer{}, ended: make(chan error, 1)}
	sess.Stdout, sess.Stderr = o.seen, o.seen
	if o.typed, err = sess.StdinPipe(); err != nil {
		u.t.Fatal(err)
	}
	if err := begin(sess); err != nil {
		u.t.Fatal(err)
	}
	go func() { o.ended <- sess.Wait() }()
	u.t.Cleanup(func() { sess.Close() })
	return o
}

// typeln types text and Enter.
func (o *openSession) typeln(text string) {
	o.u.t.Helper()
	if _, err := io.WriteString(o.typed, text+o.enter); err != nil {
		o.u.t.Fatalf("%s types %q: %v", o.u.name, text, err)
	}
}

// sees waits until text has been shown.
func (o *openSession) sees(text string) {
	o.u.t.Helper()
	waitFor(o.u.t, fmt.Sprintf("%q on %s's screen:\n%s\n", text, o.u.name, o.seen), func() bool {
		return strings.Contains(o.seen.String(), text)
	})
}

// here waits until the name is in the room with an open session.
func (u *user) here(name string) {
	u.t.Helper()
	waitFor(u.t, name+" to be here", func() bool {
		for line := range strings.Lines(u.must("who general")) {
			if f := strings.Fields(line); len(f) == 2 && f[0] == name && f[1] == "online" {
				return true
			}
		}
		return false
	})
}

// client finds a real client, or skips the test by its name; under SSHCHAT_REQUIRE_CLIENTS=1 it must be there.
func client(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	if os.Getenv("SSHCHAT_REQUIRE_CLIENTS") == "1" {
		t.Fatalf("%s is required and not installed", name)
	}
	t.Skipf("%s is not installed", name)
	return ""
}

// runClient runs a real client with input, and returns what it printed and its exit code.
func runClient(t testing.TB, stdin string, name string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, client(t, name), args...)
	cmd.Env = append(os.Environ(), "SSH_AUTH_SOCK=", "HOME="+t.TempDir())
	cmd.Stdin = strings.NewReader(stdin)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%s: %v\n%s", name, err, errs.String())
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}
