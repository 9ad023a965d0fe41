package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"os/exec"
	osuser "os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
	"sshchat/store/history"

	"filippo.io/age"
	"filippo.io/age/agessh"
	"github.com/spf13/cobra"
	"golang.org/x/crypto/ssh"
	"golang.org/x/term"
)

// remote is a server as the stock ssh client reaches it, with all that ssh_config(5) says of it, and what opens history here.
type remote struct {
	options     []string // for ssh
	destination string
	rooms       []string // as the command history takes them; none for all

	identities []age.Identity
	locked     []*lockedKey
	found      []string // what was found of keys that open nothing, one sentence each
}

// readCommand reads a server's history on its reader's own machine.
func readCommand() *cobra.Command {
	var options, keys []string
	var port, config, jump string
	var asJSON bool
	cmd := &cobra.Command{
		Use: "read [-p PORT] [-i KEY] [NAME@]HOST [ROOM...]", Short: "read a server's history on your own machine, in a pager",
		Long: "Gets what is sealed to you with ssh, as ssh_config(5) says, and opens it here with the private keys that ssh\n" +
			"uses for HOST (the identity files of ssh -G HOST). A key in an agent logs in, but cannot open history.\n" +
			"KEY is an SSH private key or an age identity file, such as the output of identity. @bob is your conversation\n" +
			"with bob. Without a room, it reads all your rooms. Edits and deletions are applied; times are local.\n" +
			"On a terminal it shows the text in $PAGER (less): / searches, n and N repeat that, G goes to the end, q quits.\n" +
			"If the output is not a terminal, it prints the text.",
		SilenceUsage: true, SilenceErrors: true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return &badSetting{"read needs a host, as in: sshchat read -p 2222 alice@chat.example.org general"}
			}
			return nil
		},
	}
	cmd.Flags().StringVarP(&port, "port", "p", "", "the server's `port`")
	cmd.Flags().StringArrayVarP(&keys, "identity", "i", nil, "private key or age identity file (repeatable)")
	cmd.Flags().StringVarP(&config, "config", "F", "", "ssh's configuration `file`")
	cmd.Flags().StringVarP(&jump, "jump", "J", "", "`host` to jump through, as in ssh -J")
	cmd.Flags().StringArrayVarP(&options, "option", "o", nil, "an `option` of ssh_config(5) (repeatable)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object per line, edits and deletions as they were sealed")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		r := &remote{destination: args[0]}
		for flag, word := range map[string]string{"-p": port, "-F": config, "-J": jump} {
			if word != "" {
				r.options = append(r.options, flag, word)
			}
		}
		for _, option := range options {
			r.options = append(r.options, "-o", option)
		}
		if err := r.take(args[1:], keys); err != nil {
			return err
		}
		return r.read(cmd, asJSON)
	}
	return cmd
}

// take takes the rooms, and the keys that the command line names. SSH keys among these log in, too.
func (r *remote) take(rooms, keys []string) error {
	if r.destination == "" || r.destination[0] == '-' {
		return &badSetting{fmt.Sprintf("%q is not a host", r.destination)}
	}
	for _, word := range rooms {
		if word == "" || word[0] == '-' || strings.Trim(strings.ToLower(word), "#@abcdefghijklmnopqrstuvwxyz0123456789_-") != "" {
			return &badSetting{fmt.Sprintf("%q is not a room", word)}
		}
		r.rooms = append(r.rooms, strings.TrimPrefix(word, "#"))
	}
	for _, file := range keys {
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if isSSHKey(data) { // ssh names it as one of its own
			r.options = append(r.options, "-i", file)
			continue
		}
		ids, err := readIdentities(file)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		r.identities = append(r.identities, ids...)
	}
	return nil
}

// isSSHKey reports whether a file is a private key of SSH, and not one of age.
func isSSHKey(data []byte) bool {
	return bytes.Contains(data, []byte("-----BEGIN ")) && !bytes.Contains(data, []byte("-----BEGIN AGE "))
}

