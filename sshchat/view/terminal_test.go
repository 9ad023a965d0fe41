package view

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/charmbracelet/x/vt"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
)

var (
	ann, bob = mustName("ann"), mustName("bob")
	other, _ = text.ParseRoomName("#other")
	noon     = time.Date(2026, 11, 24, 12, 34, 56, 0, time.UTC)
)

func mustName(s string) chat.Name {
	n, err := text.ParseName(s)
	if err != nil {
		panic(err)
	}
	return n
}

func said(room chat.RoomName, from chat.Name, s string) chat.Message {
	return happened(room, chat.Say, from, s)
}

func happened(room chat.RoomName, kind chat.Kind, from chat.Name, s string) chat.Message {
	said, _ := text.ParseText(s) // what is refused stays empty
	return chat.Message{Room: room, Kind: kind, From: from, At: noon, Text: said}
}

// spansOf makes each message a span of its own, in the order they are in.
func spansOf(ms ...chat.Message) []chat.Span {
	var spans []chat.Span
	for _, m := range ms {
		s := chat.Span{Room: m.Room, Entries: []chat.Message{m}}
		switch m.Kind {
		case chat.Joined, chat.Parted, chat.DirectNotice: // in the person's own log
			s.Room = chat.RoomName{}
		}
		spans = append(spans, s)
	}
	return spans
}

// terminal is a Plain and the screen it draws on, checked against each other at every flush.
type terminal struct {
	*Plain
	t      testing.TB
	screen *vt.Emulator
	width  int
	wrote  []byte // by the last flush
	column int    // of the cursor, according to the bytes written
}

// rowsOfScreen is how tall the emulated screens are; it does not matter to Plain.
const rowsOfScreen = 30

func newTerminal(t testing.TB, width int) *terminal {
	t.Helper()
	p := NewPlain(Options{Me: ann, Width: width, Height: rowsOfScreen, Term: "dumb"})
	width, _ = size(width, 0)
	m := &terminal{Plain: p, t: t, screen: newEmulator(width, rowsOfScreen), width: width}
	t.Cleanup(m.release)
	return m
}

// release gives back the screen of a terminal that is not used any more, before its test ends.
func (m *terminal) release() {
	reuse(m.screen)
	m.screen = nil
}

// emulators are those that were given back. Each takes 4 MiB, which takes longer to make than most tests take.
var emulators struct {
	sync.Mutex
	free []*vt.Emulator
}

// newEmulator is a terminal as one that was just started.
func newEmulator(width, height int) *vt.Emulator {
	emulators.Lock()
	defer emulators.Unlock()
	n := len(emulators.free)
	if n == 0 {
		return vt.NewEmulator(width, height)
	}
	e := emulators.free[n-1]
	emulators.free = emulators.free[:n-1]
	reset(e, width, height)
	return e
}

// reset makes an emulator like a new one of that size.
func reset(e *vt.Emulator, width, height int) {
	e.Resize(width, height)
	e.WriteString("\x1b[?1049l\x1bc") // its errors are those of a terminal that was closed
}

// reuse takes emulators, or nil, for newEmulator to return again.
func reuse(all ...*vt.Emulator) {
	emulators.Lock()
	defer emulators.Unlock()
	for _, e := range all {
		if e != nil {
			emulators.free = append(emulators.free, e)
		}
	}
}

func (m *terminal) resize(width int) {
	m.flush()
	m.Resize(width, rowsOfScreen)
	m.width, _ = size(width, 0)
	m.screen.Resize(m.width, rowsOfScreen)
	m.flush()
}

// typed feeds s in one read and flushes.
func (m *terminal) typed(s string) []Action {
	did := m.Input([]byte(s))
	m.flush()
	return did
}

func (m *terminal) flush() {
	m.t.Helper()
	m.wrote = m.Flush()
	if i := bytes.IndexFunc(m.wrote, forbidden); i >= 0 {
		m.t.Fatalf("forbidden byte in %q at %d", m.wrote, i)
	}
	m.advance(m.wrote)
	m.screen.Write(m.wrote)
	at := m.screen.CursorPosition()
	if got, want := m.line(at.Y), strings.TrimRight(string(m.row.shown), " "); got != want {
		m.t.Fatalf("screen shows %q, row %q (width %d, wrote %q)", got, want, m.width, m.wrote)
	}
	if at.X != m.row.at {
		m.t.Fatalf("cursor at %d, row says %d of %q (wrote %q)", at.X, m.row.at, m.row.shown, m.wrote)
	}
}

// advance follows the cursor through what was written: it may reach the last column, nothing may be written there.
func (m *terminal) advance(b []byte) {
	m.t.Helper()
	for len(b) > 0 {
		switch b[0] {
		case '\r':
			m.column = 0
		case '\b':
			m.column--
		}
		if b[0] < ' ' {
			b = b[1:]
			continue
		}
		n := bytes.IndexAny(b, "\r\n\b\a")
		if n < 0 {
			n = len(b)
		}
		if m.column += cells(b[:n]); m.column > m.width-1 {
			m.t.Fatalf("%q ends in column %d of %d", b[:n], m.column, m.width)
		}
		b = b[n:]
	}
}

// forbidden reports what no output of Plain may hold.
func forbidden(r rune) bool {
	return !text.Printable(r) && r != '\r' && r != '\n' && r != '\b' && r != '\a' || r == 0x1b
}

// line is a row of the screen without the blanks at its end.
func (m *terminal) line(y int) string {
	var b strings.Builder
	for x := 0; x < m.width; {
		c := m.screen.CellAt(x, y)
		if c == nil || c.Content == "" {
			b.WriteByte(' ')
			x++
			continue
		}
		b.WriteString(c.Content)
		x += max(c.Width, 1)
	}
	return strings.TrimRight(b.String(), " ")
}

// shows checks the screen from its top.
func (m *terminal) shows(want ...string) {
	m.t.Helper()
	m.flush()
	for y, w := range want {
		if got := m.line(y); got != w {
			m.t.Errorf("row %d shows %q, want %q", y, got, w)
		}
	}
}
