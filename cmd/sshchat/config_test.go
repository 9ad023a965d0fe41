package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
	"golang.org/x/crypto/ssh"
)

// configured loads settings as the server does, from a file ("" for none), an environment and flags.
func configured(t testing.TB, file string, environ []string, args ...string) (*settings, error) {
	t.Helper()
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	addFlags(flags)
	if file != "" {
		args = append([]string{"--config", file}, args...)
	}
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	return sources{flags, environ}.load()
}

// configOf writes a configuration file.
func configOf(t testing.TB, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), configFile)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// other is a word for a setting that is not its default, and how config print shows it.
func other(t *testing.T, row setting) (word, shown string) {
	t.Helper()
	switch v := row.value.(type) {
	case *number:
		word = fmt.Sprint(*v.n + 1)
		return word, word
	case *rate:
		return "17.5", "17.5"
	case *span:
		return "77s", `"1m17s"`
	case *size:
		return "17MiB", `"17MiB"`
	case *keep:
		return "17d,17MiB", `"17d,17MiB"`
	case yesNo:
		return "yes", "true"
	case *choice:
		word = v.of[len(v.of)-1]
		return word, `"` + word + `"`
	case *prefixes:
		return "192.0.2.0/24", `["192.0.2.0/24"]`
	case startups:
		return "5:60:200", `"5:60:200"`
	case channels:
		return "session:shell=12h session:command=90", `"session:shell=12h session:command=1m30s"`
	case penalties:
		return "authfail:1m", `"authfail:1m noauth:1s grace-exceeded:10s min:15s max:10m"`
	}
	word = map[string]string{
		"listen": "127.0.0.1:2022", "data": filepath.Join(t.TempDir(), "elsewhere"), "name": "chat.example", "address": "NAME@chat.example", "host-key": filepath.Join(t.TempDir(), "host_key"),
		"metrics": "127.0.0.1:9222", "cluster": "nats://192.0.2.1:4222", "cluster-monitor": "http://192.0.2.1:8222", "cluster-nkey": seedFile(t, aSeed, 0o600), "cluster-ca": filepath.Join(t.TempDir(), "ca.pem"), "node": "n1", "admin": "root=" + keyFile(t, "-t", "ed25519") + ".pub",
	}[row.name]
	if word == "" {
		t.Fatalf("%s: what else could it be?", row.name)
	}
	if _, several := row.value.(repeated); several {
		return word, `["` + word + `"]`
	}
	return word, `"` + word + `"`
}

// printed is the line of config print for a setting.
func printed(s *settings, name string) string {
	var out bytes.Buffer
	s.print(&out)
	for l := range strings.Lines(out.String()) {
		if strings.HasPrefix(strings.TrimPrefix(l, "# "), name+" = ") {
			return strings.TrimSuffix(l, "\n")
		}
	}
	return ""
}

