package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
	"sshchat/store/history"
)

// atHome is somebody at their own machine, with stock ssh, an account named alice and her key.
func atHome(t *testing.T) (r *reader, alice *user) {
	t.Helper()
	client(t, "ssh")
	r = newReader(t)
	return r, r.server.registerWith(t, "alice", filepath.Join(r.home, "alice"))
}

// types runs a command line in a shell there.
func (r *reader) types(line string) (out, errs string, code int) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := r.shell(ctx, line)
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.Run()
	return stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()
}

// What the server has is read on one's own machine, with what ssh's configuration says, each room or all of them.
func TestRead(t *testing.T) {
	t.Parallel()
	r, alice := atHome(t)
	alice.must("say general one")
	alice.must("say general two")
	alice.must("join dev")
	alice.must("say dev three")
	alice.must("edit general/1 first")
	alice.must("delete general/2")
	line := func(said string) string { return `\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ` + said + "\n" }
	general := line(`general/1 alice: first \(edited\)`) + line(`general/2 alice: \(deleted\)`)
	for command, want := range map[string]string{
		"sshchat read alice@chat general":                                             general,
		"sshchat read alice@chat '#general'":                                          general,
		"sshchat read -p 1 -o User=alice chat '#general'":                             general, // the configuration of this home has the port first
		"sshchat read alice@chat dev general":                                         line("dev/1 alice: three") + general,
		"sshchat read alice@chat":                                                     "(?s).*alice: three.*first.*|.*first.*alice: three.*",
		"sshchat read --json alice@chat dev":                                          `\{"at":"[^"]+","room":"dev","w":1,"seq":1,"from":"alice","kind":"say","text":"three"\}\n`,
		"ssh alice@chat history --tar dev > dev.tar && sshchat open -i alice dev.tar": line("dev/1 alice: three"),
	} {
		out, errs, code := r.types(command)
		if code != 0 || !regexp.MustCompile("^(?:"+want+")$").MatchString(out) {
			t.Errorf("%s: exit %d, %q, %q", command, code, out, errs)
		}
	}
	for command, want := range map[string]struct {
		code  int
		words string
	}{
		"sshchat read":                      {2, "read needs a host"},
		"sshchat read -- -oProxyCommand=x":  {2, "is not a host"},
		"sshchat read alice@chat 'x;y'":     {2, "is not a room"},
		"sshchat read --tar alice@chat":     {2, "--tar"},
		"sshchat read alice@chat nowhere":   {4, "exit status 4"},
		"sshchat read zoe@chat general":     {1, "None of the identity files"},
		"sshchat read -i alice zoe@chat":    {3, "exit status 3"},
		"sshchat read -i nofile alice@chat": {1, "nofile"},
		"sshchat read -F nofile alice@chat": {1, "nofile"},
		"sshchat read -o Bad=x alice@chat":  {1, "(?i)bad configuration option"},
	} {
		if _, errs, code := r.types(command); code != want.code || !regexp.MustCompile(want.words).MatchString(errs) {
			t.Errorf("%s: exit %d, %q", command, code, errs)
		}
	}
	if _, errs, code := r.types("rm bin/ssh; PATH=$HOME/bin sshchat read alice@chat"); code != 1 || !strings.Contains(errs, "install the OpenSSH client") {
		t.Errorf("without ssh: exit %d, %q", code, errs)
	}
}

// Keys that cannot open history are named with the reason: an agent's, those of other types, and other people's.
func TestReadSaysWhyNoKeyOpens(t *testing.T) {
	t.Parallel()
	r, alice := atHome(t)
	alice.must("say general hello")
	r.write("ecdsa", readText(t, keyFile(t, "-t", "ecdsa")))
	config := func(file string) string {
		return "Host *\n  HostName 127.0.0.1\n  StrictHostKeyChecking no\n  UserKnownHostsFile /dev/null\n  LogLevel ERROR\n  IdentityFile " + file + "\n"
	}
	for file, want := range map[string]string{
		"%d/none-of-these":    `None of the identity files that ssh has for this host exists: .*none-of-these\. A key in an agent logs in, but an agent cannot decrypt`,
		r.home + "/alice.pub": `alice.pub is a public key: its private key is elsewhere\. A key in an agent`,
		r.home + "/ecdsa":     `ecdsa: keys of this type cannot open history; ed25519 and RSA keys can`,
	} {
		r.write("config", config(file))
		if _, errs, code := r.types("sshchat read -F config alice@chat"); code != 1 || !regexp.MustCompile(want).MatchString(errs) {
			t.Errorf("%s: exit %d, %q", file, code, errs)
		}
	}
	// A key that was added later logs in, and opens nothing that was said before.
	later := keyFile(t, "-t", "ed25519")
	alice.exec("key add -", readText(t, later+".pub"))
	r.write("config", config(later))
	if out, errs, code := r.types("sshchat read -F config alice@chat general"); code != 1 || out != "" || !strings.Contains(errs, "1 message is not sealed to these keys, and there are no others; no private key file opens this history. A key in an agent") {
		t.Errorf("a key that was added later: exit %d, %q, %q", code, out, errs)
	}
}

