package main

import (
	"bytes"
	"context"
	"os/exec"
	"strings"
	"testing"

	"sshchat/sshchat/command"

	"github.com/spf13/pflag"
)

// output is what the program prints.
func output(t *testing.T, args ...string) string {
	t.Helper()
	var out, errs bytes.Buffer
	if code := run(context.Background(), args, strings.NewReader(""), &out, &errs); code != 0 {
		t.Fatalf("%v: exit %d, %s", args, code, errs.String())
	}
	return out.String()
}

// The manual has every flag and every command, and is what the formatter takes.
func TestManualIsWhole(t *testing.T) {
	t.Parallel()
	page := output(t, "man")
	serveCommand().Flags().VisitAll(func(f *pflag.Flag) {
		name := strings.ReplaceAll("--"+f.Name, "-", `\-`)
		if there := strings.Contains(page, name+" ") || strings.Contains(page, name+`"`); there == f.Hidden && f.Name != "help" {
			t.Errorf("flag %s: hidden %v, in the manual %v", name, f.Hidden, there)
		}
	})
	for _, face := range []command.UI{command.Chat, command.Exec} {
		for _, name := range command.NewRegistry().Names(face) {
			if !strings.Contains(page, strings.ReplaceAll(name, "-", `\-`)) {
				t.Errorf("unknown command %s", name)
			}
		}
	}
	format := exec.Command(client(t, "groff"), "-man", "-ww", "-Tutf8", "-z")
	format.Stdin = strings.NewReader(page)
	if out, err := format.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v: %s", err, out)
	}
}

// Shells complete the subcommands and flags.
func TestCompletion(t *testing.T) {
	t.Parallel()
	for shell, want := range map[string]string{"bash": "__start_sshchat", "zsh": "#compdef sshchat", "fish": "complete -c sshchat"} {
		if !strings.Contains(output(t, "completion", shell), want) {
			t.Errorf("%s: no %s", shell, want)
		}
	}
	if got := output(t, "__complete", "--log"); !strings.Contains(got, "--log-format") {
		t.Errorf("--log completes to %q", got)
	}
	if got := output(t, "__complete", "o"); !strings.Contains(got, "open") {
		t.Errorf("o completes to %q", got)
	}
}
