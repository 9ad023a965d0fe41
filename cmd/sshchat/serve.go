package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"time"

	"sshchat/sshchat"
	"sshchat/sshchat/chat"
	"sshchat/sshchat/command"
	"sshchat/sshchat/journald"
	"sshchat/sshchat/listen"
	"sshchat/sshchat/systemd"
	"sshchat/sshchat/text"
	"sshchat/store"

	"charm.land/log/v2"
	"github.com/spf13/cobra"
)

// stopTime is how long sessions have to end when the server is told to stop.
const stopTime = 8 * time.Second

func serveCommand() *cobra.Command {
	helpAll := false
	cmd := &cobra.Command{
		Use: "sshchat", Short: "a chat server for any SSH client; only its readers can open the history",
		Args: atMost(0), SilenceUsage: true, SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if helpAll {
				printHelpAll(cmd.OutOrStdout())
				return nil
			}
			s, err := sourcesOf(cmd).load()
			if err != nil {
				return err
			}
			if _, _, err := s.hostKeyFile(); err != nil { // config check may run where there are no credentials
				return err
			}
			if err := s.checkClusterFiles(); err != nil {
				return err
			}
			return serve(cmd.Context(), s, cmd.ErrOrStderr())
		},
	}
	cobras := cmd.HelpFunc()
	cmd.SetHelpFunc(func(of *cobra.Command, args []string) {
		if of == cmd {
			printHelp(of.OutOrStdout(), of)
		} else {
			cobras(of, args)
		}
	})
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		said := command.FlagError(err)
		if said == "unknown flag --port" || said == "unknown flag -p" { // as other servers have it
			said += "; write --listen :2222"
		}
		return &badSetting{fmt.Sprintf("%s (see %s --help)", said, cmd.CommandPath())}
	})
	addFlags(cmd.Flags())
	cmd.Flags().BoolVar(&helpAll, "help-all", false, "list all settings")
	return cmd
}

// sourcesOf is where the settings of a command with the server's flags come from.
func sourcesOf(cmd *cobra.Command) sources { return sources{cmd.Flags(), os.Environ()} }

// serve runs the server until ctx ends or it cannot go on. It returns nil after an orderly stop.
func serve(ctx context.Context, s *settings, stderr io.Writer) error {
	before := inherit()
	defer before.close()
	// Whatever cannot be had is found out before anything is made.
	listeners, metricsListener, err := openListeners(s, before)
	if err != nil {
		return err
	}
	defer listen.Close(listeners)
	if metricsListener != nil {
		defer metricsListener.Close()
	}
	collectOften()
	logger := newLog(s, stderr)
	s.warn(logger.Warn)
	if err := s.protect(); err != nil {
		return err
	}
	used := inUse(s.data)
	folder, err := store.HoldFolder(s.data)
	if err != nil {
		return err
	}
	defer release(folder, logger)
	if err := s.awaitServers(ctx, logger); err != nil {
		return stopped(ctx, err)
	}
	st, err := openStores(s, logger)
	if err != nil {
		return err
	}
	defer st.close(logger)
	keys, err := openHostKeys(s, used, stderr, logger)
	if err != nil {
		return err
	}
	auditLog := signedLog{st.audit, auditKey{keys}}
	if err := auditLog.begin(logger, len(s.cluster.servers) > 0); err != nil {
		return err
	}
	defer auditLog.end(logger)
	hub, node, err := st.openHub(ctx, s, logger)
	if err != nil {
		return err
	}
	before.restore(hub, logger)
	shown, err := shareKeys(ctx, keys, node, hub, logger)
	if err != nil {
		return err
	}
	services := newServices(s, st, hub, shown, logger)
	node.equip(ctx, services, auditLog)
	server, err := sshchat.New(sshchat.Config{
		HostKeys: shown, Services: services, Passwords: st.users, Limits: s.limits, Tallies: st.state, Others: node.others(), Log: logger,
	})
	if err != nil {
		return err
	}
	maintain(services, server, node, s, st, shown)
	again := newRestart()
	services.Restart = again.ask
	watched := &metrics{server: server, hub: hub, node: node, keys: shown, st: st, data: s.data}
	if metricsListener != nil {
		fmt.Fprintf(stderr, "metrics at http://%s/metrics\n", metricsListener.Addr())
		defer watched.serve(metricsListener, logger)()
	}
	claim := newClaims(services, s.data, stderr, reachedAt(listeners), node != nil, logger)
	running := runHub(hub, node)
	if err := st.begin(ctx, s, shown, logger); err != nil {
		return errors.Join(err, running.end())
	}
	defer reloadOnHangup(services, logger, func() { claim.renew(ctx) })()
	announce(stderr, listeners, claim)
	return runServer(ctx, watched, running, listeners, again, logger)
}

