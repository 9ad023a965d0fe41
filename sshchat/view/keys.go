package view

import (
	"unicode/utf8"

	uv "github.com/charmbracelet/ultraviolet"
)

// What unfinished input may hold.
const (
	maxSequence = 64       // bytes kept of an escape sequence; a longer one is ignored
	maxPaste    = 32 << 10 // bytes taken of one bracketed paste; the rest of it is dropped
)

const esc = 0x1b

// key is something typed: text, or a key by the name it is bound under, such as "ctrl+a" or "alt+left".
type key struct {
	name string // "" for text
	text string // not clean; newlines only from a bracketed paste
}

// decoder finds the keys in a client's bytes. It frames the sequences itself, byte by byte, because what arrives may
// be cut anywhere and may never end: it keeps at most maxSequence bytes, and nothing of the strings (OSC, DCS, APC)
// that terminals send as answers. What a whole sequence means is ultraviolet's to say.
type decoder struct {
	state   func(*decoder, byte, func(key)) // nil on the ground
	seq     []byte                          // an escape sequence or a character begun
	pasting bool                            // between the marks of a bracketed paste
	pasted  int                             // bytes of it so far
	cr      bool                            // the last byte was a carriage return: a line feed now is part of it
	alone   bool                            // the byte at hand is all that came
	names   uv.EventDecoder
}

// decode calls press for each key in p.
func (d *decoder) decode(p []byte, press func(key)) {
	d.alone = len(p) == 1
	for len(p) > 0 {
		if d.state == nil && len(d.seq) == 0 {
			n := textRun(p)
			d.text(p[:n], press)
			p = p[n:]
			if len(p) == 0 {
				return
			}
		}
		b := p[0]
		p = p[1:]
		switch {
		case d.state != nil:
			d.state(d, b, press)
		case b >= utf8.RuneSelf:
			d.character(b, press)
		case len(d.seq) > 0: // a character was cut off for good
			d.seq = d.seq[:0]
			d.ground(b, press)
		default:
			d.ground(b, press)
		}
	}
	// A person who types Alt+] sends how a string begins, and nothing after it. Terminals send strings whole.
	if d.state != nil && len(d.seq) == 2 && isString(d.seq[1]) {
		d.reset()
	}
}

// textRun is the length of the text p begins with, up to a control byte or a character that is cut off.
func textRun(p []byte) int {
	for i := 0; i < len(p); {
		switch {
		case p[i] < ' ' || p[i] == 0x7f:
			return i
		case p[i] < utf8.RuneSelf:
			i++
		case !utf8.FullRune(p[i:]):
			return i
		default:
			_, n := utf8.DecodeRune(p[i:])
			i += n
		}
	}
	return len(p)
}

// character gathers a character that came in pieces.
func (d *decoder) character(b byte, press func(key)) {
	d.seq = append(d.seq, b)
	for utf8.FullRune(d.seq) { // also where it turns out to be none; then what broke it may begin the next
		_, n := utf8.DecodeRune(d.seq)
		d.text(d.seq[:n], press)
		d.seq = append(d.seq[:0], d.seq[n:]...)
	}
}

// text passes on what was typed or pasted.
func (d *decoder) text(b []byte, press func(key)) {
	if len(b) == 0 {
		return
	}
	d.cr = false
	if d.pasting {
		if d.pasted += len(b); d.pasted > maxPaste {
			return
		}
	}
	press(key{text: string(b)})
}

// ground takes a byte that begins something new, or all of an ASCII key.
func (d *decoder) ground(b byte, press func(key)) {
	cr := d.cr
	d.cr = b == '\r'
	switch {
	case b == '\n' && cr: // the second half of one line end
	case b == esc:
		d.seq = append(d.seq[:0], b)
		d.state = (*decoder).escape
	case d.pasting:
		d.paste(b, press)
	case b == '\r':
		press(key{name: "enter"})
	case b == '\n':
		// Enter is a carriage return from a terminal in raw mode, so a line feed that comes alone is Ctrl+J.
		// Within more it was written by a program or pasted, and ends a line there.
		if d.alone {
			press(key{name: "ctrl+j"})
		} else {
			press(key{name: "enter"})
		}
	case b >= ' ' && b < 0x7f:
		d.text([]byte{b}, press)
	default:
		press(key{name: controlNames[b&0x7f]})
	}
}

// paste takes a control byte within a bracketed paste: line ends are kept, nothing is obeyed. Terminals send
// no Ctrl+C in one, so that is a person whose paste has lost its end.
func (d *decoder) paste(b byte, press func(key)) {
	switch b {
	case '\r', '\n':
		cr := d.cr
		d.text([]byte{'\n'}, press)
		d.cr = cr
	case '\t':
		d.text([]byte{' '}, press)
	case 0x03:
		d.pasting = false
	}
}