// A locked key is asked for when there is something that is sealed to it, as often as ssh asks; what another key opens asks
// nothing.
func TestReadAsksForPassphrases(t *testing.T) {
	t.Parallel()
	const phrase = "quite a secret"
	locked := rsaFile(t, "-a", "1", "-N", phrase)
	r, alice := atHome(t)
	alice.must("say general one")
	alice.exec("key add -", readText(t, locked+".pub"))
	alice.must("say general two")
	command := "sshchat read -i " + locked + " -o PreferredAuthentications=publickey"
	if out, errs, code := r.types(command + " alice@chat general"); code != 0 || !strings.Contains(out, "two") {
		t.Errorf("beside a key without a passphrase: exit %d, %q, %q", code, out, errs)
	}
	// Now the locked key alone: ssh's askpass gives ssh what it asks for, sshchat asks on the terminal.
	r.write("bin/askpass", "#!/bin/sh\necho '"+phrase+"'\n")
	r.write(".ssh/config", "Host *\n  HostName 127.0.0.1\n  StrictHostKeyChecking no\n  UserKnownHostsFile /dev/null\n  LogLevel ERROR\n  IdentityFile "+locked+"\n")
	r.talk("a wrong passphrase, then the right one", "PAGER='sed s/^/paged:/' sshchat read alice@chat general", []answered{
		{"Passphrase for ", "another\r"}, {"Passphrase for ", phrase + "\r"}, {"paged:.* alice: two", ""}, {"1 message is not sealed to these keys", ""},
	})
	if _, errs, code := r.types("setsid sshchat read alice@chat general"); code != 1 || !strings.Contains(errs, "no terminal") {
		t.Errorf("without a terminal: exit %d, %q", code, errs)
	}
}

// On a terminal, less shows all of it and searches it. Nothing of that is kept in a file.
func TestReadInLess(t *testing.T) {
	t.Parallel()
	client(t, "less")
	r, alice := atHome(t)
	alice.exec("say general -", strings.Repeat("nothing\n", 60)+"the needle\n"+strings.Repeat("nothing\n", 60))
	r.talk("less", "unset LESS PAGER; sshchat read alice@chat general", []answered{
		{"general/1 alice: nothing", "/needle\r"}, {"general/61 alice: .*needle", "G"}, {"general/121 ", "q"},
	})
	if _, err := os.Stat(filepath.Join(r.home, ".lesshst")); err == nil {
		t.Error("less has kept what was searched for")
	}
	r.talk("a pager that is closed at once", "PAGER='head -c 1' sshchat read alice@chat general", []answered{{"2", ""}})
	r.talk("no pager", "PAGER=cat sshchat read alice@chat general", []answered{{"general/121 ", ""}})
}

// The commands that people with keys alone are told work as they are printed.
func TestPrintedReadingCommandsWork(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"age", "tar"} {
		client(t, tool)
	}
	r, alice := atHome(t)
	alice.must("say general sealed for later")
	r.server = r.server.again()
	r.write("bin/ssh", "#!/bin/sh\nexec "+client(t, "ssh")+" -F $HOME/.ssh/config \"$@\"\n")
	alice = r.server.login("alice", alice.signer)
	seen, code := alice.script("/unlock\n/history\n")
	commands := regexp.MustCompile(`(?m)(?:key: (ssh .* tar x --to-command='[^']*'))|machine: (sshchat read [^\n]*)`).FindAllStringSubmatch(seen, -1)
	if code == 0 || len(commands) < 4 {
		t.Fatalf("exit %d, %q", code, seen)
	}
	for _, c := range commands {
		command := c[1] + c[2]
		if !strings.Contains(command, " -p "+r.server.port()+" alice@localhost") || !strings.Contains(command, " general") {
			t.Errorf("%q lacks the port, the name, the host or the room", command)
		}
		if out, errs, code := r.types(command); code != 0 || !strings.Contains(out, "sealed for later") {
			t.Errorf("%s: exit %d, %q, %q", command, code, out, errs)
		}
	}
}

