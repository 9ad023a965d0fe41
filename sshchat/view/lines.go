package view

// Lines holds rendered messages for all sessions of a server: those of the same width, theme and colours share them.
type Lines struct{}
