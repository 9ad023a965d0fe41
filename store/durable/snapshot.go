package durable

import (
	"bytes"
	"io"
)

// Snapshot is a file as it stood at one moment, to be copied while its writer goes on.
type Snapshot struct {
	Name string // in its folder
	Size int64  // bytes
	io.Reader
	Release func() error // lets go of the file; nil if nothing is held
}

// InMemory is a snapshot of bytes.
func InMemory(name string, b []byte) Snapshot {
	return Snapshot{Name: name, Size: int64(len(b)), Reader: bytes.NewReader(b)}
}

// Close lets go of the file.
func (s Snapshot) Close() error {
	if s.Release == nil {
		return nil
	}
	return s.Release()
}
