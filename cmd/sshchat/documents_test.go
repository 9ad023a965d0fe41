package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"sshchat/sshchat/command"

	"github.com/creack/pty"
	"golang.org/x/crypto/ssh"
)

// The documents for users. Those of a row are run in their order on one server, after the README, so that each finds what those
// before it left behind.
var documents = [][]string{
	{"README.md", "docs/settings.md", "docs/first-server.md", "docs/history.md"},
	{"docs/chat.md", "docs/administration.md", "docs/bots.md"},
	{"docs/install.md", "docs/backup.md", "docs/upgrading.md", "docs/cluster.md", "docs/network.md", "docs/watching.md", "docs/faq.md", "docs/privacy.md", "docs/PROOFS.md"},
}

// notRun is which commands of the documents no test runs, by how they begin, and why.
var notRun = map[string]string{
	"go build":                   "the tests run that build",
	"GOEXPERIMENT=":              ".ci/run tests that build",
	"install -m":                 "it changes the machine",
	"cp deploy/":                 "it changes the machine",
	"sshchat admin reset":        "its server is stopped for it: TestAdminReset does it",
	"sshchat doctor":             "what it finds depends on the machine: TestDoctorOfTheHealthy does it",
	"haproxy -c":                 "TestBehindHAProxy does it, if HAProxy is installed",
	"systemctl":                  "it needs systemd",
	"journalctl":                 "it needs systemd",
	"dig":                        "it needs a domain",
	"ufw":                        "it changes the firewall",
	"firewall-cmd":               "it changes the firewall",
	"nft":                        "it changes the firewall",
	"ssh -J":                     "it needs a second host",
	"ssh-keygen -R":              "it would change the known hosts of the person who runs the tests",
	"bash .ci/":                  "it takes minutes or hours, and is a test itself",
	"cmd /c":                     "it needs Windows",
	"curl http":                  "TestProbes does it",
	"ssh -o ProxyCommand='nc -U": "TestUnixSocketIsServed does it, without nc",
	"systemd-socket-activate":    "TestSocketActivation does it",
	"install -D":                 "it changes the machine",
	"apt install":                "it changes the machine: .ci/packages installs the package",
	"dnf install":                "it needs Fedora: .ci/packages checks the package",
	"sshchat cluster":            "it needs NATS servers: TestClusterIsOneChat does it",
	"ssh -p 2222 alice@n1":       "it needs a cluster: TestClusterIsOneChat does it",
	"chown -R":                   "it changes the machine",
	"nats --server":              "it needs NATS servers: TestClusterIsRebuilt does it",
	"cp -a /var/lib/sshchat /":   "it needs a cluster: TestClusterIsRebuilt does it",
	"mv /var/lib/sshchat /":      "it needs a cluster: TestClusterIsRebuilt does it",
	"cp -p /var/lib/sshchat.old": "it needs a cluster: TestClusterIsRebuilt does it",
	"sshchat ping":               "the server of the tests has another port: TestPing does it",
	"podman":                     "it needs Podman: .ci/packages builds and runs the image",
	"systemd-sysusers":           "it changes the machine",
	"ssh -p 2222 alice@chat.example.org reload --restart": "the server is the tests' own process: TestRestartBesideFiftySessions does it",
	"ssh -p 2222 alice@chat.example.org sources forgive":  "no address is refused here: testdata/sources.txtar does it",
	"ssh -p 2222 alice@chat.example.org node ":            "the server is not part of a cluster: TestNodeCommands does it",
}