// protect keeps the memory from other processes of the same user, unless the settings say otherwise.
func (s *settings) protect() error {
	if s.dumpable {
		return nil
	}
	return protect()
}

// maintain lets commands work on the server itself and on its data folder.
func maintain(services *command.Services, server *sshchat.Server, of *node, s *settings, st *stores, keys ring) {
	services.Live, services.LoginAttempts, services.Sources = of.sessions(server), server, server
	services.Backup = func(ctx context.Context, w io.Writer, hostKeys bool) error {
		return backup(ctx, w, st, s.data, hostKeys)
	}
	running := &runningSettings{now: s, server: server, services: services, warn: services.Log.Warn}
	services.Reload = func(ctx context.Context) ([]string, error) {
		changed, unread := running.reload()
		done, err := reload(ctx, st, keys)
		return append(changed, done...), errors.Join(unread, err)
	}
}

// announce tells the operator that the server is ready, where, and how to become its admin while there is none.
func announce(stderr io.Writer, listeners []*listen.Listener, claim *claims) {
	for _, l := range listeners {
		by := ""
		if l.Given() {
			by = " (opened by systemd)"
		}
		fmt.Fprintf(stderr, "listening on %s%s\n", l, by)
	}
	claim.announce()
}

// reachedAt is the address that hints are made of: the first of TCP, if there is one.
func reachedAt(listeners []*listen.Listener) net.Addr {
	for _, l := range listeners {
		if tcp, ok := l.Addr().(*net.TCPAddr); ok {
			return tcp
		}
	}
	return listeners[0].Addr()
}

// openListeners takes the addresses: all of them, or none. If systemd passes sockets, and no address is set, there are only
// these. The second result is nil without --metrics.
func openListeners(s *settings, before *heritage) (chat []*listen.Listener, metrics net.Listener, err error) {
	addresses := s.listen
	if before.sockets.Given() && !s.origins["listen"].set() {
		addresses = nil
	}
	if chat, err = before.sockets.Open(addresses); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", s.origins["listen"].String("listen"), err)
	}
	if metrics, err = listenMetrics(s.metrics, s.metricsAllow); err != nil {
		listen.Close(chat)
		return nil, nil, err
	}
	return chat, metrics, nil
}

// collectOften has the heap grow by less than Go's default before it is collected, unless the environment says how.
// Most of what the server holds is sessions that do nothing: headroom would be a good part of what each costs, and
// collecting oftener costs little while little is allocated.
func collectOften() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(40)
	}
}

// runningHub is a hub that runs until end is called, or until it fails.
type runningHub struct {
	*chat.Hub
	node  *node // nil: there is no cluster
	stop  context.CancelFunc
	ended chan struct{} // closed when it has ended, after err is set
	err   error
}

func runHub(hub *chat.Hub, node *node) *runningHub {
	ctx, stop := context.WithCancel(context.Background())
	r := &runningHub{Hub: hub, node: node, stop: stop, ended: make(chan struct{})}
	go func() {
		r.err = hub.Run(ctx)
		close(r.ended)
	}()
	node.run()
	return r
}

// end has what was said committed, and returns why the hub ended if that was a failure.
func (r *runningHub) end() error {
	r.node.note()
	r.stop()
	r.node.stopping(stopTime / 2)
	<-r.ended
	return errors.Join(r.err, r.node.end())
}

