package main

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sshchat/sshchat/attack"
)

// Every test of an attack has its row in SECURITY.md, made by itself (package attack), and every row its test and its
// control. With -run Attack the table is printed.
func TestAttackTable(t *testing.T) {
	const security = "../../SECURITY.md"
	text, err := os.ReadFile(security)
	if err != nil {
		t.Fatal(err)
	}
	rows := attack.Rows(string(text))
	for name, where := range attackTests(t) {
		switch row := rows[name]; {
		case !where.told:
			t.Errorf("%s in %s tells nobody what it did: attack.On", name, where.folder)
		case row == "":
			t.Errorf("%s in %s is not in the table; SSHCHAT_UPDATE=1 go test -run %s ./%s puts it there", name, where.folder, name, where.folder)
		case !strings.HasSuffix(row, fmt.Sprintf("`%s` in %s |", name, where.folder)):
			t.Errorf("%s is in %s, and the table says\n%s", name, where.folder, row)
		case len(attack.Control(row)) < 4:
			t.Errorf("%s has no control:\n%s", name, row)
		}
		delete(rows, name)
	}
	for name := range rows {
		t.Errorf("%s is in the table and no test", name)
		if os.Getenv("SSHCHAT_UPDATE") == "1" {
			if err := attack.Put(security, "", name, ""); err != nil {
				t.Error(err)
			}
		}
	}
	printTable(t, attack.Table(string(text)))
}

// printTable prints the table where tests of attacks are asked for. Of a package whose tests pass, the go command prints
// nothing unless it is asked by -v: so the table goes to its own output, where there is a way to that. Asked again, the go
// command has the result in its cache and runs no test; -count=1 has it run.
func printTable(t *testing.T, table string) {
	if run := flag.Lookup("test.run"); run == nil || !strings.Contains(run.Value.String(), "Attack") {
		return
	}
	if testing.Verbose() {
		fmt.Print(table)
		return
	}
	out, err := os.OpenFile(fmt.Sprintf("/proc/%d/fd/1", os.Getppid()), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Logf("the table is in SECURITY.md, and printed with -v: %v", err)
		return
	}
	defer out.Close()
	fmt.Fprint(out, table)
}

// attackTest is where a test of an attack is, and whether it tells what it did.
type attackTest struct {
	folder string
	told   bool
}

// attackTests finds the tests of attacks in the whole module.
func attackTests(t *testing.T) map[string]attackTest {
	t.Helper()
	found := make(map[string]attackTest)
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, decl := range file.Decls {
			f, is := decl.(*ast.FuncDecl)
			if is && strings.HasPrefix(f.Name.Name, "TestAttack") && f.Name.Name != "TestAttackTable" {
				folder, err := filepath.Rel("../..", filepath.Dir(path))
				if err != nil {
					return err
				}
				found[f.Name.Name] = attackTest{folder, tells(f)}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// tells reports whether a test begins a row.
func tells(f *ast.FuncDecl) (told bool) {
	ast.Inspect(f, func(n ast.Node) bool {
		if s, is := n.(*ast.SelectorExpr); is && s.Sel.Name == "On" {
			x, is := s.X.(*ast.Ident)
			told = told || is && x.Name == "attack"
		}
		return true
	})
	return told
}
