package sshchat

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/vt"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/past"
	"sshchat/sshchat/text"
	"sshchat/sshchat/view"
)

// sealedLines is a past.Source of that many lines.
type sealedLines struct {
	n     uint64
	from  chat.Name
	wiped bool
}

func (s *sealedLines) First() uint64 { return 1 }
func (s *sealedLines) Wipe()         { s.wiped = true }
func (s *sealedLines) Read(from, to uint64) (said []chat.Message, last uint64, read int, err error) {
	for seq := from; seq <= min(to, s.n); seq++ {
		words, err := text.ParseText(fmt.Sprintf("old line %d", seq))
		if err != nil {
			return nil, 0, 0, err
		}
		said = append(said, chat.Message{Room: chat.General, Seq: seq, Kind: chat.Say, From: s.from, Text: words, At: time.Unix(int64(seq), 0)})
	}
	return said, min(to, s.n), len(said), nil
}

// What is unlocked is on the screen, in one piece with what is in memory, and is locked when nothing was typed for long, when
// its person leaves the room, and for another.
func TestUnlockedIsLockedAgain(t *testing.T) {
	h, say := busyRoomAfter(t, 300)
	for range 20 {
		say()
	}
	s := shows(h)
	for name, lock := range map[string]func(*display){
		"idle": func(v *display) {
			s.lockAfter = time.Nanosecond
			v.unlocked.typed(s.lockAfter)
			for v.frame.waker.Wait(0)&lockDue == 0 { // newMessages and others may come first
			}
			v.lockIdle()
		},
		"parted": func(v *display) { v.hear([]chat.Message{{Kind: chat.Parted, Room: chat.General}}) },
		"locked": func(v *display) { v.setUnlocked(nil) },
		"another": func(v *display) {
			v.setUnlocked(past.New(chat.General, &sealedLines{n: 3}, 1, 0))
		},
	} {
		s.lockAfter = time.Hour
		v := s.display(t, view.KindFull)
		first := v.firstInMemory(chat.General)
		source := &sealedLines{n: first - 1}
		p := past.New(chat.General, source, 1, first-1)
		v.setUnlocked(p)
		for v.Before(chat.General, 0, 1000); p.Wants(); v.Before(chat.General, 0, 1000) {
			if _, err := p.Load(); err != nil {
				t.Fatal(err)
			}
		}
		memory := v.inMemory(chat.General, 0, 1000)
		if first != memory[0].Seq {
			t.Fatalf("%s: the first in memory is %d", name, first)
		}
		all := v.Before(chat.General, 0, 1000)
		if len(all) != len(memory)+int(first)-1 || first < 2 {
			t.Errorf("%s: %d messages, %d in memory, from %d on", name, len(all), len(memory), first)
		}
		place := uint64(0)
		for i := range all { // from the first to the last, one after another
			next, more := v.After(chat.General, place, 1)
			if len(next) != 1 || more || next[0].DisplaySeq != all[i].DisplaySeq || next[0].Seq != uint64(i+1) {
				t.Fatalf("%s: after %d comes %v, %v", name, place, next, more)
			}
			place = next[0].DisplaySeq
		}
		lock(v)
		if !source.wiped || v.unlocked != nil && name != "another" || len(v.Before(chat.General, 0, 1000)) != len(memory) {
			t.Errorf("%s: wiped %v, %v is unlocked", name, source.wiped, v.unlocked)
		}
		v.ui.Flush()
	}
}

// today is the row above the messages of a day in this century, and hour the time before one.
var today, hour = regexp.MustCompile(`(?m)^.*day, .* 20\d\d, UTC .*$`), regexp.MustCompile(`(?m)^\d\d:\d\d `)

// What a screen shows of a past that is sealed, unlocked, scrolled through to its beginning, and locked again.
func TestScreensOfAnUnlockedPast(t *testing.T) {
	h, say := busyRoomAfter(t, 300)
	for range 5 {
		say()
	}
	s := shows(h)
	s.lockAfter = time.Hour
	v := s.display(t, view.KindFull)
	terminal := vt.NewEmulator(80, 24)
	golden := func(name, keys string) {
		t.Helper()
		v.ui.Input([]byte(keys))
		v.ui.Expire()
		for range 3 { // what is wanted for a frame is opened by a job, and shown in a later one
			v.deliver(v.reader.Spans(deliverBatch))
			v.reader.Done()
			v.showRooms()
			terminal.Write(v.ui.Flush())
			v.ui.Done()
			if v.unlocked != nil && v.unlocked.Wants() {
				if _, err := v.unlocked.Load(); err != nil {
					t.Fatal(err)
				}
				v.unlocked.shown, v.olderChanged = nil, true
			}
		}
		got := hour.ReplaceAllString(today.ReplaceAllString(terminal.String(), "(today)"), "      ") // a minute may end meanwhile
		path := filepath.Join("testdata", "screens", name+".txt")
		if os.Getenv("SSHCHAT_UPDATE") == "1" {
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(got+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got+"\n" != string(want) {
			t.Errorf("%s: the screen is\n%s\nand was\n%s", name, got, want)
		}
	}
	const pageUp = "\x1b[5~"
	golden("past-sealed", pageUp)
	first := v.firstInMemory(chat.General)
	v.setUnlocked(past.New(chat.General, &sealedLines{n: first - 1, from: testName(t, "bob")}, 1, first-1))
	golden("past-unlocked", "")
	golden("past-scrolled", pageUp+pageUp)
	golden("past-top", strings.Repeat(pageUp, 20))
	v.setUnlocked(nil)
	golden("past-locked", "")
	if strings.Contains(terminal.String(), "old line") {
		t.Errorf("something is still there:\n%s", terminal.String())
	}
}
