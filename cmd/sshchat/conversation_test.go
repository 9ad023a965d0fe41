package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"sshchat/sshchat/cluster/natstest"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/crypto/ssh"
)

// The conversations in testdata tell what people typed and what each saw, over real SSH:
//
//	server [FLAG…]           a server over the script's data folder
//	register NAME…           accounts with new keys
//	claim NAME               makes the name, which has an account, the first admin
//	invited NAME             makes an account with an invite of the one who claimed
//	[!] ssh NAME COMMAND…    what "ssh NAME@host COMMAND" does; then stdout, stderr and code look at it
//	[!] send FILE NAME COMMAND…  the same with the file on standard input
//	until NAME PATTERN COMMAND…  what ssh does, until its output matches: lines of the audit log come from other nodes a second later
//	edit OLD NEW             changes users.json by hand
//	code N                   the last ssh's exit code
//	keep VARIABLE PATTERN    what its group matches of the last ssh's output, as $VARIABLE
//	open NAME plain|pipe     a session; with the name of a terminal, a plain one on that, if /ui says so, else a full screen
//	type NAME TEXT           a line and Enter
//	press NAME KEYS          keys, in Go's notation: '\x12' is Ctrl+R
//	sees NAME PATTERN        it comes to be on the screen; what is matched is used up
//	hides NAME PATTERN       it is not there; ask something that is seen first
//	drop NAME                the connection is lost, and its sessions end
//	ended NAME               the session has ended
//	leave NAME               end of input; the session ends
//	restart                  the server, or all nodes, in order
//	[alone] …                what holds for one server only: each node counts its own logins, and knows its cluster
func TestConversations(t *testing.T) {
	t.Parallel()
	converse(t, true, func(*conversation) {}, "testdata/*.txtar")
}

// fewOverNodes are the conversations that are held over nodes without SSHCHAT_LONG=1.
const fewOverNodes = "people"

// The same conversations, with their people on three nodes of one chat: each name is on the next node. They share the NATS servers, one
// after the other.
func TestConversationsOverNodes(t *testing.T) {
	t.Parallel()
	var one sync.Mutex // held while a conversation has the servers
	servers, scripts := (*natstest.Cluster)(nil), []string{filepath.Join("testdata", fewOverNodes+".txtar")}
	if long && !raceDetector() { // under which it takes ten minutes
		servers, scripts = natstest.Start(t), must(filepath.Glob("testdata/*.txtar"))
	} else {
		servers = natstest.StartOne(t)
	}
	converse(t, false, func(c *conversation) {
		c.overNodes = func(data string, flags []string) *testCluster {
			one.Lock()
			c.t.Cleanup(one.Unlock)
			folders := []string{data}
			for range 2 {
				folders = append(folders, filepath.Join(c.t.TempDir(), "data"))
			}
			c.t.Cleanup(func() { // the nodes have ended
				if _, err := servers.ConnectAdmin(c.t, 0).Request("$JS.API.STREAM.DELETE.SSHCHAT", nil, patience); err != nil {
					c.t.Error(err)
				}
			})
			flags = append(slices.Clone(flags), "--metrics", "127.0.0.1:0")
			return makeCluster(c.t, servers, servers.MonitorURLs(), folders, flags...).begin(folders)
		}
	}, scripts...)
}

// converse holds the conversations of the scripts, as prepare has it: on one server alone, or not.
func converse(t *testing.T, alone bool, prepare func(*conversation), patterns ...string) {
	var files []string
	for _, pattern := range patterns {
		files = append(files, must(filepath.Glob(pattern))...)
	}
	testscript.Run(t, testscript.Params{
		Files: files,
		Condition: func(word string) (bool, error) {
			if word != "alone" {
				return false, fmt.Errorf("unknown condition %q", word)
			}
			return alone, nil
		},
		Setup: func(env *testscript.Env) error {
			c := &conversation{
				t: env.T().(testing.TB), data: env.WorkDir + "/data",
				signers: map[string]ssh.Signer{}, users: map[string]*user{}, sessions: map[string]*openSession{},
			}
			prepare(c)
			env.Values[conversationKey{}] = c
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"server": with((*conversation).start), "register": with((*conversation).register), "claim": with((*conversation).claim),
			"invited": with((*conversation).invited), "ssh": with((*conversation).ssh), "until": with((*conversation).until), "send": with((*conversation).send), "edit": with((*conversation).edit), "code": with((*conversation).exited),
			"keep": with((*conversation).keep), "open": with((*conversation).open), "type": with((*conversation).typed),
			"press": with((*conversation).pressed),
			"sees":  with((*conversation).sees), "hides": with((*conversation).hides), "leave": with((*conversation).leave), "ended": with((*conversation).ended), "drop": with((*conversation).drop),
			"restart": with((*conversation).restart),
		},
	})
}

