package history

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
	"sshchat/store/agesplit"
)

// The kinds of records.
const (
	windowRecord = "window"
	msgRecord    = "msg"
	closeRecord  = "close"
	moreRecord   = "more"  // carries on the strings of the record before it
	startRecord  = "start" // the first of a file that goes on from an archive
	shareRecord  = "share" // one more head of an earlier window, for keys that its reader got later

	// attachRecord is reserved for what belongs to a message and is stored beside it. It is checked for its form, and
	// passed over.
	attachRecord = "attach"
)

// sum is the SHA-256 of a record as it is stored: its lines, joined by newlines. The zero sum is no record's.
type sum [sha256.Size]byte

func (s sum) String() string {
	if s == (sum{}) {
		return ""
	}
	return base64.StdEncoding.EncodeToString(s[:])
}

// sumOf is that of a record with those lines.
func sumOf(lines [][]byte) (s sum) {
	if len(lines) == 1 {
		return sha256.Sum256(lines[0])
	}
	hash := sha256.New()
	for i, line := range lines {
		if i > 0 {
			hash.Write([]byte("\n"))
		}
		hash.Write(line)
	}
	hash.Sum(s[:0])
	return s
}

// namedHead is the head of one reader.
type namedHead struct {
	name chat.Name
	head string
}

// record is one record of the history: what it says, and the lines it takes in the file.
type record struct {
	n           uint64 // of the first of its lines; each line counts
	kind        string
	room        chat.RoomName
	w           uint64
	seq         uint64 // msg
	prev        sum
	ok          uint64 // highest n known durable when it was written; with hasOK only
	hasOK       bool
	change      uint64 // of State, the number of the last that the batch stands on; with hasChange only, which has hasOK
	hasChange   bool
	sig         []byte       // window: reserved for its signature, which is not written yet
	from        uint64       // close: the first message it holds
	to          uint64       // close: the last
	heads       []namedHead  // window and share, by name
	tag         string       // share: what the head was made for
	digest      []sum        // close: of each msg record it replaces
	body        []byte       // msg and close
	predecessor *predecessor // start
	packed      *headLines   // window: in place of heads, until it is stored

	event     int       // of a draft: the event that it comes of; -1: none
	lines     [][]byte  // as stored, without newlines
	own       [1][]byte // room for lines, if it is one
	sum       sum
	off       int64         // of the first line in the file
	compacted bool          // read from an archive, where the messages that a close replaced are gone
	plain     []byte        // msg: the sealed line; nil if it was read from the file
	amends    *chat.Message // msg: the edit or deletion; nil if it is neither, or was read from the file
}

// last is the n of the record's last line.
func (r *record) last() uint64 { return r.n + uint64(len(r.lines)) - 1 }

