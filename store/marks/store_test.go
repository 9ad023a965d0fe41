package marks

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
)

// Whatever is opened here ends with its test.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func name(s string) chat.Name {
	n, err := text.ParseName(s)
	if err != nil {
		panic(err)
	}
	return n
}

func mustRead(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func open(t testing.TB, dir string, opt Options) *Store {
	t.Helper()
	s, err := Open(dir, opt)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func closeStore(t testing.TB, s *Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestMarksSurviveReopening(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir, Options{})
	alice, direct := name("alice"), text.Direct(name("alice"), name("bob"))
	s.Mark(alice, chat.General, 12)
	s.Mark(alice, chat.General, 7) // it only rises
	s.Mark(alice, direct, 3)
	s.Mark(name("bob"), direct, 4)
	closeStore(t, s)
	path := filepath.Join(dir, "state.json")
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("state.json: %v, %v", info, err)
	}
	s = open(t, dir, Options{})
	defer closeStore(t, s)
	if got, want := s.MarksOf(alice), (map[chat.RoomName]uint64{chat.General: 12, direct: 3}); !maps.Equal(got, want) {
		t.Errorf("alice's marks are %v", got)
	}
	if got := s.MarksOf(name("carol")); got != nil {
		t.Errorf("carol, who was never here, has %v", got)
	}
	s.MarksOf(alice)[chat.General] = 1
	if s.MarksOf(alice)[chat.General] != 12 {
		t.Error("who was shown the marks could change them")
	}
}

func TestStateIsWrittenOnceInAWhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStore(filepath.Join(t.TempDir(), "state.json"), Options{Log: slog.New(slog.DiscardHandler), FlushEvery: 5 * time.Second})
		var saves atomic.Int32
		s.save = func(string, []byte) error { saves.Add(1); return nil }
		go s.run()
		defer s.Close()
		for i := range 100 {
			s.Mark(name("alice"), chat.General, uint64(i+1))
			time.Sleep(99 * time.Millisecond)
		}
		synctest.Wait()
		if saves.Load() != 1 {
			t.Errorf("%d writes in 9.9 s of changes", saves.Load())
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if saves.Load() != 2 {
			t.Errorf("%d writes in all", saves.Load())
		}
		s.Mark(name("alice"), chat.General, 1) // changes nothing
		time.Sleep(time.Hour)
		synctest.Wait()
		if saves.Load() != 2 {
			t.Errorf("%d writes where nothing had changed", saves.Load())
		}
	})
}

func TestStateIsWrittenAgainAfterAFailure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		s := newStore(filepath.Join(t.TempDir(), "state.json"), Options{Log: slog.New(slog.NewTextHandler(&log, nil)), FlushEvery: 5 * time.Second})
		var room atomic.Bool
		var saved []byte
		s.save = func(_ string, b []byte) error {
			if !room.Load() {
				return errors.New("no space left on device")
			}
			saved = b
			return nil
		}
		go s.run()
		s.Mark(name("alice"), chat.General, 1)
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := strings.Count(log.String(), "no space"); n != 1 {
			t.Errorf("the log is told %d times", n)
		}
		room.Store(true)
		time.Sleep(6 * time.Second)
		synctest.Wait()
		if !bytes.Contains(saved, []byte(`"alice":{"general":1}`)) {
			t.Errorf("saved is %q", saved)
		}
		closeStore(t, s)
	})
}