// runServer runs the server until ctx ends, an admin has it restart, or it or the hub fails, and ends both in order: sessions
// first, then what they had said is committed, and handed over to the process that comes next.
func runServer(ctx context.Context, watched *metrics, hub *runningHub, listeners []*listen.Listener, again *restart, logger *slog.Logger) error {
	server, served := watched.server, make(chan error, 1)
	go func() { served <- server.Serve(onNet(listeners)...) }()
	watched.serving.Store(true)
	notify(systemd.Ready, logger)
	stopWatch := systemd.Watch(func() string { return status(server, hub.Hub) }, watched.alive, logger)
	var failed error
	how := sshchat.Stops
	select {
	case <-ctx.Done():
		logger.Info("stopping")
		if err := systemd.Stopping(); err == nil && systemd.KeepsFiles() {
			how = sshchat.MayRestart
		}
	case <-again.asked:
		logger.Info("restarting", "program", again.program)
		how = sshchat.Restarts
		notify(systemd.Reloading, logger)
		again.begin(listeners)
	case <-hub.ended:
	case failed = <-served:
	}
	watched.serving.Store(false)
	stopWatch()
	if how != sshchat.Stops {
		hub.KeepMemory()
	}
	timeout, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	hub.node.stopping(stopTime) // sessions wait until what they said is stored, and the NATS servers may be gone
	server.Shutdown(timeout, how)
	if failed = errors.Join(failed, hub.end()); failed != nil {
		return failed
	}
	again.handOver(hub.Hub, how, logger)
	if how == sshchat.Restarts {
		return again
	}
	return nil
}

// status is the line that systemctl status shows.
func status(server *sshchat.Server, hub *chat.Hub) string {
	return text.Count(server.Stats().Sessions, "session") + ", " + text.Count(hub.CountRooms(), "room")
}

// onNet is the listeners as the server takes them.
func onNet(all []*listen.Listener) []net.Listener {
	listeners := make([]net.Listener, len(all))
	for i, l := range all {
		listeners[i] = l
	}
	return listeners
}

// newLog is the operator's log: lines of text or JSON on stderr, or fields in the systemd journal if stderr leads there.
func newLog(s *settings, stderr io.Writer) *slog.Logger {
	s.setLevel()
	lines := func(w io.Writer, time bool) slog.Handler {
		o := log.Options{ReportTimestamp: time, TimeFormat: timeFormat, Level: log.DebugLevel}
		if s.logFormat == "json" {
			o.Formatter = log.JSONFormatter
		}
		return log.NewWithOptions(w, o)
	}
	handler := lines(stderr, true)
	if s.logFormat != "json" && inJournal(stderr) {
		clean := func(value string) string { return text.Clean(value, maxField) }
		h, err := journald.New(journalSocket, "sshchat", stderr, clean, func(w io.Writer) slog.Handler { return lines(text.NewWriter(w), false) })
		if err == nil { // else the journal reads the lines
			handler = h
		}
	}
	logger := slog.New(leveled{handler, s.level})
	slog.SetDefault(logger) // the SSH library logs there
	return logger
}

const (
	timeFormat = time.RFC3339
	maxField   = 64 << 10 // bytes of one field in the journal
)

var journalSocket = journald.Socket // tests have another

// inJournal reports whether what is written to w goes to the systemd journal.
func inJournal(w io.Writer) bool {
	if wraps, ok := w.(interface{ Unwrap() io.Writer }); ok {
		w = wraps.Unwrap()
	}
	f, ok := w.(*os.File)
	return ok && journald.Stream(f)
}

// setLevel applies the setting log-level to the log.
func (s *settings) setLevel() {
	if err := s.level.UnmarshalText([]byte(s.logLevel)); err != nil {
		panic("internal error: an unknown log level: " + err.Error()) // the setting takes no other words
	}
}

// leveled is a log whose level may change.
type leveled struct {
	slog.Handler
	level *slog.LevelVar
}

func (l leveled) Enabled(_ context.Context, level slog.Level) bool { return level >= l.level.Level() }

func (l leveled) WithAttrs(attrs []slog.Attr) slog.Handler {
	return leveled{l.Handler.WithAttrs(attrs), l.level}
}

func (l leveled) WithGroup(name string) slog.Handler {
	return leveled{l.Handler.WithGroup(name), l.level}
}

func newServices(s *settings, st *stores, hub *chat.Hub, keys ring, logger *slog.Logger) *command.Services {
	claim := &command.Claim{}
	if !hub.View().HasAdmin() && len(s.admins) == 0 {
		claim = command.NewClaim()
	}
	services := &command.Services{
		Hub: hub, Accounts: userAccounts{st.users}, Passwords: st.users, SecondFactor: st.users, History: sealed{st.history}, Readers: command.NewReaders(runtime.GOMAXPROCS(0) / 2), Claim: claim, Commands: command.NewRegistry(),
		ServerName: s.name, Themes: sshchat.Themes(), Version: version(),
		HostKeys: keys, Sign: keys.sign, Log: logger,
	}
	services.SetEntrance(s.entrance())
	return services
}
