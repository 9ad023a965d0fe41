package main

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strings"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
	"sshchat/store/history"

	"filippo.io/age"
	"filippo.io/age/agessh"
	"filippo.io/age/armor"
	"github.com/spf13/cobra"
	"golang.org/x/crypto/ssh"
	"golang.org/x/term"
)

// openCommand reads sealed history away from the server.
func openCommand() *cobra.Command {
	var keys []string
	var head, name string
	var asJSON bool
	cmd := &cobra.Command{
		Use: "open -i KEY [--head FILE] [FILE...]", Short: "read sealed history with your own key, and check that it is complete",
		Long: "FILE is a data folder, a message_history.json preceded by its archives, oldest first, or a tar from\n" +
			"history --tar. The default is standard input.\n" +
			"KEY is an SSH private key or an age identity file, such as the output of identity.",
		Args: cobra.ArbitraryArgs, SilenceUsage: true, SilenceErrors: true,
	}
	cmd.Flags().StringArrayVarP(&keys, "identity", "i", nil, "private key or age identity file (repeatable)")
	cmd.Flags().StringVar(&head, "head", "", "a head saved from the head command: fail if the history does not contain it")
	cmd.Flags().StringVar(&name, "name", "", "try only keys of this account")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object per line")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		o, err := opener(keys, name)
		if err != nil {
			return err
		}
		if head != "" {
			heads, err := readHeads(folderOf(args), []string{head})
			if err != nil {
				return err
			}
			heads[0].report(cmd.ErrOrStderr())
			o.Head = &heads[0].head
		}
		lines, done, err := linesOf(o, args, cmd.InOrStdin())
		if err != nil {
			return err
		}
		return errors.Join(open(o, lines, cmd.OutOrStdout(), cmd.ErrOrStderr(), asJSON), done())
	}
	return cmd
}

func opener(keys []string, name string) (*history.Opener, error) {
	if len(keys) == 0 {
		return nil, &badSetting{"open needs a key: -i FILE"}
	}
	o := &history.Opener{}
	for _, file := range keys {
		ids, err := readIdentities(file)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		o.Identities = append(o.Identities, ids...)
	}
	if name != "" {
		n, err := text.ParseName(name)
		if err != nil {
			return nil, &badSetting{"--name: " + err.Error()}
		}
		o.Name = n
	}
	return o, nil
}

// folderOf is where the host keys may be that sign heads: beside the history.
func folderOf(args []string) string {
	if len(args) == 0 {
		return ""
	}
	if info, err := os.Stat(args[0]); err == nil && info.IsDir() {
		return args[0]
	}
	return filepath.Dir(args[0])
}

// linesOf are the lines of what the arguments name: a folder stands for the files of the history in it, and nothing for
// standard input.
func linesOf(o *history.Opener, args []string, stdin io.Reader) (lines iter.Seq2[history.Line, error], done func() error, err error) {
	nothing := func() error { return nil }
	if len(args) == 0 {
		return o.Lines(stdin), nothing, nil
	}
	var files []history.File
	for _, arg := range args {
		info, err := os.Stat(arg)
		switch {
		case err != nil:
			return nil, nil, err
		case info.IsDir() && len(args) > 1:
			return nil, nil, &badSetting{fmt.Sprintf("%s is a folder: give it alone", arg)}
		case info.IsDir():
			files, err = history.FilesIn(arg)
			return o.Files(files...), func() error { return closeFiles(files) }, err
		case !info.Mode().IsRegular() && len(args) == 1:
			pipe, err := os.Open(arg)
			if err != nil {
				return nil, nil, err
			}
			return o.Lines(pipe), pipe.Close, nil
		case !info.Mode().IsRegular():
			b, err := os.ReadFile(arg)
			if err != nil {
				return nil, nil, err
			}
			files = append(files, history.InMemory(arg, b))
		default:
			files = append(files, history.FileAt(arg))
		}
	}
	return o.Files(files...), nothing, nil
}

func closeFiles(files []history.File) (err error) {
	for _, f := range files {
		err = errors.Join(err, f.Close())
	}
	return err
}

// open prints the lines. All that were good are printed before the first that is not ends it.
func open(o *history.Opener, lines iter.Seq2[history.Line, error], stdout, stderr io.Writer, asJSON bool) error {
	out := bufio.NewWriter(stdout)
	opened, unknown := 0, 0
	for line, err := range lines {
		if err != nil {
			return errors.Join(out.Flush(), err)
		}
		opened++
		if asJSON {
			b, err := line.JSON()
			if err != nil {
				return errors.Join(out.Flush(), err)
			}
			fmt.Fprintf(out, "%s\n", text.EscapeJSON(b))
			continue
		}
		if !line.Kind.Stored() {
			unknown++ // what it means, a newer version knows
			continue
		}
		fmt.Fprintln(out, plainLine(line))
	}
	if err := out.Flush(); err != nil {
		return err
	}
	if unknown > 0 {
		fmt.Fprintf(stderr, "%s of a kind that this version of sshchat does not know\n", text.Are(unknown, "message"))
	}
	switch {
	case o.Passed > 0 && opened == 0:
		return fmt.Errorf("%s not sealed to these keys, and there are no others", text.Are(o.Passed, "message"))
	case o.Passed > 0:
		fmt.Fprintf(stderr, "%s not sealed to these keys\n", text.Are(o.Passed, "message"))
	}
	return nil
}