// read shows what the server has.
func (r *remote) read(cmd *cobra.Command, asJSON bool) error {
	ctx, stderr := cmd.Context(), cmd.ErrOrStderr()
	if err := r.findKeys(ctx, stderr); err != nil {
		return err
	}
	if len(r.identities) == 0 {
		return errors.New(r.noKey())
	}
	sealed, err := r.ssh(ctx, stderr, append([]string{"history", "--tar"}, r.rooms...)...)
	if err != nil {
		return err
	}
	o := &history.Opener{Identities: r.identities}
	if asJSON {
		err = open(o, o.Lines(bytes.NewReader(sealed)), cmd.OutOrStdout(), stderr, true)
	} else {
		err = r.show(o, sealed, cmd.OutOrStdout(), stderr)
	}
	for _, key := range r.locked {
		err = errors.Join(key.err, err)
	}
	return err
}

// show prints what o opens, on a terminal in a pager. All that was good is shown before an error ends it.
func (r *remote) show(o *history.Opener, sealed []byte, stdout, stderr io.Writer) error {
	lines, broken := amended(o.Lines(bytes.NewReader(sealed)))
	switch {
	case len(lines) > 0:
	case o.Passed > 0:
		return errors.Join(broken, fmt.Errorf("%s not sealed to these keys, and there are no others; %s", text.Are(o.Passed, "message"), r.noKey()))
	case broken == nil:
		fmt.Fprintln(stderr, "no stored messages")
		return nil
	}
	print := func(w io.Writer) error {
		out := bufio.NewWriter(w)
		for _, l := range lines {
			fmt.Fprintln(out, l)
		}
		return out.Flush()
	}
	var err error
	if f, ok := stdout.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		err = page(f, print)
	} else {
		err = print(stdout)
	}
	if o.Passed > 0 {
		fmt.Fprintf(stderr, "%s not sealed to these keys\n", text.Are(o.Passed, "message"))
	}
	return errors.Join(err, broken)
}

// amended are the lines as people read them, once the edits and deletions among them took effect, and the error that ended
// them. Lines of a later version's kinds are left out.
func amended(lines iter.Seq2[history.Line, error]) (shown []string, err error) {
	var all []history.Line
	rooms := make(map[chat.RoomName][]chat.Message)
	deleted := make(map[chat.RoomName]map[uint64]bool)
	for l, e := range lines {
		if e != nil {
			err = e
			break
		}
		switch {
		case !l.Kind.Stored(), l.Kind == chat.Edit && deleted[l.Room][l.Of]: // no server stores an edit after a deletion
			continue
		case l.Kind == chat.Delete:
			mark(deleted, l.Room, l.Of)
		}
		m, e := l.Message()
		if e != nil { // anybody can seal to a public key: it is shown as it can be
			m.Text = text.Sprintf("%s", l.Text)
		}
		all = append(all, l)
		rooms[l.Room] = append(rooms[l.Room], m)
	}
	there := make(map[chat.RoomName]map[uint64]bool)
	for room, said := range rooms {
		chat.Settle(said)
		for i := range said {
			mark(there, room, said[i].Seq)
		}
	}
	for _, l := range all {
		m := rooms[l.Room][0]
		rooms[l.Room] = rooms[l.Room][1:]
		if m.Kind.Amends() && there[m.Room][m.Of] {
			continue
		}
		l.At = l.At.Local()
		switch {
		case m.Deleted:
			l.Text = ""
		case m.Edited:
			l.Text = m.Text.String() + " (edited)"
		}
		shown = append(shown, plainLine(l))
	}
	return shown, err
}

// mark notes a message of a room.
func mark(marked map[chat.RoomName]map[uint64]bool, room chat.RoomName, seq uint64) {
	if marked[room] == nil {
		marked[room] = make(map[uint64]bool)
	}
	marked[room][seq] = true
}

// ssh runs a command of the server's, and returns what it prints. What ssh asks, it asks on the terminal.
func (r *remote) ssh(ctx context.Context, stderr io.Writer, command ...string) ([]byte, error) {
	args := append([]string{"-T", "-o", "RemoteCommand=none", "-o", "ClearAllForwardings=yes"}, r.options...)
	args = append(append(args, "--", r.destination), command...)
	return runSSH(ctx, stderr, args)
}

