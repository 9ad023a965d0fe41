package main

import (
	"fmt"
	"os/exec"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"golang.org/x/mod/semver"
)

// arrows is which of our packages each may import. A new arrow is a decision: it is made here first.
var arrows = map[string][]string{
	"sshchat/cmd/sshchat":              {"sshchat/hostkeys", "sshchat/sshchat", "sshchat/sshchat/chat", "sshchat/sshchat/cluster", "sshchat/sshchat/cluster/keyring", "sshchat/sshchat/cluster/online", "sshchat/sshchat/cluster/servers", "sshchat/sshchat/cluster/sessions", "sshchat/sshchat/command", "sshchat/sshchat/fence", "sshchat/sshchat/handover", "sshchat/sshchat/journald", "sshchat/sshchat/limit", "sshchat/sshchat/listen", "sshchat/sshchat/past", "sshchat/sshchat/systemd", "sshchat/sshchat/text", "sshchat/store", "sshchat/store/accounts", "sshchat/store/agesplit", "sshchat/store/audit", "sshchat/store/clock", "sshchat/store/doctor", "sshchat/store/durable", "sshchat/store/history", "sshchat/store/journal", "sshchat/store/marks", "sshchat/store/owner", "sshchat/store/restore"},
	"sshchat/sshchat":                  {"sshchat/sshchat/chat", "sshchat/sshchat/command", "sshchat/sshchat/drafts", "sshchat/sshchat/emoji", "sshchat/sshchat/fence", "sshchat/sshchat/limit", "sshchat/sshchat/lists", "sshchat/sshchat/past", "sshchat/sshchat/proxy", "sshchat/sshchat/text", "sshchat/sshchat/view", "sshchat/sshchat/view/alert", "sshchat/sshchat/view/output", "sshchat/sshchat/view/theme", "sshchat/sshchat/wake"},
	"sshchat/sshchat/alias":            {"sshchat/sshchat/text"},
	"sshchat/sshchat/drafts":           {"sshchat/sshchat/chat"},
	"sshchat/sshchat/command":          {"sshchat/sshchat/alias", "sshchat/sshchat/chat", "sshchat/sshchat/command/kept", "sshchat/sshchat/command/keylist", "sshchat/sshchat/command/printed", "sshchat/sshchat/emoji", "sshchat/sshchat/fence", "sshchat/sshchat/past", "sshchat/sshchat/text"},
	"sshchat/sshchat/command/kept":     {"sshchat/sshchat/chat"},
	"sshchat/sshchat/command/keylist":  {"sshchat/sshchat/chat", "sshchat/sshchat/text"},
	"sshchat/sshchat/command/printed":  {"sshchat/sshchat/chat"},
	"sshchat/sshchat/view/alert":       {"sshchat/sshchat/chat", "sshchat/sshchat/text"},
	"sshchat/sshchat/view":             {"sshchat/sshchat/chat", "sshchat/sshchat/text", "sshchat/sshchat/view/alert", "sshchat/sshchat/view/editor", "sshchat/sshchat/view/keys", "sshchat/sshchat/view/markup", "sshchat/sshchat/view/markup/code", "sshchat/sshchat/view/output", "sshchat/sshchat/view/theme"},
	"sshchat/sshchat/view/editor":      {"sshchat/sshchat/text"},
	"sshchat/sshchat/view/keys":        {"sshchat/sshchat/text"},
	"sshchat/sshchat/view/markup":      {"sshchat/sshchat/emoji", "sshchat/sshchat/view/theme"},
	"sshchat/sshchat/view/markup/code": {"sshchat/sshchat/view/theme"},
	"sshchat/sshchat/view/output":      {"sshchat/sshchat/text"},
	"sshchat/sshchat/view/theme":       {},
	"sshchat/store":                    {"sshchat/sshchat/chat", "sshchat/sshchat/text", "sshchat/store/durable"},
	"sshchat/store/accounts":           {"sshchat/sshchat/chat", "sshchat/sshchat/text", "sshchat/store/accounts/strength", "sshchat/store/agesplit", "sshchat/store/changes", "sshchat/store/clock", "sshchat/store/durable", "sshchat/store/strictjson"},
	"sshchat/store/accounts/strength":  {},
	"sshchat/store/agesplit":           {},
	"sshchat/store/agesplit/agetest":   {}, // keys for tests
	"sshchat/store/changes":            {"sshchat/sshchat/chat", "sshchat/store/durable"},
	"sshchat/store/audit":              {"sshchat/sshchat/chat", "sshchat/store/durable"},
	"sshchat/store/marks":              {"sshchat/sshchat/chat", "sshchat/sshchat/text", "sshchat/store/durable", "sshchat/store/strictjson"},
	"sshchat/store/strictjson":         {},
	"sshchat/store/owner":              {},
	"sshchat/store/doctor":             {"sshchat/hostkeys", "sshchat/sshchat/text", "sshchat/store", "sshchat/store/accounts", "sshchat/store/clock", "sshchat/store/history", "sshchat/store/journal", "sshchat/store/owner"},
	"sshchat/store/restore":            {"sshchat/sshchat/text", "sshchat/store", "sshchat/store/durable"},
	"sshchat/store/durable":            {},
	"sshchat/store/durable/powercut":   {"sshchat/store/durable"}, // for tests
	"sshchat/store/durable/testdisk":   {"sshchat/store/durable/powercut"},
	"sshchat/sshchat/chat":             {"sshchat/sshchat/lists", "sshchat/sshchat/text", "sshchat/sshchat/wake"},
	"sshchat/sshchat/wake":             {},
	"sshchat/sshchat/lists":            {},
	"sshchat/sshchat/past":             {"sshchat/sshchat/chat", "sshchat/sshchat/lists", "sshchat/sshchat/text"},
	"sshchat/sshchat/attack":           {}, // for tests
	"sshchat/sshchat/cluster":          {"sshchat/sshchat/chat", "sshchat/sshchat/cluster/peer", "sshchat/sshchat/cluster/wire", "sshchat/sshchat/handover", "sshchat/sshchat/lists", "sshchat/store", "sshchat/store/accounts", "sshchat/store/durable", "sshchat/store/journal", "sshchat/store/restore"},
	"sshchat/sshchat/cluster/keyring":  {"sshchat/hostkeys", "sshchat/sshchat/chat", "sshchat/sshchat/cluster/peer"},
	"sshchat/sshchat/cluster/logtest":  {}, // for tests
	"sshchat/sshchat/cluster/natstest": {}, // for tests
	"sshchat/sshchat/cluster/servers":  {"sshchat/sshchat/text"},
	"sshchat/sshchat/cluster/sessions": {"sshchat/sshchat/cluster/peer", "sshchat/sshchat/command", "sshchat/sshchat/lists", "sshchat/sshchat/text"},
	"sshchat/sshchat/cluster/peer":     {"sshchat/store/agesplit"},
	"sshchat/sshchat/cluster/online":   {"sshchat/sshchat/chat", "sshchat/sshchat/cluster/peer", "sshchat/sshchat/text"},
	"sshchat/sshchat/proxy":            {},
	"sshchat/sshchat/fence":            {},
	"sshchat/sshchat/limit":            {"sshchat/sshchat/chat"},
	"sshchat/sshchat/handover":         {"sshchat/sshchat/chat", "sshchat/sshchat/systemd", "sshchat/sshchat/text"},
	"sshchat/sshchat/listen":           {"sshchat/sshchat/systemd", "sshchat/sshchat/text"},
	"sshchat/sshchat/journald":         {},
	"sshchat/sshchat/systemd":          {},
	"sshchat/sshchat/text":             {},
	"sshchat/sshchat/text/texttest":    {}, // for tests
	"sshchat/sshchat/emoji":            {"sshchat/sshchat/text"},
	"sshchat/store/history":            {"sshchat/sshchat/chat", "sshchat/sshchat/lists", "sshchat/sshchat/text", "sshchat/store/agesplit", "sshchat/store/clock", "sshchat/store/durable"},
	"sshchat/sshchat/cluster/wire":     {"sshchat/sshchat/chat", "sshchat/sshchat/lists", "sshchat/sshchat/text", "sshchat/store/accounts", "sshchat/store/history", "sshchat/store/journal"},
	"sshchat/store/journal":            {"sshchat/sshchat/chat", "sshchat/store/accounts", "sshchat/store/audit", "sshchat/store/history"},
	"sshchat/sshchat/chat/journaltest": {"sshchat/sshchat/chat", "sshchat/sshchat/text"}, // for tests
	"sshchat/store/clock":              {"sshchat/store/durable"},
	"sshchat/hostkeys":                 {},
	"sshchat/examples/hook":            {}, // clients like any other
	"sshchat/examples/pingbot":         {},
	"sshchat/docs/demo":                {}, // makes the picture of the README
}