// A line and what stands before and after it fit a page: ",\n", the object, "\n".
const (
	pageSize  = 4096
	lineRoom  = pageSize - 3
	crcSize   = len(`,"crc":"01234567"}`)
	partsSize = len(`,"parts":4294967295`)
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// encode fills in the record's lines and sum.
func (r *record) encode() {
	if r.predecessor != nil {
		r.encodeStart()
		return
	}
	if r.packed != nil {
		r.encodeHeads()
		return
	}
	first := r.appendOpening(make([]byte, 0, 512))
	prefix, suffix := ",", ""
	if r.kind == windowRecord || r.kind == shareRecord {
		prefix, suffix = headsPrefix, headsSuffix
	}
	p := packerFor(first, prefix, suffix)
	for _, h := range r.heads {
		p.add(h.name.String(), h.head, true)
	}
	if len(r.digest) > 0 {
		p.add("digests", base64.StdEncoding.EncodeToString(joinSums(r.digest)), false)
	}
	if r.body != nil {
		p.add("body", base64.StdEncoding.EncodeToString(r.body), false)
	}
	fragments := p.finish()
	r.encodeLines(first, fragments, prefix, suffix)
}

// encodeTo is encode for a message, which nearly all records are. It appends the line to b, and the record's line is a
// part of b.
func (r *record) encodeTo(b []byte) []byte {
	if r.kind != msgRecord {
		r.encode()
		return b
	}
	const field = `,"body":"`
	begin := len(b)
	b = r.appendOpening(b)
	size := len(field) + base64.StdEncoding.EncodedLen(len(r.body)) + len(`"`)
	if len(b)-begin+size+partsSize+crcSize > lineRoom-1 {
		r.encode() // it takes more than one line
		return b[:begin]
	}
	b = append(b, field...)
	b = base64.StdEncoding.AppendEncode(b, r.body)
	b = append(b, '"')
	b = appendCRC(b, b[begin:])
	r.own[0] = b[begin:len(b):len(b)]
	r.lines = r.own[:]
	r.sum = sumOf(r.lines)
	return b
}

// encodeLines makes a line of each fragment, the first after the opening, and sums them.
func (r *record) encodeLines(first []byte, fragments [][]byte, prefix, suffix string) {
	for i, f := range fragments {
		line := append(make([]byte, 0, len(first)+partsSize+len(prefix)+len(f)+len(suffix)+crcSize), first...)
		switch {
		case i > 0:
			line = fmt.Appendf(line[:0], `{"n":%d,"t":"more"`, r.n+uint64(i))
		case len(fragments) > 1:
			line = fmt.Appendf(line, `,"parts":%d`, len(fragments))
		}
		line = append(line, prefix...)
		line = append(line, f...)
		line = append(line, suffix...)
		line = appendCRC(line, line)
		r.lines = append(r.lines, line)
	}
	r.sum = sumOf(r.lines)
}

// appendOpening appends the record's first line up to the strings that may be carried on.
func (r *record) appendOpening(b []byte) []byte {
	text := func(before, s string) {
		b = append(b, before...)
		b = append(b, s...)
		b = append(b, '"')
	}
	number := func(before string, n uint64) {
		b = append(b, before...)
		b = strconv.AppendUint(b, n, 10)
	}
	number(`{"n":`, r.n)
	text(`,"t":"`, r.kind)
	text(`,"room":"`, r.room.String())
	number(`,"w":`, r.w)
	if r.kind == msgRecord || r.kind == attachRecord {
		number(`,"seq":`, r.seq)
	}
	b = append(b, `,"prev":"`...)
	if r.prev != (sum{}) {
		b = base64.StdEncoding.AppendEncode(b, r.prev[:])
	}
	b = append(b, '"')
	if r.hasOK {
		number(`,"ok":`, r.ok)
		b = append(b, r.changeField()...)
	}
	if len(r.sig) > 0 {
		text(`,"sig":"`, base64.StdEncoding.EncodeToString(r.sig))
	}
	if r.kind == closeRecord {
		number(`,"from":`, r.from)
		number(`,"to":`, r.to)
	}
	if r.kind == shareRecord {
		text(`,"for":"`, r.tag)
	}
	return b
}

// changeField is the field b, which follows ok.
func (r *record) changeField() string {
	if !r.hasChange {
		return ""
	}
	return `,"b":` + strconv.FormatUint(r.change, 10)
}

func joinSums(sums []sum) []byte {
	b := make([]byte, 0, len(sums)*sha256.Size)
	for _, s := range sums {
		b = append(b, s[:]...)
	}
	return b
}

// packer spreads strings over the lines of a record.
type packer struct {
	joiner string
	room   int // bytes left in the present line
	next   int // bytes in each line after it
	line   []byte
	lines  [][]byte
}

// What stands around the heads in a line.
const headsPrefix, headsSuffix = `,"heads":{`, "}"

// packerFor packs the lines of a record whose first line begins with opening.
func packerFor(opening []byte, prefix, suffix string) packer {
	return packer{joiner: ",", room: lineRoom - len(opening) - crcSize - partsSize - len(prefix) - len(suffix),
		next: lineRoom - len(`{"n":18446744073709551615,"t":"more"`) - crcSize - len(prefix) - len(suffix)}
}

// add appends `"key":"value"`. What does not fit goes on in the next line under the same key. A head is not divided if it
// fits one line, and may have to be escaped; what is no head is base64.
func (p *packer) add(key, value string, head bool) {
	overhead := len(p.joiner) + len(`"":""`) + len(key)
	const least = 64 // it is not worth beginning a value for less
	for {
		piece, rest := cut(value, p.room-overhead, head)
		if rest != "" && (p.room-overhead < least || head && len(p.line) > 0 && fits(value, p.next-overhead)) {
			p.turn()
			continue
		}
		if len(p.line) > 0 {
			p.line = append(p.line, p.joiner...)
		}
		before := len(p.line)
		p.line = append(p.line, '"')
		p.line = append(p.line, key...)
		p.line = append(p.line, `":"`...)
		if head {
			p.escape(piece)
		} else {
			p.line = append(p.line, piece...)
		}
		p.line = append(p.line, '"')
		p.room -= len(p.line) - before + len(p.joiner)
		if rest == "" {
			return
		}
		value = rest
		p.turn()
	}
}

func (p *packer) escape(s string) {
	for i := range len(s) {
		switch c := s[i]; c {
		case '\n':
			p.line = append(p.line, `\n`...)
		case '"', '\\':
			p.line = append(p.line, '\\', c)
		default:
			p.line = append(p.line, c)
		}
	}
}

func (p *packer) turn() {
	p.lines = append(p.lines, p.line)
	p.line, p.room = make([]byte, 0, p.next), p.next
}

func (p *packer) finish() [][]byte {
	if len(p.line) > 0 || len(p.lines) == 0 {
		p.lines = append(p.lines, p.line)
	}
	return p.lines
}

// cut divides s so that the first piece takes at most room bytes in JSON. Heads and base64 are ASCII, in which only
// newline, quote and backslash take two bytes.
func cut(s string, room int, head bool) (piece, rest string) {
	if !head {
		n := min(max(room, 0), len(s))
		return s[:n], s[n:]
	}
	for i := range len(s) {
		room--
		if c := s[i]; c == '\n' || c == '"' || c == '\\' {
			room--
		}
		if room < 0 {
			return s[:i], s[i:]
		}
	}
	return s, ""
}

func fits(s string, room int) bool {
	_, rest := cut(s, room, true)
	return rest == ""
}

// recordJSON is one line of the file.
type recordJSON struct {
	N       uint64                      `json:"n"`
	T       string                      `json:"t"`
	Room    chat.RoomName               `json:"room"`
	W       uint64                      `json:"w"`
	Seq     uint64                      `json:"seq"`
	Prev    string                      `json:"prev"`
	OK      *uint64                     `json:"ok"`
	B       *uint64                     `json:"b"`
	Sig     string                      `json:"sig"`
	From    uint64                      `json:"from"`
	To      uint64                      `json:"to"`
	For     string                      `json:"for"`
	Parts   int                         `json:"parts"`
	Heads   map[string]string           `json:"heads"`
	Digests string                      `json:"digests"`
	Archive string                      `json:"archive"`
	Size    int64                       `json:"size"`
	SHA256  string                      `json:"sha256"`
	At      string                      `json:"at"`
	Rooms   map[chat.RoomName]placeJSON `json:"rooms"`
	Body    string                      `json:"body"`
	CRC     string                      `json:"crc"`

	digests, body []string // what more lines carry on, for record
}

// errNewer is wrapped if a line's checksum holds and what it says is not known here. No crash writes that, and no rot:
// it is of a newer format, and not to be touched.
var errNewer = errors.New("its checksum is right, so its format is newer than this version of sshchat")

// checkLine sees that a line is as it was written.
func checkLine(line []byte) error {
	at := len(line) - crcSize
	if at < 0 {
		return errors.New("it is cut short")
	}
	if want := appendCRC(make([]byte, 0, crcSize), line[:at]); !bytes.Equal(want, line[at:]) {
		return errors.New("its checksum does not match")
	}
	return nil
}

// appendCRC appends the checksum to the line at the end of b.
func appendCRC(b, line []byte) []byte {
	var sum [4]byte
	binary.BigEndian.PutUint32(sum[:], crc32.Checksum(line, castagnoli))
	b = append(b, `,"crc":"`...)
	b = hex.AppendEncode(b, sum[:])
	return append(b, `"}`...)
}

// parseRecordLine checks a line's checksum and reads it. Beyond the checksum, errors wrap errNewer.
func parseRecordLine(line []byte) (recordJSON, error) {
	var j recordJSON
	if err := checkLine(line); err != nil {
		return j, err
	}
	if parsePlainLine(line, &j) {
		return j, nil
	}
	j = recordJSON{}
	err := parseAnyLine(line, &j)
	return j, err
}

// parseAnyLine reads a line whose checksum holds.
func parseAnyLine(line []byte, j *recordJSON) error {
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(j); err != nil {
		return fmt.Errorf("%w: %w", errNewer, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: it is more than one object", errNewer)
	}
	if !knownKind(j.T) {
		return fmt.Errorf("%w: a record of type %q", errNewer, j.T)
	}
	if j.Parts < 0 || j.Parts == 1 {
		return fmt.Errorf("%w: a record of %d parts", errNewer, j.Parts)
	}
	return nil
}

// parseRecord reads a record that takes those lines.
func parseRecord(lines [][]byte) (*record, error) {
	r, err := leadingRecord(lines)
	if err == nil && len(r.lines) != len(lines) {
		err = errors.New("it has too many parts")
	}
	return r, err
}

// leadingRecord reads the record that the first of the lines begins.
func leadingRecord(lines [][]byte) (*record, error) {
	j, err := parseRecordLine(lines[0])
	if err != nil {
		return nil, err
	}
	if j.T == moreRecord {
		return nil, errors.New("it is part of no record")
	}
	parts := max(j.Parts, 1)
	if parts > len(lines) {
		return nil, errors.New("parts of it are missing")
	}
	for i := 1; i < parts; i++ {
		more, err := parseRecordLine(lines[i])
		if err == nil && (more.T != moreRecord || more.N != j.N+uint64(i)) {
			err = errors.New("a part of it is missing")
		}
		if err != nil {
			return nil, err
		}
		j.carry(more)
	}
	return j.record(lines[:parts:parts])
}

// readBack reads the record, which was drafted, from its lines.
func (r *record) readBack() (*record, error) {
	if r.packed != nil {
		return r.readBackHeads()
	}
	return parseRecord(r.lines)
}

// is reports whether both records are the same, wherever they are.
func (r *record) is(o *record) bool {
	return r.n == o.n && r.kind == o.kind && r.room == o.room && r.w == o.w && r.seq == o.seq && r.prev == o.prev &&
		r.ok == o.ok && r.hasOK == o.hasOK && r.change == o.change && r.hasChange == o.hasChange && r.from == o.from && r.to == o.to && r.tag == o.tag && r.sum == o.sum &&
		slices.Equal(r.heads, o.heads) && slices.Equal(r.digest, o.digest) && bytes.Equal(r.body, o.body) &&
		(r.predecessor == nil) == (o.predecessor == nil)
}

// readsAs reads the record's lines, which were encoded, and returns why they do not read as the record. scratch is room for
// its body.
func (r *record) readsAs(scratch *[]byte) error {
	if r.kind == msgRecord && len(r.lines) == 1 && r.readsPlainly(scratch) {
		return r.check()
	}
	back, err := r.readBack()
	if err == nil && !back.is(r) {
		err = errors.New("it reads as something else")
	}
	return err
}

// readsPlainly reports whether the line reads, as parsePlainLine does, as the message that the record is. It makes no other
// record to compare with, since it is asked for each message.
func (r *record) readsPlainly(scratch *[]byte) bool {
	line := r.lines[0]
	if checkLine(line) != nil {
		return false
	}
	c := cursor{rest: line, good: true}
	c.good = c.canonical(`{"n":`) == r.n && c.good
	c.good = string(c.view(`,"t":"`)) == r.kind && c.good
	c.good = string(c.view(`,"room":"`)) == r.room.String() && c.good
	c.good = c.canonical(`,"w":`) == r.w && c.good
	c.good = c.canonical(`,"seq":`) == r.seq && c.good
	c.good = r.prev.is(c.view(`,"prev":"`)) && c.good
	if c.has(`,"ok":`) {
		c.good = r.hasOK && c.canonical(`,"ok":`) == r.ok && c.good
		if c.has(`,"b":`) {
			c.good = r.hasChange && c.canonical(`,"b":`) == r.change && c.good
		} else {
			c.good = !r.hasChange && c.good
		}
	} else {
		c.good = !r.hasOK && !r.hasChange && c.good
	}
	body := c.view(`,"body":"`)
	if !c.good || len(body) == 0 {
		return false
	}
	b, err := base64.StdEncoding.AppendDecode((*scratch)[:0], body)
	*scratch = b
	c.view(`,"crc":"`)
	return err == nil && bytes.Equal(b, r.body) && c.good && string(c.rest) == "}"
}

// is reports whether text is the sum, as records have it.
func (s sum) is(text []byte) bool {
	if s == (sum{}) {
		return len(text) == 0
	}
	var b [2 * sha256.Size]byte
	return string(base64.StdEncoding.AppendEncode(b[:0], s[:])) == string(text)
}

// parsePlainLine reads a line of a message, a close or a window as we write them, which nearly all lines are, and faster than
// JSON is read. It returns false for every other line, and then j is of no use.
func parsePlainLine(line []byte, j *recordJSON) bool {
	c := cursor{rest: line, good: true}
	j.N = c.canonical(`{"n":`)
	switch j.T = c.plain(`,"t":"`); {
	case !c.good:
		return false
	case j.T == msgRecord || j.T == closeRecord || j.T == windowRecord:
		if j.Room.UnmarshalText([]byte(c.plain(`,"room":"`))) != nil {
			return false
		}
		j.W = c.canonical(`,"w":`)
		if j.T == msgRecord {
			j.Seq = c.canonical(`,"seq":`)
		}
		j.Prev = c.plain(`,"prev":"`)
		if c.has(`,"ok":`) {
			ok := c.canonical(`,"ok":`)
			j.OK = &ok
			if c.has(`,"b":`) {
				b := c.canonical(`,"b":`)
				j.B = &b
			}
		}
		if j.T == closeRecord {
			j.From, j.To = c.canonical(`,"from":`), c.canonical(`,"to":`)
		}
		if c.has(`,"parts":`) {
			parts := c.canonical(`,"parts":`)
			c.good = c.good && parts > 1 && parts < 1<<31
			j.Parts = int(parts)
		}
	case j.T != moreRecord:
		return false
	}
	if c.next(`,"heads":{`) {
		j.Heads = c.heads()
	}
	if c.has(`,"digests":`) {
		j.Digests = c.plain(`,"digests":"`)
	}
	if c.has(`,"body":`) {
		j.Body = c.plain(`,"body":"`)
	}
	j.CRC = c.plain(`,"crc":"`)
	return c.good && string(c.rest) == "}"
}

func knownKind(kind string) bool {
	switch kind {
	case windowRecord, msgRecord, closeRecord, moreRecord, startRecord, shareRecord, attachRecord:
		return true
	}
	return false
}

// carry appends the strings of a more line.
func (j *recordJSON) carry(more recordJSON) {
	for name, head := range more.Heads {
		if j.Heads == nil {
			j.Heads = make(map[string]string)
		}
		j.Heads[name] += head
	}
	for room, at := range more.Rooms {
		if j.Rooms == nil {
			j.Rooms = make(map[chat.RoomName]placeJSON)
		}
		j.Rooms[room] = at
	}
	if more.Digests != "" {
		j.digests = append(j.digests, more.Digests)
	}
	if more.Body != "" {
		j.body = append(j.body, more.Body)
	}
}

// record checks what the lines say and returns it as a record.
func (j *recordJSON) record(lines [][]byte) (*record, error) {
	r := &record{n: j.N, kind: j.T, room: j.Room, w: j.W, seq: j.Seq, from: j.From, to: j.To, tag: j.For, lines: lines}
	r.sum = sumOf(lines)
	if j.OK != nil {
		r.ok, r.hasOK = *j.OK, true
	}
	if j.B != nil {
		r.change, r.hasChange = *j.B, true
	}
	var err error
	if j.Sig != "" {
		if r.sig, err = base64.StdEncoding.DecodeString(j.Sig); err != nil {
			return nil, errors.New("its sig is not base64")
		}
	}
	if r.predecessor, err = j.predecessor(); err != nil {
		return nil, err
	}
	if r.prev, err = parseSum(j.Prev); err != nil {
		return nil, fmt.Errorf("its prev: %w", err)
	}
	for _, s := range slices.Sorted(maps.Keys(j.Heads)) { // in the order of names
		name, err := text.ParseName(s)
		if err != nil || name.String() != s {
			return nil, fmt.Errorf("a head for %q, which is not a name", s)
		}
		r.heads = append(r.heads, namedHead{name, j.Heads[s]})
	}
	raw, err := decodeParts(j.Digests, j.digests)
	if err != nil || len(raw)%sha256.Size != 0 {
		return nil, errors.New("its digests are not digests")
	}
	for d := range slices.Chunk(raw, sha256.Size) {
		r.digest = append(r.digest, sum(d))
	}
	if j.Body != "" || len(j.body) > 0 {
		if r.body, err = decodeParts(j.Body, j.body); err != nil {
			return nil, errors.New("its body is not base64")
		}
	}
	return r, r.check()
}

// decodeParts decodes base64 that is carried on.
func decodeParts(first string, more []string) ([]byte, error) {
	if len(more) > 0 {
		first += strings.Join(more, "")
	}
	return base64.StdEncoding.DecodeString(first)
}

// check reports whether the record has the fields of its kind.
func (r *record) check() error {
	if r.kind == startRecord {
		return r.checkStart()
	}
	if r.predecessor != nil {
		return errors.New("it is not a start, but names an archive")
	}
	if r.room.IsZero() || r.w == 0 {
		return errors.New("it has no room or no window")
	}
	body := len(r.body) >= agesplit.BodyOverhead
	var good bool
	switch r.kind {
	case windowRecord:
		good = r.seq == 0 && r.from == 0 && r.to == 0 && len(r.digest) == 0 && len(r.body) == 0
	case msgRecord:
		good = r.seq > 0 && r.from == 0 && r.to == 0 && len(r.digest) == 0 && len(r.heads) == 0 && body
	case closeRecord:
		good = r.seq == 0 && r.from > 0 && r.to >= r.from && len(r.heads) == 0 && body &&
			uint64(len(r.digest)) == r.to-r.from+1
	case attachRecord:
		good = r.seq > 0 && r.prev != (sum{}) && r.from == 0 && r.to == 0 && len(r.digest) == 0 && len(r.heads) == 0 && body
	case shareRecord:
		good = r.seq == 0 && r.from == 0 && r.to == 0 && len(r.digest) == 0 && len(r.body) == 0 && len(r.heads) == 1
	}
	if r.hasChange && !r.hasOK || len(r.sig) > 0 && r.kind != windowRecord {
		good = false
	}
	if !good || (r.tag != "") != (r.kind == shareRecord) {
		return fmt.Errorf("it is not a whole record of kind %q", r.kind)
	}
	return nil
}

func parseSum(s string) (sum, error) {
	if s == "" {
		return sum{}, nil
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil || len(raw) != sha256.Size || sum(raw) == (sum{}) {
		return sum{}, fmt.Errorf("%q is not a SHA-256", s)
	}
	return sum(raw), nil
}