// sshFailed is a command that ended with a code of its own, after it said why.
type sshFailed struct {
	command string
	code    int
}

func (e *sshFailed) Error() string { return fmt.Sprintf("%s: exit status %d", e.command, e.code) }

func runSSH(ctx context.Context, stderr io.Writer, args []string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "ssh", args...)
	cmd.Stderr = stderr
	out, err := cmd.Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && exit.ExitCode() > 0 {
		err = &sshFailed{"ssh " + strings.Join(args[slices.Index(args, "--")+1:], " "), exit.ExitCode()}
	} else if errors.Is(err, exec.ErrNotFound) {
		err = errors.New("there is no ssh here: install the OpenSSH client")
	}
	return out, err
}

// findKeys takes the identity files that ssh has for the host.
func (r *remote) findKeys(ctx context.Context, stderr io.Writer) error {
	args := append(append([]string{"-G", "-T"}, r.options...), "--", r.destination)
	out, err := runSSH(ctx, stderr, args)
	if err != nil {
		return err
	}
	files := identityFiles(string(out), r.destination, home())
	missing := 0
	for _, file := range files {
		data, err := os.ReadFile(file)
		switch {
		case errors.Is(err, os.ErrNotExist):
			missing++
		case err != nil:
			r.found = append(r.found, err.Error()+".")
		default:
			r.takeKey(file, data)
		}
	}
	if len(files) > 0 && missing == len(files) { // as for people whose keys are in an agent
		r.found = append(r.found, fmt.Sprintf("None of the identity files that ssh has for this host exists: %s.", strings.Join(files, ", ")))
	}
	for _, key := range r.locked { // last: those that need no passphrase may open it all
		r.identities = append(r.identities, key)
	}
	return nil
}

// takeKey takes one private key, or finds why it opens nothing.
func (r *remote) takeKey(file string, data []byte) {
	id, err := agessh.ParseIdentity(data)
	if missing := (*ssh.PassphraseMissingError)(nil); errors.As(err, &missing) {
		public := missing.PublicKey
		if public == nil {
			public = publicBeside(file)
		}
		if public == nil {
			r.found = append(r.found, fmt.Sprintf("%s is locked, and %s.pub is missing: make it with ssh-keygen -y.", file, file))
			return
		}
		key := &lockedKey{file: file}
		if key.Identity, err = agessh.NewEncryptedSSHIdentity(public, data, func() ([]byte, error) { return key.ask(data) }); err == nil {
			r.locked = append(r.locked, key)
			return
		}
	}
	_, _, _, _, notPublic := ssh.ParseAuthorizedKey(data)
	_, notPrivate := ssh.ParseRawPrivateKey(data)
	switch {
	case err == nil:
		r.identities = append(r.identities, id)
	case notPublic == nil:
		r.found = append(r.found, fmt.Sprintf("%s is a public key: its private key is elsewhere.", file))
	case notPrivate != nil && !errors.As(notPrivate, new(*ssh.PassphraseMissingError)):
		r.found = append(r.found, fmt.Sprintf("%s: %v.", file, notPrivate))
	default:
		r.found = append(r.found, fmt.Sprintf("%s: keys of this type cannot open history; ed25519 and RSA keys can.", file))
	}
}

// noKey says what was found in place of a key that opens history.
func (r *remote) noKey() string {
	return strings.Join(append([]string{"no private key file opens this history."}, append(r.found,
		"A key in an agent logs in, but an agent cannot decrypt.",
		"To use another key: -i FILE, which is a private key or an age identity file, such as the output of the command identity.")...), " ")
}

// publicBeside is the public key in the file beside a private one; nil if there is none. The old form of a locked key does
// not hold it.
func publicBeside(file string) ssh.PublicKey {
	data, err := os.ReadFile(file + ".pub")
	if err != nil {
		return nil
	}
	key, _, _, _, err := ssh.ParseAuthorizedKey(data)
	if err != nil {
		return nil
	}
	return key
}

// lockedKey is a private key with a passphrase, which is asked for when something is met that is sealed to the key.
type lockedKey struct {
	age.Identity
	file string
	err  error // why it was not unlocked; then nobody is asked again
}

