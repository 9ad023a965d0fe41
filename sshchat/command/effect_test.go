package command

import (
	"slices"
	"testing"
)

// A command that does not say what it does to the state of the chat is none.
func TestEveryCommandNamesItsEffect(t *testing.T) {
	for _, effect := range []Effect{0, ChangesServer + 1} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("a command with effect %d is added", effect)
				}
			}()
			defer func(before []*Command) { all = before }(slices.Clone(all))
			add(&Command{Name: "nothing said", UIs: Exec, Effect: effect})
		}()
	}
	for _, cmd := range all {
		if cmd.List && cmd.Role != "" && cmd.Effect != Reads {
			t.Errorf("%s is a list for moderators or admins, and changes something", cmd.Name)
		}
		bare := *cmd
		bare.Audit = false
		if cmd.Audit && bare.audited() {
			t.Errorf("%s: Audit is for what would not be audited without it", cmd.Name)
		}
	}
}
