package history

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/lists"
)

// headLines are the heads of a window as its record will have them, with room for what is not known before it is written: its
// number, its place in the chain. So the record of a large room, of some megabytes, is put together in little time while
// others wait.
type headLines struct {
	names []chat.Name // the readers with a head, sorted; not changed
	lines []headLine  // the first has the record's opening before it
}

// headLine is what one line of the record has of heads.
type headLine struct {
	room       []byte // for the whole line
	start, end int    // of the text in it: `"alice":"…","bob":"…"`
	crc        uint32 // of the text as it was read back
	of         []headPart
}

// headPart is whose head, or a part of it, ends where in a line's text.
type headPart struct {
	name chat.Name
	end  int
}

func (l *headLine) text() []byte { return l.room[l.start:l.end] }

// packHeads spreads heads over lines of the room's window record, sorted by name, and reads them back. An error is one of
// ours.
func packHeads(room chat.RoomName, heads []namedHead) (headLines, error) {
	lists.Sort(heads, func(a, b namedHead) int { return a.name.Compare(b.name) })
	l := headLines{names: make([]chat.Name, len(heads))}
	p := headPacker(room)
	var of [][]headPart
	for i, h := range heads {
		l.names[i] = h.name
		before := len(p.lines)
		p.add(h.name.String(), h.head, true)
		for at := before; at <= len(p.lines); at++ {
			if at == len(of) {
				of = append(of, nil)
			}
			text := p.line
			if at < len(p.lines) {
				text = p.lines[at]
			}
			if len(of[at]) == 0 && len(text) > 0 || len(of[at]) > 0 && len(text) > of[at][len(of[at])-1].end {
				of[at] = append(of[at], headPart{h.name, len(text)})
			}
		}
		if i%headsAtOnce == 0 {
			runtime.Gosched() // others are served between heads
		}
	}
	for i, text := range p.finish() {
		before := len(moreOpening(^uint64(0))) + len(headsPrefix)
		if i == 0 {
			before = len(longestOpening(room)) + partsSize + len(headsPrefix)
		}
		line := newHeadLine(before, text)
		if i < len(of) {
			line.of = of[i]
		}
		l.lines = append(l.lines, line)
	}
	return l, l.check(heads)
}

func newHeadLine(before int, text []byte) headLine {
	l := headLine{start: before, end: before + len(text), crc: crc32.Checksum(text, castagnoli)}
	l.room = make([]byte, l.end+len(headsSuffix)+crcSize)
	copy(l.room[before:], text)
	return l
}

// longestOpening is as long as any that a window record of the room may have.
func longestOpening(room chat.RoomName) []byte {
	const most = ^uint64(0)
	longest := record{n: most, kind: windowRecord, room: room, w: most, prev: sum{1}, ok: most, hasOK: true, change: most, hasChange: true}
	return longest.appendOpening(nil)
}

func headPacker(room chat.RoomName) packer {
	return packerFor(longestOpening(room), headsPrefix, headsSuffix)
}

// check reads the lines back, and sees that they are those heads.
func (l *headLines) check(heads []namedHead) error {
	var rest string // of the present head
	for i := range l.lines {
		read, err := l.lines[i].read()
		if err != nil {
			return err
		}
		for _, part := range l.lines[i].of {
			if rest == "" {
				if len(heads) == 0 || heads[0].name != part.name {
					return fmt.Errorf("a head of %s is where there should be no head", part.name)
				}
				rest, heads = heads[0].head, heads[1:]
			}
			piece := read[part.name.String()]
			if piece == "" || !strings.HasPrefix(rest, piece) {
				return fmt.Errorf("the head of %s reads as something else", part.name)
			}
			rest = rest[len(piece):]
		}
		runtime.Gosched()
	}
	if rest != "" || len(heads) > 0 {
		return errors.New("heads are missing")
	}
	return nil
}

// read reads the line as one of a record.
func (l *headLine) read() (map[string]string, error) {
	line := append([]byte(moreOpening(1)+headsPrefix), l.text()...)
	line = append(line, headsSuffix...)
	line = appendCRC(line, line)
	j, err := parseRecordLine(line)
	if err == nil && len(j.Heads) != len(l.of) {
		err = fmt.Errorf("it has %d heads, not %d", len(j.Heads), len(l.of))
	}
	return j.Heads, err
}

// with returns the lines with the heads of changed readers replaced.
func (l headLines) with(room chat.RoomName, changed map[chat.Name]*changedHead, heads []namedHead) (headLines, error) {
	goes := func(name chat.Name) bool { return changed[name] != nil }
	names := slices.DeleteFunc(slices.Clone(l.names), goes)
	more, err := packHeads(room, heads)
	if err != nil {
		return l, err
	}
	if len(more.names) > 0 {
		names = append(names, more.names...)
		slices.SortFunc(names, chat.Name.Compare)
	}
	var lines []headLine
	for i, line := range l.lines {
		if slices.ContainsFunc(line.of, func(p headPart) bool { return goes(p.name) }) {
			if line = line.without(goes); len(line.of) > 0 {
				if _, err := line.read(); err != nil {
					return l, err
				}
			}
		}
		if i == 0 || len(line.of) > 0 {
			lines = append(lines, line)
		}
	}
	if len(more.names) > 0 {
		lines = append(lines, more.lines...)
	}
	return headLines{names: names, lines: lines}, nil
}

