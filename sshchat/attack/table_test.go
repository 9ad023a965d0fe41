package attack

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "SECURITY.md")
	if err := os.WriteFile(path, []byte("before\n"+begins+ends+"after\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	row := func(what, test string) string {
		return Line(what, "tried | twice\n", "held", "control of it", test, "cmd/sshchat")
	}
	for _, step := range []struct {
		on         Group
		what, test string
	}{
		{Guessing, "one", "TestAttackOne"}, {Files, "two", "TestAttackTwo"}, {Guessing, "three", "TestAttackThree"},
		{Guessing, "one again", "TestAttackOne"}, {Files, "four", "TestAttackFour"}, {Room, "five", "TestAttackFive"},
	} {
		if err := Put(path, step.on, step.test, row(step.what, step.test)); err != nil {
			t.Fatal(err)
		}
	}
	if err := Put(path, Files, "TestAttackTwo", ""); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := "before\n" + begins + "\n**Guessing**\n\n" + header + row("one again", "TestAttackOne") + "\n" + row("three", "TestAttackThree") +
		"\n\n**Files**\n\n" + header + row("four", "TestAttackFour") + "\n\n**In the room**\n\n" + header + row("five", "TestAttackFive") + "\n" + ends + "after\n"
	if string(text) != want {
		t.Errorf("made\n%s\nwant\n%s", text, want)
	}
	rows := Rows(want)
	if len(rows) != 4 || rows["TestAttackOne"] != row("one again", "TestAttackOne") || Control(rows["TestAttackFour"]) != "control of it" {
		t.Errorf("rows %q", rows)
	}
	if strings.Count(rows["TestAttackOne"], "|") != 7 {
		t.Errorf("%s", rows["TestAttackOne"])
	}
}

// kept is a test that ends, and what it complained of.
type kept struct {
	testing.TB
	name       string
	failed     bool
	cleanup    []func()
	complained strings.Builder
}

func (k *kept) Name() string              { return k.name }
func (k *kept) Helper()                   {}
func (k *kept) Cleanup(f func())          { k.cleanup = append(k.cleanup, f) }
func (k *kept) Failed() bool              { return k.failed }
func (k *kept) Skipped() bool             { return false }
func (k *kept) Log(...any)                {}
func (k *kept) Errorf(f string, a ...any) { k.complained.WriteString(f) }
func (k *kept) Error(a ...any)            { k.complained.WriteString("error") }

// A test whose control has not run does not pass, nor one whose row is not in SECURITY.md.
func TestRowIsWhole(t *testing.T) {
	for name, c := range map[string]struct {
		say        func(*Row)
		complained string
	}{
		"no control": {func(r *Row) { r.Tried("1"); r.Held("refused") }, "ends without"},
		"a dash":     {func(r *Row) { r.Tried("1"); r.Held("refused"); r.Control("-") }, "ends without"},
		"not there":  {func(r *Row) { r.Tried("1"); r.Held("refused"); r.Control("all of it") }, "error"},
		"a failure":  {func(r *Row) { r.t.(*kept).failed = true }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("SSHCHAT_UPDATE", "")
			k := &kept{TB: t, name: "TestAttackThatIsNone/" + name}
			c.say(On(k, Guessing, "an attack"))
			for _, f := range k.cleanup {
				f()
			}
			if said := k.complained.String(); !strings.Contains(said, c.complained) || (said == "") != (c.complained == "") {
				t.Errorf("complained %q, want %q", said, c.complained)
			}
		})
	}
}
