package command

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
)

func TestSettingsOfWhoChoseNothing(t *testing.T) {
	s := ParseSettings(nil)
	if s.UI != "auto" || s.Theme != "" || s.Layout != "aligned" || s.Timestamps != "time" || s.Zone != nil || s.Bell != "mention" || s.Mouse || s.Pane || s.Quiet || s.Ignore != nil {
		t.Errorf("chosen from nothing: %+v", s)
	}
	if s.Clock() != "15:04" {
		t.Errorf("the clock is %q", s.Clock())
	}
	if f := s.Filter(name(t, "alice"), nil); f.Ignore != nil || f.Focus != nil || f.Quiet || f.Highlight != nil || f.Hushed != nil {
		t.Errorf("the filter hides something: %+v", f)
	}
}

func TestSettingsAreWhatWasChosen(t *testing.T) {
	s := ParseSettings(map[string]string{
		"ui": "plain", "theme": "mono", "layout": "compact", "timestamps": "datetime", "zone": "Europe/Vienna", "bell": "all", "mouse": "on", "pane": "on", "quiet": "on", "ignore": "bob carol",
		"notify": "mention", "highlight": "deploy Release", "hush": "dev @bob",
	})
	if s.UI != "plain" || s.Theme != "mono" || s.Layout != "compact" || s.Timestamps != "datetime" || s.Bell != "all" || !s.Mouse || !s.Pane || !s.Quiet {
		t.Errorf("chosen: %+v", s)
	}
	if s.Zone == nil || s.Zone.String() != "Europe/Vienna" || s.Clock() != "02 Jan 15:04" {
		t.Errorf("times: %v, %q", s.Zone, s.Clock())
	}
	f := s.Filter(name(t, "alice"), []chat.Name{name(t, "dave")})
	if !f.Ignore[name(t, "bob")] || !f.Ignore[name(t, "carol")] || len(f.Ignore) != 2 || !f.Focus[name(t, "dave")] || !f.Quiet || s.Notify != "mention" ||
		!slices.Equal(f.Highlight.List(), []string{"deploy", "Release"}) || len(f.Hushed) != 2 || !f.Hushed[text.Direct(name(t, "alice"), name(t, "bob"))] {
		t.Errorf("the filter: %+v", f)
	}
	if c := ParseSettings(map[string]string{"timestamps": "off"}).Clock(); c != "off" {
		t.Errorf("the clock is %q", c)
	}
}

// What is in the file by hand or from another version counts as not chosen: nobody is locked out by it.
func TestSettingsThatAreNone(t *testing.T) {
	s := ParseSettings(map[string]string{
		"ui": "4d", "layout": "3d", "timestamps": "TIME", "zone": "../../etc/passwd", "bell": "", "mouse": "yes", "quiet": "1", "ignore": "Bob! \x1b[2J carol", "other": "x",
		"notify": "loud", "hush": "../x @@ # @alice \x1b", "highlight": strings.Repeat("x", text.MaxWord+1),
	})
	if s.UI != "auto" || s.Layout != "aligned" || s.Timestamps != "time" || s.Zone != nil || s.Bell != "mention" || s.Mouse || s.Quiet {
		t.Errorf("taken: %+v", s)
	}
	if f := s.Filter(name(t, "alice"), nil); s.Notify != "off" || len(f.Hushed) > 0 || f.Highlight != nil {
		t.Errorf("the filter: %+v", f)
	}
	if want := []chat.Name{name(t, "carol")}; !slices.Equal(s.Ignore, want) {
		t.Errorf("ignored: %v", s.Ignore)
	}
}

func TestSetAndItsDoors(t *testing.T) {
	r := newRig(t, "alice", "bob", "carol")
	for _, c := range []struct{ line, setting, kept string }{
		{"set bell all", "bell", "all"},
		{"set BELL Off", "bell", "off"},
		{"bell all", "bell", "all"},
		{"bell -", "bell", ""},
		{"set zone Europe/Vienna", "zone", "Europe/Vienna"},
		{"tz America/Argentina/Buenos_Aires", "zone", "America/Argentina/Buenos_Aires"},
		{"tz utc", "zone", "UTC"},
		{"tz america/new_york", "zone", "America/New_York"},
		{"tz Etc/GMT+2", "zone", "Etc/GMT+2"},
		{"set zone -", "zone", ""},
		{"timestamp datetime", "timestamps", "datetime"},
		{"timestamp off", "timestamps", "off"},
		{"theme mono", "theme", "mono"},
		{"theme Dusk", "theme", "dusk"},
		{"ui plain", "ui", "plain"},
		{"ui full", "ui", "full"},
		{"layout compact", "layout", "compact"},
		{"layout", "layout", "aligned"},
		{"pane", "pane", "on"},
		{"color Teal", "color", "teal"},
		{"set color pink", "color", "pink"},
		{"color auto", "color", "auto"},
		{"pane off", "pane", "off"},
		{"set pane on", "pane", "on"},
		{"mouse on", "mouse", "on"},
		{"mouse", "mouse", "off"},
		{"quiet", "quiet", "on"},
		{"quiet", "quiet", "off"},
		{"quiet on", "quiet", "on"},
		{"set ignore @carol bob bob", "ignore", "bob carol"},
		{"set ignore ''", "ignore", ""},
	} {
		r.must(c.line)
		if a := r.account(r.me); a.Settings[c.setting] != c.kept {
			t.Errorf("after %s %s is %q, not %q", c.line, c.setting, a.Settings[c.setting], c.kept)
		}
	}
}

