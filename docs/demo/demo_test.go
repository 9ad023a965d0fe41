package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

// The picture is what the recording shows, small, and asks nothing from other servers.
func TestPictureIsOfTheRecording(t *testing.T) {
	t.Parallel()
	events, err := readCast("demo.cast")
	if err != nil {
		t.Fatal(err)
	}
	drawn, err := render(events)
	if err != nil {
		t.Fatal(err)
	}
	kept, err := os.ReadFile("demo.svg")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(drawn, kept) {
		t.Error("demo.svg is not of demo.cast: go run ./docs/demo -draw")
	}
	if len(kept) > 300_000 {
		t.Errorf("demo.svg has %d bytes", len(kept))
	}
	for _, foreign := range []string{"<script", "href", "url(", "@import"} {
		if strings.Contains(string(kept), foreign) {
			t.Errorf("demo.svg has %s", foreign)
		}
	}
	if !strings.Contains(string(kept), "history") || !strings.Contains(string(kept), "healthy") {
		t.Error("demo.svg does not show the session")
	}
}
