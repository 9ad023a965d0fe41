package main

import (
	"sync/atomic"
	"time"
)

// sender is a user that posts, and sees its own messages. Everything but listen belongs to one goroutine.
type sender struct {
	*client
	id    int
	said  int           // messages sent, which is the number of the last
	back  atomic.Int64  // number of the newest that came back
	heard chan struct{} // holds a token when back has grown; never closed

	echoes bool // each message is shown as it is typed, before it comes back
	typed  int  // number of the newest that was; belongs to listen
}

// listen notes what comes back, until the session ends.
func (s *sender) listen() {
	var ignored atomic.Bool
	s.read(s.shown, &ignored)
}

// shown notes a message that the session was shown.
func (s *sender) shown(m mark) {
	if m.sender != s.id || int64(m.number) <= s.back.Load() {
		return
	}
	if s.echoes && m.number > s.typed {
		s.typed = m.number
		return
	}
	s.back.Store(int64(m.number))
	select {
	case s.heard <- struct{}{}:
	default:
	}
}

// say sends one message.
func (s *sender) say() error {
	s.said++
	line := mark{s.id, s.said, time.Since(clock)}.append(nil)
	enter := byte('\n')
	if s.echoes {
		enter = '\r'
	}
	line = append(append(line, filler...), enter)
	_, err := s.ch.Write(line)
	return err
}

// lost is how long a sender waits for a message to come back before it goes on without: yardsticks lose some.
const lost = 5 * time.Second

// sayAll posts n messages, or as many as there is time for until end, with that many pending at once. It waits for the
// last, and returns how many it posted.
func (s *sender) sayAll(n, onTheirWay int, end time.Time) (int, error) {
	first := s.said
	for i := 0; i < n && time.Now().Before(end); i++ {
		if err := s.say(); err != nil {
			return s.said - first, err
		}
		s.waitFor(s.said - onTheirWay + 1)
	}
	s.waitFor(s.said)
	return s.said - first, nil
}

// waitFor waits until the message of this number has come back, or has been lost.
func (s *sender) waitFor(number int) {
	timeout := time.NewTimer(lost)
	defer timeout.Stop()
	for s.back.Load() < int64(number) {
		select {
		case <-s.heard:
		case <-timeout.C:
			s.back.Store(int64(number))
		}
	}
}
