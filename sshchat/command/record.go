package command

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
)

// Audit is the log of what moderators and admins did, and of what happened to security.
type Audit interface {
	// Append returns once the line survives a power cut. It sets N, At and Prev.
	Append(act chat.Act) error
	// Acts returns what happened since then, oldest first, but at most the last n.
	Acts(since time.Time, n int) ([]chat.Act, error)
	// Verify checks the chain, from its first line on. Its error names the first line that does not fit.
	Verify() (lines uint64, err error)
	// Signed is what the host key signed of the log last. It fails where the log does not go on from there.
	Signed() (SignedTip, error)
}

// SignedTip is a point of the audit log that the host key has signed.
type SignedTip struct {
	Lines    uint64
	Hash, By string // of the last line; the key's fingerprint
	At       time.Time
	When     string // "start" or "stop": what the server did then
}

// maxAudited is how much of what was typed a line of the audit log keeps, in bytes.
const maxAudited = 300

// audited reports whether the audit log has a line for each use of the command.
func (cmd *Command) audited() bool {
	return cmd.Audit || cmd.Effect == ChangesAccount || cmd.Role != "" && cmd.Effect != Reads
}

// record writes what came of the command into the audit log. What was done is done even where that fails:
// the caller and the operator are told.
func (c *Call) record(err error) {
	if c.Services.Audit == nil {
		return
	}
	act := chat.Act{By: c.Name.String(), Source: c.Source, Face: "chat", Do: c.Command.Name, Result: "done"}
	if c.Face == Exec {
		act.Face = "exec"
	}
	words := c.Args
	switch {
	case c.Command.Secret:
		words = nil
	case !c.Command.audited(): // the text is for those to whom it was to be said
		words = words[:min(len(words), 1)]
	case c.Text != "":
		words = append(words[:len(words):len(words)], c.Text)
	}
	if len(words) > 0 {
		act.On, act.Text = text.Clean(words[0], maxAudited), text.Clean(strings.Join(words[1:], " "), maxAudited)
	}
	if c.unwritten > 0 {
		act.Text = strings.TrimSpace(fmt.Sprintf("%s (before it %d more, without a line)", act.Text, c.unwritten))
	}
	switch {
	case err != nil && ExitCode(err) == int(chat.Denied):
		act.Result = "denied"
	case err != nil:
		act.Result = "failed"
	}
	if err := c.Services.Audit.Append(act); err != nil {
		c.Log.Error("the audit log cannot be written", "do", act.Do, "by", act.By, "err", err)
		c.Notef("The audit log cannot be written; this is not in it.")
	}
}

// deny refuses the call for want of rights, at the pace of other commands.
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

// denialAudited reports whether the audit log has a line if the command is refused for want of rights.
func (cmd *Command) denialAudited() bool {
	return cmd.audited() || cmd.Role != "" || cmd.Effect != Reads
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
