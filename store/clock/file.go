package clock

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"sshchat/store/durable"
)

// saveEvery is how often the trusted time is saved, for the next start.
const saveEvery = time.Hour

// file keeps the trusted time, for the next start: one line of the latest time that was. While the clock is off, it goes
// on with what the clock shows, and for how long it has been so: a server that never runs for a whole day believes it,
// too.
type file struct {
	path  string
	found bool          // there was one to begin with
	quit  chan struct{} // closed by Close; nil until Start
	done  chan struct{} // closed by the saver when it ends
}

// Open makes a clock that continues from the trusted time in a file. A file that cannot be read counts as missing.
// Nothing is written until Start.
func Open(path string, opt Options) *Clock {
	c := New(opt)
	c.file = &file{path: path}
	switch s, err := read(path); {
	case err == nil:
		c.Known(s.latest)
		c.file.found = true
		c.resume(s)
	case !errors.Is(err, fs.ErrNotExist):
		c.opt.Log.Warn("the saved time cannot be read and is written again", "file", path, "err", err)
	}
	return c
}

// Start has the file written, every hour and by Close.
func (c *Clock) Start() {
	c.file.quit, c.file.done = make(chan struct{}), make(chan struct{})
	go c.run()
}

// saved is what the file holds.
type saved struct {
	latest   time.Time
	wallTime time.Time     // zero: the clock was right
	kept     time.Duration // how long it has been off
}

func read(path string) (saved, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return saved{}, err
	}
	return parse(string(b))
}

func parse(line string) (s saved, err error) {
	words := strings.Fields(line)
	if len(words) != 1 && len(words) != 3 {
		return s, fmt.Errorf("%d words, not 1 or 3", len(words))
	}
	if s.latest, err = time.Parse(time.RFC3339, words[0]); err != nil || len(words) == 1 {
		return s, err
	}
	if s.wallTime, err = time.Parse(time.RFC3339, words[1]); err != nil {
		return s, err
	}
	s.kept, err = time.ParseDuration(words[2])
	return s, err
}

func (s saved) line() string {
	line := s.latest.Format(time.RFC3339)
	if !s.wallTime.IsZero() {
		line += " " + s.wallTime.Format(time.RFC3339) + " " + s.kept.Truncate(time.Second).String()
	}
	return line + "\n"
}

// resume continues counting if the clock still differs by the same step.
func (c *Clock) resume(s saved) {
	if s.wallTime.IsZero() {
		return
	}
	since := wall(c.last).Sub(s.wallTime)
	if now := side(wall(c.last).Sub(c.highest)); now == side(s.wallTime.Sub(s.latest)) && since > -MaxStep && since < MaxStep {
		c.off, c.kept = now, min(max(s.kept, 0), Settle)
	}
}

// run is the saver. It ends with Close.
func (c *Clock) run() {
	defer close(c.file.done)
	tick := time.NewTicker(saveEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if err := c.save(); err != nil {
				c.opt.Log.Warn("save the time", "file", c.file.path, "err", err) // it is tried again
			}
		case <-c.file.quit:
			return
		}
	}
}

func (c *Clock) save() error {
	r := c.Read()
	s := saved{latest: r.Latest}
	c.mu.Lock()
	if c.off != right {
		s.wallTime, s.kept = r.Wall, c.kept
	}
	c.mu.Unlock()
	return durable.Swap(durable.OS{}, c.file.path, []byte(s.line()))
}

// Close saves the trusted time, if Start was called, and ends. Call it once.
func (c *Clock) Close() error {
	if c.file == nil || c.file.quit == nil {
		return nil
	}
	close(c.file.quit)
	<-c.file.done
	return c.save()
}
