package natstest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/gofrs/flock"
)

// build makes the server's program, once a process; the go command keeps it in its cache between processes. Processes of
// tests that start at once build it one after the other: the first takes half a minute, the others find it made.
var build = sync.OnceValues(func() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	if err := os.MkdirAll(cache, 0o700); err != nil {
		return "", err
	}
	lock := flock.New(filepath.Join(cache, "sshchat-nats-server.lock"))
	if err := lock.Lock(); err != nil {
		return "", err
	}
	defer lock.Close()
	cmd := exec.Command("go", "tool", "-n", "nats-server") // -n: builds it and prints where it is
	// As .ci/run compiles all but the race detector, whatever compiles this test.
	cmd.Env = append(os.Environ(), "GOFLAGS=-trimpath", "CGO_ENABLED=0", "GOEXPERIMENT=", "GOOS=", "GOARCH=")
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("build nats-server: %w: %s", err, &errs)
	}
	path := strings.TrimSpace(string(out))
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("build nats-server: %w", err)
	}
	return path, nil
})

// server is one process of nats-server, which may be started many times with the same addresses and files.
type server struct {
	name, program, dir, store string
	client, route, monitor    string // host:port

	mu     sync.Mutex
	run    *run // guarded by mu; nil before the first start
	frozen bool // guarded by mu
}

// run is one start of a server.
type run struct {
	process *os.Process
	done    chan struct{} // closed by the goroutine of start when the process has ended
}

func newServer(program, dir string, i int) (*server, error) {
	s := &server{name: fmt.Sprintf("nats-%d", i+1), program: program}
	s.dir = filepath.Join(dir, s.name)
	s.store = filepath.Join(s.dir, "data")
	if err := os.Mkdir(s.dir, 0o700); err != nil {
		return nil, err
	}
	addresses, err := freeAddresses(3)
	if err != nil {
		return nil, err
	}
	s.client, s.route, s.monitor = addresses[0], addresses[1], addresses[2]
	return s, nil
}

// freeAddresses is addresses that nobody listens on. A server takes the same again after a restart, so they must stay free
// meanwhile: if the system has all of 127.0.0.0/8, they are on an address that nothing else uses.
func freeAddresses(count int) ([]string, error) {
	host := "127.0.0.1"
	if runtime.GOOS == "linux" || runtime.GOOS == "windows" {
		host = fmt.Sprintf("127.%d.%d.%d", 1+rand.IntN(254), rand.IntN(256), 1+rand.IntN(254))
	}
	var all []string
	for range count {
		l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
		if err != nil {
			return nil, err
		}
		defer l.Close() // all of them at the end, so that they differ
		all = append(all, l.Addr().String())
	}
	return all, nil
}

func (s *server) path(name string) string { return filepath.ToSlash(filepath.Join(s.dir, name)) }
func (s *server) configFile() string      { return filepath.Join(s.dir, "nats.conf") }
func (s *server) logFile() string         { return filepath.Join(s.dir, "log") }

// host is the address that the server listens on, without a port.
func (s *server) host() string {
	host, _, _ := net.SplitHostPort(s.client) // which net.Listen has made
	return host
}

// start starts the process. If the system can, the process ends with the test's, however that ends: Linux ties it to the
// thread that started it, which is therefore kept until the process has ended.
func (s *server) start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.run != nil && !closed(s.run.done) {
		return fmt.Errorf("start %s: it is running", s.name)
	}
	log, err := os.OpenFile(s.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(s.program, "--config", s.configFile())
	cmd.Stderr = log
	cmd.SysProcAttr = endWithParent()
	started := make(chan error, 1)
	r := &run{done: make(chan struct{})}
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // why it ended is in its log
		}
		close(r.done)
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("start %s: %w", s.name, err)
	}
	r.process = cmd.Process
	s.run, s.frozen = r, false
	return nil
}

// kill ends the process, running or frozen, and waits until it has ended; nothing if it has ended already.
func (s *server) kill() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.run == nil || closed(s.run.done) {
		return nil
	}
	if err := s.run.process.Kill(); err != nil {
		return fmt.Errorf("kill %s: %w", s.name, err)
	}
	<-s.run.done
	return nil
}

// freeze returns when nothing in the process runs any more.
func (s *server) freeze() error {
	if err := s.signal("freeze", freezeSignal, true); err != nil {
		return err
	}
	if err := waitStopped(s.pid()); err != nil {
		return fmt.Errorf("freeze %s: %w", s.name, err)
	}
	return nil
}

func (s *server) thaw() error { return s.signal("thaw", thawSignal, false) }

func (s *server) signal(what string, signal os.Signal, frozen bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.run == nil || closed(s.run.done) {
		return fmt.Errorf("%s %s: it is not running", what, s.name)
	}
	if err := s.run.process.Signal(signal); err != nil {
		return fmt.Errorf("%s %s: %w", what, s.name, err)
	}
	s.frozen = frozen
	return nil
}

func (s *server) lameDuck(within time.Duration) error {
	if err := s.signal("lame duck", lameDuckSignal, false); err != nil {
		return err
	}
	s.mu.Lock()
	done := s.run.done
	s.mu.Unlock()
	select {
	case <-done:
		return nil
	case <-time.After(within):
		return fmt.Errorf("lame duck %s: it has not ended after %v", s.name, within)
	}
}

// silent is whether the server cannot answer: it has ended, or it is frozen.
func (s *server) silent() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.run == nil || closed(s.run.done) || s.frozen
}

func (s *server) ended() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.run == nil || closed(s.run.done)
}

func (s *server) pid() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.run.process.Pid
}

func closed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