// answers is what is typed where a command asks on a terminal, by a pattern for the command.
var answers = map[string][]answered{
	`bob@localhost$`:            {{"y/N", "y\r"}, {"#general", "\x04"}},
	`dave@\S+ passwd$`:          {{"assword:", goodPassword + "\r"}, {"assword:|again:", goodPassword + "\r"}},
	`paula@\S+ passwd$`:         {{"assword:", goodPassword + "\r"}, {"assword:", newPassword + "\r"}, {"assword:|again:", newPassword + "\r"}},
	`paula@\S+ key share$`:      {{"assword:", goodPassword + "\r"}},
	`quinn@\S+ passwd recover$`: {{"assword:", "\x00quinn\r"}, {":", goodPassword + "\r"}},
	`^age -d -i me.age`:         {{"(?i)passphrase", goodPassword + "\r"}},
	`^ssh-keygen -t ed25519$`:   {{"save the key", "new-key\r"}, {"passphrase", "\r"}, {"again", "\r"}},
}

const newPassword = "a longer and newer password 9"

// answered is a prompt and what is typed then; \x00NAME stands for the password that an admin gave to NAME.
type answered struct{ prompt, keys string }

// Every command that a document shows works, typed into a shell with stock ssh, age and jq, in the order of the documents.
func TestDocumentedCommandsWork(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"bash", "ssh", "ssh-keygen", "age", "jq", "tar", "man", "base64"} {
		client(t, tool)
	}
	rows := documents
	if !long { // one reader does what the README shows once
		rows = [][]string{slices.Concat(documents...)}
	}
	readers := make([]*reader, len(rows))
	t.Run("rows", func(t *testing.T) {
		for i, row := range rows {
			t.Run(row[0], func(t *testing.T) {
				t.Parallel()
				r := newReader(t)
				r.meets()
				readers[i] = r
				if i > 0 {
					r.reads("README.md")
				}
				for _, document := range row {
					r.reads(document)
				}
			})
		}
	})
	did := func(what func(*reader) bool) bool {
		return slices.ContainsFunc(readers, func(r *reader) bool { return r != nil && what(r) })
	}
	for begin, reason := range notRun {
		if !did(func(r *reader) bool { return r.used[begin] }) || reason == "" {
			t.Errorf("no document shows %q, or there is no reason not to run it", begin)
		}
	}
	for pattern := range answers {
		if !did(func(r *reader) bool { return r.answered[pattern] }) {
			t.Errorf("no document shows a command like %s", pattern)
		}
	}
}

// reads does what a document shows.
func (r *reader) reads(document string) {
	r.t.Helper()
	for _, b := range blocksOf(r.t, document) {
		switch b.language {
		case "sh", "powershell":
			for _, line := range b.commands() {
				if reason := r.exceptionOf(line); reason == "" {
					r.run(document, line)
				}
			}
		case "chat":
			r.chat(document, b.text)
		case "toml":
			r.write("sshchat.toml", b.text)
		case "text", "ini":
		default:
			r.t.Errorf("%s: a block of kind %q: say sh, chat or text", document, b.language)
		}
	}
}

// exceptionOf is why a command is not run, or "".
func (r *reader) exceptionOf(line string) string {
	for begin, reason := range notRun {
		if strings.HasPrefix(line, begin) {
			r.used[begin] = true
			return reason
		}
	}
	return ""
}

// block is fenced text of a document.
type block struct{ language, text string }

// blocksOf is the fenced blocks of a document. A command that is not in one is an error, since nothing would run it.
func blocksOf(t *testing.T, document string) (all []block) {
	t.Helper()
	var b *block
	indent := 0
	for line := range strings.Lines(readText(t, "../../"+document)) {
		trimmed := strings.TrimLeft(line, " ")
		switch {
		case strings.HasPrefix(trimmed, "```") && b == nil:
			b, indent = &block{language: strings.TrimSpace(trimmed[3:])}, len(line)-len(trimmed)
		case strings.HasPrefix(trimmed, "```"):
			all, b = append(all, *b), nil
		case b != nil:
			b.text += line[min(indent, len(line)-len(trimmed)):]
		case regexp.MustCompile(`^(    |\t)\s*(ssh|sshchat|go|age) `).MatchString(line):
			t.Errorf("%s: put this into a block of kind sh: %s", document, line)
		}
	}
	if b != nil {
		t.Errorf("%s: a block does not end", document)
	}
	return all
}