// Every setting can be given in the file, in the environment and by a flag, and config print shows it with where it came
// from. Each overrides what is before it.
func TestEverySettingFromEverySource(t *testing.T) {
	t.Parallel()
	for _, row := range newSettings().table() {
		t.Run(row.name, func(t *testing.T) {
			if row.name == "config" {
				path := configOf(t, "")
				for from, s := range map[string]*settings{
					"flag --config":              must(configured(t, path, nil)),
					"environment SSHCHAT_CONFIG": must(configured(t, "", []string{"SSHCHAT_CONFIG=" + path})),
				} {
					if want := fmt.Sprintf("# config = %q  # %s", path, from); printed(s, "config") != want {
						t.Errorf("%s, want %s", printed(s, "config"), want)
					}
				}
				return
			}
			word, shown := other(t, row)
			def := tomlWord(row.value)
			data := []string{"--data", filepath.Join(t.TempDir(), "data")}
			if row.name == "data" {
				data = nil
			}
			path := configOf(t, fmt.Sprintf("# a comment\n\n%s = %q\n", row.name, word))
			variable := []string{twin(row.name) + "=" + word}
			usual := twin(row.name) + "=" + strings.Trim(def, `"[]`)
			for _, c := range []struct {
				file    string
				environ []string
				args    []string
				value   string
				from    string
			}{
				{path, nil, nil, shown, "file " + path + " line 3"},
				{"", variable, nil, shown, "environment " + twin(row.name)},
				{"", nil, []string{"--" + row.name + "=" + word}, shown, "flag --" + row.name},
				{path, []string{usual}, nil, def, "environment " + twin(row.name)},
				{path, []string{usual}, []string{"--" + row.name + "=" + word}, shown, "flag --" + row.name},
			} {
				if row.name == "admin" && len(c.environ) > 0 && c.environ[0] == usual {
					continue // a variable that is empty names no admin
				}
				s, err := configured(t, c.file, c.environ, slices.Concat(data, c.args)...)
				if err != nil {
					t.Errorf("%s: %v", c.from, err)
					continue
				}
				if want := fmt.Sprintf("%s = %s  # %s", row.name, c.value, c.from); printed(s, row.name) != want {
					t.Errorf("%s\nwant %s", printed(s, row.name), want)
				}
			}
			if s := must(configured(t, "", nil)); printed(s, row.name) != fmt.Sprintf("%s = %s  # default", row.name, def) {
				t.Errorf("%s", printed(s, row.name))
			}
		})
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// What config print prints is a configuration file that means the same.
func TestPrintedSettingsAreAFile(t *testing.T) {
	t.Parallel()
	var args []string
	for _, row := range newSettings().table() {
		if row.name != "config" {
			word, _ := other(t, row)
			args = append(args, "--"+row.name+"="+word)
		}
	}
	var out, again bytes.Buffer
	must(configured(t, "", nil, args...)).print(&out)
	must(configured(t, configOf(t, out.String()), nil)).print(&again)
	origins := regexp.MustCompile(`(?m)^# config.*\n|  # .*$`)
	if a, b := origins.ReplaceAllString(out.String(), ""), origins.ReplaceAllString(again.String(), ""); a != b {
		t.Errorf("printed:\n%s\nread and printed:\n%s", a, b)
	}
}

// oldNames is what settings were called before. Each old name works as a flag and as a variable until the next release.
var oldNames = map[string]string{
	"login-time": "login-grace-time", "key-exchange-time": "key-exchange-timeout", "passwords": "max-password-tries",
	"guesses": "password-delay-after", "most-guesses": "max-password-failures", "failure-time": "fail-delay",
	"penalties": "per-source-penalties", "exempt": "per-source-penalty-exempt-list",
	"starting": "max-startups", "starting-drop-from": "max-startups", "starting-drop-rate": "max-startups",
	"starting-reserved": "max-startups-reserved", "starting-source": "per-source-max-startups",
	"source-connections": "per-source-max-connections", "account-connections": "per-account-max-connections",
	"channel-time": "unused-connection-timeout", "command-time": "session-start-timeout", "keepalive": "client-alive-interval",
	"write-stall": "write-timeout", "sessions": "max-sessions", "registration-time": "registration-grace-time",
	"registrations": "max-registrations", "registrations-source": "per-source-max-registrations",
	"new-accounts": "max-new-accounts", "new-accounts-source": "per-source-max-new-accounts", "min-password": "min-password-length",
}

func TestOldNames(t *testing.T) {
	t.Parallel()
	help := output(t, "--help-all") + output(t, "--help")
	seen := make(map[string]string)
	for _, row := range newSettings().table() {
		for _, o := range row.old {
			seen[o.name] = row.name
			word, shown := other(t, row)
			switch o.name { // parts of what the setting is now
			case "starting":
				word, shown = "200", `"10:30:200"`
			case "starting-drop-from":
				word, shown = "50", `"50:30:100"`
			case "starting-drop-rate":
				word, shown = "0.6", `"10:60:100"`
			case "penalties":
				word, shown = "false", `"no"`
			}
			for from, s := range map[string]*settings{
				"flag --" + o.name:            must(configured(t, "", nil, "--"+o.name+"="+word)),
				"environment " + twin(o.name): must(configured(t, "", []string{twin(o.name) + "=" + word})),
			} {
				if want := fmt.Sprintf("%s = %s  # %s", row.name, shown, from); printed(s, row.name) != want {
					t.Errorf("%s\nwant %s", printed(s, row.name), want)
				}
				if now := strings.Fields(s.warnings[0]); len(s.warnings) != 1 || !slices.Contains([]string{"--" + row.name, "--" + row.name + ";", twin(row.name), twin(row.name) + ";"}, now[3]) && !strings.Contains(s.warnings[0], " a part of "+now[6]) {
					t.Errorf("%s: %q", from, s.warnings)
				}
			}
			if strings.Contains(help, "--"+o.name+" ") {
				t.Errorf("the help has --%s", o.name)
			}
			if _, err := configured(t, configOf(t, "\n"+o.name+" = 1"), nil); err == nil || !strings.Contains(err.Error(), "line 2: unknown setting") || !strings.Contains(err.Error(), "it is now "+row.name) {
				t.Errorf("%s in a file: %v", o.name, err)
			}
		}
	}
	if !mapsEqual(seen, oldNames) {
		t.Errorf("the table has %v\nwant %v", seen, oldNames)
	}
	both := must(configured(t, "", nil, "--max-sessions=9", "--sessions=7", "--starting-drop-from=500", "--starting=1000"))
	if both.limits.Sessions != 9 || both.limits.DropFrom != 500 || both.limits.Starting != 1000 {
		t.Errorf("%d sessions, from %d to %d", both.limits.Sessions, both.limits.DropFrom, both.limits.Starting)
	}
}

func mapsEqual(a, b map[string]string) bool {
	if len(a) != len(b) {
		return false
	}
	for k, v := range a {
		if b[k] != v {
			return false
		}
	}
	return true
}

// The help fits a screen and has the nine settings that people set first; --help-all has all of them.
func TestHelpFitsAScreen(t *testing.T) {
	t.Parallel()
	help, all := output(t, "--help"), output(t, "--help-all")
	if n := strings.Count(help, "\n"); n > 45 {
		t.Errorf("%d lines", n)
	}
	for l := range strings.Lines(help + all) {
		if len(l) > 101 { // with its end
			t.Errorf("%d characters: %s", len(l), l)
		}
	}
	var first []string
	for _, m := range regexp.MustCompile(`(?m)^  --([a-z-]+) `).FindAllStringSubmatch(help, -1) {
		first = append(first, m[1])
	}
	slices.Sort(first)
	if want := []string{"address", "admin", "config", "data", "listen", "log-format", "metrics", "name", "registration"}; !slices.Equal(first, want) {
		t.Errorf("%q, want %q", first, want)
	}
	for _, row := range newSettings().table() {
		if !strings.Contains(all, "\n  --"+row.name) {
			t.Errorf("--help-all has no --%s", row.name)
		}
		if !slices.Contains(groups, row.group) {
			t.Errorf("%s is in the group %q", row.name, row.group)
		}
		if row.help == "" || strings.HasSuffix(row.help, ".") {
			t.Errorf("%s: %q", row.name, row.help)
		}
	}
}

// The example has every key, with its default, and is what the table makes. SSHCHAT_UPDATE=1 writes it.
func TestExampleIsComplete(t *testing.T) {
	t.Parallel()
	const path = "../../deploy/sshchat.toml"
	var want bytes.Buffer
	printExample(&want)
	if os.Getenv("SSHCHAT_UPDATE") != "" {
		if err := os.WriteFile(path, want.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(have, want.Bytes()) {
		t.Errorf("%v: it is not what the settings are; write it with SSHCHAT_UPDATE=1", err)
	}
	if s := must(configured(t, configOf(t, string(have)), nil)); len(s.origins) != 1 {
		t.Errorf("it sets something: %v", s.origins)
	}
	set := regexp.MustCompile(`(?m)^#([a-z-]+ = )`).ReplaceAllString(string(have), "$1")
	s, usual := must(configured(t, configOf(t, set), nil)), newSettings().table()
	for i, row := range s.table() {
		if row.name == "config" {
			continue
		}
		if from := s.origins[row.name].layer; from != fromFile || row.value.String() != usual[i].value.String() {
			t.Errorf("%s is %s, from %q", row.name, row.value, from)
		}
	}
}

// What cannot be in a configuration file is refused with its line and what to do, exit code 2, and nothing has been made.
func TestConfigFileIsRefused(t *testing.T) {
	t.Parallel()
	stopped, stop := context.WithCancel(t.Context()) // a server that starts nevertheless ends at once
	stop()
	for _, c := range []struct{ content, want string }{
		{"name = \"x\"\nmax-sesions = 3\n", `line 2: unknown setting "max-sesions"; did you mean max-sessions?`},
		{"MAX_SESSIONS = 3\n", `line 1: unknown setting "MAX_SESSIONS"; did you mean max-sessions?`},
		{"\n\n\nmax_startups = \"10:30:100\"\n", "line 4: unknown setting \"max_startups\"; did you mean max-startups?"},
		{"motd = \"hello\"\n", `line 1: unknown setting "motd"; sshchat --help-all lists them`},
		{"name = \"x\"\nmax-sessions = 0\n", "line 2: max-sessions: it is 0, and must be 1 or more"},
		{"max-sessions = \"many\"\n", `line 1: max-sessions: "many" is not a whole number`},
		{"max-sessions = 1.5\n", `line 1: max-sessions: "1.5" is not a whole number`},
		{"max-sessions = [3, 4]\n", "line 1: max-sessions: it is a list, and must be one value"},
		{"max-sessions = 1979-05-27\n", "line 1: max-sessions: a date is not a value"},
		{"max-sessions = {a = 1}\n", `line 1: max-sessions: a table is not a value`},
		{"listen = [{a = 1}]\n", `line 1: listen: a table is not a value`},
		{"listen = [[\":22\"]]\n", "line 1: listen: a list in a list"},
		{"listen = []\n", "line 1: listen: it is empty"},
		{"listen = [\":22\", 2222]\n", `line 1: listen: it is "2222", and must be an address and a port`},
		{"# a\n[limits]\nmax-sessions = 3\n", "line 2: [limits]: there are no sections; delete this line"},
		{"[[limits]]\n", "line 1: [limits]: there are no sections"},
		{"limits.max-sessions = 3\n", `line 1: unknown setting "limits.max-sessions"`},
		{"name = \"x\"\n\nname = \"y\"\n", "line 3: name is set in line 1 already"},
		{"name = \"x\nmax-sessions = 3\n", "line 1: name: the closing quote is missing"},
		{"name = \"x\"\nmax-sessions =\n", "line 2: max-sessions: the value is missing"},
		{"name\n", "line 1: "},
		{"log-format = text\n", `line 1: log-format: text must be in quotes, as in log-format = "text"`},
		{"name = Fresh start # a name\n", `line 1: name: text must be in quotes, as in name = "Fresh start"`},
		{"data = /srv/chat\n", `line 1: data: text must be in quotes, as in data = "/srv/chat"`},
		{"name = chat\n", "line 1: "},
		{"config = \"other.toml\"\n", "line 1: config cannot be set in the file itself"},
		{"max-startups-reserved = 100\n", "line 1: max-startups-reserved: it is 100, and must be less than"},
		{"login-grace-time = \"soon\"\n", `line 1: login-grace-time: "soon" is not a time, such as 30s`},
		{"admin = [\"root=/nowhere/key.pub\"]\n", "line 1: admin: root=/nowhere/key.pub: "},
		{"name = \"\xff\"\n", "line 1: "},
		{"-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmU\n", "line 1: "},
	} {
		data, path := filepath.Join(t.TempDir(), "data"), configOf(t, c.content)
		for _, args := range [][]string{{"--config", path, "--data", data}, {"config", "check", path, "--data", data}, {"config", "print", "--config", path, "--data", data}} {
			var out bytes.Buffer
			code := run(stopped, args, strings.NewReader(""), &out, &out)
			said := out.String()
			if code != 2 || !strings.Contains(said, path+" "+c.want) {
				t.Errorf("%q: exit %d, %s, want %s", c.content, code, said, c.want)
			}
			if strings.Contains(said, "b3BlbnNza") {
				t.Errorf("what may be a secret is shown: %s", said)
			}
		}
		if _, err := os.Lstat(data); err == nil {
			t.Errorf("%q: it made the folder", c.content)
		}
	}
	if said, code := sshchatHere(t, "config", "check", t.TempDir()); code != 2 || !strings.Contains(said, "--config: ") {
		t.Errorf("a folder: exit %d, %s", code, said)
	}
}

// The file in the data folder is found, a named one is read instead, and one that others may write is warned of.
func TestConfigFileIsFound(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	here := filepath.Join(data, configFile)
	if err := os.WriteFile(here, []byte("\ufeffmax-sessions = 5\r\nname = 'here'\r\ndata = '"+data+"/'\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := must(configured(t, "", []string{"SSHCHAT_DATA=" + data}))
	if s.limits.Sessions != 5 || s.name != "here" || s.config != here || len(s.warnings) > 0 {
		t.Errorf("%d sessions, %q, %q, %q", s.limits.Sessions, s.name, s.config, s.warnings)
	}
	named := must(configured(t, configOf(t, "max-sessions = 6\n"), nil, "--data", data))
	if named.limits.Sessions != 6 || named.name != "sshchat" {
		t.Errorf("%d sessions, %q", named.limits.Sessions, named.name)
	}
	elsewhere := must(configured(t, configOf(t, "data = '"+data+"'\n"), nil))
	if elsewhere.data != data || elsewhere.limits.Sessions != 4 {
		t.Errorf("%q, %d sessions", elsewhere.data, elsewhere.limits.Sessions)
	}
	for _, mode := range []os.FileMode{0o660, 0o602} {
		if err := os.Chmod(here, mode); err != nil {
			t.Fatal(err)
		}
		if said, code := sshchatHere(t, "config", "check", "--data", data); code != 0 || !strings.Contains(said, "warning: "+here+" can be changed by other users") || !strings.Contains(said, "chmod go-w ") {
			t.Errorf("%v: exit %d, %s", mode, code, said)
		}
	}
	if err := os.WriteFile(here, []byte("data = 'elsewhere'\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if said, code := sshchatHere(t, "config", "check", "--data", data); code != 2 || !strings.Contains(said, "line 1: data: ") {
		t.Errorf("exit %d, %s", code, said)
	}
}

// Numbers, yes and no, and one value for several need no quotes or brackets.
func TestConfigFileTakesTOMLValues(t *testing.T) {
	t.Parallel()
	s := must(configured(t, configOf(t, "login-grace-time = 90\nmax-sessions = 7 # comment\ndumpable = true\nper-source-penalties = false\n"+
		"message-rate = 2.5\ncommand-rate = 3\nlisten = ':22'\n\"max-startups\" = 40\nhistory-rotate = 0\n"+
		"per-source-penalty-exempt-list = [\n  '192.0.2.1', # a monitor\n  '2001:db8::/32',\n]\n"), nil))
	for name, want := range map[string]string{
		"login-grace-time": "1m30s", "max-sessions": "7", "dumpable": "yes", "per-source-penalties": "no", "message-rate": "2.5", "command-rate": "3",
		"listen": ":22", "max-startups": "40:100:40", "max-startups-reserved": "8", "history-rotate": "0", "per-source-penalty-exempt-list": "192.0.2.1,2001:db8::/32",
	} {
		for _, row := range s.table() {
			if row.name == name && row.value.String() != want {
				t.Errorf("%s is %s, want %s", name, row.value, want)
			}
		}
	}
	if at := s.origins["per-source-penalty-exempt-list"]; at.line != 10 {
		t.Errorf("line %d", at.line)
	}
}

// The flags of the server go before config and after it, and print has JSON as well.
func TestConfigCommands(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"--max-sessions", "9", "config", "print"}, {"config", "--max-sessions", "9", "print"}, {"config", "print", "--max-sessions=9"}} {
		if said, code := sshchatHere(t, args...); code != 0 || !strings.Contains(said, "max-sessions = 9  # flag --max-sessions\n") {
			t.Errorf("%q: exit %d, %s", args, code, said)
		}
	}
	rows := 0
	for l := range strings.Lines(output(t, "config", "print", "--json", "--listen", ":1", "--listen", ":2")) {
		var row struct {
			Setting, From, As string
			Value             any
		}
		if err := json.Unmarshal([]byte(l), &row); err != nil || row.Setting == "" || row.From == "" {
			t.Errorf("%s: %v", l, err)
		}
		if rows++; row.Setting == "listen" && (row.From != "flag" || row.As != "--listen" || len(row.Value.([]any)) != 2) {
			t.Errorf("%s", l)
		}
	}
	if want := len(newSettings().table()); rows != want {
		t.Errorf("%d rows, want %d", rows, want)
	}
	for _, c := range []struct{ line, want string }{
		{"config", "config check or config print"}, {"config chek", `unexpected command "chek"`}, {"config check a b", `unexpected argument "b"`},
		{"config check a --config b", "name the file once"}, {"config print x y", `unexpected argument "y"`}, {"config print a --config b", "name the file once"}, {"config check --max-sessions 0", "--max-sessions: it is 0"},
	} {
		if said, code := sshchatHere(t, strings.Fields(c.line)...); code != 2 || !strings.Contains(said, c.want) {
			t.Errorf("%s: exit %d, %s", c.line, code, said)
		}
	}
}

// A reload takes what can change while the server runs, names what takes a restart, and takes nothing of a file with a mistake.
func TestReloadTakesSettings(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	write := func(content string) {
		if err := os.WriteFile(filepath.Join(data, configFile), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	key, bob := newSigner(t), newSigner(t)
	write("max-registrations = 60\n")
	s := startServer(t, data, "--admin", "root="+writePublic(t, key))
	root, waiting := s.login("root", key), s.login("bob", bob)
	write("registration = 'closed'\nmax-sessions = 7\nname = 'other'\nmetrics = '127.0.0.1:1'\nmessage-rate = 3\n")
	_, said, _ := root.exec("reload", "")
	for _, want := range []string{"registration: closed, was open", "max-sessions: 7, was 4", "max-registrations: 64, was 60", "only after a restart: name, metrics"} {
		if !strings.Contains(said, want) {
			t.Errorf("no %q in:\n%s", want, said)
		}
	}
	if strings.Contains(said, "message-rate") {
		t.Errorf("a flag is overridden by the file:\n%s", said)
	}
	if _, stderr, code := waiting.exec("register", ""); code == 0 || !strings.Contains(stderr, "closed") {
		t.Errorf("registration is closed, and register exits with %d: %s", code, stderr)
	}
	write("registration = 'open'\nmax-sessions = 'x'\n")
	if _, stderr, code := root.exec("reload", ""); code == 0 || !strings.Contains(stderr, "line 2: max-sessions: \"x\" is not") {
		t.Errorf("exit %d, %s", code, stderr)
	}
	if _, err := s.dialAs("carol", ssh.PublicKeys(newSigner(t))); err == nil {
		t.Error("a file with a mistake was taken in part: registration is open")
	}
	if err := os.Remove(filepath.Join(data, configFile)); err != nil {
		t.Fatal(err)
	}
	if _, said, _ := root.exec("reload", ""); !strings.Contains(said, "registration: open, was closed") {
		t.Errorf("without the file:\n%s", said)
	}
	s.login("bob", bob).must("register")
}

func TestTimes(t *testing.T) {
	t.Parallel()
	for word, want := range map[string]time.Duration{
		"0": 0, "90": 90 * time.Second, "30s": 30 * time.Second, "2m": 2 * time.Minute, "1h30m": 90 * time.Minute, "1H30M": 90 * time.Minute,
		"7d": 7 * 24 * time.Hour, "1w": 7 * 24 * time.Hour, "1d12h": 36 * time.Hour, "300ms": 300 * time.Millisecond, "1.5s": 1500 * time.Millisecond,
		"1h30": time.Hour + 30*time.Second, "600": 10 * time.Minute,
	} {
		got, err := parseTime(word)
		if err != nil || got != want {
			t.Errorf("%q is %v, %v", word, got, err)
		}
		if again, err := parseTime(timeWord(got)); err != nil || again != got {
			t.Errorf("%q is shown as %q", word, timeWord(got))
		}
	}
	for _, word := range []string{"", "x", "s", "1x", "d1", "1 d", "9999999999999w", "1.5d", "--1s", "１s"} {
		if d, err := parseTime(word); err == nil {
			t.Errorf("%q is taken for %v", word, d)
		}
	}
}

func TestStartupsAndPenaltiesAreWrittenAsTheyAreRead(t *testing.T) {
	t.Parallel()
	for word, want := range map[string]string{"10:30:100": "10:30:100", "50": "50:100:50", "1:1:1": "1:1:1"} {
		if s, err := settingsOf(t, "--max-startups", word); err != nil || (startups{&s.limits.AdmissionLimits}).String() != want {
			t.Errorf("%s: %v", word, err)
		}
	}
	for word, want := range map[string]string{
		"yes": "yes", "no": "no", "true": "yes", "authfail:5s": "yes", "authfail:10 max:1h": "authfail:10s noauth:1s grace-exceeded:10s min:15s max:1h",
		"noauth:0,min:0": "authfail:5s noauth:0 grace-exceeded:10s min:0 max:10m",
	} {
		s, err := settingsOf(t, "--per-source-penalties", word)
		if err != nil {
			t.Errorf("%s: %v", word, err)
			continue
		}
		if got := (penalties{&s.limits.PenaltyLimits}).String(); got != want {
			t.Errorf("%s is shown as %s", word, got)
		}
	}
	for word, want := range map[string]string{
		"none": "none", "session=1h": "session=1h", "session=60 session:command=none": "session:shell=1m", "session:shell=0": "none",
		"session:command=1h30m,session:shell=7d": "session:shell=7d session:command=1h30m",
	} {
		s, err := settingsOf(t, "--channel-timeout", word)
		if err != nil || (channels{&s.limits.IdleShell, &s.limits.IdleCommand}).String() != want {
			t.Errorf("%s: %v", word, err)
		}
	}
	for _, word := range []string{"", "1h", "direct-tcpip=1h", "session=soon", "session=-1s", "none session=1h"} {
		if _, err := settingsOf(t, "--channel-timeout", word); err == nil {
			t.Errorf("%q is taken", word)
		}
	}
	if s := must(settingsOf(t, "--per-source-max-startups", "none")); s.limits.StartingSource < 1<<31 {
		t.Errorf("none is %d", s.limits.StartingSource)
	}
}

// Documents name settings by the names they have.
func TestDocumentsNameSettings(t *testing.T) {
	t.Parallel()
	paths := []string{"../../README.md", "../../SECURITY.md", "../../CONTRIBUTING.md", "../../bench/README.md", "../../deploy/sshchat.service", "../../deploy/Containerfile", "../../deploy/fail2ban/filter.d/sshchat.conf"}
	docs, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	flag := regexp.MustCompile("`(--[a-z-]+)[ `=]")
	for _, path := range append(paths, docs...) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Error(err)
		}
		for _, m := range flag.FindAllStringSubmatch(string(text), -1) {
			if now, old := oldNames[strings.TrimPrefix(m[1], "--")]; old {
				t.Errorf("%s: %s is now --%s", path, m[1], now)
			}
		}
	}
}

// Whatever a configuration file holds, it is read or refused by its name.
func FuzzConfigFile(f *testing.F) {
	for _, seed := range []string{"", "name = \"x\"", "[a]\nb = 1", "listen = [\":1\", \":2\"]", "a.b = 1", "max-startups = '1:2:3'", "# x\r\n\"name\" = '''\nx'''", "x = {a = 1}"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, content string) {
		path := configOf(t, content)
		s, err := configured(t, path, nil)
		if err != nil && !strings.Contains(err.Error(), path) {
			t.Errorf("%v", err)
		}
		if err == nil {
			s.print(io.Discard)
		}
	})
}
