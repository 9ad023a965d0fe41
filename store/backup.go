package store

import (
	"path/filepath"

	"sshchat/store/durable"
)

// Snapshot is the accounts as they are on the disk.
func (u *Users) Snapshot() (durable.Snapshot, error) {
	b, err := u.durable.Load().encode()
	return durable.InMemory(filepath.Base(u.path), b), err
}

// Snapshot is the message of the day; empty where there is none.
func (m *Motd) Snapshot() durable.Snapshot {
	return durable.InMemory(filepath.Base(m.path), []byte(m.Get().String()+"\n"))
}