// maxFiles is how many files besides tests a package may have: one that needs more is several.
const maxFiles = 25

// chatMayImport is what the core stands on besides the standard library: the tables of Unicode, for text.
var chatMayImport = []string{"sshchat/sshchat/lists", "sshchat/sshchat/text", "sshchat/sshchat/wake", "golang.org/x/text/", "github.com/clipperhouse/uax29/", "github.com/clipperhouse/stringish"}

// goPackage is how many files besides tests a package has, and what they import.
type goPackage struct {
	files   int
	imports []string
}

// packages are the packages of the module, and all but the standard library's that these stand on, by their paths.
func packages(t *testing.T) map[string]goPackage {
	t.Helper()
	all, err := listPackages()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

var listPackages = sync.OnceValues(func() (map[string]goPackage, error) {
	out, err := exec.Command("go", "list", "-deps", "-f", `{{if not .Standard}}{{.ImportPath}} {{len .GoFiles}} {{join .Imports " "}}{{end}}`, "sshchat/...").CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("go list: %w\n%s", err, out)
	}
	all := make(map[string]goPackage)
	for line := range strings.Lines(string(out)) {
		words := strings.Fields(line)
		files, err := strconv.Atoi(words[1])
		if err != nil {
			return nil, fmt.Errorf("go list: %q: %w", line, err)
		}
		all[words[0]] = goPackage{files, words[2:]}
	}
	return all, nil
})

