package chat

import "testing"

func TestOnly(t *testing.T) {
	ci, err := ParseOnly("say:#ci,follow:#ci,follow:#dev,msg:@bob,whoami")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		command string
		targets []string
		want    bool
	}{
		{"say", []string{"#ci"}, true}, {"say", []string{"#general"}, false}, {"say", nil, false}, {"say", []string{"#ci", "#general"}, false},
		{"follow", []string{"#dev", "#ci"}, true}, {"follow", nil, false}, {"msg", []string{"@bob"}, true}, {"msg", []string{"#bob"}, false},
		{"whoami", nil, true}, {"whoami", []string{"#ci"}, true}, {"key add", nil, false}, {"", nil, false},
	} {
		if got := ci.Allows(c.command, c.targets); got != c.want {
			t.Errorf("%s %v: %v", c.command, c.targets, got)
		}
	}
	if !(Only{}).Allows("key add", nil) {
		t.Error("a key that is not restricted may not do everything")
	}
	for _, words := range []string{"", ",", "say:", "say:ci", "say #ci", "say:#ci ", "SAY:#ci", "say:#ci,", "*", "say:#*", "say:\x00"} {
		if _, err := ParseOnly(words); err == nil {
			t.Errorf("%q is taken", words)
		}
	}
}

func FuzzOnly(f *testing.F) {
	f.Add("say:#ci,msg:@bob", "say", "#ci")
	f.Add("whoami", "whoami", "")
	f.Add("key list,history:#ci", "history", "#general")
	f.Fuzz(func(t *testing.T, words, command, target string) {
		only, err := ParseOnly(words)
		if err != nil {
			return
		}
		again, err := ParseOnly(only.String())
		if err != nil || again.String() != only.String() || len(only) == 0 {
			t.Fatalf("%q becomes %q, %v", words, again, err)
		}
		named := false
		for _, entry := range only {
			named = named || entry == command || entry == command+":"+target
		}
		if only.Allows(command, []string{target}) != named {
			t.Fatalf("%q, %q on %q", words, command, target)
		}
	})
}
