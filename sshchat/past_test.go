package sshchat

import (
	"testing"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/past"
	"sshchat/sshchat/text"
	"sshchat/sshchat/view"
)

// sealedLines is a past.Source of that many lines.
type sealedLines struct {
	n     uint64
	wiped bool
}

func (s *sealedLines) First() uint64 { return 1 }
func (s *sealedLines) Wipe()         { s.wiped = true }
func (s *sealedLines) Read(from, to uint64) (said []chat.Message, last uint64, read int, err error) {
	for seq := from; seq <= min(to, s.n); seq++ {
		words, err := text.ParseText("an old line")
		if err != nil {
			return nil, 0, 0, err
		}
		said = append(said, chat.Message{Room: chat.General, Seq: seq, Kind: chat.Say, Text: words, At: time.Unix(int64(seq), 0)})
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
