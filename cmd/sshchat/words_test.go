package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
	"testing"

	"sshchat/sshchat/command"
)

// dialect are phrases that no native speaker uses in a manual, and what to write. They are looked for in everything that a
// person reads.
var dialect = []struct{ phrase, write string }{
	{`(?i)\bwho stays away\b`, "users who are away"},
	{`(?i)\bwhoever (is|comes|connects|writes|asks|stays|may)\b`, "everyone online, people who"},
	{`\bwhat one may\b|\bwhat you may read\b`, "messages you can read"},
	{`(?i)\b(tells|is told|are told|not told)\b`, "says, reports, shows"},
	{`\bfor who\b|\bof who\b|\bfor whom it is\b`, "for people who"},
	{`\b(none|nothing) is given\b|\bis none\b|\bare none\b`, "if omitted; there is no …"},
	{`\bwhere (it is|none|empty|asked for|there is none)\b`, "if"},
	{`\b(says|said) so\b|\bat hand\b|\bin words\b`, "the plain verb"},
	{`(?i)\bhave (somebody|nobody|people|members|what you|an account's|X) `, "the plain verb"},
	{`(?i)\b(take|takes|took) (that|it|an invite|the second factor) (back|away)\b|^of that,`, "remove …, revoke …"},
	{`(?m) came$| came;|"[a-z]+ came"`, "joined"},
	{`\d of \d+ here\b|%d of %d here\b|, %d here\b`, "3 of 4 online"},
	{`\bin other words\b`, "edit"},
	{`\b(put|puts) (you|somebody|them|%s|\w+) out\b|\bbeing put out\b`, "remove … from"},
	{`\bis made\.|\b(account|invite) made\b|\bhas an account\.`, "created"},
	{`\bfor the invited\b`, "invite-only"},
	{`\b[Tt]he same again\b|\bnot the same\.`, "Repeat the password; The passwords do not match"},
	{`\bsomething is missing\b`, "name what is missing"},
	{`\bwho chose nothing\b`, "the default"},
	{`\bfaster than \d|\bfaster than %`, "Too fast: at most …"},
	{`\ba admin\b|\b1 (keys|users|messages|lines|rooms|sessions|bans|members)\b`, "an admin, 1 key"},
	{`\b(that|it) takes an? (admin|moderator|login)\b|\bthat is for (%s|admin|mod)`, "only an admin can do that"},
	{`password: (true|false|%v)`, "no password"},
	{`(?i)\bsee nothing more\b|\byou see nobody\b`, "ignore a person"},
	{`\bfor ever\b|\bought to\b|\bnot refused or limited any more\b`, "forever, should"},
	{`\bis no (JSON|duration|number|name|key|sides|time|room)\b`, "is not a …"},
	{`\bthere twice\b|\btorn off\b|\bput away\b|\bput back\b|\bled up to\b|\bbelieved\b`, "listed twice, cut off, archived, restored"},
	{`\bgoes on (from|where)\b|\bfollows on\b|\bdoes not go (on|with)\b`, "continues, follows, conflicts with"},
	{`\bas in \d+[a-z]\b|[,:] as \d|\bis as \d`, "such as"},
	{`\bin silence\b|\bgo on\?|\bto go on:`, "silently; Continue?; to continue"},
	{`\bmemory (still )?holds\b|\bnobody's to\b`, "in memory"},
	{`\b(keeps|kept) out\b|\bimposed that\b|\bis yourself\b`, "banned; did that"},
}

// plain is what a dialect's phrases are part of and yet good English, or a word of a format that programs read.
var plain = []string{
	"put back",  // of a file that was moved away
	"tells you", // of a person, or the server
}

