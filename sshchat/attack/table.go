package attack

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/gofrs/flock"
)

// What stands around the table in SECURITY.md, and above the rows of each group.
const (
	begins = "<!-- attacks: made by SSHCHAT_UPDATE=1 go test -run Attack ./... -->\n"
	ends   = "<!-- end of attacks -->\n"
	header = "| attack | tried | held by | control | test |\n|---|---|---|---|---|\n"
)

// Line is a row, as it stands in the table.
func Line(what, tried, held, control, test, folder string) string {
	cells := []string{what, tried, held, control, fmt.Sprintf("`%s` in %s", test, folder)}
	for i, cell := range cells {
		cells[i] = strings.NewReplacer("|", `\|`, "\n", " ").Replace(cell)
	}
	return "| " + strings.Join(cells, " | ") + " |"
}

var testOf = regexp.MustCompile("`(TestAttack[A-Za-z0-9]*)` in [^ |]+ \\|$")

// Rows are the rows of the table in the text, by their tests.
func Rows(text string) map[string]string {
	rows := make(map[string]string)
	for line := range strings.Lines(Table(text)) {
		line = strings.TrimSuffix(line, "\n")
		if m := testOf.FindStringSubmatch(line); m != nil {
			rows[m[1]] = line
		}
	}
	return rows
}

// Table is the table in the text; "" where there is none.
func Table(text string) string {
	_, rest, _ := strings.Cut(text, begins)
	table, _, ok := strings.Cut(rest, ends)
	if !ok {
		return ""
	}
	return table
}

// Control is the cell of a row that says what its control was.
func Control(row string) string {
	cells := strings.Split(strings.ReplaceAll(row, `\|`, "¦"), " | ")
	if len(cells) != 5 {
		return ""
	}
	return cells[3]
}

// Put writes the row of a test into the table of the file, in place of the one before or at the end of its group. An empty
// line takes the row away. Tests of other packages may do so at the same time.
func Put(path string, on Group, test, line string) error {
	lock := flock.New(filepath.Join(os.TempDir(), "sshchat-attacks.lock"))
	if err := lock.Lock(); err != nil {
		return err
	}
	defer lock.Unlock()
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	head, rest, begun := strings.Cut(string(text), begins)
	table, tail, ended := strings.Cut(rest, ends)
	if !begun || !ended {
		return fmt.Errorf("%s has no place for the table", path)
	}
	return os.WriteFile(path, []byte(head+begins+put(table, on, test, line)+ends+tail), 0o644)
}

// put is the table with the row.
func put(table string, on Group, test, line string) string {
	heading := fmt.Sprintf("\n**%s**\n\n%s", on, header)
	lines := strings.SplitAfter(table, "\n")
	here := slices.IndexFunc(lines, func(l string) bool {
		m := testOf.FindStringSubmatch(strings.TrimSuffix(l, "\n"))
		return m != nil && m[1] == test
	})
	before, rest, found := strings.Cut(table, heading)
	switch {
	case here >= 0 && line == "":
		return strings.Join(slices.Delete(lines, here, here+1), "")
	case here >= 0:
		lines[here] = line + "\n"
		return strings.Join(lines, "")
	case line == "":
		return table
	case !found:
		return table + heading + line + "\n"
	}
	rows, after, more := strings.Cut(rest, "\n\n")
	if !more {
		return before + heading + rest + line + "\n"
	}
	return before + heading + rows + "\n" + line + "\n\n" + after
}
