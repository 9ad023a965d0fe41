// Package sshchat is the chat's SSH server: logins, what a connection may do, and the sessions. It takes what it needs as
// interfaces and signers, and knows nothing of files.
package sshchat

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/command"
	"sshchat/sshchat/drafts"
	"sshchat/sshchat/limit"
	"sshchat/sshchat/view"

	"charm.land/ssh"
	"charm.land/wish/v2"
)

// Passwords checks the password of a name.
type Passwords interface {
	// CheckBoth takes as long for a name without an account or without a password. secret is for Spend, and must be
	// cleared; nil if the account has no second factor.
	CheckBoth(ctx context.Context, name chat.Name, password []byte) (a chat.Account, secret []byte, err error)
	// Spend is the intent to take a code of the second factor, which is taken once.
	Spend(id string, secret []byte, code string) chat.SpendCode
	// Wrong reports whether an error says that a password or code is wrong, and not that nobody looked.
	Wrong(err error) bool
}

// version is what follows "SSH-2.0-" in the server's first line.
const version = "sshchat"

// Config is what a server is made of.
type Config struct {
	HostKeys  HostKeys
	Services  *command.Services
	Passwords Passwords
	Limits    Limits
	Tallies   chat.Tallies // of passwords tried; nil: they are forgotten with the server
	Others    Others       // servers that share the hub's log, whose journal keeps the Tallies; nil: the server is alone
	Log       *slog.Logger
}

// Server serves the chat over SSH.
type Server struct {
	ssh       *ssh.Server
	hostKeys  HostKeys
	services  *command.Services
	passwords Passwords
	log       *slog.Logger

	sourceCounts
	liveSessions
	admission *limit.Admission
	lines     *view.Lines // rendered messages, shared by all sessions
	sweeper   *sweeper    // of stalled writes

	lockAfter time.Duration // how long what somebody unlocked stays so if nothing is typed

	draining     atomic.Bool   // no login and no session any more; set with mu held
	ending       atomic.Int32  // an Ending: what draining is for
	headers      awaited       // connections from load balancers whose PROXY protocol header is awaited
	turningAway  chan struct{} // holds a token for each connection that is being sent the reason for its refusal
	stop         context.Context
	stopSessions context.CancelFunc
	sessions     sync.WaitGroup // sessions that are running; begin adds, so that none is added while it is waited for

	stats           counters
	messages        *limit.RateLimiter[chat.Name] // what people say here
	paces           *limit.RateLimiter[chat.Name] // and on all servers that share the log, while this one orders it
	commands        *limit.RateLimiter[chat.Name] // the commands they use
	changes         *limit.RateLimiter[chat.Name] // those among them that the audit log records, of people without a role
	denials         *limit.RateLimiter[chat.Name] // audit log lines about refusals to them
	failureLog      *pacedLog                     // lines of failed logins
	strangerLog     *pacedLog                     // lines of strangers, and of what could not log in
	sessionLog      *pacedLog                     // lines that sessions cause
	loginLog        *pacedLog                     // lines of logins to accounts
	events          *events                       // events for the audit log besides commands
	strangerDenials *events                       // refusals to people without an account, for the audit log

	mu        sync.Mutex
	listeners []net.Listener     // guarded by mu; none until Serve
	conns     map[*conn]struct{} // guarded by mu; every open connection, logged in or not
	drafts    *drafts.Store      // of people whose connection was lost
	unwritten map[chat.Name]int  // guarded by mu; refusals that the audit log has no line of
}

// view is what is decided, as it stands now.
func (s *Server) view() chat.View { return s.services.Hub.View() }