type conversationKey struct{}

// conversation is the state of one script.
type conversation struct {
	t        testing.TB
	data     string
	flags    []string
	servers  []*testServer  // the nodes, or the one server
	homes    map[string]int // by name, which of them is theirs
	signers  map[string]ssh.Signer
	users    map[string]*user
	sessions map[string]*openSession
	read     map[string]int // how much of a session's screen was used up
	code     int
	admin    string      // who claimed
	last     *testServer // where somebody acted last

	overNodes func(data string, flags []string) *testCluster // makes the nodes; nil: one server
	cluster   *testCluster                                   // nil: none, or not yet
}

// with makes a script's command of a method.
func with(f func(*conversation, *testscript.TestScript, bool, []string)) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		f(ts.Value(conversationKey{}).(*conversation), ts, neg, args)
	}
}

func (c *conversation) start(_ *testscript.TestScript, _ bool, args []string) {
	c.flags = args
	switch {
	case c.overNodes == nil:
		c.servers = []*testServer{startServer(c.t, c.data, args...)}
	case c.cluster == nil:
		c.cluster = c.overNodes(c.data, args)
		c.servers = c.cluster.nodes
	default:
		for i, s := range c.servers {
			c.servers[i] = c.cluster.start(s.data, i+1)
		}
	}
	c.homes = map[string]int{}
	c.users, c.sessions, c.read = map[string]*user{}, map[string]*openSession{}, map[string]int{}
}

func (c *conversation) restart(ts *testscript.TestScript, _ bool, _ []string) {
	for _, s := range c.servers {
		s.stop()
	}
	c.start(ts, false, c.flags)
}

// server is where somebody logs in.
func (c *conversation) server(name string) *testServer {
	home, known := c.homes[name]
	if !known {
		home = len(c.homes) % len(c.servers)
		c.homes[name] = home
	}
	return c.servers[home]
}

// meets waits until all nodes have what the others have, before somebody on another node than the last acts.
func (c *conversation) meets(name string) {
	last := c.last
	if c.last = c.server(name); c.cluster == nil || last == c.last {
		return
	}
	waitFor(c.t, "all nodes to have the same", func() bool {
		applied := make(map[float64]bool)
		for _, s := range c.servers {
			applied[s.scrape()["sshchat_cluster_applied"]] = true
		}
		return len(applied) == 1
	})
}

func (c *conversation) register(_ *testscript.TestScript, _ bool, names []string) {
	for _, name := range names {
		c.meets(name)
		u := c.server(name).register(name)
		c.users[name], c.signers[name] = u, u.signer
	}
}

func (c *conversation) claim(_ *testscript.TestScript, _ bool, args []string) {
	c.admin = args[0]
	c.user(args[0]).must("claim " + c.server(args[0]).claimCode())
	delete(c.users, args[0]) // where that login was nobody's
}

func (c *conversation) invited(_ *testscript.TestScript, _ bool, args []string) {
	c.meets(c.admin)
	code := strings.TrimSpace(c.user(c.admin).must("invite create"))
	c.meets(args[0])
	c.user(args[0]).must("register " + code)
	delete(c.users, args[0]) // that login was nobody's
}

// user is the open connection of a name, with its key; a name without an account gets a new one.
func (c *conversation) user(name string) *user {
	if c.users[name] == nil {
		if c.signers[name] == nil {
			c.signers[name] = newSigner(c.t)
		}
		c.users[name] = c.server(name).login(name, c.signers[name])
	}
	return c.users[name]
}

func (c *conversation) ssh(ts *testscript.TestScript, neg bool, args []string) {
	c.exec(ts, neg, args, "")
}

func (c *conversation) until(ts *testscript.TestScript, _ bool, args []string) {
	pattern := regexp.MustCompile(args[1])
	var out string
	waitFor(c.t, fmt.Sprintf("%q in the output of %s", pattern, args[2]), func() bool {
		out, _, c.code = c.user(args[0]).exec(strings.Join(args[2:], " "), "")
		return c.code == 0 && pattern.MatchString(out)
	})
	io.WriteString(ts.Stdout(), out)
}

func (c *conversation) send(ts *testscript.TestScript, neg bool, args []string) {
	c.exec(ts, neg, args[1:], ts.ReadFile(args[0]))
}

