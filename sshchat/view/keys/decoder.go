// Package keys finds the keys that a person pressed in the bytes that a terminal sends. It knows nothing of what a key does.
package keys

import (
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	uv "github.com/charmbracelet/ultraviolet"

	"sshchat/sshchat/text"
)

// How long to wait for the rest of incomplete input, after its last byte.
const (
	EscapeTime   = 50 * time.Millisecond  // an Esc: the key, or the beginning of more
	sequenceTime = 500 * time.Millisecond // the rest of a sequence begun
	lateTime     = 2 * time.Second        // an Esc's sequence, after it was taken for the key
	stallTime    = time.Second            // the rest of a paste
)

// MaxSequence is how many bytes are kept of an escape sequence; a longer one is ignored.
const MaxSequence = 64

const esc = 0x1b

// Key is something typed: text, or a key by the name it is bound under, such as "ctrl+a" or "alt+left".
type Key struct {
	Name string // "" for text
	Text string // not clean; newlines only from a bracketed paste
	More bool   // of a Tab: something other than Tabs came right after it, in the same read
}

// Decoder finds the keys in a client's bytes, for every kind of screen. It frames the sequences itself, byte by byte,
// because what arrives may be cut anywhere and may never end: it keeps at most MaxSequence bytes, and nothing of the
// strings (OSC, DCS, APC) that terminals send as answers. What a complete sequence means is left to ultraviolet.
//
// Bytes alone do not distinguish an Esc and a "[" that are typed from the beginning of a sequence; these rules decide:
//
//   - Esc and a character is the key Alt+CHAR if that has a function. If not it is Esc, then the
//     character: tmux and mosh send both in one packet, and "/msg bob …" must not lose its slash.
//   - Esc and "[" or "O" begins a sequence, whoever sent it. If terminals do not send what follows, all of it was
//     typed; with parameters, which people do not type there, it is dropped.
//   - An Esc that nothing follows within EscapeTime is the key. If "[" or "O" comes within lateTime, it is held back for
//     as long as it may be the rest of the sequence of a key: on a slow line a sequence is cut after
//     its Esc. As soon as it cannot be one, or nothing follows within sequenceTime, it is text, and nothing is lost.
//     A person who types [A within two seconds of an Esc gets Up: that costs two characters. The other way round, a
//     paste would go to the room line by line, and lines that begin with a slash would be executed.
//   - In a bracketed paste keys have no function. If its end was lost, a key that comes alone after stallTime of silence is a
//     person's: the rest of a paste comes in larger pieces.
type Decoder struct {
	Bound     func(name string) bool          // whether a key does something
	state     func(*Decoder, byte, func(Key)) // nil between sequences
	seq       []byte                          // an escape sequence or a character begun
	following []byte                          // the bytes after the current one, in the same read
	size      int                             // of the read
	escTaken  bool                            // the Esc that seq begins with was emitted as a key already
	late      bool                            // an Esc was emitted as a key, and nothing arrived since
	pasting   bool                            // between the marks of a bracketed paste
	stalled   bool                            // nothing arrived for stallTime
	cr        bool                            // the last byte was a carriage return: a line feed now is part of it
	names     uv.EventDecoder
}

// Decode calls emit for each key in p.
func (d *Decoder) Decode(p []byte, emit func(Key)) {
	if len(p) == 0 {
		return
	}
	d.size = len(p)
	d.resume(p, emit)
	if d.late && (p[0] == '[' || p[0] == 'O' || isString(p[0])) {
		d.seq, d.escTaken = append(d.seq[:0], esc), true
		d.state = (*Decoder).escape
	}
	d.late = false
	for len(p) > 0 {
		if d.state == nil && len(d.seq) == 0 {
			n := textRun(p)
			d.text(p[:n], emit)
			if p = p[n:]; len(p) == 0 {
				break
			}
		}
		d.following = p[1:]
		d.take(p[0], emit)
		p = p[1:]
	}
	d.following = nil
}

// take handles one byte in any state.
func (d *Decoder) take(b byte, emit func(Key)) {
	switch {
	case d.state != nil:
		d.state(d, b, emit)
	case b >= utf8.RuneSelf:
		d.character(b, emit)
	case len(d.seq) > 0: // a character was cut off: emitted, so that the editor reports it
		d.text(d.seq, emit)
		d.seq = d.seq[:0]
		d.ground(b, emit)
	default:
		d.ground(b, emit)
	}
}

