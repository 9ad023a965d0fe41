package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// target is a column of the table: a server, and how its people come.
type target struct {
	name    string // the column's
	program string
	shape   shape // of the readers
	silent  bool  // nothing is shown at the beginning
	echoes  bool  // what is typed is shown once before the message is, also without a terminal, and Enter is a carriage return
	rooms   int   // that everyone is in, #general among them; 0 is 1
}

const (
	product = "sshchat"
	other   = "ssh-chat" // somebody else's, whose module may not be had
)

// xterm is the terminal of most people.
const xterm = "xterm-256color"

var targets = []target{
	{name: "sshchat full", program: product, shape: shape{term: xterm, cols: 80, rows: 24}},
	{name: plainFace, program: product, shape: shape{term: xterm, cols: 80, rows: 24, ui: "plain"}},
	{name: pipeFace, program: product, silent: true},
	{name: other, program: other, shape: shape{term: xterm, cols: 80, rows: 24}, echoes: true},
	{name: "gliderlabs", program: "gliderlabs", shape: shape{term: xterm, cols: 80, rows: 24}},
	{name: yardstick, program: "bare", shape: shape{term: xterm, cols: 80, rows: 24}},
}

// yardstick is the column that the ratios are to, subject the one that has targets.
const (
	yardstick = "bare x/crypto"
	subject   = "sshchat full"
)

// large is the subject on a large terminal.
var large = target{name: subject + " 200x50", program: product, shape: shape{term: xterm, cols: 200, rows: 50}}

// chosen is the targets whose names have one of the words, separated by commas, in them.
func chosen(words string) ([]target, error) {
	var some []target
	for _, t := range targets {
		for word := range strings.SplitSeq(words, ",") {
			if strings.Contains(t.name, word) {
				some = append(some, t)
				break
			}
		}
	}
	if len(some) == 0 {
		return nil, fmt.Errorf("no server is called %q", words)
	}
	return some, nil
}

// programs are the servers, built.
type programs struct {
	folder  string
	profile string   // what the product calls its profiles; empty for none
	lifted  []string // flags of the product that lift its limits
	missing error    // why there is no other server; nil if there is
}

// buildPrograms builds each server from this checkout. The product gets the tag that lets us look inside.
func buildPrograms(folder, profile string, withOther bool) (*programs, error) {
	module, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return nil, fmt.Errorf("find ourselves: %w", err)
	}
	here := strings.TrimSpace(string(module))
	for _, b := range [][]string{
		{filepath.Dir(here), "-tags", "sshchat_bench", "-o", filepath.Join(folder, product), "./cmd/sshchat"},
		{here, "-o", folder + string(filepath.Separator), "./yardstick/..."},
	} {
		cmd := exec.Command("go", append([]string{"build"}, b[1:]...)...)
		cmd.Dir = b[0]
		if out, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("build in %s: %w\n%s", b[0], err, out)
		}
	}
	p := &programs{folder: folder, profile: profile}
	help, err := exec.Command(p.path(product), "--help-all").Output()
	if err != nil {
		return nil, fmt.Errorf("ask for the flags: %w", err)
	}
	p.lifted = lift(string(help))
	if withOther {
		p.missing = buildOther(here, folder)
	}
	return p, nil
}

// buildOther builds the server that is a module of its own: what it needs may have to be fetched, and may be refused.
func buildOther(here, folder string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "build", "-o", filepath.Join(folder, other), ".")
	cmd.Dir = filepath.Join(here, "yardstick", other)
	if out, err := cmd.CombinedOutput(); err != nil {
		why, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
		return fmt.Errorf("%w: %s", err, why)
	}
	return nil
}

func (p *programs) path(name string) string { return filepath.Join(p.folder, name) }

// limits are the flags of the product that lift what one sender, or a crowd from one address, would meet.
var limits = []string{
	"--message-rate=1e9", "--message-burst=1000000000", "--input-rate=1e9", "--input-burst=1000000000", "--per-source-penalty-exempt-list=127.0.0.0/8", "--max-startups=10000",
}

// lift is the limits that a server with this help has.
func lift(help string) []string {
	var flags []string
	for _, f := range limits {
		if name, _, _ := strings.Cut(f, "="); strings.Contains(help, " "+name+" ") {
			flags = append(flags, f)
		}
	}
	return flags
}

// start starts the target's server for these accounts, over a new folder.
func (p *programs) start(t target, people []account) (*process, error) {
	if t.program != product {
		return startProcess(p.path(t.program), nil, nil)
	}
	data, err := os.MkdirTemp(p.folder, "data-")
	if err != nil {
		return nil, err
	}
	if err := writeAccounts(data, people, max(1, t.rooms)); err != nil {
		return nil, err
	}
	args := append([]string{"--listen=127.0.0.1:0", "--data=" + data}, p.lifted...)
	return startProcess(p.path(product), args, []string{"SSHCHAT_BENCH_PROFILE=" + p.profile})
}