var badStates = []struct{ name, content, why string }{
	{"empty", "", "unexpected end"},
	{"torn", `{"format":"sshchat-state/1","marks":{"alice":{"gen`, "unexpected end"},
	{"of zeros", string(make([]byte, 4096)), "invalid character"},
	{"newer", `{"format":"sshchat-state/2","marks":{}}`, "sshchat-state/2"},
	{"of no format", `{"marks":{}}`, "format"},
	{"with an unknown section", `{"format":"sshchat-state/1","admins":["mallory"]}`, "unknown"},
	{"with a name that is none", `{"format":"sshchat-state/1","marks":{"Alice\u001b":{}}}`, "name"},
	{"with a name twice", `{"format":"sshchat-state/1","marks":{"alice":{},"alice":{}}}`, "twice"},
	{"with a room that is none", `{"format":"sshchat-state/1","marks":{"alice":{"#x":1}}}`, "room"},
	{"with a room twice", `{"format":"sshchat-state/1","marks":{"alice":{"x":1,"x":2}}}`, "twice"},
	{"with a negative mark", `{"format":"sshchat-state/1","marks":{"alice":{"x":-1}}}`, "number"},
	{"with a mark of nothing", `{"format":"sshchat-state/1","marks":{"alice":{"x":0}}}`, "start at 1"},
	{"with null", `{"format":"sshchat-state/1","marks":{"alice":null}}`, "object"},
	{"with a list", `{"format":"sshchat-state/1","marks":[]}`, "object"},
}

func TestDamagedStateIsSetAside(t *testing.T) {
	t.Parallel()
	for _, c := range badStates {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "state.json")
			if err := os.WriteFile(path, []byte(c.content), 0o600); err != nil {
				t.Fatal(err)
			}
			var log bytes.Buffer
			s := open(t, filepath.Dir(path), Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
			if !strings.Contains(log.String(), c.why) || !strings.Contains(log.String(), "state.json.bad") {
				t.Errorf("want %q in the log: %s", c.why, &log)
			}
			if got := mustRead(t, path+".bad"); got != c.content {
				t.Errorf("kept aside is %q", got)
			}
			if len(s.marks.of) != 0 {
				t.Errorf("half of it was taken: %v", s.marks.of)
			}
			s.Mark(name("alice"), chat.General, 1)
			closeStore(t, s)
			s = open(t, filepath.Dir(path), Options{})
			if s.MarksOf(name("alice"))[chat.General] != 1 {
				t.Error("the new file does not keep")
			}
			closeStore(t, s)
		})
	}
}

// Another version has written state.json, and then this one is started: whoever was guessing a password is still delayed. A
// file of another kind is the control.
func TestStateOfAnotherVersion(t *testing.T) {
	t.Parallel()
	const tallies = `"tallies":{"alice":{"wrong":7,"next":"2026-11-24T12:00:00Z","since":"a field to come",` +
		`"known":[{"source":"192.0.2.0/32","at":"2026-11-01T00:00:00Z","by":"key"}]}}`
	for when, c := range map[string]struct {
		content      string
		wrong, marks int
	}{
		"newer":                         {`{"format":"sshchat-state/2","marks":{"alice":{"general":3}},` + tallies + `}`, 7, 1},
		"newer, the format last":        {`{` + tallies + `,"format":"sshchat-state/3"}`, 7, 0},
		"newer, with other marks":       {`{"format":"sshchat-state/2","marks":[["alice","general",3]],` + tallies + `}`, 7, 0},
		"with a section to come":        {`{"format":"sshchat-state/1","drafts":{"alice":"…"},` + tallies + `}`, 7, 0},
		"with a section twice":          {`{"format":"sshchat-state/1",` + tallies + `,"tallies":{}}`, 7, 0},
		"with a damaged section":        {`{"format":"sshchat-state/1","marks":{"alice":{"general":0}},` + tallies + `}`, 7, 0},
		"with too many known sources":   {`{"format":"sshchat-state/1","tallies":{"alice":{"wrong":7,"known":[` + strings.Repeat(`{"source":"192.0.2.0/32","at":"2026-11-01T00:00:00Z"},`, 99) + `{"source":"192.0.2.1/32","at":"2026-11-01T00:00:00Z"}]}}}`, 7, 0},
		"control: a file of other kind": {`{"format":"sshchat-users/1","marks":{"alice":{"general":3}},` + tallies + `}`, 0, 0},
	} {
		path := filepath.Join(t.TempDir(), "state.json")
		if err := os.WriteFile(path, []byte(c.content), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, again := range []bool{false, true} { // what is kept is in the new file
			s := open(t, filepath.Dir(path), Options{})
			if got, m := s.Tallies()[name("alice")], s.MarksOf(name("alice")); got.Wrong != c.wrong || len(m) != c.marks || len(got.Known) > maxKnown {
				t.Errorf("%s, again %v: %+v, marks %v", when, again, got, m)
			}
			closeStore(t, s)
		}
		if mustRead(t, path+".bad") != c.content {
			t.Errorf("%s: it was not kept aside", when)
		}
	}
}

func TestTalliesSurviveReopening(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir, Options{})
	at := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	tally := chat.Tally{Wrong: 7, Asked: 1, Next: at, Missed: 9, From: "192.0.2.1", At: at,
		Known: []chat.KnownSource{{Source: netip.MustParsePrefix("2001:db8::/64"), At: at, Wrong: 3, Next: at.Add(1500 * time.Millisecond)}}}
	s.Tally(name("alice"), tally)
	s.Tally(name("bob"), tally)
	s.Tally(name("bob"), chat.Tally{})
	closeStore(t, s)
	s = open(t, dir, Options{})
	defer closeStore(t, s)
	if got := s.Tallies(); len(got) != 1 || !reflect.DeepEqual(got[name("alice")], tally) {
		t.Errorf("read back: %+v", got)
	}
}

