// Command sshchat runs the chat server, and reads its sealed history.
// It is the only package that sees all others: flags and wiring are here, and nothing else.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	_ "time/tzdata" // the zones that people name, for machines that have none of their own

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is main with its surroundings as arguments, and returns the exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := serveCommand()
	root.AddCommand(readCommand(), openCommand(), verifyCommand(), adminCommand(), restoreCommand(), clusterCommand(), doctorCommand(), configCommand(), pingCommand(), versionCommand(), manCommand())
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(text.NewWriter(stderr)) // names of files and words of their content are quoted in errors
	err := root.ExecuteContext(ctx)
	if again := (*restart)(nil); errors.As(err, &again) {
		err = again.exec()
	}
	if err != nil {
		root.PrintErrln("sshchat:", err)
		if errors.As(err, new(*badSetting)) {
			return 2
		}
		if refused := (*chat.Refusal)(nil); errors.As(err, &refused) {
			return int(refused.Code)
		}
		if failed := (*sshFailed)(nil); errors.As(err, &failed) && failed.code <= int(chat.NotFound) {
			return failed.code
		}
		return 1
	}
	return 0
}

// commandWith makes cmd a command that does nothing but hold others, and refuses to be used without one of them. which names these.
func commandWith(which string, cmd *cobra.Command) *cobra.Command {
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return atMost(0)(cmd, args)
		}
		name := strings.TrimPrefix(cmd.CommandPath(), cmd.Root().Name()+" ")
		return &badSetting{fmt.Sprintf("%s needs a command: %s", name, which)}
	}
	cmd.RunE = func(*cobra.Command, []string) error { return nil }
	cmd.SilenceUsage, cmd.SilenceErrors = true, true
	return cmd
}

// atMost refuses more arguments than n.
func atMost(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) <= n {
			return nil
		}
		what := "argument"
		if cmd.HasSubCommands() {
			what = "command"
		}
		return &badSetting{fmt.Sprintf("unexpected %s %q (see %s --help)", what, args[n], cmd.CommandPath())}
	}
}
