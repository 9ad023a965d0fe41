package clock

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const day = 24 * time.Hour

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// machine is a computer whose wall clock can be wrong.
type machine struct {
	wallTime time.Time
	ran      time.Duration
}

func (m *machine) run(d time.Duration)  { m.wallTime, m.ran = m.wallTime.Add(d), m.ran+d }
func (m *machine) step(d time.Duration) { m.wallTime = m.wallTime.Add(d) }

func (m *machine) options() Options {
	return Options{Now: func() time.Time { return m.wallTime }, Elapsed: func() time.Duration { return m.ran }}
}

// start starts the clock of a machine.
func start(wallTime, known time.Time) (*machine, *Clock) {
	m := &machine{wallTime: wallTime}
	c := New(m.options())
	c.Known(known)
	return m, c
}

// want holds the clock to what it believes, and to what it would write down.
func want(t *testing.T, c *Clock, believed, stamp time.Time) {
	t.Helper()
	if r := c.Read(); !r.Trusted.Equal(believed) || !r.Stamp.Equal(stamp) {
		t.Errorf("shown is %v; believed is %v, want %v; written down is %v, want %v", r.Wall, r.Trusted, believed, r.Stamp, stamp)
	}
}

func TestRightClockIsBelieved(t *testing.T) {
	t.Parallel()
	m, c := start(noon, noon.Add(-3*day))
	want(t, c, noon, noon)
	for range 400 {
		m.run(day)
		want(t, c, m.wallTime, m.wallTime)
	}
	m.step(13 * day)
	want(t, c, m.wallTime, m.wallTime)
	m.step(-day)
	want(t, c, m.wallTime, m.wallTime)
}

func TestStepOfWeeksIsNotBelievedUntilItIsKept(t *testing.T) {
	t.Parallel()
	m, c := start(noon, time.Time{})
	m.step(90 * day)
	want(t, c, noon, m.wallTime)
	m.run(time.Hour)
	want(t, c, noon.Add(time.Hour), m.wallTime)
	m.step(-90 * day)
	want(t, c, noon.Add(time.Hour), m.wallTime)
	m.step(90 * day) // the day begins anew
	want(t, c, noon.Add(time.Hour), m.wallTime)
	m.run(23 * time.Hour)
	want(t, c, noon.Add(day), m.wallTime)
	m.run(time.Hour)
	want(t, c, m.wallTime, m.wallTime)
	m.step(-90 * day) // and is taken back
	if got := c.Read().Latest; !got.Equal(noon.Add(91*day + time.Hour)) {
		t.Errorf("the latest is %v", got)
	}
	want(t, c, m.wallTime, noon.Add(91*day+time.Hour))
	m.run(day)
	want(t, c, m.wallTime, m.wallTime)
	if got := c.Read().Latest; !got.Equal(m.wallTime) {
		t.Errorf("the latest is %v, a day after the clock was put right", got)
	}
}

// A machine without a battery starts in the past, and is right a minute later.
func TestClockThatStartsBehind(t *testing.T) {
	t.Parallel()
	yesterday := noon.Add(-day)
	m, c := start(time.Date(2006, 1, 2, 0, 0, 0, 0, time.UTC), yesterday)
	want(t, c, m.wallTime, yesterday)
	m.run(time.Minute)
	m.wallTime = noon
	want(t, c, noon, noon)
	if r := c.Read(); !r.Latest.Equal(noon) || r.Ran != time.Minute {
		t.Errorf("the latest is %v, after %v", r.Latest, r.Ran)
	}
}

// The same machine, new: nothing is known, so the right clock looks like a step.
func TestNewMachineThatStartsBehind(t *testing.T) {
	t.Parallel()
	past := time.Date(2006, 1, 2, 0, 0, 0, 0, time.UTC)
	m, c := start(past, time.Time{})
	m.run(time.Minute)
	m.wallTime = noon
	want(t, c, past.Add(time.Minute), noon)
	m.run(day)
	want(t, c, m.wallTime, m.wallTime)
}

