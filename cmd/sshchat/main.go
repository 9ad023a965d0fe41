// Command sshchat runs the chat server, and reads its sealed history.
// It is the only package that sees all others: flags and wiring are here, and nothing else.
package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"syscall"

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
	root.AddCommand(openCommand(), verifyCommand(), versionCommand(), manCommand())
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(text.NewWriter(stderr)) // names of files and words of their content are quoted in errors
	if err := root.ExecuteContext(ctx); err != nil {
		root.PrintErrln("sshchat:", err)
		if errors.As(err, new(*badSetting)) {
			return 2
		}
		return 1
	}
	return 0
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "print which sshchat this is", Args: cobra.NoArgs,
		Run: func(cmd *cobra.Command, _ []string) { cmd.Printf("%s\n%s\n", version(), memory()) },
	}
}
