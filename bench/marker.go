package main

import (
	"bytes"
	"time"
)

// A mark is in the text of each message: its sender, its number among the sender's messages, and when it was sent. It is
// letters and digits only, so that every UI shows it unchanged, and short enough for one row of 80.
//
//	zq SS NNNNNN TTTTTTTTTTTTTTTT qz
const (
	markBegin, markEnd = "zq", "qz"
	senderDigits       = 2
	numberDigits       = 6
	timeDigits         = 16
	markSize           = len(markBegin) + senderDigits + numberDigits + timeDigits + len(markEnd)
)

// filler makes a message about as long as people's are.
const filler = " as long as what people say is"

type mark struct {
	sender, number int
	sent           time.Duration // since clock
}

// clock is what sent times count from.
var clock = time.Now()

func (m mark) append(b []byte) []byte {
	b = append(b, markBegin...)
	b = appendHex(b, uint64(m.sender), senderDigits)
	b = appendHex(b, uint64(m.number), numberDigits)
	b = appendHex(b, uint64(m.sent), timeDigits)
	return append(b, markEnd...)
}

func appendHex(b []byte, v uint64, digits int) []byte {
	const hex = "0123456789abcdef"
	for shift := 4 * (digits - 1); shift >= 0; shift -= 4 {
		b = append(b, hex[v>>shift&15])
	}
	return b
}

// parseMark reads the mark that b begins with.
func parseMark(b []byte) (m mark, ok bool) {
	if len(b) < markSize || !bytes.HasPrefix(b, []byte(markBegin)) || !bytes.HasPrefix(b[markSize-len(markEnd):], []byte(markEnd)) {
		return m, false
	}
	b = b[len(markBegin):]
	field := func(digits int) uint64 {
		v, good := parseHex(b[:digits])
		ok = ok && good
		b = b[digits:]
		return v
	}
	ok = true
	m.sender, m.number = int(field(senderDigits)), int(field(numberDigits))
	m.sent = time.Duration(field(timeDigits))
	return m, ok && m.sent >= 0
}

func parseHex(b []byte) (v uint64, ok bool) {
	for _, c := range b {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		default:
			return 0, false
		}
		v = v<<4 | uint64(c)
	}
	return v, true
}

// scanMarks calls found for each mark in b and returns how many bytes at the end may begin another.
func scanMarks(b []byte, found func(mark)) (rest int) {
	for {
		i := bytes.Index(b, []byte(markBegin))
		if i < 0 {
			break
		}
		b = b[i:]
		if len(b) < markSize {
			return len(b)
		}
		if m, ok := parseMark(b); ok {
			found(m)
			b = b[markSize:]
		} else {
			b = b[1:]
		}
	}
	if bytes.HasSuffix(b, []byte(markBegin[:1])) {
		return 1
	}
	return 0
}
