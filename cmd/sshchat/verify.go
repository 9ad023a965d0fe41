package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"sshchat/hostkeys"
	"sshchat/sshchat/text"
	"sshchat/store/accounts"
	"sshchat/store/history"
	"sshchat/store/journal"

	"github.com/spf13/cobra"
	"golang.org/x/crypto/ssh"
)

// verifyCommand checks a history without any key to it.
func verifyCommand() *cobra.Command {
	var data string
	var heads []string
	var asJSON bool
	cmd := &cobra.Command{
		Use: "verify [--head FILE] [DIR]", Short: "check that stored data is complete, without reading messages",
		Long: "DIR is the data folder, or a folder with the files of its history; it can also be given as --data.\n" +
			"Checks that every record follows from those before it, that archives are unchanged, and that every head saved\n" +
			"from the head command is in the history and signed by this server; that every change in changes.jsonl follows\n" +
			"from users.json, and that the history refers to no later one. The server may be running.\n" +
			"The exit status is 1 if anything is wrong.",
		Args: atMost(1), SilenceUsage: true, SilenceErrors: true,
	}
	cmd.Flags().StringVar(&data, "data", "data", "the data folder, or a folder with the files of its history")
	cmd.Flags().StringArrayVar(&heads, "head", nil, "a head saved from the head command (repeatable)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print what was found as one JSON object")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 && cmd.Flags().Changed("data") {
			return &badSetting{"give the folder only once: as --data or as an argument"}
		}
		if len(args) > 0 {
			data = args[0]
		}
		return verify(data, heads, asJSON, cmd.OutOrStdout(), cmd.ErrOrStderr())
	}
	return cmd
}

// verdict is what verify found, as JSON.
type verdict struct {
	OK      bool            `json:"ok"`
	Why     string          `json:"why,omitempty"`
	Files   []string        `json:"files"`
	First   uint64          `json:"first"`
	Records uint64          `json:"records"`
	Changes uint64          `json:"changes,omitempty"` // the last one that changes.jsonl or users.json holds
	Rooms   json.RawMessage `json:"rooms"`
	Heads   []signedHead    `json:"heads,omitempty"`
}

// signedHead is a head in a file, and the fingerprint of the key that signed it; empty: nobody did.
type signedHead struct {
	File  string       `json:"file"`
	By    string       `json:"by"`
	head  history.Head // by value: it is looked for
	known bool         // the key is or was the server's, as far as the folder's public host keys tell
}

func verify(data string, files []string, asJSON bool, stdout, stderr io.Writer) error {
	heads, err := readHeads(data, files)
	var report history.Report
	if err == nil {
		var remembered []history.Head
		for _, h := range heads {
			remembered = append(remembered, h.head)
		}
		report, err = history.Verify(data, remembered)
	}
	var changes uint64
	if err == nil {
		if changes, err = accounts.Verify(data); err == nil { // read after the history, which it may be ahead of
			err = journal.Together(changes, report.Change)
		} else if errors.Is(err, fs.ErrNotExist) { // it is only files of a history
			err = nil
		}
	}
	if asJSON {
		v := verdictOf(report, heads, err)
		v.Changes = changes
		return errors.Join(err, v.print(stdout))
	}
	for _, h := range heads {
		h.report(stderr)
	}
	if err == nil {
		fmt.Fprintf(stderr, "ok: %s, records %d to %d, %s, %s\n",
			text.Count(len(report.Files), "file"), report.First, report.Records, text.Count(len(report.Rooms), "room"), text.Count(len(heads), "head"))
		if changes > 0 {
			fmt.Fprintf(stderr, "ok: users.json and changes.jsonl, up to change %d\n", changes)
		}
	}
	return err
}

func verdictOf(report history.Report, heads []signedHead, err error) verdict {
	v := verdict{OK: err == nil, Files: report.Files, First: report.First, Records: report.Records, Heads: heads}
	if err != nil {
		v.Why = err.Error()
	}
	var lines [][]byte
	for _, h := range report.Rooms {
		lines = append(lines, bytes.TrimSpace(h.Line()))
	}
	v.Rooms = fmt.Appendf(nil, "[%s]", bytes.Join(lines, []byte(",")))
	return v
}

func (v verdict) print(w io.Writer) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s\n", b)
	return err
}

// report says what is not known of who signed the head.
func (h signedHead) report(stderr io.Writer) {
	switch {
	case h.By == "":
		fmt.Fprintf(stderr, "%s is not signed, so who made it is not checked\n", h.File)
	case !h.known:
		fmt.Fprintf(stderr, "%s is signed by %s: compare this with the server's host key\n", h.File, h.By)
	}
}

// readHeads reads what the head command printed: a line, and the signature over it by a host key of the data folder,
// its present one or a former.
func readHeads(data string, files []string) (heads []signedHead, err error) {
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		line, signature, _ := bytes.Cut(bytes.TrimPrefix(b, []byte(text.BOM)), []byte("\n"))
		h := signedHead{File: file}
		if h.head, err = history.ParseHead(line); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		if len(bytes.TrimSpace(signature)) > 0 {
			if h.By, h.known, err = hostKeyThatSigned(data, h.head.Line(), signature); err != nil {
				return nil, fmt.Errorf("%s: %w", file, err)
			}
		}
		heads = append(heads, h)
	}
	return heads, nil
}

// hostKeyThatSigned is the fingerprint of the host key that signed the line. If the folder has no public host keys, as a
// backup without them, any key's signature is taken, and its fingerprint is for people to compare: then known is false.
func hostKeyThatSigned(data string, line, signature []byte) (by string, known bool, err error) {
	key, err := hostkeys.Verify("sshchat-history", line, signature)
	if err != nil {
		return "", false, err
	}
	public, err := filepath.Glob(filepath.Join(data, "ssh_host_*.pub"))
	if err != nil {
		return "", false, err
	}
	for _, path := range public {
		if strings.Contains(filepath.Base(path), ".next") {
			continue // it has signed nothing yet
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return "", false, err
		}
		k, _, _, _, err := ssh.ParseAuthorizedKey(b)
		if err != nil {
			return "", false, fmt.Errorf("%s: %w", path, err)
		}
		if bytes.Equal(k.Marshal(), key.Marshal()) {
			return ssh.FingerprintSHA256(key), true, nil
		}
		known = true
	}
	if known {
		return "", false, fmt.Errorf("it is signed by %s, which was never a key of this server", ssh.FingerprintSHA256(key))
	}
	return ssh.FingerprintSHA256(key), false, nil
}