func TestIdentityFiles(t *testing.T) {
	t.Setenv("KEYS", "/keys")
	out := "user alice\nhostname chat.example.org\nport 2222\nidentityfile ~/.ssh/id_rsa\r\nidentityfile none\nidentityfile /k/%h-%r-%p-%n-%d-100%%\n" +
		"identityfile ${KEYS}/${NOTSET}a\nidentityfile ~/.ssh/id_rsa\nidentityfile /with space\nidentityfile ${KEYS\nidentityfile \nhostname other\n"
	want := []string{"/home/a/.ssh/id_rsa", "/k/chat.example.org-alice-2222-chat-/home/a-100%", "/keys/a", "/with space", "${KEYS"}
	if got := identityFiles(out, "alice@chat", "/home/a"); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func FuzzIdentityFiles(f *testing.F) {
	f.Add("user alice\nidentityfile ~/.ssh/id\nidentityfile ${HOME}/%h%%%\nhostname x\n", "alice@chat")
	f.Fuzz(func(t *testing.T, out, destination string) {
		files := identityFiles(out, destination, "/home/a")
		if n := strings.Count(strings.ToLower(out), "identityfile "); len(files) > n {
			t.Errorf("%d files of %d", len(files), n)
		}
		for i, file := range files {
			if file == "" || file == "none" || slices.Contains(files[:i], file) {
				t.Errorf("%q", files)
			}
		}
	})
}

// What became of a message takes its place: the last edit, or a deletion for good. What amends a message that is not there is
// shown by itself, and so are replies and reactions; what ends the lines ends them after all that was good.
func TestAmended(t *testing.T) {
	alice, err := text.ParseName("alice")
	if err != nil {
		t.Fatal(err)
	}
	dev, err := text.ParseRoomName("dev")
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	lines := func(yield func(history.Line, error) bool) {
		for i, l := range []history.Line{
			{Kind: chat.Say, Text: "one"}, {Kind: chat.Say, Text: "two"}, {Kind: chat.Me, Text: "waves"}, {Kind: chat.Edit, Of: 1, Text: "1"},
			{Kind: chat.Edit, Of: 1, Text: "first"}, {Kind: chat.Delete, Of: 2}, {Kind: chat.Edit, Of: 2, Text: "back"}, {Kind: "poll", Text: "?"},
			{Room: dev, Kind: chat.Edit, Of: 1, Text: "elsewhere"}, {Kind: chat.Say, Of: 3, Text: "hello"}, {Kind: chat.React, Of: 3, Text: "👍"},
			{Kind: chat.Unreact, Of: 1, Text: "👍"}, {Kind: chat.Edit, Of: 10, Text: "hello there"},
			{Kind: chat.Say, Text: "gone"}, {Kind: chat.Edit, Of: 14}, // emptied: its deletion is in a window that is not open
		} {
			l.At, l.Seq, l.From = time.Unix(0, 0), uint64(i+1), alice
			if l.Room.IsZero() {
				l.Room = chat.General
			}
			if !yield(l, nil) {
				return
			}
		}
		yield(history.Line{}, broken)
	}
	got, err := amended(lines)
	want := []string{"general/1 alice: first (edited)", "general/2 alice: (deleted)", "general/3 * alice waves", "dev/9 alice edits 1: elsewhere",
		"general/10 alice replies to 3: hello there (edited)", "general/11 alice reacts to 3: 👍", "general/12 alice removes a reaction to 1: 👍",
		"general/14 alice: (deleted)"}
	for i := range got {
		_, got[i], _ = strings.Cut(got[i], " ")
		_, got[i], _ = strings.Cut(got[i], " ")
	}
	if !errors.Is(err, broken) || !slices.Equal(got, want) {
		t.Errorf("%q, %v", got, err)
	}
}