// without returns the line without the heads of removed readers.
func (l headLine) without(goes func(chat.Name) bool) (kept headLine) {
	var text []byte
	var of []headPart
	start := 0
	for _, part := range l.of {
		if !goes(part.name) {
			if len(text) > 0 {
				text = append(text, ',')
			}
			text = append(text, bytes.TrimPrefix(l.text()[start:part.end], []byte(","))...)
			of = append(of, headPart{part.name, len(text)})
		}
		start = part.end
	}
	kept = newHeadLine(l.start, text)
	kept.of = of
	return kept
}

// moreOpening begins a line that carries on a record.
func moreOpening(n uint64) string { return `{"n":` + strconv.FormatUint(n, 10) + `,"t":"more"` }

// encodeHeads is encode for the record of a window. Its lines are in the room that the heads' lines have, so one made again
// after a failed write takes the place of the one before.
func (r *record) encodeHeads() {
	r.lines = make([][]byte, len(r.packed.lines))
	for i := range r.packed.lines {
		opening := []byte(moreOpening(r.n + uint64(i)))
		if i == 0 {
			opening = r.appendOpening(nil)
			if len(r.lines) > 1 {
				opening = fmt.Appendf(opening, `,"parts":%d`, len(r.lines))
			}
		}
		r.lines[i] = r.packed.lines[i].around(append(opening, headsPrefix...))
	}
	r.sum = sumOf(r.lines)
}

// around is the whole line, which begins so.
func (l *headLine) around(opening []byte) []byte {
	start := l.start - len(opening)
	copy(l.room[start:], opening)
	copy(l.room[l.end:], headsSuffix)
	end := l.end + len(headsSuffix)
	return appendCRC(l.room[start:end:len(l.room)], l.room[start:end])
}

// readBackHeads reads the record of a window as parseRecord does, but for its heads, which were read when they were packed:
// of these it sees that the lines have them.
func (r *record) readBackHeads() (*record, error) {
	if len(r.lines) != len(r.packed.lines) {
		return nil, errors.New("lines are missing")
	}
	var bare []byte
	for i, line := range r.lines {
		if err := checkLine(line); err != nil {
			return nil, err
		}
		packed := &r.packed.lines[i]
		open, ok := bytes.CutSuffix(line[:len(line)-crcSize], []byte(headsSuffix))
		before := len(open) - len(packed.text())
		if !ok || before < 0 || crc32.Checksum(open[before:], castagnoli) != packed.crc {
			return nil, fmt.Errorf("line %d does not have the heads that were read back", i+1)
		}
		if open, ok = bytes.CutSuffix(open[:before], []byte(headsPrefix)); !ok || len(line) > lineRoom {
			return nil, fmt.Errorf("line %d is not one of heads", i+1)
		}
		if i == 0 {
			bare = appendCRC(bytes.Clone(open), open)
			continue
		}
		if string(open) != moreOpening(r.n+uint64(i)) {
			return nil, errors.New("a part of it is missing")
		}
	}
	j, err := parseRecordLine(bare)
	if err == nil && max(j.Parts, 1) != len(r.lines) {
		err = errors.New("it takes fewer lines")
	}
	if err != nil {
		return nil, err
	}
	back, err := j.record([][]byte{bare})
	if err == nil {
		back.lines, back.sum = r.lines, r.sum
	}
	return back, err
}

// headsAtOnce is how many heads a goroutine makes for one window before it lets another room have its turn.
const headsAtOnce = 8

// headWorkers make heads ahead on all cores: as many goroutines as run at once, while there is something to do. Rooms take
// turns. After each head the others of the program are let run, so that nobody waits for the many.
type headWorkers struct {
	mu      sync.Mutex        // guards what follows
	next    []*preparedWindow // that come next in their rooms, the one whose turn it is first
	spares  []*preparedWindow // spare windows, made when there are no others to make
	running int
	closed  bool

	all sync.WaitGroup // the goroutines
}

// enqueue has what the window lacks made, a spare later than what comes next. It may be ordered more than once.
func (w *headWorkers) enqueue(p *preparedWindow, spare bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return
	}
	if spare {
		w.spares = append(w.spares, p)
	} else {
		w.next = append(w.next, p)
	}
	for w.running < runtime.GOMAXPROCS(0) { // one that finds nothing to do ends
		w.running++
		w.all.Go(w.work)
	}
}

// work makes heads while there are any to make.
func (w *headWorkers) work() {
	for {
		p, t := w.take()
		if p == nil {
			return
		}
		p.do(t)
	}
}

// take is the next task; without one the goroutine is to end.
func (w *headWorkers) take() (*preparedWindow, headTask) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, queue := range []*[]*preparedWindow{&w.next, &w.spares} {
		for len(*queue) > 0 && !w.closed {
			p := (*queue)[0]
			*queue = (*queue)[1:]
			if t, ok := p.take(); ok {
				*queue = append(*queue, p) // behind the other rooms
				return p, t
			}
		}
	}
	w.running--
	return nil, headTask{}
}

// stop makes the goroutines end after their present heads: for a dropped window, one each.
func (w *headWorkers) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
}

// wait returns when the goroutines have ended.
func (w *headWorkers) wait() { w.all.Wait() }
