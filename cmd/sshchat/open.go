package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
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
		Use: "open -i KEY [--head FILE] [FILE...]", Short: "read sealed history with your own key, and check that none of it is missing",
		Long: "FILE is a data folder, a message_history.json with its archives before it, the oldest first, or a tar from\n" +
			"history --tar; without it, standard input.\n" +
			"KEY is an SSH private key or an age identity file, such as the one from identity.",
		Args: cobra.ArbitraryArgs, SilenceUsage: true, SilenceErrors: true,
	}
	cmd.Flags().StringArrayVarP(&keys, "identity", "i", nil, "private key or age identity file (repeatable)")
	cmd.Flags().StringVar(&head, "head", "", "a head remembered from the head command: fail if the history does not lead up to it")
	cmd.Flags().StringVar(&name, "name", "", "try only the heads of this account")
	cmd.Flags().BoolVar(&asJSON, "json", false, "the sealed lines as they are, one JSON object a line")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		o, err := opener(keys, head, name)
		if err != nil {
			return err
		}
		files, err := openFiles(args)
		in := []io.Reader{cmd.InOrStdin()}
		for i, f := range files {
			defer f.Close()
			in = append(in[:i], f)
		}
		if err != nil {
			return err
		}
		return meanwhile(args, open(o, in, cmd.OutOrStdout(), cmd.ErrOrStderr(), asJSON))
	}
	return cmd
}

func opener(keys []string, head, name string) (*history.Opener, error) {
	if len(keys) == 0 {
		return nil, errors.New("open needs a key: -i FILE")
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
			return nil, err
		}
		o.Name = n
	}
	if head != "" {
		data, err := os.ReadFile(head)
		if err != nil {
			return nil, err
		}
		line, _, _ := strings.Cut(strings.TrimPrefix(string(data), text.BOM), "\n") // the signature follows; ssh-keygen -Y verify checks it
		h, err := history.ParseHead([]byte(line))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", head, err)
		}
		o.Head = &h
	}
	return o, nil
}

// openFiles opens what the arguments name; a folder stands for the files of the history in it.
func openFiles(args []string) (files []*os.File, err error) {
	for _, arg := range args {
		info, err := os.Stat(arg)
		if err != nil {
			return files, err
		}
		more := []*os.File(nil)
		if info.IsDir() {
			more, err = history.OpenFiles(arg)
		} else if f, openErr := os.Open(arg); openErr == nil {
			more = []*os.File{f}
		} else {
			err = openErr
		}
		files = append(files, more...)
		if err != nil {
			return files, err
		}
	}
	return files, nil
}

// meanwhile tells damage from what a server was just writing: then the folder is whole when it is looked at again.
func meanwhile(args []string, err error) error {
	if len(args) == 1 && errors.Is(err, history.ErrDamaged) {
		if _, damaged := history.Verify(args[0], nil); damaged == nil {
			return fmt.Errorf("a server wrote to %s meanwhile: please do it again", args[0])
		}
	}
	return err
}

// open prints the lines. All that were good are printed before the first that is not ends it.
func open(o *history.Opener, in []io.Reader, stdout, stderr io.Writer, asJSON bool) error {
	out := bufio.NewWriter(stdout)
	for line, err := range o.Files(in...) {
		if err != nil {
			return errors.Join(out.Flush(), err)
		}
		if asJSON {
			b, err := line.JSON()
			if err != nil {
				return errors.Join(out.Flush(), err)
			}
			fmt.Fprintf(out, "%s\n", text.EscapeJSON(b))
			continue
		}
		fmt.Fprintln(out, plainLine(line))
	}
	if o.Passed > 0 {
		fmt.Fprintf(stderr, "%s not sealed to these keys\n", text.Are(o.Passed, "message"))
	}
	return out.Flush()
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
	case chat.Say:
		return fmt.Sprintf("%s %s: %s", head, l.From, said)
	}
	return fmt.Sprintf("%s %s (%s; this version does not know that kind): %s", head, l.From, text.Clean(string(l.Kind), 32), said)
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
	var locked *ssh.PassphraseMissingError
	if errors.As(err, &locked) {
		return readLockedKey(file, data, locked.PublicKey)
	}
	if err != nil {
		return nil, err
	}
	return []age.Identity{id}, nil
}

func readLockedKey(file string, data []byte, public ssh.PublicKey) ([]age.Identity, error) {
	if public == nil {
		return nil, errors.New("this old form of a locked key does not tell its public key; ssh-keygen -p rewrites it")
	}
	id, err := agessh.NewEncryptedSSHIdentity(public, data, func() ([]byte, error) { return askPassphrase(file) })
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
		return nil, errors.New("the passphrase does not open it")
	}
	return age.ParseIdentities(plain)
}

// askPassphrase asks on the terminal: standard input may be the history.
func askPassphrase(file string) ([]byte, error) {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("a passphrase is needed, and there is no terminal to ask on: %w", err)
	}
	defer tty.Close()
	fmt.Fprintf(tty, "Passphrase for %s: ", file)
	defer fmt.Fprintln(tty)
	return term.ReadPassword(int(tty.Fd()))
}
