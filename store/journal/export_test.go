package journal

import "sync"

// Noting is what is held while a change is stored, and until its lines of the audit log are written.
func (j *Journal) Noting() *sync.Mutex { return &j.noting }
