package peer

import (
	"encoding/binary"
	"errors"
	"slices"
	"time"
)

// A packet between nodes: a header in the clear, which the seal covers, and what is sealed. Numbers are big-endian.
//
//	version 1 | type 1 | session 8 | position 8 | length of the sender's name 1 | the sender's name | sealed
const (
	version    = 1
	fixedBytes = 1 + 1 + 8 + 8 + 1

	maxName     = 32
	maxOverhead = fixedBytes + maxName + 16 + requestBytes + 255 // bytes of a packet beside the data, at most
)

// Types of packets. The last two are not sealed, since there are no keys in common: anyone on the bus can forge them, and all
// they do is end a wait that whoever forges them could prolong as well.
const (
	typeHello     = 1 // the first message of a handshake; from the node that calls
	typeWelcome   = 2 // the second, from the node that is called
	typeRequest   = 3
	typeReply     = 4
	typeCredit    = 5 // from the node that calls: how much of a long reply has arrived
	typeNoSession = 6 // the session of a packet is not known here
	typeRefused   = 7 // the sender of a packet is not known here, or has another key, or means another chat
)

var errPacket = errors.New("it is not a packet of a node")

type header struct {
	kind     byte
	session  uint64
	position uint64
	from     string
}

func (h header) append(b []byte) []byte {
	b = append(b, version, h.kind)
	b = binary.BigEndian.AppendUint64(b, h.session)
	b = binary.BigEndian.AppendUint64(b, h.position)
	b = append(b, byte(len(h.from)))
	return append(b, h.from...)
}

// parsePacket divides a packet into its header, parsed and as it is, and what is sealed.
func parsePacket(b []byte) (h header, ad, sealed []byte, err error) {
	if len(b) < fixedBytes || b[0] != version {
		return h, nil, nil, errPacket
	}
	n := fixedBytes + int(b[fixedBytes-1])
	if len(b) < n || !validName(b[fixedBytes:n]) {
		return h, nil, nil, errPacket
	}
	h = header{
		kind:     b[1],
		session:  binary.BigEndian.Uint64(b[2:]),
		position: binary.BigEndian.Uint64(b[10:]),
		from:     string(b[fixedBytes:n]),
	}
	return h, b[:n:n], b[n:], nil
}

// validName reports whether name can be a node's: [a-z0-9-]{1,32}.
func validName[T ~string | ~[]byte](name T) bool {
	for i := range len(name) {
		if c := name[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return len(name) >= 1 && len(name) <= maxName
}

// What is sealed begins with the number of the call and that of the part. The first part of a request then has the time that
// the caller waits, in milliseconds, the length of the whole request and its kind; the first part of a reply its status and
// the length of the whole.
//
//	call 8 | part 4 | wait 4 | total 4 | length of the kind 1 | kind | data
//	call 8 | part 4 | status 1 | total 4 | data
//	call 8 | part 4 | data                                             (a later part)
//	call 8 | parts 4                                                   (a credit)
const (
	partBytes    = 8 + 4
	requestBytes = partBytes + 4 + 4 + 1
	replyBytes   = partBytes + 1 + 4
)

// Statuses of a reply.
const (
	statusOK        = 0
	statusError     = 1 // the handler's error; the data is its text
	statusKind      = 2 // no handler for the kind
	statusBusy      = 3
	statusDuplicate = 4 // the call was received before, and is being answered
	statusLost      = 5 // a part of the request is missing
	statusReply     = 6 // the reply is too long
	statusAnswered  = 7 // the call was received before, and was answered, in a session that the caller may have lost
)

// part is what a packet holds once it is open.
type part struct {
	call  uint64
	index uint32

	// Of the first part alone.
	wait   time.Duration // of a request
	kind   string        // of a request
	status byte          // of a reply
	total  int

	data []byte
}

func (p part) appendRequest(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, p.call)
	b = binary.BigEndian.AppendUint32(b, p.index)
	if p.index > 0 {
		return b
	}
	b = binary.BigEndian.AppendUint32(b, uint32(p.wait.Milliseconds()))
	b = binary.BigEndian.AppendUint32(b, uint32(p.total))
	b = append(b, byte(len(p.kind)))
	return append(b, p.kind...)
}

func (p part) appendReply(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, p.call)
	b = binary.BigEndian.AppendUint32(b, p.index)
	if p.index > 0 {
		return b
	}
	b = append(b, p.status)
	return binary.BigEndian.AppendUint32(b, uint32(p.total))
}

