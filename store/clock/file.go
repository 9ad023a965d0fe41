package clock

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"time"

	"sshchat/store/durable"
)

// saveEvery is how often what is believed is written down, for the next start.
const saveEvery = time.Hour

// file keeps the latest time that was believed: one line, as RFC 3339 has it.
type file struct {
	path  string
	found bool          // there was one to begin with
	quit  chan struct{} // closed by Close; nil until Start
	done  chan struct{} // closed by the saver when it ends
}

// Open makes a clock that knows from a file what was believed. A file that cannot be read is as good as none. Nothing is
// written until Start.
func Open(path string, opt Options) *Clock {
	c := New(opt)
	c.file = &file{path: path}
	switch newest, err := read(path); {
	case err == nil:
		c.Known(newest)
		c.file.found = true
	case !errors.Is(err, fs.ErrNotExist):
		c.opt.Log.Warn("what the clock was cannot be read, and is written anew", "file", path, "err", err)
	}
	return c
}

// Start has the file written, every hour and by Close.
func (c *Clock) Start() {
	c.file.quit, c.file.done = make(chan struct{}), make(chan struct{})
	go c.run()
}

func read(path string) (time.Time, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return time.Time{}, err
	}
	return time.Parse(time.RFC3339, strings.TrimSpace(string(b)))
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
				c.opt.Log.Error("write down the time", "file", c.file.path, "err", err) // it is tried again
			}
		case <-c.file.quit:
			return
		}
	}
}

func (c *Clock) save() error {
	latest := c.Read().Latest.Format(time.RFC3339)
	return durable.Swap(durable.OS{}, c.file.path, []byte(latest+"\n"))
}

// Close writes down what is believed, if Start was called, and ends. Call it once.
func (c *Clock) Close() error {
	if c.file == nil || c.file.quit == nil {
		return nil
	}
	close(c.file.quit)
	<-c.file.done
	return c.save()
}
