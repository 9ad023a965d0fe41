package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"sshchat/hostkeys"
	"sshchat/sshchat/chat"
	"sshchat/sshchat/cluster"
	"sshchat/sshchat/command"
	"sshchat/sshchat/text"
	"sshchat/store"
	"sshchat/store/accounts"
	"sshchat/store/owner"

	"charm.land/log/v2"
	"github.com/spf13/cobra"
)

// makeAdmins makes the accounts of --admin that do not exist yet, so that automation needs no claim code. The hub must run.
func makeAdmins(ctx context.Context, s *settings, hub *chat.Hub, users *accounts.Store, logger *slog.Logger) error {
	for _, value := range s.admins {
		if err := makeAdmin(ctx, value, hub, users, logger); err != nil {
			return fmt.Errorf("--admin %s: %w", value, err)
		}
	}
	return nil
}

func makeAdmin(ctx context.Context, value string, hub *chat.Hub, users *accounts.Store, logger *slog.Logger) error {
	word, file, ok := strings.Cut(value, "=")
	if !ok {
		return fmt.Errorf("write NAME=KEYFILE")
	}
	name, err := text.ParseName(word)
	if err != nil {
		return err
	}
	if _, exists := hub.View().ByName(name); exists {
		return nil
	}
	keys, err := readKeys(file)
	if err != nil {
		return err
	}
	a, err := users.NewAccount(ctx, name, chat.Admin, keys, nil)
	if err != nil {
		return err
	}
	if err := hub.Decide(ctx, chat.TheServer, chat.CreateAccount{Account: a}, nil); err != nil {
		return err
	}
	logger.Info("created the admin", "account", name, "keys", len(keys), "file", file)
	return users.Checkpoint()
}

// readKeys reads the public keys of a file, one a line.
func readKeys(file string) ([]chat.Key, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var keys []chat.Key
	for line := range strings.Lines(strings.TrimPrefix(string(data), text.BOM)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		key, err := accounts.ParseKey(line)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("%s contains no key", file)
	}
	return keys, nil
}

// claims has the operator know how to become the admin, while there is none. A server that is alone draws the code; nodes of a cluster
// make it of what they all have, so that the code that one of them printed serves on each.
type claims struct {
	services *command.Services
	data     string
	stderr   io.Writer
	at       net.Addr
	shared   bool
	log      *slog.Logger

	mu   sync.Mutex
	said time.Time // guarded by mu; when the code was printed last
	due  bool      // guarded by mu; it is to be printed a minute after that
}

// announceEvery is how often a code is printed, at most: whoever uses them up does not fill the log.
const announceEvery = time.Minute

// newClaims has the code of the cluster serve, if there is no admin, and the next when it is used up. A server that is alone has one
// already. The hub does not run yet.
func newClaims(services *command.Services, data string, stderr io.Writer, at net.Addr, shared bool, logger *slog.Logger) *claims {
	c := &claims{services: services, data: data, stderr: stderr, at: at, shared: shared, log: logger}
	if !shared {
		return c
	}
	c.services.Hub.Follow(func(before, after chat.View) {
		switch {
		case after.HasAdmin():
			c.services.Claim.Set("")
		case after.Claims() != before.Claims():
			c.serve(after)
			c.announce()
		}
	})
	if now := c.services.Hub.View(); c.services.Claim.Code() != "" && !now.HasAdmin() {
		c.serve(now)
	}
	return c
}

// serve has the cluster's code serve.
func (c *claims) serve(v chat.View) {
	code, err := cluster.ClaimCode(c.data, v.Claims())
	if err != nil {
		c.log.Error("cluster: no code to become the first admin", "err", err)
	}
	c.services.Claim.Set(code)
}

// announce prints the code, if there is one: at once, or a minute after it was printed last.
func (c *claims) announce() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.due {
		return
	}
	if wait := time.Until(c.said.Add(announceEvery)); wait > 0 && c.shared {
		c.due = true
		time.AfterFunc(wait, func() {
			c.mu.Lock()
			c.due = false
			c.mu.Unlock()
			c.announce()
		})
		return
	}
	c.said = time.Now()
	if code := c.services.Claim.Code(); code != "" {
		fmt.Fprintf(c.stderr, "no admin yet; to become the admin: ssh -t %s claim %s\n", c.services.Reach("NAME", c.at), code)
	}
}

// renew makes a new code while there is no admin: the operator may have lost the one printed at the start.
func (c *claims) renew(ctx context.Context) {
	now := c.services.Hub.View()
	switch {
	case now.HasAdmin():
		c.services.Claim.Set("")
	case !c.shared:
		c.services.Claim.Renew()
		c.announce()
	default:
		if err := c.services.Hub.Decide(ctx, chat.TheServer, chat.BurnClaim{N: now.Claims()}, nil); err != nil {
			c.log.Error("cluster: no new code to become the first admin", "err", err)
		}
	}
}