// plainLine is a line as people read it. Anybody can seal to a public key: the text is cleaned as if it had just come in,
// and its further lines are indented, so that none can pass for another's.
func plainLine(l history.Line) string {
	head := fmt.Sprintf("%s %s/%d", l.At.Format("2006-01-02 15:04:05"), l.Room, l.Seq)
	said := strings.ReplaceAll(text.CleanLines(l.Text), "\n", "\n  ")
	switch {
	case l.Text == "":
		said = "(deleted)"
	case said == "":
		said = "(nothing to show)"
	}
	switch l.Kind {
	case chat.Me:
		return fmt.Sprintf("%s * %s %s", head, l.From, said)
	case chat.Edit:
		return fmt.Sprintf("%s %s edits %d: %s", head, l.From, l.Of, said)
	case chat.Delete:
		return fmt.Sprintf("%s %s deletes %d", head, l.From, l.Of)
	case chat.React:
		return fmt.Sprintf("%s %s reacts to %d: %s", head, l.From, l.Of, said)
	case chat.Unreact:
		return fmt.Sprintf("%s %s removes a reaction to %d: %s", head, l.From, l.Of, said)
	case chat.Say:
		if l.Of > 0 {
			return fmt.Sprintf("%s %s replies to %d: %s", head, l.From, l.Of, said)
		}
		return fmt.Sprintf("%s %s: %s", head, l.From, said)
	}
	return fmt.Sprintf("%s %s (%s, a kind this version does not know): %s", head, l.From, text.Clean(string(l.Kind), 32), said)
}

// readIdentities reads an SSH private key, an age identity file, or one sealed with a passphrase, which it asks for.
func readIdentities(file string) ([]age.Identity, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	data = bytes.TrimPrefix(data, []byte(text.BOM))
	if bytes.HasPrefix(data, []byte(armor.Header)) {
		return readSealedIdentities(file, armor.NewReader(bytes.NewReader(data)))
	}
	if !bytes.Contains(data, []byte("-----BEGIN ")) {
		return age.ParseIdentities(bytes.NewReader(data))
	}
	id, err := agessh.ParseIdentity(data)
	if errors.As(err, new(*ssh.PassphraseMissingError)) {
		return readLockedKey(file, data)
	}
	if err != nil {
		return nil, err
	}
	return []age.Identity{id}, nil
}

// errPassphrase says that the passphrase is another.
var errPassphrase = errors.New("the passphrase does not open it")

// readLockedKey opens the key at once. agessh.NewEncryptedSSHIdentity would ask when the first message is met, and what
// goes wrong then would pass for messages that are not sealed to the key; and it needs the public key, which the old form
// of a locked key does not hold.
func readLockedKey(file string, data []byte) ([]age.Identity, error) {
	phrase, err := askPassphrase(file)
	if err != nil {
		return nil, err
	}
	defer clear(phrase)
	key, err := ssh.ParseRawPrivateKeyWithPassphrase(data, phrase)
	if errors.Is(err, x509.IncorrectPasswordError) {
		return nil, errPassphrase
	}
	if err != nil {
		return nil, err
	}
	var id age.Identity
	switch key := key.(type) {
	case *rsa.PrivateKey:
		id, err = agessh.NewRSAIdentity(key)
	case *ed25519.PrivateKey:
		id, err = agessh.NewEd25519Identity(*key)
	default:
		err = errors.New("keys of this type cannot open history: use ed25519 or RSA")
	}
	if err != nil {
		return nil, err
	}
	return []age.Identity{id}, nil
}

func readSealedIdentities(file string, sealed io.Reader) ([]age.Identity, error) {
	phrase, err := askPassphrase(file)
	if err != nil {
		return nil, err
	}
	defer clear(phrase)
	id, err := age.NewScryptIdentity(string(phrase))
	if err != nil {
		return nil, err
	}
	id.SetMaxWorkFactor(20)
	plain, err := age.Decrypt(sealed, id)
	if err != nil {
		return nil, errPassphrase
	}
	return age.ParseIdentities(plain)
}

// askPassphrase asks on the terminal: standard input may be the history.
func askPassphrase(file string) ([]byte, error) {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("the key has a passphrase, and there is no terminal to ask for it: %w", err)
	}
	defer tty.Close()
	fmt.Fprintf(tty, "Passphrase for %s: ", file)
	defer fmt.Fprintln(tty)
	return term.ReadPassword(int(tty.Fd()))
}
