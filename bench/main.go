// Command bench drives chat servers with many real SSH sessions on 127.0.0.1 and prints two tables: the figures of this
// project's server in its three faces, beside another chat server and two yardsticks that are as small as such a server
// can be, and its targets.
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
	runs               int
	json, compare      string
	newer              string // compared in place of a run
	profile, phase     string
}

func (o *options) parse(args []string) error {
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.StringVar(&o.servers, "servers", "full,plain,pipe,ssh-chat,gliderlabs,bare", "columns")
	f.StringVar(&o.scenarios, "scenarios", "memory,load,login", "what to measure; also growth, rooms, and all")
	f.IntVar(&o.sessions, "n", 1000, "sessions that read")
	f.IntVar(&o.senders, "senders", 16, "sessions that speak")
	f.IntVar(&o.workers, "workers", 8, "logins at once")
	f.IntVar(&o.stalled, "stalled", 3, "readers that stall")
	f.IntVar(&o.deliveries, "deliveries", 10000, "deliveries a second at the steady rate")
	f.DurationVar(&o.idle, "idle", 30*time.Second, "how long nothing happens; a server may ask for a sign of life every 30s")
	f.DurationVar(&o.deliver, "deliver", 8*time.Second, "how long messages come at the steady rate, each time")
	f.DurationVar(&o.saturate, "saturate", 10*time.Second, "how long they come as fast as they can")
	f.DurationVar(&o.login, "login", 3*time.Second, "how long people log in, each time")
	f.IntVar(&o.runs, "runs", 1, "how often to measure all of it; the medians are printed")
	f.StringVar(&o.compare, "compare", "", "compare with the figures that -json wrote to this file; with another file as argument, compare the two and measure nothing")
	f.StringVar(&o.json, "json", "", "write the figures to this file too")
	f.StringVar(&o.profile, "profile", "", "write profiles of sshchat to this name with .cpu, .heap and .goroutine")
	f.StringVar(&o.phase, "phase", "deliver", "what to profile: idle, deliver, saturate, login or login-beside")
	if err := f.Parse(args); err != nil {
		return err
	}
	if o.sessions < 1 || o.sessions > 9999 || o.senders < 1 || o.senders > 255 || o.workers < 1 || o.deliveries < 1 {
		return fmt.Errorf("-n is 1 to 9999, -senders 1 to 255, -workers and -deliveries at least 1")
	}
	if o.scenarios == "all" {
		o.scenarios = strings.Join(scenarios, ",")
	}
	for name := range strings.SplitSeq(o.scenarios, ",") {
		if !slices.Contains(scenarios, name) {
			return fmt.Errorf("no scenario is called %q: there are %s and all", name, strings.Join(scenarios, ", "))
		}
	}
	if o.wants("growth") && 4*o.sessions > 9999 {
		return fmt.Errorf("the scenario growth takes four times the sessions: -n is at most 2499")
	}
	o.newer = f.Arg(0)
	if o.runs < 1 || f.NArg() > 1 || o.newer != "" && o.compare == "" {
		return fmt.Errorf("-runs is at least 1, and a file is compared with another: -compare OLD.json NEW.json")
	}
	return nil
}

var scenarios = []string{"memory", "load", "login", "growth", "rooms"}

func (o *options) wants(scenario string) bool {
	return slices.Contains(strings.Split(o.scenarios, ","), scenario)
}

// bench is what measures.
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
	var old report
	if b.compare != "" {
		var err error
		if old, err = readReport(b.compare); err != nil {
			return err
		}
	}
	if b.newer != "" {
		now, err := readReport(b.newer)
		if err == nil {
			compare(os.Stdout, old, now)
		}
		return err
	}
	if err := b.measure(); err != nil {
		return err
	}
	b.table.markdown(os.Stdout)
	now := b.table.report(b.options)
	if b.compare != "" {
		compare(os.Stdout, old, now)
	}
	if b.json != "" {
		return now.write(b.json)
	}
	return nil
}

// measure builds the servers and measures what was asked for, as often as it was.
func (b *bench) measure() error {
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
	isOther := func(t target) bool { return t.program == other }
	if b.programs, err = buildPrograms(folder, b.profile, slices.ContainsFunc(ts, isOther)); err != nil {
		return err
	}
	if b.programs.missing != nil {
		b.table.missing[other] = true
		b.table.note("%s could not be built: %v", other, b.programs.missing)
		ts = slices.DeleteFunc(ts, isOther)
	}
	return b.besideStrangers(func() {
		for i := range b.runs {
			if b.runs > 1 {
				b.say("run %d of %d", i+1, b.runs)
			}
			b.table.nextRun()
			b.runScenarios(ts)
		}
	})
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
	if b.wants("memory") {
		all := ts
		if slices.ContainsFunc(ts, func(t target) bool { return t.name == subject }) {
			all = append(slices.Clip(ts), large)
		}
		if err := measureMemory(b, all); err != nil {
			b.table.note("memory: %v", err)
		}
	}
	for _, scenario := range []struct {
		name    string
		measure func(*bench, target) error
	}{{"load", measureLoad}, {"login", measureLogins}, {"growth", measureGrowth}, {"rooms", measureRooms}} {
		for _, t := range ts {
			if b.wants(scenario.name) && (scenario.name != "rooms" || t.program == product) {
				b.failed(t, scenario.measure(b, t))
			}
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
