package command

import (
	"context"

	"sshchat/sshchat/chat"

	"github.com/spf13/pflag"
)

var _ = add(&Command{
	Name: "backup", Args: "[--with-host-keys]", Brief: "print a tar of all the server keeps",
	More: "As it stands at one moment, while people go on. Unpacked into an empty folder of mode 0700 it is a data folder.\n" +
		"Sealed history stays sealed. Host keys are in it only where asked for: who has them can pose as the server.",
	Faces: Exec, Effect: Reads, Audit: true, Bytes: bytesOut, Role: chat.Admin, Words: 0,
	Flags: func(f *pflag.FlagSet) { f.Bool("with-host-keys", false, "put the private host keys in, too") },
	Run: func(ctx context.Context, c *Call) error {
		with, _ := c.Flags.GetBool("with-host-keys")
		c.Args = nil
		if with {
			c.Args = []string{"", "with host keys"}
		}
		c.Log.Info("backup", "by", c.Account.Name, "source", c.Source, "host keys", with)
		if err := c.Services.Backup(ctx, c.Out, with); err != nil {
			return err
		}
		if !with {
			c.Notef("The private host keys are not in it. A server restored from it has a new one, which every client refuses\n" +
				"until the old key is put back. To have them in the backup: backup --with-host-keys")
		}
		return nil
	},
})
