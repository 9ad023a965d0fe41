// Command bench drives chat servers with many real SSH sessions on 127.0.0.1 and prints one table: this project's
// server in its three faces, beside two yardsticks that are as small as such a server can be.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// options are the flags.
type options struct {
	servers, scenarios string
	sessions           int
	senders, workers   int
	stalled            int
	deliveries         int
	idle, deliver      time.Duration
	saturate, login    time.Duration
	json               string
	profile, phase     string
}

func (o *options) parse(args []string) error {
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.StringVar(&o.servers, "servers", "full,plain,pipe,gliderlabs,bare", "columns")
	f.StringVar(&o.scenarios, "scenarios", "memory,load,login", "what to measure")
	f.IntVar(&o.sessions, "n", 1000, "sessions that read")
	f.IntVar(&o.senders, "senders", 16, "sessions that speak")
	f.IntVar(&o.workers, "workers", 8, "logins at once")
	f.IntVar(&o.stalled, "stalled", 3, "readers that stall")
	f.IntVar(&o.deliveries, "deliveries", 10000, "deliveries a second at the steady rate")
	f.DurationVar(&o.idle, "idle", 30*time.Second, "how long nothing happens; a server may ask for a sign of life every 30s")
	f.DurationVar(&o.deliver, "deliver", 8*time.Second, "how long messages come at the steady rate, each time")
	f.DurationVar(&o.saturate, "saturate", 10*time.Second, "how long they come as fast as they can")
	f.DurationVar(&o.login, "login", 3*time.Second, "how long people log in, each time")
	f.StringVar(&o.json, "json", "", "write the figures to this file too")
	f.StringVar(&o.profile, "profile", "", "write profiles of sshchat to this name with .cpu, .heap and .goroutine")
	f.StringVar(&o.phase, "phase", "deliver", "what to profile: idle, deliver, saturate, login or login-beside")
	if err := f.Parse(args); err != nil {
		return err
	}
	if o.sessions < 1 || o.sessions > 9999 || o.senders < 1 || o.senders > 255 || o.workers < 1 || o.deliveries < 1 {
		return fmt.Errorf("-n is 1 to 9999, -senders 1 to 255, -workers and -deliveries at least 1")
	}
	return nil
}

// bench is one run.
type bench struct {
	options
	programs *programs
	cast     *cast
	table    *table
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	b := &bench{}
	if err := b.options.parse(args); err != nil {
		return err
	}
	debug.SetGCPercent(400) // our own garbage shares the processor with the servers
	folder, err := os.MkdirTemp("", "sshchat-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	ts, err := chosen(b.servers)
	if err != nil {
		return err
	}
	b.table = newTable(ts)
	if b.cast, err = newCast(b.options); err != nil {
		return err
	}
	b.say("build")
	if b.programs, err = buildPrograms(folder, b.profile); err != nil {
		return err
	}
	if err := b.besideStrangers(func() { b.runScenarios(ts) }); err != nil {
		return err
	}
	b.table.markdown(os.Stdout)
	if b.json != "" {
		return b.table.writeJSON(b.json, b.options)
	}
	return nil
}

// besideStrangers notes how busy the machine was with something else: delays and rates are only as good as it was idle.
func (b *bench) besideStrangers(do func()) error {
	before, err := strangers()
	if err != nil {
		return err
	}
	begin := time.Now()
	do()
	after, err := strangers()
	b.table.note("%.0f %% of a core went to other programs meanwhile, of %d cores",
		100*(after-before).Seconds()/time.Since(begin).Seconds(), runtime.NumCPU())
	return err
}

// runScenarios measures what was asked for. What fails is noted, and the rest goes on.
func (b *bench) runScenarios(ts []target) {
	wanted := strings.Split(b.scenarios, ",")
	if slices.Contains(wanted, "memory") {
		all := ts
		if slices.ContainsFunc(ts, func(t target) bool { return t.name == subject }) {
			all = append(slices.Clip(ts), large)
		}
		if err := measureMemory(b, all); err != nil {
			b.table.note("memory: %v", err)
		}
	}
	for _, t := range ts {
		if slices.Contains(wanted, "load") {
			b.failed(t, measureLoad(b, t))
		}
	}
	for _, t := range ts {
		if slices.Contains(wanted, "login") {
			b.failed(t, measureLogins(b, t))
		}
	}
}

// failed notes an error, if it is one.
func (b *bench) failed(t target, err error) {
	if err != nil {
		b.table.note("%s: %v", t.name, err)
	}
}

func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%s  %s\n", time.Since(clock).Round(time.Second), fmt.Sprintf(format, args...))
}

// profiled does what is measured, and has the server write profiles of it if this is what was asked for.
func (b *bench) profiled(c *crowd, phase string, do func() (flow, error)) (f flow, err error) {
	err = b.profiling(c, phase, func() error { f, err = do(); return err })
	return f, err
}

func (b *bench) profiledLogins(c *crowd, phase string) (p pace, err error) {
	err = b.profiling(c, phase, func() error { p, err = c.logins(b.login); return err })
	return p, err
}

func (b *bench) profiling(c *crowd, phase string, do func() error) error {
	if b.profile == "" || phase != b.phase || c.target.program != product {
		return do()
	}
	if err := c.profile(); err != nil {
		return err
	}
	if err := do(); err != nil {
		return err
	}
	return c.profile()
}
