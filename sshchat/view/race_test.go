//go:build race

package view

// race reports whether this is built with the race detector, under which pools lose things at random.
const race = true
