// Command defence measures, by the wall clock and against the real program, what the tests of the attacks check on a clock
// of their own: that a failed login takes as long whatever the name is, and that others get in and are heard while a
// server is flooded. All of it stays on 127.0.0.0/8, and is bounded in count and time.
package main

import (
	"flag"
	"fmt"
	"os"
	"time"
)

func main() {
	tries := flag.Int("tries", 500, "passwords for each kind of name")
	floor := flag.Duration("fail-delay", 300*time.Millisecond, "the server's --fail-delay; 0s shows what it hides")
	span := flag.Duration("span", 10*time.Second, "how long each flood lasts")
	what := flag.String("measure", "names,floods", "what to measure: names, floods, or both")
	flag.Parse()
	if err := run(*what, *tries, *floor, *span); err != nil {
		fmt.Fprintln(os.Stderr, "defence:", err)
		os.Exit(1)
	}
}

func run(what string, tries int, floor, span time.Duration) error {
	folder, err := os.MkdirTemp("", "sshchat-defence-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	program, err := build(folder)
	if err != nil {
		return err
	}
	for _, m := range []struct {
		name string
		do   func() error
	}{
		{"names", func() error { return measureNames(program, folder, tries, floor) }},
		{"floods", func() error { return measureFloods(program, folder, span) }},
	} {
		if what == "names,floods" || what == m.name {
			if err := m.do(); err != nil {
				return fmt.Errorf("%s: %w", m.name, err)
			}
		}
	}
	return nil
}