// The clock remembers over a restart what was believed, and other files do not know better.
func TestClockRemembers(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "clock")
	m := &machine{wallTime: noon}
	open := func() *Clock {
		c := Open(path, m.options())
		c.Known(m.wallTime) // as a file is that was written by the wrong clock
		c.Start()
		return c
	}
	shut := func(c *Clock) {
		t.Helper()
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := Open(path, m.options()).Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(path); err == nil {
		t.Error("a server that did not start has written the file")
	}
	shut(open())
	m.step(365 * day)
	for range 3 {
		c := open()
		want(t, c, noon.Add(m.ran), m.wallTime)
		m.run(time.Hour)
		shut(c)
	}
	m.step(-365 * day)
	c := open()
	want(t, c, m.wallTime, m.wallTime)
	shut(c)
	for _, bad := range []string{"", "yesterday\n", "\x00\x00", "2026-11-25T12:00:00Z x y", "2026-11-25T12:00:00Z 2026-11-25T12:00:00Z x", "2026-11-25T12:00:00Z 2026-11-25T12:00:00Z"} {
		if err := os.WriteFile(path, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		c := open()
		want(t, c, m.wallTime, m.wallTime)
		shut(c)
		if b, err := os.ReadFile(path); err != nil || string(b) != m.wallTime.Format(time.RFC3339)+"\n" {
			t.Errorf("%q, %v", b, err)
		}
	}
}

// A machine that was off for a long time, and then runs for some hours at a time, believes its clock after a day of them. One
// that is somewhere else at each start does not.
func TestClockOfAMachineThatIsOftenOff(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		right bool
		want  int // the start at which the clock is believed
	}{{true, 5}, {false, -1}} {
		path := filepath.Join(t.TempDir(), "clock")
		m := &machine{wallTime: noon}
		believed := -1
		for start := range 40 {
			k := Open(path, m.options())
			k.Start()
			if start > 0 && believed < 0 && k.Read().Trusted.Equal(m.wallTime) {
				believed = start
			}
			m.run(7 * time.Hour)
			if err := k.Close(); err != nil {
				t.Fatal(err)
			}
			m.step(17 * time.Hour)
			if start == 0 || !c.right {
				m.step(100 * day)
			}
		}
		if believed != c.want {
			t.Errorf("right %v: believed at start %d, want %d", c.right, believed, c.want)
		}
	}
}

// The machine's own clock has a monotonic reading. What is believed is written every hour.
func TestOwnClock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		path := filepath.Join(t.TempDir(), "clock")
		c := Open(path, Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
		known := time.Now().Add(-20 * day).UTC()
		c.Known(known)
		want(t, c, known, time.Now())
		c.Start()
		time.Sleep(saveEvery)
		synctest.Wait()
		if got, err := read(path); err != nil || !got.latest.Equal(known.Add(saveEvery)) || got.kept != saveEvery {
			t.Errorf("written is %v, %v", got, err)
		}
		time.Sleep(day)
		want(t, c, time.Now(), time.Now())
		if n := strings.Count(log.String(), "level=WARN"); n != 1 {
			t.Errorf("%d warnings:\n%s", n, &log)
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

func FuzzFile(f *testing.F) {
	for _, s := range []string{"2026-11-25T12:00:00Z\n", "2026-11-25T12:00:00Z 2027-11-25T12:00:00Z 4h1s\n", "2026-11-25T12:00:00+09:00 x -1h", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		s, err := parse(line)
		if err != nil {
			return
		}
		s.latest, s.wallTime = s.latest.UTC(), s.wallTime.UTC()
		if again, err := parse(s.line()); err == nil && again.line() != s.line() {
			t.Errorf("%q became %q, and that %q", line, s.line(), again.line())
		}
		c := New(Options{Now: func() time.Time { return noon }})
		c.Known(s.latest)
		c.resume(s)
		if r := c.Read(); r.Trusted.After(noon) {
			t.Errorf("%q: believed is %v", line, r.Trusted)
		}
	})
}