// keepAttempts has passwords that are tried be counted with what is stored of them.
func keepAttempts(s *Server, c *Config) {
	switch {
	case c.Others != nil:
		s.shareWith(c.Others)
		s.services.Hub.PaceBy(func(ctx context.Context, who chat.Name) error {
			return s.paces.Wait(ctx, who, s.paces.Take(who, time.Now()))
		})
		s.attempts.Share(c.Tallies.Tallies(), s.services.Hub.Attempt)
		s.services.Hub.CountBy(s.attempts)
	case c.Tallies != nil:
		s.attempts.KeepIn(c.Tallies, func(n chat.Name) bool { _, exists := s.view().ByName(n); return exists })
	}
}

// New returns a server, which follows the hub's decisions. Call it before the hub runs. Serve makes it listen.
func New(c Config) (*Server, error) {
	s := &Server{
		hostKeys: c.HostKeys, services: c.Services, passwords: c.Passwords, log: c.Log,
		conns: make(map[*conn]struct{}), lines: &view.Lines{},
		liveSessions: liveSessions{decided: make(chan struct{}, 1), live: make(map[*caller]command.LiveSession)},
		messages:     limit.NewRateLimiter[chat.Name](c.Limits.Messages), paces: limit.NewRateLimiter[chat.Name](c.Limits.Messages), commands: limit.NewRateLimiter[chat.Name](c.Limits.Commands),
		changes: limit.NewRateLimiter[chat.Name](among(c.Limits.Commands, changesAmongCommands)),
		denials: limit.NewRateLimiter[chat.Name](among(c.Limits.Commands, denialsAmongCommands)), unwritten: make(map[chat.Name]int),
		failureLog: newPacedLog(c.Log, time.Now), strangerLog: newPacedLog(c.Log, time.Now), sessionLog: newPacedLog(c.Log, time.Now), loginLog: newPacedLog(c.Log, time.Now), events: newEvents(c.Log, time.Now), strangerDenials: newEvents(c.Log, time.Now),
	}
	s.sourceCounts = newSourceCounts(c.Limits)
	s.lockAfter = lockAfter
	s.sweeper = newSweeper(func() time.Duration { return s.limits().WriteStall })
	s.admission = limit.NewAdmission(c.Limits.AdmissionLimits, s.attempts.Known)
	s.turningAway = make(chan struct{}, maxTurningAway)
	keepAttempts(s, &c)
	s.stop, s.stopSessions = context.WithCancel(context.Background())
	s.drafts = drafts.New(drafts.Lifetime)
	s.services.Hub.Follow(func(before, after chat.View) {
		s.follow(s.services.Hub.Applied()+1, before, after)
		s.reviewDrafts(after)
	})
	var err error
	s.ssh, err = wish.NewServer(
		wish.WithVersion(version),
		func(srv *ssh.Server) error { srv.AddHostKey(c.HostKeys.Signers()[0]); return nil }, // else wish would make one
		wish.WithMiddleware(s.session),
	)
	if err != nil {
		return nil, fmt.Errorf("create the SSH server: %w", err)
	}
	s.ssh.ConnCallback = attach
	s.ssh.ConnectionFailedCallback = s.logNoCommonAlgorithm
	s.ssh.ServerConfigCallback = s.config
	s.ssh.HostSigners = nil // they may change: config adds them to each connection
	s.ssh.RequestHandlers = map[string]ssh.RequestHandler{proveRequest: announcer{s.hostKeys}.answerProofs}
	s.ssh.ChannelHandlers = map[string]ssh.ChannelHandler{"session": s.filterSession}
	return s, nil
}

// SetLimits changes the limits while the server runs. Connections keep the time they were given; sessions keep their rate of
// input. What is counted stays, and more than a new limit allows is not ended.
func (s *Server) SetLimits(l Limits) {
	s.setLimits(l)
	s.admission.SetLimits(l.AdmissionLimits)
	s.messages.SetAllowance(l.Messages)
	s.paces.SetAllowance(l.Messages)
	s.commands.SetAllowance(l.Commands)
	s.changes.SetAllowance(among(l.Commands, changesAmongCommands))
	s.denials.SetAllowance(among(l.Commands, denialsAmongCommands))
}