// resume handles the first bytes after a paste stalled: a single control character is a key.
func (d *Decoder) resume(p []byte, emit func(Key)) {
	if !d.stalled {
		return
	}
	lone := len(d.seq) == 1 && d.seq[0] == esc // held since before the stall: the paste's end, cut
	switch {
	case len(p) == 1 && p[0] != esc && (p[0] < ' ' || p[0] == 0x7f):
		d.reset()
		d.endPaste(emit)
	case p[0] != esc && !lone:
		d.stalled = false
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
func (d *Decoder) character(b byte, emit func(Key)) {
	d.seq = append(d.seq, b)
	for utf8.FullRune(d.seq) { // also true if it is invalid; then the byte that broke it may begin the next
		_, n := utf8.DecodeRune(d.seq)
		d.text(d.seq[:n], emit)
		d.seq = append(d.seq[:0], d.seq[n:]...)
	}
}

// text passes on what was typed or pasted.
func (d *Decoder) text(b []byte, emit func(Key)) {
	if len(b) == 0 {
		return
	}
	d.cr = false
	emit(Key{Text: string(b)})
}

// ground takes a byte that begins something new, or all of an ASCII key.
func (d *Decoder) ground(b byte, emit func(Key)) {
	cr := d.cr
	d.cr = b == '\r'
	switch {
	case b == '\n' && cr: // the second half of one line end
	case b == esc:
		d.seq = append(d.seq[:0], b)
		d.state = (*Decoder).escape
	case d.pasting:
		d.paste(b, emit)
	case b == '\r':
		emit(Key{Name: "enter"})
	case b == '\n':
		// Enter is a carriage return from a terminal in raw mode, so a line feed that comes alone is Ctrl+J.
		// Within more it was written by a program or pasted, and ends a line there.
		if d.size == 1 {
			emit(Key{Name: "ctrl+j"})
		} else {
			emit(Key{Name: "enter"})
		}
	case b == '\t':
		emit(Key{Name: "tab", More: strings.Trim(string(d.following), "\t") != ""})
	case b >= ' ' && b < 0x7f:
		d.text([]byte{b}, emit)
	default:
		emit(Key{Name: controlNames[b&0x7f]})
	}
}

// paste takes a control byte within a bracketed paste: lines and tabs are kept, keys have no function. Terminals send
// no Ctrl+C in one, so that is a person whose paste has lost its end.
func (d *Decoder) paste(b byte, emit func(Key)) {
	switch b {
	case '\r', '\n', '\v', '\f':
		cr := d.cr
		d.text([]byte{'\n'}, emit)
		d.cr = cr
	case '\t':
		d.text([]byte(text.Tab), emit)
	case 0x03:
		d.endPaste(emit)
	default:
		if b >= ' ' && b < 0x7f {
			d.text([]byte{b}, emit)
		}
	}
}

func (d *Decoder) endPaste(emit func(Key)) {
	d.pasting, d.stalled = false, false
	emit(Key{Name: "pasted"})
}

// escape takes the byte after an escape.
func (d *Decoder) escape(b byte, emit func(Key)) {
	switch {
	case b == '[':
		d.state = (*Decoder).csi
	case b == 'O':
		d.state = (*Decoder).ss3
	case isString(b):
		d.state = (*Decoder).introducer
	default:
		d.alt(b, emit)
		return
	}
	d.seq = append(d.seq, b)
}

// alt takes the character after an escape that begins no sequence.
func (d *Decoder) alt(b byte, emit func(Key)) {
	if b < utf8.RuneSelf && !d.pasting {
		if k, ok := d.name([]byte{esc, b}); ok && d.Bound != nil && d.Bound(k.Name) {
			d.reset()
			emit(k)
			return
		}
	}
	d.literal(emit)
	d.take(b, emit)
}

// literal emits the bytes of a sequence as typed keys: an Esc, then its characters.
func (d *Decoder) literal(emit func(Key)) {
	seq, spent := slices.Clone(d.seq), d.escTaken
	d.reset()
	if !spent && !d.pasting {
		emit(Key{Name: "esc"})
	}
	if len(seq) > 1 {
		d.text(seq[1:], emit)
	}
}

// csi takes a byte of a control sequence: parameters, then one final byte.
func (d *Decoder) csi(b byte, emit func(Key)) {
	linux := len(d.seq) == 2 && b == '[' // the Linux console's function keys have a second bracket
	switch {
	case b < ' ' || b >= 0x7f, b < '0' && len(d.seq) == 2: // answers have parameters before what stands between
		d.broken(b, emit)
	case b < '@' || linux:
		if len(d.seq) < MaxSequence {
			d.seq = append(d.seq, b)
		}
	case len(d.seq) == MaxSequence:
		d.reset()
	case len(d.seq) == 2 && b == 'M':
		d.seq = append(d.seq, b)
		d.state = (*Decoder).mouse
	default:
		d.seq = append(d.seq, b)
		d.finish(emit)
	}
}

// broken ends a sequence at a byte that cannot belong to it.
func (d *Decoder) broken(b byte, emit func(Key)) {
	d.giveUp(emit)
	d.take(b, emit)
}

// giveUp ends an invalid sequence. It is dropped if it has parameters, which people do not type right after an Esc.
func (d *Decoder) giveUp(emit func(Key)) {
	if d.escTaken || d.seq[1] != '[' || len(d.seq) <= 3 || d.seq[2] == '[' {
		d.literal(emit)
	} else {
		d.reset()
	}
}

// mouse takes the three bytes of a report in X10's form, which follow its final byte: a button, a column, a row.
func (d *Decoder) mouse(b byte, emit func(Key)) {
	if b < ' ' {
		d.reset()
		d.ground(b, emit)
		return
	}
	if d.seq = append(d.seq, b); len(d.seq) == len("\x1b[M")+3 {
		d.finish(emit)
	}
}

// ss3 takes a byte of a function key: a modifier perhaps, then one final byte.
func (d *Decoder) ss3(b byte, emit func(Key)) {
	switch {
	case b < ' ' || b >= 0x7f:
		d.broken(b, emit)
	case b >= '0' && b <= '9' && len(d.seq) < MaxSequence:
		d.seq = append(d.seq, b)
	default:
		d.seq = append(d.seq, b)
		d.finish(emit)
	}
}

// isString reports whether escape and b begin a string that terminals answer with: OSC, DCS or APC.
func isString(b byte) bool { return b == ']' || b == 'P' || b == '_' }

// answers are how strings begin: of colors and titles; of settings, capabilities, names and numbers; kitty's of pictures.
// In bytes of a class: 0 is any digit, a any lower-case letter.
var answers = []string{"]0;", "]00;", "]000;", "]0000;", "P0$", "P0+", "P>|", "P!|", "_Ga="}

// introducer takes a byte at the start of a string, as long as it may be one; otherwise it was typed.
func (d *Decoder) introducer(b byte, emit func(Key)) {
	begun := strings.Map(class, string(d.seq[1:])+string(rune(b)))
	i := slices.IndexFunc(answers, func(a string) bool { return strings.HasPrefix(a, begun) })
	if i < 0 {
		d.literal(emit)
		d.take(b, emit)
		return
	}
	d.seq = append(d.seq, b)
	if begun == answers[i] {
		d.state, d.escTaken = (*Decoder).str, false
	}
}

func class(r rune) rune {
	switch {
	case r >= '0' && r <= '9':
		return '0'
	case r >= 'a' && r <= 'z':
		return 'a'
	}
	return r
}

// str drops a byte of a string. Any control byte ends it: no terminal sends one inside, and a person whose string
// has lost its end gets out with Enter.
func (d *Decoder) str(b byte, emit func(Key)) {
	switch {
	case b == '\a':
		d.reset()
	case b == esc: // of the terminator, or of the next sequence
		d.state = (*Decoder).terminator
	case b < ' ':
		d.reset()
		d.ground(b, emit)
	}
}

// terminator takes the byte after an escape that ended a string.
func (d *Decoder) terminator(b byte, emit func(Key)) {
	if b == '\\' {
		d.reset()
		return
	}
	d.seq = append(d.seq[:0], esc)
	d.escape(b, emit)
}

// finish names the sequence that is complete.
func (d *Decoder) finish(emit func(Key)) {
	if !d.sent() {
		d.giveUp(emit)
		return
	}
	seq := string(d.seq)
	d.reset()
	switch {
	case seq == "\x1b[200~":
		d.pasting, d.stalled = true, false
		return
	case seq == "\x1b[201~":
		if d.pasting {
			d.endPaste(emit)
		}
		return
	case d.pasting && (!d.stalled || d.size != len(seq)):
		return
	case d.pasting:
		d.endPaste(emit)
	}
	if k, ok := d.name([]byte(seq)); ok {
		emit(k)
	}
}

// The last bytes of sequences without parameters.
const (
	csiKeys      = "ABCDEFHPQRSZIOabcd" // cursor keys, Shift+Tab, focus; with rxvt's and kitty's
	csiLate      = "ABCDFHZIO"          // of them, those that count after an Esc was taken for the key
	ss3Keys      = "ABCDEFHPQRSMabcd"
	ss3Late      = "ABCDFHPQRS"
	ss3Keypad    = "XjklmnopqrstuvwxyI "
	linuxConsole = "ABCDE"
)

// sent reports whether seq, which is complete, is a sequence that terminals send.
func (d *Decoder) sent() bool {
	final := d.seq[len(d.seq)-1]
	is := func(set string) bool { return strings.IndexByte(set, final) >= 0 }
	switch {
	case d.seq[1] == 'O' && d.escTaken:
		return len(d.seq) == 3 && is(ss3Late)
	case d.seq[1] == 'O' && is(ss3Keypad): // in a mode that nothing here turns on; more likely "Oh no" was typed on
		return len(d.following) == 0 || d.following[0] == esc
	case d.seq[1] == 'O':
		return is(ss3Keys)
	case d.seq[2] == 'M':
		return true
	case d.seq[2] == '[':
		return len(d.seq) == 4 && is(linuxConsole)
	case len(d.seq) == 3 && d.escTaken:
		return is(csiLate)
	case len(d.seq) == 3:
		return is(csiKeys)
	case !d.escTaken:
		return true // whether it has a name or not
	}
	_, event := d.names.Decode(slices.Clone(d.seq))
	switch event.(type) {
	case uv.UnknownCsiEvent, uv.UnknownEvent:
		return false
	}
	return true
}

// name is the key that a complete sequence encodes; ok is false if it is not a key.
func (d *Decoder) name(seq []byte) (k Key, ok bool) {
	if string(seq) == "\x1b[[A" { // the Linux console's, which ultraviolet does not name
		return Key{Name: "f1"}, true
	}
	_, event := d.names.Decode(seq)
	switch e := event.(type) {
	case uv.MouseWheelEvent:
		switch e.Button {
		case uv.MouseWheelUp:
			return Key{Name: "wheelup"}, true
		case uv.MouseWheelDown:
			return Key{Name: "wheeldown"}, true
		}
	case uv.KeyPressEvent:
		if e.Text != "" { // a terminal that spells out what others send as text
			return Key{Text: e.Text}, true
		}
		return Key{Name: e.Keystroke()}, true
	}
	return k, false
}

// Waiting is how long to wait for more before Expire; 0 if nothing is incomplete.
func (d *Decoder) Waiting() time.Duration {
	lone := len(d.seq) == 1 && d.seq[0] == esc
	switch {
	case d.pasting && !d.stalled:
		return stallTime
	case lone:
		return EscapeTime
	case d.pasting:
		return 0
	case d.state != nil:
		return sequenceTime
	case d.late:
		return lateTime
	}
	return 0
}

// Expire reports that nothing arrived for that long.
func (d *Decoder) Expire(emit func(Key)) {
	lone := len(d.seq) == 1 && d.seq[0] == esc
	switch {
	case d.pasting && !d.stalled:
		d.stalled = true
	case lone:
		if d.pasting {
			d.endPaste(emit)
		}
		d.literal(emit)
		d.late = true
	case d.pasting:
	case d.state == nil:
		d.late = false
	case len(d.seq) == 2 || d.escTaken:
		d.literal(emit)
	default:
		d.reset()
	}
}

// Held is how many bytes of memory unfinished input takes.
func (d *Decoder) Held() int { return cap(d.seq) }

// IsPasting reports whether a bracketed paste is under way.
func (d *Decoder) IsPasting() bool { return d.pasting }

func (d *Decoder) reset() {
	d.state, d.escTaken = nil, false
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
