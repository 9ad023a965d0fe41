package accounts

import (
	"fmt"
	"strings"
	"testing"

	"sshchat/sshchat/chat"
)

// manySettings is an object of n settings.
func manySettings(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"%s":"x"`, settingName(i))
	}
	return "{" + b.String()[1:] + "}"
}

func settingName(i int) string { return string([]byte{'a' + byte(i/26), 'a' + byte(i%26)}) }

func TestSettingsSurviveReopening(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	u := open(t, dir)
	a := create(t, u, "alice", "")
	for _, s := range [][2]string{{"bell", "all"}, {"ignore", "bob\x1b[2J  carol"}, {"theme", "mono"}, {"theme", ""}} {
		if err := u.SetSetting(a.ID, s[0], s[1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := u.Close(); err != nil {
		t.Fatal(err)
	}
	u = open(t, dir)
	got, _ := u.ByID(a.ID)
	if len(got.Settings) != 2 || got.Settings["bell"] != "all" || got.Settings["ignore"] != "bob[2J  carol" {
		t.Errorf("settings are %q", got.Settings)
	}
	if err := u.SetSetting(a.ID, "bell", "off"); err != nil {
		t.Fatal(err)
	}
	if now, _ := u.ByID(a.ID); got.Settings["bell"] != "all" || now.Settings["bell"] != "off" {
		t.Errorf("what was shown before a change is %q now", got.Settings)
	}
}

func TestSettingsThatAreRefused(t *testing.T) {
	t.Parallel()
	u := open(t, t.TempDir())
	a := create(t, u, "alice", "")
	for name, value := range map[string]string{
		"": "x", "Bell": "x", "bell1": "x", "abcdefghijklmnopq": "x", "a\"b": "x", // names
		"bell": "\u200b\x1b", "ignore": strings.Repeat("x", maxSetting+1), // values
	} {
		wantErr(t, u.SetSetting(a.ID, name, value), chat.ErrSetting)
	}
	for i := range chat.MaxSettings {
		if err := u.SetSetting(a.ID, settingName(i), strings.Repeat("x", maxSetting)); err != nil {
			t.Fatal(err)
		}
	}
	wantErr(t, u.SetSetting(a.ID, "zz", "x"), chat.ErrSetting)
	if err := u.SetSetting(a.ID, "aa", "changed"); err != nil {
		t.Errorf("a full account cannot change what it has: %v", err)
	}
	wantErr(t, u.SetSetting("nobody", "bell", "all"), chat.ErrNoAccount)
	if _, refused := chat.Refused(u.SetSetting(a.ID, "", "x")); !refused {
		t.Error("the refusal is not for the person")
	}
}