// commands is the command lines of a block.
func (b block) commands() (lines []string) {
	for line := range strings.Lines(strings.ReplaceAll(b.text, "\\\n", "")) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

// reader is somebody who types what the documents show, in a home of their own.
type reader struct {
	t        *testing.T
	server   *testServer
	home     string
	ran      map[string]bool
	used     map[string]bool   // of notRun
	answered map[string]bool   // of answers
	last     map[string]string // what CODE, ID and FINGERPRINT stand for now
}

// newReader starts a server for somebody who has no account there.
func newReader(t *testing.T) *reader {
	r := &reader{
		t: t, server: startServer(t, ""), home: t.TempDir(),
		ran: map[string]bool{}, used: map[string]bool{}, answered: map[string]bool{}, last: map[string]string{},
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r.write("bin/sshchat", "#!/bin/sh\nSSHCHAT_TEST_MAIN=1 exec "+self+" \"$@\"\n")
	r.write("bin/ssh", "#!/bin/sh\nexec "+client(t, "ssh")+" -F $HOME/.ssh/config -o Port="+r.server.port()+" \"$@\"\n")
	// ssh asks "(paula@127.0.0.1) Password:"; what is typed then is in a file.
	r.write("bin/askpass", "#!/bin/sh\ncat \"$HOME/$(printf %s \"$1\" | sed -E 's/^\\(?([a-z]+)@.*/\\1/').password\"\n")
	r.write(".ssh/config", "Host *\n  HostName 127.0.0.1\n  StrictHostKeyChecking no\n  UserKnownHostsFile /dev/null\n  LogLevel ERROR\n"+
		"  IdentityFile "+r.home+"/%r\nMatch user paula,quinn\n  PubkeyAuthentication no\nMatch user alice\n  ControlPath "+filepath.Join(r.home, master)+"\n")
	r.key("alice")
	for from, to := range map[string]string{"alice": ".ssh/id_ed25519", "alice.pub": ".ssh/id_ed25519.pub"} {
		if err := os.Symlink(filepath.Join(r.home, from), filepath.Join(r.home, to)); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// meets makes the accounts of others whom the documents name.
func (r *reader) meets() {
	r.t.Helper()
	for _, name := range []string{"mallory", "trudy", "bot"} {
		r.key(name)
		r.server.registerWith(r.t, name, filepath.Join(r.home, name)).pipe()
	}
	for _, name := range []string{"paula", "quinn"} {
		r.write(name+".password", goodPassword+"\n")
		r.server.registerByPassword(name)
	}
}

func (r *reader) write(name, text string) {
	r.t.Helper()
	path := filepath.Join(r.home, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		r.t.Fatal(err)
	}
	writeProgram(r.t, path, text)
}

// key makes a key of that name, if there is none.
func (r *reader) key(name string) {
	r.t.Helper()
	path := filepath.Join(r.home, name)
	if _, err := os.Stat(path); err == nil {
		return
	}
	made := writeKey(r.t)
	data, err := os.ReadFile(made)
	if err != nil {
		r.t.Fatal(err)
	}
	signer, err := ssh.ParsePrivateKey(data)
	if err != nil {
		r.t.Fatal(err)
	}
	r.write(name+".pub", string(ssh.MarshalAuthorizedKey(signer.PublicKey())))
	if err := os.WriteFile(path, data, 0o600); err != nil {
		r.t.Fatal(err)
	}
}

var (
	keyFiles   = regexp.MustCompile(`([a-z-]+)\.pub\b`)
	keyOwners  = regexp.MustCompile(`\b([a-z]+)@(?:localhost|chat\.example\.org)`)
	startsHere = regexp.MustCompile(`^((?:[A-Z_]+=\S+ )*)(?:go run \./cmd/sshchat|sshchat)((?: --.*)?)$`)
)

// run types a command, which must succeed. What can be done only once, or takes long, is typed once.
func (r *reader) run(document, line string) {
	r.t.Helper()
	if r.ran[line] && (strings.Contains(line, "CODE") || startsHere.MatchString(line)) {
		return
	}
	r.ran[line] = true
	for _, names := range [][][]string{keyFiles.FindAllStringSubmatch(line, -1), keyOwners.FindAllStringSubmatch(line, -1)} {
		for _, name := range names {
			r.key(name[1])
		}
	}
	if m := startsHere.FindStringSubmatch(line); m != nil && !strings.Contains(line, "--help") {
		r.starts(document, line, m[1], m[2])
		return
	}
	typed := strings.NewReplacer("/var/lib/sshchat", r.server.data, "CODE", r.code(line), "FINGERPRINT", r.last["key list"], "revoke ID", "revoke "+r.last["invite list"]).Replace(line)
	for pattern, steps := range answers {
		if regexp.MustCompile(pattern).MatchString(line) {
			r.answered[pattern] = true
			r.talk(document, typed, steps)
			return
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var out, errs bytes.Buffer
	cmd := r.shell(ctx, typed)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		r.t.Errorf("%s: %s: %v\n%s%s", document, line, err, out.String(), errs.String())
	}
	r.learn(line, out.String())
	if strings.Contains(line, "claim CODE") {
		r.multiplex()
	}
}

// master is the socket over which ssh's ControlMaster serves.
const master = ".ssh/m"

// multiplex keeps one connection of alice's, by ssh's ControlMaster, for all commands that follow: most of the time goes to key
// exchanges. With SSHCHAT_LONG=1 each command has a connection of its own.
func (r *reader) multiplex() {
	r.t.Helper()
	socket := filepath.Join(r.home, master)
	if long || len(socket) > 80 { // the system has no longer names for sockets
		return
	}
	connection := r.shell(context.Background(), "exec ssh -M -N -p 2222 alice@localhost")
	if err := connection.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { connection.Process.Kill(); connection.Wait() })
	waitFor(r.t, "socket of ssh's ControlMaster", func() bool { _, err := os.Stat(socket); return err == nil })
}

// code is what stands for CODE: the first admin's, or that of the last invite.
func (r *reader) code(line string) string {
	if strings.Contains(line, "claim CODE") {
		return r.server.claimCode()
	}
	return r.last["invite create"]
}

// learn keeps what later commands name.
func (r *reader) learn(line, out string) {
	words := strings.Fields(out)
	rows := strings.Split(strings.TrimSpace(out), "\n")
	switch {
	case len(words) == 0:
	case strings.Contains(line, "invite create"):
		r.last["invite create"] = words[len(words)-1]
	case strings.Contains(line, "invite list"):
		r.last["invite list"] = words[0]
	case strings.HasSuffix(line, "key list"):
		r.last["key list"] = strings.Fields(rows[len(rows)-1])[0]
		if own := ssh.FingerprintSHA256(signerOf(r.t, filepath.Join(r.home, "alice")).PublicKey()); r.last["key list"] == own {
			r.last["key list"] = words[0]
		}
	case strings.Contains(line, "reset-password quinn"):
		r.write("quinn.password", words[len(words)-1]+"\n")
	}
}

func (r *reader) shell(ctx context.Context, line string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "bash", "-o", "pipefail", "-c", line)
	cmd.Dir = r.home
	cmd.Env = append(os.Environ(), "HOME="+r.home, "PATH="+r.home+"/bin:"+os.Getenv("PATH"), "SSH_AUTH_SOCK=",
		"SSH_ASKPASS="+r.home+"/bin/askpass", "SSH_ASKPASS_REQUIRE=force", "TERM=xterm")
	return cmd
}

// starts types a command that starts a server, on a port and over a folder of its own, and ends that when it listens.
func (r *reader) starts(document, line, environment, flags string) {
	r.t.Helper()
	flags = regexp.MustCompile(` --listen \S+`).ReplaceAllString(flags, "") + " --listen 127.0.0.1:0"
	if !strings.Contains(flags, "--data") {
		flags += " --data " + filepath.Join(r.t.TempDir(), "data")
	}
	log := &logBuffer{}
	cmd := r.shell(context.Background(), environment+"exec sshchat"+flags)
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	waitFor(r.t, document+": "+line+": a server that listens", func() bool {
		select {
		case err := <-ended:
			r.t.Fatalf("%s: %s: %v\n%s", document, line, err, log)
		default:
		}
		return strings.Contains("\n"+log.String(), "\nlistening on ")
	})
	cmd.Process.Signal(syscall.SIGTERM)
	if err := <-ended; err != nil {
		r.t.Errorf("%s: %s: %v\n%s", document, line, err, log)
	}
}

// talk types a command on a terminal, and answers what it asks.
func (r *reader) talk(document, line string, steps []answered) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := r.shell(ctx, line)
	tty, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 24, Cols: 80})
	if err != nil {
		r.t.Fatal(err)
	}
	defer tty.Close()
	shown := &logBuffer{}
	go io.Copy(shown, tty) // ends when the terminal closes
	at := 0
	for _, step := range steps {
		keys := step.keys
		if name, given := strings.CutPrefix(keys, "\x00"); given {
			password, err := os.ReadFile(filepath.Join(r.home, strings.TrimSpace(name)+".password"))
			if err != nil {
				r.t.Fatal(err)
			}
			keys = strings.TrimSpace(string(password)) + "\r"
		}
		waitFor(r.t, fmt.Sprintf("%s: %s: %q in %q", document, line, step.prompt, shown.String()), func() bool {
			found := regexp.MustCompile(step.prompt).FindStringIndex(shown.String()[at:])
			if found != nil {
				at += found[1]
			}
			return found != nil
		})
		if _, err := io.WriteString(tty, keys); err != nil {
			r.t.Fatalf("%s: %s: %v", document, line, err)
		}
	}
	if err := cmd.Wait(); err != nil {
		r.t.Errorf("%s: %s: %v\n%s", document, line, err, shown)
	}
	if strings.Contains(line, "paula@") && strings.HasSuffix(line, "passwd") {
		r.write("paula.password", newPassword+"\n")
	}
}

