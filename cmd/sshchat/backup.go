package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"sshchat/hostkeys"
	"sshchat/sshchat/text"
	"sshchat/store"
	"sshchat/store/accounts"
	"sshchat/store/audit"
	"sshchat/store/durable"
	"sshchat/store/history"
	"sshchat/store/journal"
	"sshchat/store/restore"

	"github.com/spf13/cobra"
	"golang.org/x/crypto/ssh"
	"golang.org/x/term"
)

// backup writes a tar of the data folder. A node's place in its cluster's log comes first, so that it is never ahead of the files: what they
// have already, the node passes over. Of these the history comes first and the accounts after it, in the order in which a crash
// may leave them: accounts may know of a change that the history does not have yet, and never the other way round. The audit log
// comes after the accounts, so that it has a line about each change in them: nothing in the backup could bring one back.
func backup(ctx context.Context, w io.Writer, st *stores, data string, hostKeys bool) error {
	motd := func() (durable.Snapshot, error) { return st.motd.Snapshot(), nil }
	parts := []store.Part{
		store.Position(data), st.history.Snapshots, st.users.Snapshots, st.audit.Snapshots, store.One(st.state.Snapshot), store.One(motd),
	}
	if hostKeys {
		parts = append(parts, store.Keys(data))
	}
	return store.Backup(ctx, w, parts...)
}

// restoreCommand makes a data folder of a backup.
func restoreCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "restore FOLDER", Short: "make a data folder of a backup: sshchat restore FOLDER <chat.tar",
		Long: `Reads the tar that the backup command printed, and checks all of it before anything is put in place: that it has the files of a
backup and nothing else, is not cut short, and that history, accounts and audit log are intact and belong together.
FOLDER must not exist, or be empty. It gets all of the backup, or nothing. Reports which host key clients will see.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 && args[0] != "" {
				return nil
			}
			return &badSetting{"usage: sshchat restore FOLDER <BACKUP.tar"}
		},
		SilenceUsage: true, SilenceErrors: true,
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		in := cmd.InOrStdin()
		if f, ok := in.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
			return &badSetting{"the backup comes on standard input: sshchat restore FOLDER <BACKUP.tar"}
		}
		var signer string
		var warning error
		names, err := restore.Restore(in, args[0], func(folder string) (err error) {
			signer, warning, err = checkRestored(folder)
			return err
		})
		if err != nil {
			return fmt.Errorf("restore %s: %w; nothing was restored", args[0], err)
		}
		if warning != nil {
			cmd.PrintErrf("sshchat: warning: the audit log does not match its signature: %v\n", warning)
		}
		return reportRestored(cmd.OutOrStdout(), args[0], names, signer)
	}
	return cmd
}

// checkRestored checks a folder that is restored: as verify does, and its audit log and host keys. It returns the fingerprint of the
// host key that signed the audit log; empty if it is not known. An audit log that does not match its signature is a warning, as it
// is to the server.
func checkRestored(folder string) (signer string, warning, err error) {
	report, err := history.Verify(folder, nil)
	if err != nil {
		return "", nil, err
	}
	changes, err := accounts.Verify(folder)
	if err != nil {
		return "", nil, err
	}
	if err := journal.Together(changes, report.Change); err != nil {
		return "", nil, err
	}
	var by audit.Signer = anyKey{}
	if _, err := os.Lstat(filepath.Join(folder, hostkeys.File)); err == nil {
		ring, _, err := hostkeys.Open(folder)
		if err != nil {
			return "", nil, err
		}
		by = auditKey{ring}
	}
	if _, err := store.OpenMotd(folder); err != nil {
		return "", nil, err
	}
	return checkAudit(folder, by)
}

func checkAudit(folder string, by audit.Signer) (signer string, warning, err error) {
	entries, err := audit.Open(folder, time.Now, slog.New(slog.DiscardHandler))
	if err != nil {
		return "", nil, err
	}
	defer func() { err = errors.Join(err, entries.Close()) }()
	if _, err := entries.Verify(); err != nil {
		return "", nil, fmt.Errorf("the audit log: %w", err)
	}
	tip, _, warning := entries.CheckTip(by)
	return tip.By, warning, nil
}

// anyKey takes the signature of any host key: of a backup without them, nobody knows which they were.
type anyKey struct{ audit.Signer }

func (anyKey) Signed(message, signature []byte) (fingerprint string, err error) {
	key, err := hostkeys.Verify(auditNamespace, message, signature)
	if err != nil {
		return "", err
	}
	return ssh.FingerprintSHA256(key), nil
}

// reportRestored prints what was restored, and what clients will notice. signer is the key that signed the audit log, if it is known.
func reportRestored(w io.Writer, folder string, names []string, signer string) error {
	fmt.Fprintf(w, "Restored %s to %s.\n", text.Count(len(names), "file"), folder)
	if !slices.Contains(names, hostkeys.File) {
		fmt.Fprintf(w, `The backup has no host key, so the server will create a new one. The ssh of everybody who has connected before will report that
the host key has changed, and refuse to connect. If you have the old key, put it back as
%s before the first start.
If not, publish the new fingerprint, which the start prints. A backup holds the host keys if it was made with: backup --with-host-keys
`, filepath.Join(folder, hostkeys.File))
		if signer != "" {
			fmt.Fprintf(w, "The key that clients know is probably %s, which signed the audit log.\n", signer)
		}
	} else {
		ring, _, err := hostkeys.Open(folder)
		if err != nil {
			return err
		}
		for i, key := range ring.Announced() {
			what := "Host key"
			if i > 0 {
				what = "Next host key"
			}
			fmt.Fprintf(w, "%s: %s\n", what, ssh.FingerprintSHA256(key.PublicKey()))
		}
		fmt.Fprintln(w, "Clients that know it notice nothing.")
		if !slices.Contains(names, store.PositionFile) { // nodes of a cluster have the same
			fmt.Fprintln(w, "Stop the old server for good: two servers with the same key are mistaken for each other.")
		}
	}
	if slices.Contains(names, store.PositionFile) {
		reportNode(w, folder, names)
	}
	if os.Geteuid() == 0 {
		fmt.Fprintf(w, "The files belong to root. If the server runs as another user: chown -R USER: %s\n", folder)
	}
	return nil
}

// reportNode prints how a folder goes on that was made of the backup of a node of a cluster.
func reportNode(w io.Writer, folder string, names []string) {
	fmt.Fprintf(w, `The backup is of a node of a cluster. To add a node, start the server on the folder with the setting cluster: it prints the command that adds it.
To go on without the cluster: sshchat cluster leave --data %s
`, folder)
	if !slices.Contains(names, store.ClusterKeyFile) {
		fmt.Fprintf(w, "It does not have the cluster's key. To add a node, copy %s from another node first, or use a backup made with: backup --with-host-keys\n", filepath.Join(folder, store.ClusterKeyFile))
	}
}
