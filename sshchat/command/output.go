package command

import (
	"bytes"
	"context"
	"errors"
	"io"
	"unicode/utf8"

	"sshchat/sshchat/chat"
)

// bytesOut is for Bytes of a command that never prints anything else.
func bytesOut(*Call) bool { return true }

// output sees to it that bytes come to whoever asked as they are. A terminal ends lines in its own way, and shows what it
// is not to show: a command that says it prints bytes is refused there, and one that does not say it prints text.
func (d *dispatch) output(ctx context.Context) *textOut {
	printed := &textOut{w: d.Out}
	if printsBytes(d.Call) {
		d.Out = &untilEnd{ctx, d.Out}
	} else {
		d.Out = printed
	}
	return printed
}

func printsBytes(c *Call) bool { return c.Command.Bytes != nil && c.Command.Bytes(c) }

// fits refuses bytes on a terminal.
func (d *dispatch) fits() error {
	if d.Terminal && printsBytes(d.Call) {
		return refuse(chat.Usage, "%s prints data for a program, which a terminal would change. Run ssh without -t, or with -T, "+
			"and send the output to a file or a pipe", []any{d.Command.Name})
	}
	return nil
}

// untilEnd is output of bytes for as long as its session lasts: what is long, as a tar, does not outlive a ban or the
// server.
type untilEnd struct {
	ctx context.Context
	io.Writer
}

func (u *untilEnd) Write(p []byte) (int, error) {
	if u.ctx.Err() != nil {
		return 0, context.Cause(u.ctx)
	}
	return u.Writer.Write(p)
}

// textOut passes on text, and nothing from the first byte on that is none.
type textOut struct {
	w   io.Writer
	cut []byte // the beginning of a character whose end comes with the next write
	bad bool
}

var errBytes = errors.New("not text")

func (o *textOut) Write(p []byte) (int, error) {
	if o.bad {
		return 0, errBytes
	}
	b := append(o.cut, p...)
	whole := len(b)
	for i := 1; i < utf8.UTFMax && i <= len(b); i++ {
		if tail := b[len(b)-i:]; utf8.RuneStart(tail[0]) {
			if !utf8.FullRune(tail) {
				whole -= i
			}
			break
		}
	}
	if !utf8.Valid(b[:whole]) || bytes.IndexByte(b, 0) >= 0 {
		o.bad = true
		return 0, errBytes
	}
	if _, err := o.w.Write(b[:whole]); err != nil {
		return 0, err
	}
	o.cut = append(o.cut[:0], b[whole:]...)
	return len(p), nil
}