func appendCredit(b []byte, call uint64, parts int) []byte {
	b = binary.BigEndian.AppendUint64(b, call)
	return binary.BigEndian.AppendUint32(b, uint32(parts))
}

// parsePart reads what every packet begins with.
func parsePart(b []byte) (p part, rest []byte, err error) {
	if len(b) < partBytes {
		return p, nil, errPacket
	}
	p.call, p.index = binary.BigEndian.Uint64(b), binary.BigEndian.Uint32(b[8:])
	return p, b[partBytes:], nil
}

func parseRequest(b []byte) (part, error) {
	p, b, err := parsePart(b)
	if err != nil || p.index > 0 {
		p.data = b
		return p, err
	}
	if len(b) < 9 || len(b) < 9+int(b[8]) {
		return p, errPacket
	}
	p.wait = time.Duration(binary.BigEndian.Uint32(b)) * time.Millisecond
	total := binary.BigEndian.Uint32(b[4:])
	n := 9 + int(b[8])
	p.kind, p.data, p.total = string(b[9:n]), b[n:], int(min(total, MaxRequest+1))
	if p.total > MaxRequest || len(p.data) > p.total {
		return p, errPacket
	}
	return p, nil
}

func parseReply(b []byte) (part, error) {
	p, b, err := parsePart(b)
	if err != nil || p.index > 0 {
		p.data = b
		return p, err
	}
	if len(b) < 5 {
		return p, errPacket
	}
	total := binary.BigEndian.Uint32(b[1:])
	p.status, p.data, p.total = b[0], b[5:], int(min(total, MaxReply+1))
	if p.total > MaxReply || len(p.data) > p.total {
		return p, errPacket
	}
	return p, nil
}

// parseCredit returns the call and how many parts of its reply have arrived.
func parseCredit(b []byte) (call uint64, parts int, err error) {
	p, rest, err := parsePart(b)
	if err != nil || len(rest) > 0 || p.index > MaxReply {
		return 0, 0, errPacket
	}
	return p.call, int(p.index), nil
}

// assembly puts the parts of one request or reply together.
type assembly struct {
	first part
	next  uint32
	data  []byte
	begun time.Time
}

var errLost = errors.New("a part of it is missing")

// add takes the next part, and reports whether that was the last.
func (a *assembly) add(p part) (whole bool, err error) {
	if p.index != a.next || len(p.data) > a.total(p)-len(a.data) || len(p.data) == 0 && a.total(p) > 0 {
		return false, errLost
	}
	if p.index == 0 {
		a.first, a.data = p, p.data // most have no other part: nothing is copied
	} else {
		a.data = append(slices.Grow(a.data, a.first.total-len(a.data)), p.data...)
	}
	a.next++
	return len(a.data) == a.first.total, nil
}

// due reports whether to tell the sender what has arrived: four times for what may be on the way at once.
func (a *assembly) due() bool {
	return int(a.next)%max(1, flowParts(len(a.first.data))/4) == 0
}

// total is the length of the whole, which the first part says.
func (a *assembly) total(p part) int {
	if p.index == 0 {
		return p.total
	}
	return a.first.total
}

// seen is which calls of a node have arrived: the last 16 384. A call that comes a second time, sealed anew because an answer
// was lost or "no session" forged, is not done a second time.
type seen struct {
	top  uint64 // the highest number
	bits []uint64
}

const seenCalls = 16384

// take reports whether the call is new, and remembers it. Calls too old to be remembered count as seen.
func (s *seen) take(call uint64) bool {
	if s.bits == nil {
		s.bits = make([]uint64, seenCalls/64)
	}
	if call > s.top {
		if call-s.top >= seenCalls {
			clear(s.bits)
		} else {
			for n := s.top + 1; n < call; n++ {
				s.bits[n%seenCalls/64] &^= 1 << (n % 64)
			}
		}
		s.top = call
		s.bits[call%seenCalls/64] |= 1 << (call % 64)
		return true
	}
	if s.top-call >= seenCalls {
		return false
	}
	word, bit := &s.bits[call%seenCalls/64], uint64(1)<<(call%64)
	if *word&bit != 0 {
		return false
	}
	*word |= bit
	return true
}
