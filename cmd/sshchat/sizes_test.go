package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Limits of what one person can hold in mind. Test files do not count. (How many files a package may have: maxFiles.)
const (
	maxLines     = 75 // of a function
	maxInterface = 12 // methods of an interface, with those of the interfaces of ours that it embeds
	maxMethods   = 35 // of a type; with more than about thirty it holds more than one idea
)

// oversized are the types and interfaces that are larger and still to be split, with the most that each may have. What is
// small enough must leave the list. A type is named by its folder, as in store/accounts.Store.
var oversized = map[string]int{
	"store/accounts.Store":  40,
	"store/history.History": 50,
}

// sizes are what the source of a module holds, by folder and name.
type sizes struct {
	functions  map[string]int // lines
	methods    map[string]int // of types
	interfaces map[string]*iface
}

// iface is an interface: its own methods, and the interfaces of the module that it embeds.
type iface struct {
	own    int
	embeds []string
}

// measure reads the module at root.
func measure(t *testing.T, root string) sizes {
	t.Helper()
	s := sizes{map[string]int{}, map[string]int{}, map[string]*iface{}}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && strings.HasPrefix(d.Name(), ".") && path != root:
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		folder, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		return s.add(path, filepath.ToSlash(folder))
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// add reads a file of a folder.
func (s sizes) add(path, folder string) error {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	imports := make(map[string]string) // folders of the module, by the names of their packages
	for _, i := range file.Imports {
		if ours, ok := strings.CutPrefix(strings.Trim(i.Path.Value, `"`), "sshchat/"); ok {
			imports[ours[strings.LastIndexByte(ours, '/')+1:]] = ours
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			name := folder + "." + n.Name.Name
			if n.Recv != nil {
				of := folder + "." + receiver(n.Recv.List[0].Type)
				s.methods[of]++
				name = of + "." + n.Name.Name
			}
			s.functions[name] = files.Position(n.End()).Line - files.Position(n.Pos()).Line + 1
		case *ast.TypeSpec:
			if i, ok := n.Type.(*ast.InterfaceType); ok {
				s.interfaces[folder+"."+n.Name.Name] = readInterface(i, folder, imports)
			}
		}
		return true
	})
	return nil
}

// receiver is the name of a method's type.
func receiver(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return receiver(e.X)
	case *ast.IndexExpr:
		return receiver(e.X)
	case *ast.IndexListExpr:
		return receiver(e.X)
	case *ast.Ident:
		return e.Name
	}
	return "?"
}

func readInterface(i *ast.InterfaceType, folder string, imports map[string]string) *iface {
	found := &iface{}
	for _, m := range i.Methods.List {
		found.own += len(m.Names)
		switch e := m.Type.(type) {
		case *ast.Ident:
			found.embeds = append(found.embeds, folder+"."+e.Name)
		case *ast.SelectorExpr:
			if pkg, ok := e.X.(*ast.Ident); ok && imports[pkg.Name] != "" {
				found.embeds = append(found.embeds, imports[pkg.Name]+"."+e.Sel.Name)
			}
		}
	}
	return found
}

// all is how many methods an interface has.
func (s sizes) all(name string) int {
	i := s.interfaces[name]
	if i == nil {
		return 0 // a constraint, or of another module
	}
	n := i.own
	for _, e := range i.embeds {
		n += s.all(e)
	}
	return n
}

// problems names what is larger than it may be, and what is on the list without need.
func (s sizes) problems(allowed map[string]int) map[string]int {
	found := make(map[string]int)
	for name, lines := range s.functions {
		if lines > maxLines {
			found[name] = lines
		}
	}
	for name, n := range s.methods {
		if n > max(maxMethods, allowed[name]) || n <= maxMethods && allowed[name] > 0 {
			found[name] = n
		}
	}
	for name := range s.interfaces {
		if n := s.all(name); n > max(maxInterface, allowed[name]) || n <= maxInterface && allowed[name] > 0 {
			found[name] = n
		}
	}
	for name := range allowed {
		if s.methods[name] == 0 && s.interfaces[name] == nil {
			found[name] = 0
		}
	}
	return found
}

func TestNothingIsTooLarge(t *testing.T) {
	t.Parallel()
	s := measure(t, "../..")
	if len(s.functions) < 1000 || len(s.interfaces) < 20 {
		t.Fatalf("saw %d functions and %d interfaces", len(s.functions), len(s.interfaces))
	}
	for name, n := range s.problems(oversized) {
		t.Errorf("%s: %d (functions have at most %d lines, interfaces %d methods, types %d; oversized lists the exceptions: %d)",
			name, n, maxLines, maxInterface, maxMethods, oversized[name])
	}
}

// The control: each kind of excess is seen, and an exception that is not needed any more as well.
func TestWhatIsTooLargeIsSeen(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	source := "package p\n\ntype small interface{ A(); B() }\n\ntype T struct{}\n\ntype fine struct{}\n\nfunc (fine) M() {}\n\n" +
		"type both interface {\n\tsmall\n" + strings.Repeat("\tX()\n", maxInterface-1) + "}\n\n" +
		"func long() {\n" + strings.Repeat("\t_ = 0\n", maxLines) + "}\n\n" +
		strings.Repeat("func (t *T) M() {}\n", maxMethods+1)
	if err := os.Mkdir(filepath.Join(root, "p"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "p", "p.go"), []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	got := measure(t, root).problems(map[string]int{"p.fine": 50, "p.gone": 50})
	want := map[string]int{"p.both": maxInterface + 1, "p.long": maxLines + 2, "p.T": maxMethods + 1, "p.fine": 1, "p.gone": 0}
	for name, n := range want {
		if got[name] != n {
			t.Errorf("%s is seen as %d, not %d", name, got[name], n)
		}
		delete(got, name)
	}
	if _, seen := got["p.gone"]; seen || len(got) > 0 {
		t.Errorf("also found: %v", got)
	}
	if found := measure(t, root).problems(map[string]int{"p.T": maxMethods + 1, "p.both": 99}); found["p.T"]+found["p.both"] > 0 {
		t.Errorf("exceptions do not hold: %v", found)
	}
}