// escape takes the byte after an escape.
func (d *decoder) escape(b byte, press func(key)) {
	switch {
	case b == esc:
		return
	case b == '[':
		d.state = (*decoder).csi
	case b == 'O':
		d.state = (*decoder).ss3
	case isString(b):
		d.state = (*decoder).str
	case b >= utf8.RuneSelf: // Alt and a letter beyond ASCII: bound to nothing, so the letter
		d.reset()
		d.character(b, press)
		return
	default:
		d.seq = append(d.seq, b)
		d.finish(press)
		return
	}
	d.seq = append(d.seq, b)
}

// csi takes a byte of a control sequence: parameters, then one final byte.
func (d *decoder) csi(b byte, press func(key)) {
	linux := len(d.seq) == 2 && b == '[' // the Linux console's function keys have a second bracket
	switch {
	case b < ' ' || b >= 0x7f:
		d.reset()
		if b < utf8.RuneSelf {
			d.ground(b, press)
		}
	case b < '@' || linux:
		if len(d.seq) < maxSequence {
			d.seq = append(d.seq, b)
		}
	case len(d.seq) == maxSequence:
		d.reset()
	default:
		d.seq = append(d.seq, b)
		d.finish(press)
	}
}

// ss3 takes a byte of a function key: a modifier perhaps, then one final byte.
func (d *decoder) ss3(b byte, press func(key)) {
	switch {
	case b < ' ' || b >= 0x7f:
		d.reset()
		if b < utf8.RuneSelf {
			d.ground(b, press)
		}
	case b >= '0' && b <= '9' && len(d.seq) < maxSequence:
		d.seq = append(d.seq, b)
	default:
		d.seq = append(d.seq, b)
		d.finish(press)
	}
}

// str drops a byte of a string. Any control byte ends it: no terminal sends one inside, and a person whose string
// has lost its end gets out with Enter.
func (d *decoder) str(b byte, press func(key)) {
	switch {
	case b == '\a':
		d.reset()
	case b == esc: // of the terminator, or of the next sequence
		d.seq = append(d.seq[:0], esc)
		d.state = (*decoder).escape
	case b < ' ':
		d.reset()
		d.ground(b, press)
	case len(d.seq) < 3:
		d.seq = append(d.seq, b) // more than an introducer: see decode
	}
}

// isString reports whether escape and b begin a string: DCS, SOS, OSC, PM or APC.
func isString(b byte) bool { return b == 'P' || b == 'X' || b == ']' || b == '^' || b == '_' }

// finish names the sequence that is complete.
func (d *decoder) finish(press func(key)) {
	seq := string(d.seq)
	d.reset()
	switch {
	case seq == "\x1b[200~":
		d.pasting, d.pasted = true, 0
		return
	case seq == "\x1b[201~":
		d.pasting = false
		return
	case d.pasting:
		return
	}
	_, event := d.names.Decode([]byte(seq))
	if wheel, ok := event.(uv.MouseWheelEvent); ok {
		switch wheel.Button {
		case uv.MouseWheelUp:
			press(key{name: "wheelup"})
		case uv.MouseWheelDown:
			press(key{name: "wheeldown"})
		}
		return
	}
	k, ok := event.(uv.KeyPressEvent)
	switch {
	case !ok:
	case k.Text != "": // a terminal that spells out what others send as text
		press(key{text: k.Text})
	default:
		press(key{name: k.Keystroke()})
	}
}

// waiting reports whether an escape has come and nothing after it: the key, or the beginning of more. In a paste it is
// never the key: who gave up on it would take the paste's end for text, and all keys after it for pasted.
func (d *decoder) waiting() bool { return len(d.seq) == 1 && d.seq[0] == esc && !d.pasting }

// expire tells that nothing came after it.
func (d *decoder) expire(press func(key)) {
	if d.waiting() {
		d.reset()
		press(key{name: "esc"})
	}
}

func (d *decoder) reset() {
	d.state = nil
	d.seq = d.seq[:0]
}

// controlNames are the names of the keys that send a control byte, as ultraviolet spells them.
var controlNames = func() (names [128]string) {
	for b := byte(1); b <= 26; b++ {
		names[b] = "ctrl+" + string('a'+b-1)
	}
	names['\t'], names[0x7f] = "tab", "backspace"
	names[0], names[0x1c], names[0x1d], names[0x1e], names[0x1f] = "ctrl+space", "ctrl+\\", "ctrl+]", "ctrl+^", "ctrl+_"
	return names
}()
