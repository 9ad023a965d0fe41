// Command demo makes the moving picture of the README. It runs the server and a shell with stock ssh and age on a terminal, plays a short
// script in it, and keeps what the terminal showed and when: demo.cast is an asciicast, version 2, which asciinema plays
// too. The picture, demo.svg, is drawn from that recording, so it can be drawn anew without a new one.
//
//	go run ./docs/demo           record and draw
//	go run ./docs/demo -draw     draw the recording that is there
package main

import (
	"flag"
	"fmt"
	"os"
)

const (
	cast    = "docs/demo/demo.cast"
	picture = "docs/demo/demo.svg"
)

func main() {
	draw := flag.Bool("draw", false, "draw the recording that is there")
	flag.Parse()
	if err := run(*draw); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(drawOnly bool) error {
	if !drawOnly {
		events, err := record()
		if err != nil {
			return err
		}
		if err := writeCast(cast, events); err != nil {
			return err
		}
	}
	events, err := readCast(cast)
	if err != nil {
		return err
	}
	svg, err := render(events)
	if err != nil {
		return err
	}
	return os.WriteFile(picture, svg, 0o644)
}