// adminCommand is for the owner of a server whose admins can no longer log in.
func adminCommand() *cobra.Command {
	cmd := commandWith("admin reset NAME KEYFILE", &cobra.Command{
		Use: "admin reset", Short: "give an admin a new key while the server is stopped: admin reset NAME KEYFILE",
	})
	cmd.AddCommand(adminResetCommand())
	return cmd
}

func adminResetCommand() *cobra.Command {
	only := false
	cmd := &cobra.Command{
		Use: "reset NAME KEYFILE [--data FOLDER] [--only]", Short: "make NAME an admin who logs in with the public keys in KEYFILE; the server must be stopped",
		Long: `For the owner of a server who has lost the key of the only admin. The account NAME must exist. It becomes an admin account, is enabled,
and gets the keys; bans of its name and of these keys are lifted. This is recorded in the audit log.
The new keys open what is said from then on. Older messages stay sealed to the keys and passwords of their time.
Other keys and the password keep opening the account, unless --only is given: use that if the account was stolen.
It takes the server's flags, and reads the environment and the configuration file as the server does.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 2 {
				return nil
			}
			return &badSetting{"usage: sshchat admin reset NAME KEYFILE [--data FOLDER] [--only]"}
		},
		SilenceUsage: true, SilenceErrors: true,
	}
	addFlags(cmd.Flags())
	hideFlags(cmd.Flags(), "data", "config")
	cmd.Flags().BoolVar(&only, "only", false, "remove the account's other keys, its password and its second factor")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		s, err := sourcesOf(cmd).load()
		if err != nil {
			return err
		}
		name, err := text.ParseName(args[0])
		if err != nil {
			return &badSetting{fmt.Sprintf("admin reset: %v", err)}
		}
		keys, err := readKeys(args[1])
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(keys, chat.Key.LogsIn) {
			return fmt.Errorf("%s has no SSH key; an age key cannot log in", args[1])
		}
		return resetAdmin(cmd.Context(), s, name, keys, only, cmd.OutOrStdout(), cmd.ErrOrStderr())
	}
	return cmd
}

// resetAdmin makes the same decision as a running server would, with all its consequences, such as who can read the history from
// then on.
func resetAdmin(ctx context.Context, s *settings, name chat.Name, keys []chat.Key, only bool, stdout, stderr io.Writer) error {
	o, err := holdOffline(s, stderr, fmt.Sprintf("While it runs, an admin can use: user add-key %s", name))
	if err != nil {
		return err
	}
	defer o.release()
	return o.decide(ctx, func(st *stores, hub *chat.Hub) error {
		before, after, err := decideReset(ctx, hub, st.users, name, keys, only)
		if err != nil {
			return err
		}
		reportReset(stdout, hub.View(), before, after, keys)
		return nil
	})
}

// offline is a data folder whose server is stopped, to decide something in.
type offline struct {
	*settings
	folder *store.Folder
	log    *slog.Logger
}

// holdOffline holds the folder. instead says what an admin can do while the server runs. As root, it becomes the folder's owner.
func holdOffline(s *settings, stderr io.Writer, instead string) (*offline, error) {
	if _, err := os.Stat(filepath.Join(s.data, "users.json")); err != nil {
		return nil, fmt.Errorf("no accounts in %s: %w; name the data folder with --data", s.data, err)
	}
	files := []*string{&s.cluster.nkey, &s.cluster.ca} // they begin here, and not in the folder
	if s.hostKeyIsPath() {
		files = append(files, &s.hostKey)
	}
	for _, file := range files {
		if *file == "" {
			continue
		}
		path, err := filepath.Abs(*file)
		if err != nil {
			return nil, err
		}
		*file = path
	}
	var err error
	if s.data, err = owner.Become(s.data); err != nil {
		return nil, err
	}
	folder, err := store.HoldFolder(s.data)
	if errors.Is(err, store.ErrFolderInUse) {
		return nil, fmt.Errorf("%w; stop the server first. %s", err, instead)
	}
	if err != nil {
		return nil, err
	}
	o := &offline{s, folder, slog.New(log.NewWithOptions(stderr, log.Options{Level: log.WarnLevel}))}
	if err := s.inCluster(); err != nil {
		o.release()
		return nil, err
	}
	return o, nil
}

func (o *offline) release() { release(o.folder, o.log) }

// adopt is that of the settings, once the folder's owner can read the files of a node: root, who may have called the command, can read all.
func (o *offline) adopt(ctx context.Context) error {
	if err := o.checkClusterFiles(); err != nil {
		return err
	}
	return o.settings.adopt(ctx, o.log)
}

// decide decides something as a running server would, with all its consequences. If the folder belongs to a cluster, this is its node
// meanwhile, and the decision is that of all nodes.
func (o *offline) decide(ctx context.Context, do func(*stores, *chat.Hub) error) (err error) {
	if err := o.adopt(ctx); err != nil {
		return err
	}
	st, err := openStores(o.settings, o.log)
	if err != nil {
		return err
	}
	defer st.close(o.log)
	auditLog, err := offlineAudit(o.settings, st, o.log)
	if err != nil {
		return err
	}
	defer auditLog.end(o.log)
	hub, node, err := st.openHub(ctx, o.settings, o.log)
	if err != nil {
		return err
	}
	running := runHub(hub, node)
	if err := errors.Join(do(st, hub), running.end()); err != nil {
		return err
	}
	return st.users.Checkpoint()
}

// offlineAudit is the audit log of a folder whose server is stopped, signed as the server signs it if its host key is there.
func offlineAudit(s *settings, st *stores, logger *slog.Logger) (interface{ end(*slog.Logger) }, error) {
	path, _, err := s.hostKeyFile()
	if err != nil {
		return unsigned{}, nil // it is a credential, which only the service has
	}
	if _, err := os.Stat(cmp.Or(path, filepath.Join(s.data, hostkeys.File))); errors.Is(err, fs.ErrNotExist) {
		return unsigned{}, nil // the next start makes one
	}
	keys, err := openHostKeys(s, true, io.Discard, logger)
	if err != nil {
		return nil, err
	}
	signed := signedLog{st.audit, auditKey{keys}}
	return signed, signed.begin(logger, false)
}

// unsigned is an audit log that no host key signs.
type unsigned struct{}

func (unsigned) end(*slog.Logger) {}

func decideReset(ctx context.Context, hub *chat.Hub, users *accounts.Store, name chat.Name, keys []chat.Key, only bool) (before, after chat.Account, err error) {
	before, exists := hub.View().ByName(name)
	if !exists {
		return before, after, chat.ErrNoAccount.With("there is no account %s; to create an admin, start the server with --admin %s=KEYFILE", name, name)
	}
	added := make([]chat.Key, len(keys))
	said := make([]string, len(keys))
	for i, k := range keys {
		if added[i], err = users.NewKey(k); err != nil {
			return before, after, err
		}
		said[i] = k.Fingerprint
	}
	words := "on the machine, with the server stopped; key " + strings.Join(said, ", key ")
	if only {
		words += "; other keys and the password removed"
	}
	entry := chat.AuditEntry{Do: "admin reset", On: name.String(), Text: words, Result: "done"}
	if err := hub.Decide(ctx, chat.TheServer, chat.ResetAdmin{ID: before.ID, Keys: added, Only: only}, &entry); err != nil {
		return before, after, err
	}
	after, _ = hub.View().ByName(name)
	return before, after, nil
}

// reportReset prints what was done, what else opens the account, and what may still keep its owner out.
func reportReset(w io.Writer, v chat.View, before, after chat.Account, keys []chat.Key) {
	is := func(k chat.Key) bool {
		return slices.ContainsFunc(keys, func(n chat.Key) bool { return n.Fingerprint == k.Fingerprint })
	}
	fmt.Fprintf(w, "%s is an admin now, and can log in with:\n", after.Name)
	var others []string
	for _, k := range after.Keys {
		switch {
		case is(k):
			fmt.Fprintf(w, "  %s %s\n", k.Fingerprint, k.Label)
		default:
			others = append(others, fmt.Sprintf("  %s %s", k.Fingerprint, k.Label))
		}
	}
	if after.Password {
		others = append(others, "  a password")
	}
	if before.Disabled {
		fmt.Fprintln(w, "The account was disabled, and is enabled.")
	}
	if len(others) > 0 {
		fmt.Fprintf(w, "These open the account too. If they are not yours, run this again with --only:\n%s\n", strings.Join(others, "\n"))
	}
	fmt.Fprintln(w, "New keys open messages that are sent from now on. Older ones open with the keys and passwords they were sealed to.")
	banned := 0
	for _, ban := range v.Bans() {
		if ban.Net.IsValid() {
			banned++
		}
	}
	if banned > 0 {
		fmt.Fprintf(w, "Still in effect: %s on addresses. If one is yours, log in from another address and use: unban\n", text.Count(banned, "ban"))
	}
}
