package command

import (
	"go/ast"
	"go/parser"
	"go/token"
	"net"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"sshchat/sshchat/chat"
)

// What names the server does so by an address that the reader can use: the one they came to, unless one is set.
func TestAddressesThatHintsPrint(t *testing.T) {
	for at, want := range map[string]string{
		"127.0.0.1:2222": "-p 2222 NAME@localhost", "[::1]:2222": "-p 2222 NAME@localhost", "0.0.0.0:2222": "-p 2222 NAME@localhost",
		"[::]:22": "NAME@localhost", "127.0.0.2:2222": "-p 2222 NAME@127.0.0.2", "192.0.2.7:22": "NAME@192.0.2.7",
		"[2001:db8::7]:2222": "-p 2222 NAME@2001:db8::7", "[::ffff:192.0.2.7]:2222": "-p 2222 NAME@192.0.2.7",
	} {
		addr, err := net.ResolveTCPAddr("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		if got := AddressOf(addr); got != want {
			t.Errorf("%s: %q, want %q", at, got, want)
		}
		if got := (&Services{}).Reach("alice", addr); got != strings.Replace(want, "NAME", "alice", 1) {
			t.Errorf("%s: %q", at, got)
		}
		named := &Services{}
		named.SetEntrance(Entrance{Address: "NAME@chat.host"})
		if got := named.Reach("alice", addr); got != "alice@chat.host" {
			t.Errorf("%s, with an address that is set: %q", at, got)
		}
	}
}

// A hint names a command as it is typed where it is read.
func TestHintsWorkAsPrinted(t *testing.T) {
	for _, ui := range []UI{Chat, Exec} {
		r := newRig(t, "alice", "bob")
		r.face = ui
		slash := map[UI]string{Chat: "/"}[ui]
		r.refuses("totp enable", chat.Failed, "; to set one: "+slash+"passwd")
		r.refuses("passwd recover", chat.Failed, "; to set one: "+slash+"passwd")
		r.refuses("key add", chat.Usage, slash+"key add needs a key\nusage: "+slash+"key add [--only LIST] KEY")
		r.refuses("key remove", chat.Usage, "for a list: "+slash+"key list")
		r.refuses("ban bob", chat.Denied, "only moderators and admins can use "+slash+"ban")
		r.sees("ignore bob", "To undo: "+slash+"unignore bob")
		r.sees("help kick", "to prevent that, use "+slash+"ban.")
		r.sees("help key list", "also: "+slash+"keys")
		help := r.must("help key add")
		if strings.Contains(help, "standard input") != (ui == Exec) || strings.Contains(help, "|-") != (ui == Exec) {
			t.Errorf("where there is standard input: %s", help)
		}
		if help := r.must("help passwd"); strings.Contains(help, "ssh -t") != (ui == Exec) {
			t.Errorf("where a terminal has to be asked for: %s", help)
		}
		for _, cmd := range all {
			if cmd.UIs&ui != 0 && strings.Contains(cmd.help(ui), "`") {
				t.Errorf("%s: a backquote is left in\n%s", cmd.Name, cmd.help(ui))
			}
		}
	}
	r := newRig(t, "alice")
	for _, cmd := range all { // what stands in backquotes is a command
		for _, part := range quoted(cmd.Brief + "\n" + cmd.More + "\n" + cmd.ExecMore) {
			for _, ui := range []UI{Chat, Exec} {
				if cmd.UIs&ui == 0 {
					continue
				}
				if _, _, err := r.services.Commands.Find(ui, part); err != nil {
					t.Errorf("%s names %q: %v", cmd.Name, part, err)
				}
			}
		}
	}
}

func quoted(s string) (parts []string) {
	for i, part := range strings.Split(s, "`") {
		if i%2 == 1 {
			parts = append(parts, part)
		}
	}
	return parts
}

// No text that a person reads has a command of two words in it, or passwd, but by what knows how it is typed: typed, or
// backquotes. The registry's own fields and the beginnings of refused usages are worded by the registry.
func TestTextsNameCommandsByTheirUI(t *testing.T) {
	names := []string{"passwd"}
	for _, cmd := range all {
		if strings.Contains(cmd.Name, " ") {
			names = append(names, cmd.Name)
		}
	}
	bare := regexp.MustCompile("(^|[^/`a-z])(" + strings.Join(names, "|") + ")([^a-z-]|$)")
	for _, folder := range []string{".", "..", "../view", "../chat", "../limit"} {
		files, err := filepath.Glob(folder + "/*.go")
		if err != nil || len(files) == 0 {
			t.Fatal(err, files)
		}
		for _, file := range slices.DeleteFunc(files, func(f string) bool { return strings.HasSuffix(f, "_test.go") }) {
			for _, said := range texts(t, file) {
				if strings.Contains(said, " ") && !slices.Contains(names, said) && bare.MatchString(said) {
					t.Errorf("%s: %q", file, said)
				}
			}
		}
	}
}

// texts are the literals of a file, but for the names of commands and what refuses arguments.
func texts(t *testing.T, file string) (said []string) {
	t.Helper()
	tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(tree, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.KeyValueExpr:
			key, is := n.Key.(*ast.Ident)
			return !is || !slices.Contains([]string{"Name", "Aliases", "commands"}, key.Name)
		case *ast.CallExpr:
			f, is := n.Fun.(*ast.SelectorExpr)
			if is && f.Sel.Name == "usage" {
				return false
			}
		case *ast.BasicLit:
			if n.Kind == token.STRING {
				s, err := strconv.Unquote(n.Value)
				if err != nil {
					t.Fatal(err)
				}
				said = append(said, s)
			}
		}
		return true
	})
	return said
}