// TestPlainEnglish looks for such phrases in the literals of all programs, the help of all commands, the manual, the golden
// screens and conversations, and the documents.
func TestPlainEnglish(t *testing.T) {
	t.Parallel()
	looked := make(map[string]int)
	look := func(kind, where, text string) {
		looked[kind]++
		for _, found := range dialectIn(text) {
			t.Errorf("%s: %s", where, found)
		}
	}
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && strings.HasPrefix(d.Name(), ".") && len(d.Name()) > 2 {
			return cmpErr(err, d)
		}
		name := filepath.ToSlash(strings.TrimPrefix(path, "../../"))
		switch {
		case d.IsDir():
		case strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") && !isForTests(name):
			for where, said := range literals(t, path) {
				look("literal", fmt.Sprintf("%s:%s", name, where), said)
			}
		case strings.HasSuffix(name, ".md"), strings.HasPrefix(name, "deploy/"), strings.Contains(name, "testdata/screens/"),
			strings.HasSuffix(name, ".txtar"):
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			look("document", name, prose(name, string(b)))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range command.NewRegistry().Manual() {
		look("help", "help "+e.Name, e.Usage+"\n"+e.Brief+"\n"+e.More)
	}
	for kind, least := range map[string]int{"literal": 2000, "document": 20, "help": 80} {
		if looked[kind] < least {
			t.Errorf("looked at %d of kind %s, and at least %d are there", looked[kind], kind, least)
		}
	}
}

// TestPlainEnglishControl is the control: each phrase is found, in what it was found in.
func TestPlainEnglishControl(t *testing.T) {
	t.Parallel()
	for _, said := range []string{
		"ana came", "3 of 4 here", "say your last message here in other words", "take that back", "ana put you out of #dev", "#ops is made.",
		"see nothing more of somebody", "have what you type go to one person", "accounts here are for the invited", "The same again: ",
		"These two were not the same.", "msg: something is missing", "what it is for who chose nothing", "you are faster than 2 messages a second",
		"boss is a admin; that takes an admin", "1 keys, password: false", "for who stays away", "whoever is there", "is told", "none is given",
		"%d of %d here", "%q is no duration: %s", "forever, which it is where none is given", "how far back, as in 2h or 7d", "it is there twice",
	} {
		if len(dialectIn(said)) == 0 {
			t.Errorf("not found: %s", said)
		}
	}
	for _, said := range []string{"ana joined", "3 of 4 online", "edit your last message", "boss is an admin: only an admin can do that", "1 key, no password"} {
		if found := dialectIn(said); len(found) > 0 {
			t.Errorf("%s: %s", said, found)
		}
	}
}

var dialectPatterns, dialectLiterals = func() (all []*regexp.Regexp, literals [][]string) {
	for _, d := range dialect {
		all = append(all, regexp.MustCompile(d.phrase))
		parsed, err := syntax.Parse(d.phrase, syntax.Perl)
		if err != nil {
			panic(err)
		}
		literals = append(literals, literalsOf(parsed))
	}
	return all, literals
}()

// literalsOf is texts, in lower case, one of which is in all that an expression matches: to look for them takes a hundredth of the
// time. Without any it matches other texts, too.
func literalsOf(re *syntax.Regexp) (literals []string) {
	switch re.Op {
	case syntax.OpLiteral:
		return []string{strings.ToLower(string(re.Rune))}
	case syntax.OpCapture, syntax.OpPlus:
		return literalsOf(re.Sub[0])
	case syntax.OpConcat: // the part whose shortest is longest
		for _, sub := range re.Sub {
			if found := literalsOf(sub); len(found) > 0 && (literals == nil || shortest(found) > shortest(literals)) {
				literals = found
			}
		}
	case syntax.OpAlternate:
		for _, sub := range re.Sub {
			found := literalsOf(sub)
			if len(found) == 0 {
				return nil
			}
			literals = append(literals, found...)
		}
	}
	return literals
}

func shortest(texts []string) int {
	return len(slices.MinFunc(texts, func(a, b string) int { return len(a) - len(b) }))
}

// dialectIn lists the phrases found in a text, and what to write.
func dialectIn(text string) (found []string) {
	for _, good := range plain {
		text = strings.ReplaceAll(text, good, "")
	}
	lower := strings.ToLower(text)
	for i, pattern := range dialectPatterns {
		within := func(literal string) bool { return strings.Contains(lower, literal) }
		if literals := dialectLiterals[i]; literals != nil && !slices.ContainsFunc(literals, within) {
			continue
		}
		for _, hit := range pattern.FindAllString(text, -1) {
			line := lineOf(text, hit)
			found = append(found, fmt.Sprintf("%q in %q: write %s", hit, line, dialect[i].write))
		}
	}
	return found
}

func lineOf(text, hit string) string {
	for line := range strings.Lines(text) {
		if strings.Contains(line, strings.Trim(hit, "\n")) {
			return strings.TrimSpace(line)
		}
	}
	return text
}

func cmpErr(err error, d fs.DirEntry) error {
	if err != nil {
		return err
	}
	return fs.SkipDir
}

// isForTests reports whether a file is of a package that only tests import.
func isForTests(name string) bool {
	for _, folder := range []string{"sshchat/chat/journaltest/", "sshchat/attack/", "store/durable/powercut/", "store/agesplit/agetest/", "bench/"} {
		if strings.HasPrefix(name, folder) {
			return true
		}
	}
	return false
}

// literals are the string literals of a Go file, by line.
func literals(t *testing.T, path string) map[string]string {
	t.Helper()
	set := token.NewFileSet()
	tree, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	said := make(map[string]string)
	ast.Inspect(tree, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ImportSpec:
			return false
		case *ast.BasicLit:
			if n.Kind == token.STRING {
				at := set.Position(n.Pos())
				text, err := strconv.Unquote(n.Value)
				if err != nil {
					t.Fatal(err)
				}
				said[fmt.Sprintf("%d:%d", at.Line, at.Column)] = text
			}
		}
		return true
	})
	return said
}

// prose is what is looked at of a document. The comments of a conversation are left out, and so are the rows of the table of
// attacks in SECURITY.md: the tests of attacks write these, from the texts that they have.
func prose(name, text string) string {
	var b bytes.Buffer
	table := false
	for line := range strings.Lines(text) {
		switch {
		case strings.HasSuffix(name, ".txtar") && strings.HasPrefix(strings.TrimSpace(line), "#"):
			continue
		case name == "SECURITY.md" && strings.HasPrefix(line, "<!-- attacks:"):
			table = true
		case strings.HasPrefix(line, "<!-- end of attacks"):
			table = false
		}
		if !table || !strings.HasPrefix(line, "| ") {
			b.WriteString(line)
		}
	}
	return b.String()
}