func TestArrowsPointOneWay(t *testing.T) {
	t.Parallel()
	seen := 0
	for path, p := range packages(t) {
		if !strings.HasPrefix(path, "sshchat/") {
			continue
		}
		allowed, known := arrows[path]
		if !known {
			t.Errorf("package %s is not in the picture", path)
			continue
		}
		seen++
		if p.files > maxFiles {
			t.Errorf("%s has %d files, %d at most", path, p.files, maxFiles)
		}
		for _, imported := range p.imports {
			if strings.HasPrefix(imported, "sshchat/") && !slices.Contains(allowed, imported) {
				t.Errorf("%s must not import %s", path, imported)
			}
		}
	}
	if seen != len(arrows) {
		t.Errorf("saw %d packages of %d", seen, len(arrows))
	}
}

func TestChatIsPure(t *testing.T) {
	t.Parallel()
	all, core := packages(t), "sshchat/sshchat/chat"
	stands := []string{core}
	for i := 0; i < len(stands); i++ {
		path := stands[i]
		pure := func(prefix string) bool { return strings.HasPrefix(path, prefix) }
		if path != core && !slices.ContainsFunc(chatMayImport, pure) {
			t.Errorf("chat stands on %s", path)
		}
		for _, imported := range all[path].imports {
			if _, listed := all[imported]; listed && !slices.Contains(stands, imported) {
				stands = append(stands, imported)
			}
		}
	}
	if len(stands) < 2 {
		t.Errorf("of the packages that chat stands on only %v were seen", stands)
	}
}

// Below these versions there are known holes: x/crypto took keys that were merely asked about for proven, and its
// server could be made to hang; charm's ssh kept the first name of a connection that tried several.
func TestVersionsWithoutKnownHoles(t *testing.T) {
	t.Parallel()
	least := map[string]string{
		"charm.land/wish/v2":  "v2.0.4",
		"charm.land/ssh":      "v0.4.3",
		"golang.org/x/crypto": "v0.58.0",
		"filippo.io/age":      "v1.3.2",
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		t.Fatal("no build info")
	}
	for _, d := range info.Deps {
		if d.Replace != nil {
			t.Errorf("%s is replaced", d.Path)
		}
		if d.Path == "github.com/gliderlabs/ssh" {
			t.Error("gliderlabs/ssh is linked in: its user name is frozen at the first attempt of a connection")
		}
		if want, named := least[d.Path]; named {
			if semver.Compare(d.Version, want) < 0 {
				t.Errorf("%s is %s, and must be at least %s", d.Path, d.Version, want)
			}
			delete(least, d.Path)
		}
	}
	for path := range least {
		t.Errorf("%s is not linked in", path)
	}
}
