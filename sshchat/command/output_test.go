package command

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"

	"sshchat/sshchat/chat"
)

// A command that prints bytes says so, or cannot: a new one is found out at its first use.
func TestUndeclaredBytesAreFoundOut(t *testing.T) {
	for name, c := range map[string]struct {
		writes   []string
		declared bool
		terminal bool
		want     string
		code     int // -1: a mistake of ours
	}{
		"text":                       {[]string{"日", "本\n"}, false, false, "日本\n", 0},
		"text cut within characters": {[]string{"\xe6", "\x97", "\xa5\n\xf0\x9f", "\x98\x80"}, false, true, "日\n😀", 0},
		"bytes":                      {[]string{"\x1f\x8b\x00\xff"}, true, false, "\x1f\x8b\x00\xff", 0},
		"bytes on a terminal":        {[]string{"\x1f\x8b\x00\xff"}, true, true, "", int(chat.Usage)},
		"bytes that look like text":  {[]string{"{}\n"}, true, true, "", int(chat.Usage)},
		"bytes that are not told":    {[]string{"fine\n", "\xff", "more"}, false, false, "fine\n", -1},
		"a zero":                     {[]string{"ustar\x00"}, false, false, "", -1},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := &Command{Name: "emit", UIs: Exec, Free: true, Run: func(_ context.Context, c *Call) error {
				for _, s := range c.Command.Aliases {
					io.WriteString(c.Out, s)
				}
				return nil
			}}
			cmd.Aliases = c.writes
			if c.declared {
				cmd.Bytes = bytesOut
			}
			r := &Registry{byName: map[UI]map[string]*Command{Exec: {"emit": cmd}}}
			var out bytes.Buffer
			err := r.Run(t.Context(), "emit", Call{Services: &Services{}, UI: Exec, Terminal: c.terminal, Out: &out, Who: func() chat.Caller { return chat.Caller{} }})
			code := ExitCode(err)
			if err != nil && strings.HasPrefix(err.Error(), "internal error") {
				code = -1
			}
			if out.String() != c.want || code != c.code {
				t.Errorf("printed %q, want %q; exit %d, want %d: %v", out.String(), c.want, code, c.code, err)
			}
		})
	}
}
