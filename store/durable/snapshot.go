package durable

import (
	"bytes"
	"errors"
	"io"
	"iter"
)

// Snapshot is a file as it stood at one moment, to be copied while its writer goes on.
type Snapshot struct {
	Name string // in its folder
	Size int64  // bytes
	io.Reader
	Release func() error // closes the file; nil if it is not open
}

// InMemory is a snapshot of bytes.
func InMemory(name string, b []byte) Snapshot {
	return Snapshot{Name: name, Size: int64(len(b)), Reader: bytes.NewReader(b)}
}

// Close closes the file.
func (s Snapshot) Close() error {
	if s.Release == nil {
		return nil
	}
	return s.Release()
}

// Each is a sequence of what the functions return. A function is called when its snapshot is asked for, and that is closed
// when the next one is, so that one is held at a time. The sequence ends with the first error; io.EOF just ends it.
func Each(take ...func() (Snapshot, error)) iter.Seq2[Snapshot, error] {
	return func(yield func(Snapshot, error) bool) {
		for _, f := range take {
			s, err := f()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(Snapshot{}, err)
				return
			}
			more := yield(s, nil)
			if err := s.Close(); err != nil && more {
				yield(Snapshot{}, err)
				return
			}
			if !more {
				return
			}
		}
	}
}