func TestSettingsThatAreRefused(t *testing.T) {
	r := newRig(t, "alice", "bob")
	for _, c := range []struct {
		line  string
		code  chat.Code
		words string
	}{
		{"set bell loud", chat.Usage, `bell must be mention, off or all, not "loud"`},
		{"bell loud", chat.Usage, "usage: /bell [off|mention|all]"},
		{"bell off now", chat.Usage, "too many arguments"},
		{"ui 3d", chat.Usage, "ui must be auto, full or plain"},
		{"theme nope", chat.Usage, "theme must be dusk or mono"},
		{"timestamp maybe", chat.Usage, "timestamps must be time, off or datetime"},
		{"layout round", chat.Usage, "layout must be aligned or compact"},
		{"color #ff0000", chat.Usage, "color must be auto, red, orange"},
		{"set color white", chat.Usage, "violet or pink"},
		{"mouse maybe", chat.Usage, "mouse must be off or on"},
		{"set nothing 1", chat.NotFound, `no setting named "nothing"`},
		{"set \x1b[31mred", chat.NotFound, "run set without arguments"},
		{"set ignore alice", chat.Failed, "yourself"},
		{"set ignore nobody", chat.NotFound, "no account named nobody"},
		{"set ignore Bob!", chat.Usage, "not a valid name"},
	} {
		r.refuses(c.line, c.code, c.words)
	}
	if a := r.account(r.me); len(a.Settings) != 0 {
		t.Errorf("kept all the same: %v", a.Settings)
	}
	r.services.Themes = nil
	r.refuses("theme mono", chat.Usage, "theme must be nothing")
}

// Somebody tries to have the server read other files than those of zones, or tell its own zone.
func TestZonesLeadNowhereElse(t *testing.T) {
	r := newRig(t, "mallory")
	for _, zone := range []string{
		"/etc/localtime", "/etc/passwd", "../../../etc/passwd", "Europe/../../../../etc/passwd", "Europe/Vienna/..", `..\..\boot.ini`,
		"Europe", "Local", "local", ".", "zone.tab", "tzdata.zi", "posix//UTC", "Europe/Vienna\x00", "C:", "☃", strings.Repeat("a/", 200) + "b",
	} {
		r.refuses("set zone '"+zone+"'", chat.Usage, "unknown time zone")
	}
	r.must("set zone UTC") // the control: a zone is taken
}

func TestSetLists(t *testing.T) {
	r := newRig(t, "alice", "bob")
	r.must("set bell all")
	list := r.must("set")
	for _, want := range []string{"bell       all           when the terminal's bell rings", "theme      dusk", "ui         auto", "quiet      off"} {
		if !strings.Contains(list, want) {
			t.Errorf("no %q in\n%s", want, list)
		}
	}
	if n := strings.Count(list, "\n"); n != len(settings)+1 {
		t.Errorf("%d lines for %d settings:\n%s", n, len(settings), list)
	}
	for line := range strings.Lines(list) {
		if n := len([]rune(line)); n > 77 {
			t.Errorf("%d cells: %s", n-1, line)
		}
	}
	for line, want := range map[string]string{
		"set bell": "all\n", "set zone": "zone is not set.\n", "bell": "bell is all (mention, off or all)\n",
		"theme": "theme is dusk\n", "tz": "zone is not set: time zone, like Europe/Vienna\n",
		"set bell --json": `{"name":"bell","value":"all","chosen":true}` + "\n", "set theme --json": `{"name":"theme","value":"dusk","chosen":false}` + "\n",
	} {
		if got := r.must(line); got != want {
			t.Errorf("%s shows %q, not %q", line, got, want)
		}
	}
}

// No more are ignored than can be held against each message that is shown.
func TestIgnoredPeopleAreCounted(t *testing.T) {
	var people []string
	for i := range maxIgnored + 2 {
		people = append(people, fmt.Sprintf("p%d", i))
	}
	r := newRig(t, people...)
	r.must("set ignore " + strings.Join(people[1:maxIgnored+1], " "))
	r.refuses("set ignore "+strings.Join(people[1:], " "), chat.Failed, "at most 100")
	a := r.account(r.me)
	if n := len(ParseSettings(a.Settings).Ignore); n != maxIgnored {
		t.Errorf("%d are ignored", n)
	}
}

// A change reaches the person's other sessions.
func TestSettingTellsSessions(t *testing.T) {
	r := newRig(t, "alice")
	reader := r.hub.Reader(r.me, chat.From{})
	defer reader.Close()
	r.must("bell all")
	for _, d := range reader.Next(10) {
		if d.Kind == chat.Changed {
			return
		}
	}
	t.Error("nobody was told")
}

func FuzzParseSettings(f *testing.F) {
	f.Add("zone", "Europe/Vienna")
	f.Add("zone", "../../etc/passwd")
	f.Add("ignore", "bob  carol\tbob")
	f.Add("bell", "\x1b]0;x\a")
	f.Fuzz(func(t *testing.T, setting, value string) {
		s := ParseSettings(map[string]string{setting: value})
		if !slices.Contains(uiSetting.values, s.UI) || !slices.Contains(bellSetting.values, s.Bell) || !slices.Contains(timestampsSetting.values, s.Timestamps) {
			t.Errorf("%q=%q: %+v", setting, value, s)
		}
		if len(s.Ignore) > maxIgnored {
			t.Errorf("%d ignored", len(s.Ignore))
		}
		if s.Zone != nil && (s.Zone == time.Local || strings.Contains(s.Zone.String(), "..")) {
			t.Errorf("%q is zone %v", value, s.Zone)
		}
	})
}
