package main

import "time"

// step is one thing that happens in the picture: keys that alice presses, or a message of somebody else, after a pause; then
// something is waited for.
type step struct {
	pause time.Duration
	keys  string
	who   string
	says  string
	until string
}

const host = "alice@chat.example.org"

// script is the picture.
var script = []step{
	{until: "$ "},
	{pause: 700 * time.Millisecond, keys: "ssh -p 2222 " + host},
	{pause: 500 * time.Millisecond, keys: "\r", until: "general"},
	{pause: 1500 * time.Millisecond, who: "bob", says: "say general the new disks are in; the pool is *healthy* again", until: "healthy"},
	{pause: 1200 * time.Millisecond, who: "dana", says: "say general and here is the ticket: https://tracker.example/OPS-1742", until: "OPS-1742"},
	{pause: 1200 * time.Millisecond, keys: "thank you both :tada:"},
	{pause: 300 * time.Millisecond, keys: "\r"},
	{pause: 1000 * time.Millisecond, who: "bob", says: "msg alice coffee?", until: "@bob"},
	{pause: 1500 * time.Millisecond, keys: "\x1ba", until: "coffee?"}, // Alt+A
	{pause: 1200 * time.Millisecond, keys: "in five minutes"},
	{pause: 300 * time.Millisecond, keys: "\r"},
	{pause: 2200 * time.Millisecond, keys: "\x04", until: "$ "},
	{pause: 1000 * time.Millisecond, keys: "ssh -p 2222 " + host + " history general | age -d -i ~/.ssh/id_ed25519"},
	{pause: 600 * time.Millisecond, keys: "\r", until: "tada"},
	{pause: 1000 * time.Millisecond},
}

// play does what the script says.
func (s *studio) play() error {
	for _, step := range script {
		time.Sleep(step.pause)
		if step.who != "" {
			if err := s.as(step.who, step.says); err != nil {
				return err
			}
		}
		if err := s.types(step.keys); err != nil {
			return err
		}
		if step.until == "" {
			continue
		}
		if err := s.waits(step.until); err != nil {
			return err
		}
	}
	return nil
}
