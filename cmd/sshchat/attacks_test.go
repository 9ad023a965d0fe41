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

// untoldRow is a row of such a test.
type untoldRow struct{ test, what, tried, held, control string }

// untold are the rows of tests that do not say yet by themselves what they did (package attack). A new test does.
var untold = []struct {
	on   attack.Group
	each []untoldRow
}{
	{"Guessing", []untoldRow{
		{"TestAttackScryptStorm", "passwords at once, to use up memory", "200 of 64 MiB", "2 at once, 64 wait; a key waits for none", "-"},
	}},
	{"Connections", []untoldRow{
		{"TestAttackHalfOpenConnectionsKeepNobodyOut", "half-open connections", "330 from 1 and 300 addresses", "10 a source, early random drop, 20 places for known sources", "all 330 with the limits off"},
		{"TestAttackMemoryForgets", "all of the server's memory and a reader's key, looking for keys of what is stored", "84 keys", "0 copies (GOEXPERIMENT=runtimesecret)", "the plain build: hundreds"},
		{"TestAttackMemoryOfTheServer", "read the server's memory as its own user, or have it dump core", "1", "not dumpable, no core", "--dumpable"},
		{"TestAttackConnectionsOfOneAccountAreBounded", "connections of one account", "20", "16, in words", "20 with the limits off"},
		{"TestAttackAccountsOfOneSourceAreBounded", "accounts from one source", "6", "3 an hour", "6 with the limits off"},
		{"TestAttackSlowAndStrangeOpenings", "slowloris, HTTP, TLS, noise, endless lines", "8 kinds", "15 s to agree on keys, 120 s to log in", "-"},
		{"TestAttackStockClientsGetNoFilesAndNoTunnels", "scp, scp -O, -W, -R, -A, -X, -Y, subsystems by stock clients", "10 commands", "refused in words", "whoami runs beside -A"},
		{"TestAttackFilesUsedUp", "use up the files of the process", "80 connections, 64 files", "who is in goes on, room again after", "-"},
		{"TestAttackStopWithAHundredPeople", "SIGTERM with people inside", "100 sessions", "told, stored, exit 0, nobody gets in", "-"},
	}},
	{"In the room", []untoldRow{
		{"TestAttackFloodOfOnePerson", "a flood of messages", "10 000 lines", "5, then 2 a second", "all of 1 000 with the limits off"},
		{"TestAttackPasteWithoutEnd", "paste, OSC and DCS without end", "45 MiB in 15 ways", "8 KiB kept, memory flat", "-"},
		{"TestAttackLoadBesideAStalledReader", "a reader that reads nothing", "8 MiB beside it", "it alone is cut off", "-"},
		{"TestAttackRekeyUnderLoad", "new keys every 4 KiB under load", "800 messages", "none lost, nothing hangs", "-"},
		{"TestAttackBytesGetInNowhere", "the same in words, on standard input, in ssh -T", "22 ways", "refused with a code, nothing of it kept", "the same in UTF-8"},
		{"TestAttackNoiseIsNoMessages", "a file that is no text, sent by mistake", "3 KB of noise", "refused at its first line", "13 lines of text are 13 messages"},
		{"TestAttackTerminalChangesNoBytes", "a terminal between a backup and its file", "every command that prints bytes", "refused with a code", "text is shown there"},
		{"TestAttackLogLinesAreNotForged", "forge a line of the log", "6 names, and every field a client has", "fail2ban sees the real address alone", "a careless filter believes it"},
	}},
	{"Files", []untoldRow{}},
}

// Every test of an attack has its row in SECURITY.md, made by itself (package attack), and every row its test and its
// control. With -run Attack the table is printed.
func TestAttackTable(t *testing.T) {
	const security = "../../SECURITY.md"
	text, err := os.ReadFile(security)
	if err != nil {
		t.Fatal(err)
	}
	rows := attack.Rows(string(text))
	tests := attackTests(t)
	putUntold(t, security, rows, tests)
	for name, where := range tests {
		switch row := rows[name]; {
		case !where.told && !where.untold:
			t.Errorf("%s in %s tells nobody what it did: attack.On", name, where.folder)
		case row == "":
			t.Errorf("%s in %s is not in the table; SSHCHAT_UPDATE=1 go test -run %s ./%s puts it there", name, where.folder, name, where.folder)
		case !strings.HasSuffix(row, fmt.Sprintf("`%s` in %s |", name, where.folder)):
			t.Errorf("%s is in %s, and the table says\n%s", name, where.folder, row)
		case len(attack.Control(row)) < 4 && !where.untold:
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

// putUntold is for the rows of untold what a test does for its own.
func putUntold(t *testing.T, security string, rows map[string]string, tests map[string]attackTest) {
	for _, group := range untold {
		for _, a := range group.each {
			where, there := tests[a.test]
			if !there || where.told {
				t.Errorf("%s is in the list of untold rows and should not be", a.test)
			}
			where.untold = true
			tests[a.test] = where
			line := attack.Line(a.what, a.tried, a.held, a.control, a.test, where.folder)
			switch {
			case rows[a.test] == line:
			case os.Getenv("SSHCHAT_UPDATE") == "1":
				if err := attack.Put(security, group.on, a.test, line); err != nil {
					t.Error(err)
				}
				rows[a.test] = line
			default:
				t.Errorf("the table says\n%s\nand it is\n%s\nSSHCHAT_UPDATE=1 writes it anew", rows[a.test], line)
			}
		}
	}
}

// printTable prints the table where tests of attacks are asked for. Of a package whose tests pass, the go command prints
// nothing unless it is asked by -v: so the table goes to its own output, where there is a way to that.
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
	folder       string
	told, untold bool
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
				found[f.Name.Name] = attackTest{folder: folder, told: tells(f)}
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