// chat types lines into the chat as alice. None may be refused.
func (r *reader) chat(document, lines string) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := r.shell(ctx, "ssh -T alice@chat.example.org")
	cmd.Stdin = strings.NewReader(lines)
	if out, err := cmd.CombinedOutput(); err != nil {
		r.t.Errorf("%s: %v\n%s%s", document, err, lines, out)
	}
}

var (
	inlineCode = regexp.MustCompile("`([^`\n]+)`")
	fencedText = regexp.MustCompile("(?ms)^ *```.*?^ *```")
	flagNamed  = regexp.MustCompile(`(?:^|[ (])(--[a-z][a-z-]+)`)
	chatNamed  = regexp.MustCompile(`^/([a-z]+)(?: |$)`)
	linked     = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading    = regexp.MustCompile(`(?m)^#+ (.+)$`)
)

// What documents name there is: flags, commands of the chat, files, and headings. Every document is among them, and the
// README is short.
func TestDocumentsNameWhatThereIs(t *testing.T) {
	t.Parallel()
	all := slices.Concat(documents...)
	manual := output(t, "man")
	names := command.NewRegistry().Names(command.Chat)
	known := func(word string) bool {
		return slices.ContainsFunc(names, func(name string) bool { return name == word || strings.HasPrefix(name, word+" ") })
	}
	if lines := strings.Count(readText(t, "../../README.md"), "\n"); lines > 200 {
		t.Errorf("README.md has %d lines; it may have 200", lines)
	}
	files, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if name := "docs/" + filepath.Base(file); name != "docs/ARCHITECTURE.md" && !slices.Contains(all, name) {
			t.Errorf("%s is not among the documents whose commands are run", name)
		}
	}
	for _, document := range append([]string{"SECURITY.md", "CONTRIBUTING.md", "docs/ARCHITECTURE.md"}, all...) {
		prose := fencedText.ReplaceAllString(readText(t, "../../"+document), "")
		if slices.Contains(all, document) {
			for _, code := range inlineCode.FindAllStringSubmatch(prose, -1) {
				if m := chatNamed.FindStringSubmatch(code[1]); m != nil && !known(m[1]) {
					t.Errorf("%s: there is no %s", document, code[1])
				}
				if m := flagNamed.FindStringSubmatch(code[1]); m != nil && !strings.Contains(manual, strings.ReplaceAll(m[1], "-", `\-`)) {
					t.Errorf("%s: there is no %s", document, m[1])
				}
			}
		}
		for _, link := range linked.FindAllStringSubmatch(prose, -1) {
			if !strings.Contains(link[1], "://") {
				linkLeads(t, document, link[1])
			}
		}
	}
}