// ask returns the passphrase, once it is the right one.
func (k *lockedKey) ask(data []byte) ([]byte, error) {
	const tries = 3
	for n := 0; k.err == nil; n++ {
		phrase, err := askPassphrase(k.file)
		if err == nil {
			if _, err = ssh.ParseRawPrivateKeyWithPassphrase(data, phrase); err == nil {
				return phrase, nil
			}
			clear(phrase)
			if n+1 < tries && len(phrase) > 0 {
				continue
			}
			err = errPassphrase
		}
		k.err = fmt.Errorf("%s: %w", k.file, err)
	}
	return nil, k.err
}

// identityFiles are those that the output of ssh -G names, in its order. ssh prints them as they are configured, so the
// tokens of ssh_config(5) and variables of the environment are expanded here.
func identityFiles(output, destination, home string) []string {
	get := make(map[string]string)
	var files []string
	for line := range strings.Lines(output) {
		name, value, _ := strings.Cut(strings.TrimRight(line, "\r\n"), " ")
		if name = strings.ToLower(name); name == "identityfile" {
			files = append(files, value)
		} else if get[name] == "" {
			get[name] = value
		}
	}
	me := ""
	if u, err := osuser.Current(); err == nil {
		me = u.Username
	}
	_, typed, found := strings.Cut(destination, "@")
	if !found {
		typed = destination
	}
	tokens := strings.NewReplacer("%%", "%", "%d", home, "%h", get["hostname"], "%n", typed, "%p", get["port"],
		"%r", get["user"], "%u", me, "%i", strconv.Itoa(os.Getuid()))
	var expanded []string
	for _, file := range files {
		if file == "none" || file == "" {
			continue
		}
		if rest, ok := strings.CutPrefix(file, "~/"); ok {
			file = filepath.Join(home, rest)
		}
		file = expandVariables(tokens.Replace(file))
		if !slices.Contains(expanded, file) {
			expanded = append(expanded, file)
		}
	}
	return expanded
}

// expandVariables expands ${NAME}, and no other form.
func expandVariables(s string) string {
	before, rest, ok := strings.Cut(s, "${")
	if !ok {
		return s
	}
	name, after, ok := strings.Cut(rest, "}")
	if !ok {
		return s
	}
	return before + os.Getenv(name) + expandVariables(after)
}

// home is the user's folder as ssh takes it: the system's, not $HOME.
func home() string {
	if u, err := osuser.LookupId(strconv.Itoa(os.Getuid())); err == nil && runtime.GOOS != "windows" {
		return u.HomeDir
	}
	dir, err := os.UserHomeDir()
	if err != nil {
		return "~"
	}
	return dir
}

// page shows text in the user's pager, which gets it through a pipe. less keeps no file of what is searched for, and does not
// wait if all of it fits on the screen.
func page(tty *os.File, print func(io.Writer) error) error {
	pager := os.Getenv("PAGER")
	if pager == "" {
		for _, name := range []string{"less", "more"} {
			if _, err := exec.LookPath(name); err == nil {
				pager = name
				break
			}
		}
	}
	if pager == "" || pager == "cat" {
		return print(tty)
	}
	shell := exec.Command("/bin/sh", "-c", pager)
	if runtime.GOOS == "windows" {
		shell = exec.Command("cmd", "/c", pager)
	}
	shell.Stdout, shell.Stderr = tty, tty
	shell.Env = append(os.Environ(), "LESSHISTFILE=-")
	for name, usual := range map[string]string{"LESS": "Fi", "LESSCHARSET": "utf-8"} {
		if os.Getenv(name) == "" {
			shell.Env = append(shell.Env, name+"="+usual)
		}
	}
	in, err := shell.StdinPipe()
	if err != nil {
		return err
	}
	if err := shell.Start(); err != nil {
		return fmt.Errorf("start the pager: %w", err)
	}
	print(in) // fails only if the pager is closed before it has read all
	in.Close()
	if err := shell.Wait(); err != nil {
		return fmt.Errorf("%s: %w", pager, err)
	}
	return nil
}
