package main

import (
	"context"
	"io"

	"sshchat/store"
	"sshchat/store/durable"
)

// backup writes a tar of the data folder. The history comes first and the accounts after it, in the order in which a crash
// may leave them: accounts may know of a change that the history does not have yet, and never the other way round. The audit log
// comes after the accounts, so that it has a line about each change in them: nothing in the backup could bring one back.
func backup(ctx context.Context, w io.Writer, st *stores, data string, hostKeys bool) error {
	motd := func() (durable.Snapshot, error) { return st.motd.Snapshot(), nil }
	parts := []store.Part{
		st.history.Snapshots, st.users.Snapshots, st.audit.Snapshots, store.One(st.state.Snapshot), store.One(motd),
	}
	if hostKeys {
		parts = append(parts, store.HostKeys(data))
	}
	return store.Backup(ctx, w, parts...)
}