func (c *conversation) edit(ts *testscript.TestScript, _ bool, args []string) {
	data := c.server(c.admin).data
	upToDate(data)
	path := filepath.Join(data, "users.json")
	text, err := os.ReadFile(path)
	ts.Check(err)
	edited := strings.Replace(string(text), args[0], args[1], 1)
	if edited == string(text) {
		ts.Fatalf("no %q in\n%s", args[0], text)
	}
	ts.Check(os.WriteFile(path, []byte(edited), 0o600))
}

func (c *conversation) exec(ts *testscript.TestScript, neg bool, args []string, stdin string) {
	c.meets(args[0])
	out, errs, code := c.user(args[0]).exec(strings.Join(args[1:], " "), stdin)
	c.code = code
	ts.Logf("exit %d\n[stdout]\n%s[stderr]\n%s", code, out, errs)
	io.WriteString(ts.Stdout(), out)
	io.WriteString(ts.Stderr(), errs)
	if neg != (code != 0) {
		ts.Fatalf("exit %d", code)
	}
}

func (c *conversation) exited(ts *testscript.TestScript, _ bool, args []string) {
	if want, err := strconv.Atoi(args[0]); err != nil || want != c.code {
		ts.Fatalf("exit code %d, not %s", c.code, args[0])
	}
}

func (c *conversation) keep(ts *testscript.TestScript, _ bool, args []string) {
	match := regexp.MustCompile(args[1]).FindStringSubmatch(ts.ReadFile("stdout"))
	if len(match) != 2 {
		ts.Fatalf("no %s in %q", args[1], ts.ReadFile("stdout"))
	}
	ts.Setenv(args[0], match[1])
}

func (c *conversation) open(_ *testscript.TestScript, _ bool, args []string) {
	name := args[0]
	switch args[1] {
	case "plain":
		c.sessions[name] = c.user(name).plain(80, 24)
	case "pipe":
		c.sessions[name] = c.user(name).pipe()
	default:
		c.sessions[name] = c.user(name).terminal(args[1], 80, 24)
	}
	c.read[name] = 0
}

func (c *conversation) typed(ts *testscript.TestScript, _ bool, args []string) {
	s := c.sessions[args[0]]
	if s == nil {
		ts.Fatalf("%s has no session", args[0])
	}
	c.meets(args[0])
	s.typeln(args[1])
}

func (c *conversation) pressed(ts *testscript.TestScript, _ bool, args []string) {
	s := c.sessions[args[0]]
	if s == nil {
		ts.Fatalf("%s has no session", args[0])
	}
	keys, err := strconv.Unquote(`"` + args[1] + `"`)
	ts.Check(err)
	fmt.Fprint(s.typed, keys)
}

func (c *conversation) sees(ts *testscript.TestScript, _ bool, args []string) {
	name, pattern := args[0], regexp.MustCompile(args[1])
	var seen string
	defer func() {
		if c.t.Failed() {
			ts.Logf("%s saw:\n%q", name, seen)
		}
	}()
	waitFor(c.t, fmt.Sprintf("%q on %s's screen", pattern, name), func() bool {
		seen = c.sessions[name].seen.String()[c.read[name]:]
		at := pattern.FindStringIndex(seen)
		if at != nil {
			c.read[name] += at[1]
		}
		return at != nil
	})
}

func (c *conversation) hides(ts *testscript.TestScript, _ bool, args []string) {
	if seen := c.sessions[args[0]].seen.String(); regexp.MustCompile(args[1]).MatchString(seen) {
		ts.Fatalf("%s sees %q in:\n%q", args[0], args[1], seen)
	}
}

func (c *conversation) leave(ts *testscript.TestScript, neg bool, args []string) {
	ts.Check(c.sessions[args[0]].typed.Close())
	c.ended(ts, neg, args)
}

func (c *conversation) drop(_ *testscript.TestScript, _ bool, args []string) {
	c.user(args[0]).drops()
	delete(c.users, args[0])
}

// drops closes the user's connection, and waits until the server has noticed.
func (u *user) drops() {
	u.t.Helper()
	u.Close()
	again := u.server.login(u.name, u.signer)
	defer again.Close()
	waitFor(u.t, u.name+" to be offline", func() bool { return strings.Contains(again.must("whois "+u.name), "offline") })
}

func (c *conversation) ended(ts *testscript.TestScript, _ bool, args []string) {
	s := c.sessions[args[0]]
	select {
	case <-s.ended:
	case <-time.After(patience):
		ts.Fatalf("%s's session does not end", args[0])
	}
}