// Serve accepts connections from all listeners until Shutdown, and returns nil then, or when one of them fails. It accepts by
// itself: the library's Serve races with its Shutdown when that comes first, and would answer port forwarding requests by default.
func (s *Server) Serve(listeners ...net.Listener) error {
	if !s.listenOn(listeners) {
		return nil
	}
	go s.recordVisits()
	go s.expireBans()
	go s.services.Fence.Watch(s.stop, onFence{s})
	ended := make(chan error, len(listeners))
	for _, l := range listeners {
		go func() { ended <- s.acceptFrom(l) }()
	}
	for range listeners {
		if err := <-ended; err != nil {
			return err // Shutdown ends the others
		}
	}
	return nil
}

func (s *Server) acceptFrom(l net.Listener) error {
	told := time.Time{}
	for wait := time.Duration(0); ; {
		nc, err := l.Accept()
		switch {
		case err == nil:
			wait = 0
			go s.serve(nc)
		case s.draining.Load():
			return nil
		case exhausted(err):
			wait = min(max(2*wait, minAcceptWait), maxAcceptWait)
			if time.Since(told) >= time.Minute {
				told = time.Now()
				s.log.Warn("cannot accept connections; trying again", "err", err)
			}
			select {
			case <-time.After(wait):
			case <-s.stop.Done():
			}
		default:
			return fmt.Errorf("accept: %w", err)
		}
	}
}

// exhausted reports whether accepting failed for lack of a resource that may become free again.
func exhausted(err error) bool {
	for _, lacking := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED} {
		if errors.Is(err, lacking) {
			return true
		}
	}
	return false
}

// listenOn notes the listeners for Shutdown to close; it closes them when that has been.
func (s *Server) listenOn(listeners []net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listeners = listeners
	if s.draining.Load() {
		s.closeListeners()
		return false
	}
	return true
}

// closeListeners is called with mu held.
func (s *Server) closeListeners() {
	for _, l := range s.listeners {
		l.Close()
	}
}

// Ending is why a server ends, as its users are told.
type Ending int32

const (
	Stops      Ending = iota
	MayRestart        // whoever stops it may start it again at once
	Restarts
)

// Shutdown takes no new connection, login or session, ends the sessions with a word to each, and then closes
// every connection. When ctx ends first, it closes them at once.
func (s *Server) Shutdown(ctx context.Context, why Ending) {
	s.ending.Store(int32(why))
	s.mu.Lock()
	s.draining.Store(true)
	s.closeListeners()
	s.mu.Unlock()
	s.stopSessions()
	ended := make(chan struct{})
	go func() { s.sessions.Wait(); close(ended) }()
	select {
	case <-ended:
		linger(ctx, s)
	case <-ctx.Done():
	}
	for _, c := range s.openConns() {
		c.Close()
	}
	<-ended
	s.drafts.Close()
	s.sweeper.stop()
}

// linger gives clients a moment to read the last words and close their side.
func linger(ctx context.Context, s *Server) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for len(s.openConns()) > 0 {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// begin counts a session in, unless the server stops.
func (s *Server) addSession() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining.Load() {
		return false
	}
	s.sessions.Add(1)
	return true
}

func (s *Server) openConns() []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	conns := make([]*conn, 0, len(s.conns))
	for c := range s.conns {
		conns = append(conns, c)
	}
	return conns
}

// track registers a connection; it is refused while the server stops.
func (s *Server) track(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining.Load() {
		return false
	}
	s.conns[c] = struct{}{}
	return true
}

func (s *Server) untrack(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}

// recoverPanic keeps a panic to the goroutine it happened in. It must be deferred directly.
func (s *Server) recoverPanic(what, source string) {
	if r := recover(); r != nil {
		s.stats.Panics.Add(1)
		s.sessionLog.write(slog.LevelError, limit.Source{}, "panic", "source", source, "in", what, "panic", r, "stack", string(debug.Stack()))
	}
}
