package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/fence"
	"sshchat/sshchat/text"
)

// dispatch is a call on its way: it waits its turn, runs for as long as its caller may, and what came of it is recorded.
type dispatch struct {
	*Call
	line string // as it was typed
	cut  error  // why no more is printed, though the command went on
}

// run runs a command that the caller may use, as long as they may, and writes what came of it into the audit log.
func (d *dispatch) run(ctx context.Context) error {
	d.watch(ctx)
	began, err := d.wait(ctx)
	if err == nil {
		err = d.do(ctx)
	}
	switch {
	case began && d.Command.audited() && (err == nil || d.Account.ID != ""): // a stranger fails as often as they try
		d.record(cause(ctx, err))
	default:
		d.recordDenial(cause(ctx, err))
	}
	return err
}

// wait waits for the call's turn. began is false if it did not come.
func (d *dispatch) wait(ctx context.Context) (began bool, err error) {
	if err := d.fits(); err != nil {
		return false, err
	}
	if !d.Command.Free {
		if err := d.Caller.Pace(ctx, Work, d.line); err != nil {
			return false, err
		}
	}
	if d.Command.audited() && !d.ranked() && d.Account.ID != "" {
		if err := d.Caller.Pace(ctx, Change, d.line); err != nil {
			return false, err
		}
	}
	return ctx.Err() == nil, d.upToDate(ctx)
}

// ErrNotBegun is how a command ends whose caller is gone before its turn: nothing of it was done. It is context.Canceled as well.
var ErrNotBegun = fmt.Errorf("not begun: %w", context.Canceled)

// upToDate waits until the server knows what was decided. Commands that only read go on if that takes long; others are refused. What is
// typed to be said in a session waits for as long as that lasts.
func (d *dispatch) upToDate(ctx context.Context) error {
	fenced := d.Services.Fence
	switch {
	case d.Command.Free && d.Command.Effect == Reads: // such as /quit
	case d.Command.Effect == Reads:
		fenced.Wait(ctx, fence.Reading)
	default:
		most := fence.Login
		if d.Command.Effect == Speaks && d.UI == Chat && fenced.Cause() == nil {
			most = fence.Message
		}
		if err := fenced.Wait(ctx, most); err != nil && ctx.Err() == nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return ErrNotBegun
	}
	return nil
}

// do runs the command.
func (d *dispatch) do(ctx context.Context) error {
	printed := d.output(ctx)
	if d.Command.List && d.UI == Chat {
		return d.show(ctx)
	}
	err := d.Command.Run(ctx, d.Call)
	switch {
	case err == nil && d.cut != nil:
		err = d.cut
	case err == nil && printed.bad:
		err = fmt.Errorf("internal error: %s prints bytes and does not say so", d.Command.Name)
	}
	return err
}

// show runs the command and shows what it prints under the line that asked for it. A few lines are an answer like others.
func (d *dispatch) show(ctx context.Context) error {
	const few = 3
	var list strings.Builder
	out := d.Out
	d.Out = &list
	err := d.Command.Run(ctx, d.Call)
	if said := list.String(); strings.Count(said, "\n") > few {
		d.Session.Show("/"+text.Clean(d.line, 72), said)
	} else {
		io.WriteString(out, said)
	}
	return err
}

// output keeps binary output intact. A terminal changes line ends and interprets escapes, so a command that prints bytes
// is refused on one, and every other command can print only text.
func (d *dispatch) output(ctx context.Context) *textOut {
	printed := &textOut{w: d.Out}
	if printsBytes(d.Call) {
		d.Out = &untilEnd{ctx, d.Out}
	} else {
		d.Out = printed
	}
	return printed
}

// fits refuses bytes on a terminal.
func (d *dispatch) fits() error {
	if d.Terminal && printsBytes(d.Call) {
		return refuse(chat.Usage, "%s prints binary data, which a terminal would garble. Run ssh without -t, or with -T, "+
			"and redirect the output to a file or a pipe", []any{d.Command.Name})
	}
	return nil
}

func printsBytes(c *Call) bool { return c.Command.Bytes != nil && c.Command.Bytes(c) }

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

// textOut passes on text, up to the first byte that is not text.
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

// deny refuses the call for lack of rights, at the rate of other commands.
func (d *dispatch) deny(ctx context.Context, refused error) error {
	if d.Account.ID == "" || !d.Command.denialAudited() {
		return refused
	}
	if err := d.Caller.Pace(ctx, Work, d.line); err != nil {
		return err
	}
	d.recordDenial(refused)
	return refused
}

// audited reports whether the audit log has a line for each use of the command.
func (cmd *Command) audited() bool {
	return cmd.Audit || cmd.Effect == ChangesAccount || cmd.Role != "" && cmd.Effect != Reads
}

// denialAudited reports whether the audit log gets a line if the command is refused for lack of rights.
func (cmd *Command) denialAudited() bool {
	return cmd.audited() || cmd.Role != "" || cmd.Effect != Reads
}

// maxAudited is how much of what was typed a line of the audit log keeps, in bytes.
const maxAudited = 300

// record writes the command's result into the audit log. If that fails the command is still done: the caller and the
// operator are informed.
func (c *Call) record(err error) {
	if c.Services.Audit == nil || err == nil && c.recorded {
		return
	}
	entry, write := c.act(err), c.Services.Audit.Append
	if !c.ranked() {
		write = c.Services.Audit.Note
	}
	if err := write(entry); err != nil {
		c.Log.Error("the audit log cannot be written", "do", entry.Do, "by", entry.By, "err", err)
		c.Notef("The audit log cannot be written; this is not recorded in it.")
	}
}

// entry is the command's line in the audit log, with its result.
func (c *Call) act(err error) chat.AuditEntry {
	entry := chat.AuditEntry{By: c.Name.String(), Source: c.Source, UI: "chat", Do: c.Command.Name, Result: "done"}
	if c.UI == Exec {
		entry.UI = "exec"
	}
	words := c.Args
	switch {
	case c.Command.Secret:
		words = nil
	case !c.Command.audited(): // the text is only for its recipients
		words = words[:min(len(words), 1)]
	case c.Text != "":
		words = append(words[:len(words):len(words)], c.Text)
	}
	if len(words) > 0 {
		entry.On, entry.Text = text.Clean(words[0], maxAudited), text.Clean(strings.Join(words[1:], " "), maxAudited)
	}
	if c.unwritten > 0 {
		entry.Text = strings.TrimSpace(fmt.Sprintf("%s (%d more before it, not recorded)", entry.Text, c.unwritten))
	}
	switch {
	case err != nil && ExitCode(err) == int(chat.Denied):
		entry.Result = "denied"
	case err != nil:
		entry.Result = "failed"
	}
	return entry
}

// recordDenial writes err into the audit log if it is such a refusal, at the pace of those.
func (d *dispatch) recordDenial(err error) {
	if ExitCode(err) != int(chat.Denied) || !d.Command.denialAudited() {
		return
	}
	if !d.ranked() {
		unwritten, due := d.Caller.Denied()
		if !due {
			return
		}
		d.unwritten = unwritten
	}
	d.record(err)
}

// cause is why the command failed: of one whose session was ended meanwhile, why that was.
func cause(ctx context.Context, err error) error {
	if errors.Is(err, context.Canceled) {
		return context.Cause(ctx)
	}
	return err
}

// ranked reports whether the caller has a role, which they prove. Who has none must not fill the audit log.
func (c *Call) ranked() bool { return c.Who().Verified && c.Account.Role.AtLeast(chat.Mod) }