func TestStateThatIsALinkIsNotFollowed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	other := filepath.Join(t.TempDir(), "other")
	if err := os.WriteFile(other, []byte(`{"format":"sshchat-state/1","marks":{"alice":{"x":1}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(other, filepath.Join(dir, "state.json")); err != nil {
		t.Skip(err)
	}
	s := open(t, dir, Options{})
	defer closeStore(t, s)
	if len(s.marks.of) != 0 {
		t.Error("it was followed")
	}
}

func FuzzStateFile(f *testing.F) {
	for _, c := range badStates {
		f.Add([]byte(c.content))
	}
	f.Add([]byte(`{"format":"sshchat-state/1","marks":{"alice":{"general":1,"@alice+bob":18446744073709551615},"bob":{}}}`))
	f.Add([]byte(`{"format":"sshchat-state/1","marks":{},"tallies":{"alice":{"wrong":7,"asked":2,"next":"2026-11-24T12:00:00Z",` +
		`"missed":3,"from":"192.0.2.1","at":"2026-11-24T11:00:00Z","known":[{"source":"192.0.2.0/32","at":"2026-11-01T00:00:00Z"}]}}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		s := newStore("", Options{})
		if s.parse(b) != nil {
			return
		}
		once, err := s.encode()
		if err != nil {
			t.Fatal(err)
		}
		again := newStore("", Options{})
		if err := again.parse(once); err != nil {
			t.Fatalf("what was written is refused: %v\n%s", err, once)
		}
		if twice, err := again.encode(); err != nil || !bytes.Equal(once, twice) {
			t.Fatalf("not stable (%v):\n%s\n%s", err, once, twice)
		}
	})
}

// Flush returns once what changed before is written, also while the writer waits for more; and the error, until it is.
func TestFlushWritesAtOnce(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.json")
	s := newStore(path, Options{Log: slog.New(slog.DiscardHandler), FlushEvery: time.Hour})
	full := errors.New("no space left on device")
	var fails atomic.Bool
	writes := s.save
	var saves atomic.Int32
	s.save = func(path string, b []byte) error {
		if fails.Load() {
			return full
		}
		saves.Add(1)
		return writes(path, b)
	}
	go s.run()
	defer s.Close()
	for i := range 3 {
		s.Tally(name("alice"), chat.Tally{Wrong: i + 1})
		for range 2 { // the second has nothing to write
			if err := s.Flush(); err != nil {
				t.Fatal(err)
			}
		}
		b, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(b), fmt.Sprintf(`"wrong":%d`, i+1)) {
			t.Errorf("after Flush: %s, %v", b, err)
		}
	}
	if n := saves.Load(); n != 3 {
		t.Errorf("%d writes of 3 changes", n)
	}
	fails.Store(true)
	s.Tally(name("alice"), chat.Tally{Wrong: 9})
	for range 2 {
		if err := s.Flush(); !errors.Is(err, full) {
			t.Errorf("a full disk: %v", err)
		}
	}
	fails.Store(false)
	if err := s.Flush(); err != nil {
		t.Errorf("once there is room: %v", err)
	}
}
