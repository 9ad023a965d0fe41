//go:build race

package sshchat

// underRace reports whether the race detector is on: with it, pools lose a part of what is put back.
const underRace = true
