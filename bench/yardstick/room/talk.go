package room

import (
	"bufio"
	"io"
)

const (
	// Greeting is the first that a session is sent.
	Greeting = "Welcome.\r\n"
	// longest is the longest line that is taken.
	longest = 4 << 10
)

// Talk serves one session until rw ends: one goroutine of its own writes, this one reads.
func (r *Room) Talk(name string, rw io.ReadWriter) error {
	m := r.Enter()
	defer r.Leave(m) // ends write
	go m.write(rw)
	lines := bufio.NewScanner(rw)
	lines.Buffer(make([]byte, 0, 256), longest)
	for lines.Scan() {
		line := append(append([]byte(name), ": "...), lines.Bytes()...)
		r.Say(append(line, '\r', '\n'))
	}
	return lines.Err()
}

func (m *Member) write(w io.Writer) {
	if _, err := io.WriteString(w, Greeting); err != nil {
		return
	}
	var buf []byte
	for {
		var ok bool
		if buf, ok = m.Next(buf[:0]); !ok {
			return
		}
		if _, err := w.Write(buf); err != nil {
			return
		}
	}
}