// linkLeads reports a link to a file or heading that there is not.
func linkLeads(t *testing.T, document, link string) {
	t.Helper()
	path, anchor, _ := strings.Cut(link, "#")
	file := filepath.Join("../..", filepath.Dir(document), path)
	if path == "" {
		file = filepath.Join("../..", document)
	}
	info, err := os.Stat(file)
	if err != nil {
		t.Errorf("%s links to %s: %v", document, link, err)
		return
	}
	if anchor == "" || info.IsDir() {
		return
	}
	for _, h := range heading.FindAllStringSubmatch(readText(t, file), -1) {
		if anchorOf(h[1]) == anchor {
			return
		}
	}
	t.Errorf("%s links to %s, and there is no such heading", document, link)
}

// anchorOf is what GitHub makes of a heading.
func anchorOf(heading string) string {
	kept := regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(strings.ToLower(heading), "")
	return strings.ReplaceAll(kept, " ", "-")
}

// What docs/cluster.md and deploy/nats say about a node's settings is right: all of them are there, the commands beside them find the data
// folder, and each key that a command takes is made.
func TestClusterDocumentsHaveSettings(t *testing.T) {
	t.Parallel()
	read := func(document string) map[string]string {
		set := make(map[string]string)
		for _, b := range blocksOf(t, document) {
			if (b.language == "text" || b.language == "toml") && strings.Contains(b.text, "cluster-nkey") {
				for _, m := range regexp.MustCompile(`(?m)^([a-z-]+) = (.+)$`).FindAllStringSubmatch(b.text, -1) {
					set[m[1]] = m[2]
				}
			}
		}
		return set
	}
	guide, servers := read("docs/cluster.md"), read("deploy/nats/README.md")
	if guide["data"] != `"/var/lib/sshchat"` {
		t.Errorf("docs/cluster.md: commands with --config do not find the data folder: %v", guide)
	}
	for _, name := range []string{"cluster", "cluster-monitor", "cluster-nkey", "cluster-ca"} {
		if guide[name] == "" || guide[name] != servers[name] {
			t.Errorf("%s is %s in docs/cluster.md, and %s in deploy/nats/README.md", name, guide[name], servers[name])
		}
	}
	both := readText(t, "../../docs/cluster.md") + readText(t, "../../deploy/nats/README.md")
	names := regexp.MustCompile(`for name in (.*); do`).FindStringSubmatch(both)[1]
	used := regexp.MustCompile(`--nkey (\w+)\.nk (\w+)`).FindAllStringSubmatch(both, -1)
	for _, m := range used {
		if !slices.Contains(strings.Fields(names), m[1]) || (m[2] == "stream") != (m[1] == "operator") || (m[2] == "server") != (m[1] == "admin") {
			t.Errorf("%q: keys are made for %s, of which only the operator deletes streams, and only admin replaces servers", m[0], names)
		}
	}
	if len(used) < 4 {
		t.Errorf("commands of nats: %v", used)
	}
}
