package command

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"sshchat/sshchat/text"
)

// This file is how commands read standard input, which a person names by a single -.

// eachLine calls f with each line of standard input, without its end, until f fails. A line of more than max bytes, or that
// is not UTF-8, is an error, and so is one that was cut off by the end of the session: only the end of input ends the last.
func eachLine(c *Call, max int, f func(line string) error) error {
	in := bufio.NewReaderSize(c.In, max+len("\r\n"))
	for number := 1; ; number++ {
		b, err := in.ReadSlice('\n')
		last := errors.Is(err, io.EOF)
		switch {
		case last && len(b) == 0:
			return nil
		case errors.Is(err, bufio.ErrBufferFull):
			return failed("line %d of standard input is longer than %d bytes", number, max)
		case err != nil && !last:
			return err
		}
		line := string(trimEnd(b))
		if number == 1 {
			line = strings.TrimPrefix(line, text.BOM)
		}
		if err := text.Check(line); err != nil {
			return failed("line %d of standard input: %v", number, err)
		}
		if err := f(line); err != nil {
			return err
		}
		if last {
			return nil
		}
	}
}

// trimEnd takes away the end of a line, as Unix or Windows write it.
func trimEnd(b []byte) []byte {
	for _, end := range []byte("\n\r") {
		if n := len(b); n > 0 && b[n-1] == end {
			b = b[:n-1]
		}
	}
	return b
}

// readAll reads standard input to its end: text of at most max bytes.
func readAll(c *Call, max int) (string, error) {
	b, err := io.ReadAll(io.LimitReader(c.In, int64(max)+1))
	if err != nil {
		return "", err
	}
	if len(b) > max {
		return "", failed("standard input is longer than %d bytes", max)
	}
	if err := text.Check(string(b)); err != nil {
		return "", failed("standard input: %v", err)
	}
	return strings.TrimPrefix(string(b), text.BOM), nil
}

// sent is how far a command came that says each line of standard input.
type sent struct {
	lines int
	last  string // ID
}

func (s sent) String() string {
	switch s.lines {
	case 0:
		return "Nothing was sent."
	case 1:
		return fmt.Sprintf("1 line was sent, %s, and nothing after it.", s.last)
	}
	return fmt.Sprintf("%d lines were sent, the last is %s, and nothing after it.", s.lines, s.last)
}
