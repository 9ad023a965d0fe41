package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"time"
)

// The terminal of the recording.
const columns, rows = 96, 18

// event is what the terminal was sent, and how long after the beginning.
type event struct {
	at   time.Duration
	data string
}

func writeCast(path string, events []event) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	out := json.NewEncoder(file)
	out.SetEscapeHTML(false)
	if err := out.Encode(map[string]any{"version": 2, "width": columns, "height": rows, "title": "sshchat"}); err != nil {
		return err
	}
	for _, e := range events {
		if err := out.Encode([]any{float64(e.at.Milliseconds()) / 1000, "o", e.data}); err != nil {
			return err
		}
	}
	return file.Close()
}

func readCast(path string) (events []event, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for n := 1; lines.Scan(); n++ {
		if n == 1 {
			continue // the header
		}
		var row [3]any
		if err := json.Unmarshal(lines.Bytes(), &row); err != nil {
			return nil, fmt.Errorf("%s: line %d: %w", path, n, err)
		}
		seconds, isTime := row[0].(float64)
		data, isText := row[2].(string)
		if !isTime || !isText {
			return nil, fmt.Errorf("%s: line %d is no event", path, n)
		}
		if row[1] == "o" {
			events = append(events, event{time.Duration(seconds * float64(time.Second)), data})
		}
	}
	return events, lines.Err()
}
