package command

import (
	"context"
	"encoding/binary"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
)

// maxIgnored is how many people one person ignores at most: each message shown is held against them.
const maxIgnored = 100

// Settings is what a person chose, ready to use. ParseSettings fills in what was not chosen.
type Settings struct {
	UI         string // "auto", "full" or "plain"
	Theme      string // one of Services.Themes, or of those of another version; empty for the first
	Layout     string // "aligned" or "compact"
	Pane       bool
	Timestamps string         // "off", "time" or "datetime"
	Zone       *time.Location // nil: the one the client names
	Bell       string         // "off", "mention" or "all"
	Notify     string         // the same, for notifications on the desktop
	Mouse      bool
	Quiet      bool
	Ignore     []chat.Name
	Highlight  *text.Words // nil for none
	Hush       []string    // rooms as typed in exec
}

// setting is one thing a person can choose: by set, and by a command of its own in the chat.
type setting struct {
	name   string
	values []string // all values, the default first; nil for themes, and if check decides
	brief  string
	// check returns value as it is kept, or a refusal.
	check func(c *Call, value string) (string, error)
}

var (
	uiSetting         = &setting{name: "ui", values: []string{"auto", "full", "plain"}, brief: "the kind of screen"}
	themeSetting      = &setting{name: "theme", brief: "colors"}
	colorSetting      = &setting{name: chat.ColorSetting, values: append([]string{"auto"}, chat.NameColors...), brief: "the color of your name for everyone; see color -h"}
	layoutSetting     = &setting{name: "layout", values: []string{"aligned", "compact"}, brief: "where names stand"}
	paneSetting       = &setting{name: "pane", values: []string{"off", "on"}, brief: "who is in the room, beside its messages: off or on"}
	timestampsSetting = &setting{name: "timestamps", values: []string{"time", "off", "datetime"}, brief: "the time before messages"}
	zoneSetting       = &setting{name: "zone", brief: "time zone, like Europe/Vienna", check: checkZone}
	bellSetting       = &setting{name: "bell", values: []string{"mention", "off", "all"}, brief: "when the terminal's bell rings"}
	notifySetting     = &setting{name: "notify", values: []string{"off", "mention", "all"}, brief: "desktop notifications"}
	mouseSetting      = &setting{name: "mouse", values: []string{"off", "on"}, brief: "the wheel scrolls; Shift selects text"}
	quietSetting      = &setting{name: "quiet", values: []string{"off", "on"}, brief: "hide who joins and leaves"}
	ignoreSetting     = &setting{name: "ignore", brief: "people you ignore", check: checkIgnore}
	highlightSetting  = &setting{name: "highlight", brief: "words that count as mentions", check: checkHighlight}
	hushSetting       = &setting{name: "hush", brief: "rooms that do not alert you", check: checkHush}
)

// settings is all that can be chosen, in the order it is listed.
var settings = []*setting{
	uiSetting, themeSetting, colorSetting, layoutSetting, paneSetting, timestampsSetting, zoneSetting, bellSetting, notifySetting, mouseSetting, quietSetting,
	ignoreSetting, highlightSetting, hushSetting,
}

// settingAliases are the settings whose commands have other names.
var settingAliases = map[string]string{"tz": "zone", "timestamp": "timestamps"}

// ParseSettings reads an account's settings. A value that nobody could set here, of a newer version or put into the
// file by hand, counts as not chosen.
func ParseSettings(chosen map[string]string) Settings {
	zone, err := ParseZone(zoneSetting.of(chosen))
	if err != nil {
		zone = nil
	}
	return Settings{
		UI: uiSetting.of(chosen), Theme: themeSetting.of(chosen), Layout: layoutSetting.of(chosen), Pane: paneSetting.of(chosen) == "on",
		Timestamps: timestampsSetting.of(chosen), Zone: zone,
		Bell: bellSetting.of(chosen), Notify: notifySetting.of(chosen), Mouse: mouseSetting.of(chosen) == "on", Quiet: quietSetting.of(chosen) == "on",
		Ignore: parseNames(ignoreSetting.of(chosen)), Highlight: parseWords(highlightSetting.of(chosen)), Hush: strings.Fields(hushSetting.of(chosen)),
	}
}

// of is the setting's value, or its default, which may be empty.
func (s *setting) of(chosen map[string]string) string {
	value := chosen[s.name]
	if s.values != nil && !slices.Contains(s.values, value) {
		return s.values[0]
	}
	return value
}

// choices are its possible values; empty if they cannot be listed.
func (s *setting) choices(v *Services) []string {
	if s == themeSetting {
		return v.Themes
	}
	return s.values
}

// meaningWidth is what the list of settings has for a meaning, in columns, on a terminal of 80. The command of a setting with
// more choices names them.
const meaningWidth = 52

// meaning is what it is about, and what it can be.
func (s *setting) meaning(v *Services) string {
	if choices := s.choices(v); len(choices) > 0 {
		if said := s.brief + ": " + either(choices); len(said) <= meaningWidth {
			return said
		}
	}
	return s.brief
}

// displayValue is the setting's value as shown to the caller; empty if it is not set and the client decides.
func displayValue(c *Call, s *setting) string {
	value, choices := s.of(c.Account.Settings), s.choices(c.Services)
	if value == "" && len(choices) > 0 {
		return choices[0]
	}
	return value
}

// Clock is the layout of the time before a message, as in time.Format, or "off".
func (s Settings) Clock() string {
	switch s.Timestamps {
	case "off":
		return "off"
	case "datetime":
		return "02 Jan 15:04"
	}
	return "15:04"
}

// Filter is what me wants to see, and to be alerted of, in a session where focus was asked for.
func (s Settings) Filter(me chat.Name, focus []chat.Name) chat.Filter {
	return chat.Filter{Ignore: nameSet(s.Ignore), Focus: nameSet(focus), Quiet: s.Quiet, Highlight: s.Highlight, Hushed: hushedRooms(me, s.Hush)}
}

func nameSet(names []chat.Name) map[chat.Name]bool {
	if len(names) == 0 {
		return nil
	}
	set := make(map[chat.Name]bool, len(names))
	for _, n := range names {
		set[n] = true
	}
	return set
}

// settings is what the caller chose.
func (c *Call) settings() Settings { return ParseSettings(c.Account.Settings) }

// filterOf is what the caller wants to see, without what a session focuses on.
func filterOf(c *Call) chat.Filter { return c.settings().Filter(c.Account.Name, nil) }

// chooseSetting keeps a value of the caller's, which all sessions of theirs apply. "-" stands for choosing nothing.
func chooseSetting(ctx context.Context, c *Call, s *setting, value string) error {
	kept, err := "", error(nil)
	if value != "-" {
		kept, err = s.accept(c, value)
	}
	if err != nil {
		return err
	}
	return saveSetting(ctx, c, s, kept)
}

// saveSetting is chooseSetting for a value that was checked.
func saveSetting(ctx context.Context, c *Call, s *setting, value string) error {
	clean, err := c.Accounts.CleanSetting(s.name, value)
	if err != nil {
		return err
	}
	return c.decide(ctx, chat.SetSetting{ID: c.Account.ID, Name: s.name, Value: clean})
}

// accept returns the value as it is kept, or a refusal that says what could be.
func (s *setting) accept(c *Call, value string) (string, error) {
	if s.check != nil {
		return s.check(c, value)
	}
	choices := s.choices(c.Services)
	if value = strings.ToLower(value); !slices.Contains(choices, value) {
		return "", c.usage("%s must be %s, not %q", s.name, either(choices), text.Clean(value, 40))
	}
	return value, nil
}

// either is "a, b or c".
func either(words []string) string {
	if len(words) == 0 {
		return "nothing"
	}
	if len(words) == 1 {
		return words[0]
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// checkZone also takes "utc" and "europe/vienna".
func checkZone(c *Call, value string) (string, error) {
	for _, spelled := range []string{value, strings.ToUpper(value), capitals(value)} {
		if zone, err := ParseZone(spelled); err == nil && zone != nil {
			return spelled, nil
		}
	}
	return "", c.usage("unknown time zone %q: use one like Europe/Vienna, America/New_York or UTC", text.Clean(value, 64))
}

// capitals gives each word of a zone's name its capital letter.
func capitals(name string) string {
	b := []byte(strings.ToLower(name))
	for i := range b {
		if (i == 0 || b[i-1] == '/' || b[i-1] == '_') && b[i] >= 'a' && b[i] <= 'z' {
			b[i] -= 'a' - 'A'
		}
	}
	return string(b)
}

// parseNames reads names separated by spaces, and ignores invalid ones.
func parseNames(value string) []chat.Name {
	var names []chat.Name
	for word := range strings.FieldsSeq(value) {
		if n, err := text.ParseName(word); err == nil && len(names) < maxIgnored {
			names = append(names, n)
		}
	}
	return names
}

func checkIgnore(c *Call, value string) (string, error) {
	var names []chat.Name
	for word := range strings.FieldsSeq(value) {
		n, err := c.person(word)
		if err != nil {
			return "", err
		}
		if n == c.Account.Name {
			return "", failed("you cannot ignore yourself")
		}
		names = append(names, n)
	}
	return joinNames(names)
}

// joinNames is the stored form of names that are ignored: each once, sorted.
func joinNames(names []chat.Name) (string, error) {
	slices.SortFunc(names, chat.Name.Compare)
	names = slices.Compact(names)
	if len(names) > maxIgnored {
		return "", failed("you can ignore at most %d people", maxIgnored)
	}
	words := make([]string, len(names))
	for i, n := range names {
		words[i] = n.String()
	}
	return strings.Join(words, " "), nil
}

// These commands change settings of the appearance.
var (
	_ = settingCommand("ui", "[full|plain|auto]", uiSetting, "choose full screen or plain scrolling lines")
	_ = settingCommand("theme", "[NAME]", themeSetting, "choose colors, or show the themes")
	_ = settingCommand("color", "[NAME|auto]", colorSetting, "choose the color of your name for everyone")
	_ = settingCommand("layout", "[aligned|compact]", layoutSetting, "names in a column, or before messages")
	_ = settingCommand("pane", "[on|off]", paneSetting, "show who is in the room beside its messages")
	_ = settingCommand("timestamp", "[off|time|datetime]", timestampsSetting, "the time before messages")
	_ = settingCommand("tz", "[ZONE]", zoneSetting, "set your time zone: /tz Europe/Vienna")
	_ = settingCommand("bell", "[off|mention|all]", bellSetting, "when the terminal's bell rings")
	_ = noticeCommand(settingCommand("notify", "[off|mention|all]", notifySetting, "desktop notifications"))
	_ = settingCommand("mouse", "[on|off]", mouseSetting, "scroll with the wheel; Shift selects text")
	_ = settingCommand("quiet", "[on|off]", quietSetting, "hide or show who joins and leaves")
)

// previewer is a session that may have a screen to show the themes on, each in its own colors. PreviewThemes reports whether it
// has.
type previewer interface {
	PreviewThemes(title string) (shown bool)
}

// settingCommand is a command for one setting. Without a value it shows the setting, or toggles one that is on or off.
func settingCommand(name, args string, s *setting, brief string) *Command {
	return add(&Command{
		Name: name, Args: args, Brief: brief, Group: Looks,
		More: "Saved, and used in all your sessions. A - restores the default.",
		UIs:  Chat, Effect: ChangesOwn, Account: true, Words: 1,
		Choices: func(v *Services, _ chat.Account, before []string) []string {
			if len(before) > 0 {
				return nil
			}
			return s.choices(v)
		},
		Run: func(ctx context.Context, c *Call) error {
			value := firstOf(c.Args)
			if value == "" && len(s.values) == 2 {
				value = s.values[0]
				if displayValue(c, s) == value {
					value = s.values[1]
				}
			}
			if value == "" {
				if p, ok := c.Session.(previewer); !ok || s != themeSetting && s != colorSetting || !p.PreviewThemes("/"+name) {
					noteSetting(c, s)
				}
				return nil
			}
			if err := chooseSetting(ctx, c, s, value); err != nil {
				return err
			}
			if a, ok := c.Hub.View().ByID(c.Account.ID); ok {
				c.Account = a
			}
			noteSetting(c, s)
			return nil
		},
	})
}

// noticeCommand also says whether the caller's terminal shows notifications.
func noticeCommand(cmd *Command) *Command {
	set := cmd.Run
	cmd.More += "\n`notify mention` notifies you of direct messages and of messages that mention you. A notification says who\n" +
		"wrote, and in which room, never what. There is at most one in 3 seconds, and none of the room you are in while\n" +
		"you type. The terminal must know OSC 9 (iTerm2), OSC 99 (kitty) or OSC 777 (foot, Ghostty, WezTerm, urxvt).\n" +
		"If the server does not recognize yours, name the kind when you connect:\n" +
		"  ssh -o SetEnv=SSHCHAT_NOTIFY=osc777 HOST    (or osc9, osc99, off)\n" +
		"In tmux and screen you get no notifications."
	cmd.Run = func(ctx context.Context, c *Call) error {
		if err := set(ctx, c); err != nil || notifySetting.of(c.Account.Settings) == "off" {
			return err
		}
		if c.Notification == "" {
			c.Notef("This terminal is not known to show notifications. See /help notify.")
		} else {
			c.Notef("Notifications on this terminal use %s.", c.Notification)
		}
		return nil
	}
	return cmd
}

// noteSetting says how something is set, and what else it could be.
func noteSetting(c *Call, s *setting) {
	value, choices := displayValue(c, s), s.choices(c.Services)
	switch {
	case value == "":
		c.Notef("%s is not set: %s", s.name, s.meaning(c.Services))
	case s == paneSetting && value == "on":
		c.Notef("pane is on: it is shown in rooms, on full screens of 100 columns and more")
	case len(choices) > 2:
		c.Notef("%s is %s (%s)", s.name, value, either(choices))
	default:
		c.Notef("%s is %s", s.name, value)
	}
}

var _ = add(&Command{
	Name: "set", Args: "[NAME [VALUE]]", Brief: "list, show or change your settings", Group: Looks,
	More: "A - as the value restores the default.\nSettings are saved, and used in all your sessions.",
	UIs:  Both, Effect: ChangesOwn, List: true, Account: true, Words: -1, Flags: jsonFlag, Choices: settingNames,
	Run: func(ctx context.Context, c *Call) error {
		if len(c.Args) == 0 {
			listSettings(c)
			return nil
		}
		s := settingNamed(c.Args[0])
		if s == nil {
			return notFound("no setting named %q; for a list, run set without arguments", text.Clean(strings.ToLower(c.Args[0]), 40))
		}
		if len(c.Args) == 1 {
			printSetting(c, s)
			return nil
		}
		return chooseSetting(ctx, c, s, strings.Join(c.Args[1:], " "))
	},
})

// settingNamed is the setting of that name, or whose command has it; nil if there is none.
func settingNamed(name string) *setting {
	name = strings.ToLower(name)
	if also, ok := settingAliases[name]; ok {
		name = also
	}
	if i := slices.IndexFunc(settings, func(s *setting) bool { return s.name == name }); i >= 0 {
		return settings[i]
	}
	return nil
}

func listSettings(c *Call) {
	for _, s := range settings {
		if c.json() {
			c.printJSON(settingAsJSON(c, s))
			continue
		}
		c.Printf("%-10s %-13s %s\n", s.name, displayValue(c, s), s.meaning(c.Services))
	}
}

func printSetting(c *Call, s *setting) {
	switch value := displayValue(c, s); {
	case c.json():
		c.printJSON(settingAsJSON(c, s))
	case value == "":
		c.Notef("%s is not set.", s.name)
	default:
		c.Printf("%s\n", value)
	}
}

type settingJSON struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	Chosen bool   `json:"chosen"` // else it is what counts for who chose nothing
}

func settingAsJSON(c *Call, s *setting) settingJSON {
	return settingJSON{s.name, displayValue(c, s), c.Account.Settings[s.name] != ""}
}

// zonePattern leaves no way out of the folders where zones are.
var zonePattern = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*$`)

// ParseZone reads the IANA name of a time zone, which may come from anybody. The empty one is nil, for none.
// "Local" would be the server's, which is nobody's.
func ParseZone(name string) (*time.Location, error) {
	if name == "" {
		return nil, nil
	}
	if len(name) > maxZone || name == "Local" || !zonePattern.MatchString(name) {
		return nil, fmt.Errorf("%q is not a time zone", text.Clean(name, maxZone))
	}
	return time.LoadLocation(name)
}

// maxZone is the longest zone name that is accepted, in bytes.
const maxZone = 64

// rulePattern is a zone by its rules, as POSIX has it: CET-1CEST,M3.5.0,M10.5.0/3.
var rulePattern = regexp.MustCompile(`^([A-Za-z]{3,}|<[A-Za-z0-9+-]{3,}>)[+-]?[0-9:]+[A-Za-z0-9<>+:,./-]*$`)

// ClientZone reads the variable TZ of a client, which names a zone in one of the ways of POSIX and of C libraries: by its
// name, after a colon, by the path of its file, or by its rules. It is nil where none can be read.
func ClientZone(tz string) *time.Location {
	tz = strings.TrimPrefix(tz, ":")
	if _, file, ok := strings.Cut(tz, "/zoneinfo/"); ok && tz[0] == '/' {
		tz = file
	}
	for _, folder := range []string{"posix/", "right/"} {
		tz = strings.TrimPrefix(tz, folder)
	}
	if zone, err := ParseZone(tz); err == nil {
		return zone
	}
	if len(tz) > maxZone || !rulePattern.MatchString(tz) {
		return nil
	}
	return ruledZone(tz)
}

// ruledZone makes a zone of rules: package time reads them at the end of a zone's file (RFC 8536). It is nil where they
// make none.
func ruledZone(rules string) *time.Location {
	header := func(version byte, transitions uint32) []byte {
		b := append([]byte("TZif"), version)
		b = append(b, make([]byte, 15)...)
		for _, n := range []uint32{0, 0, 0, transitions, 1, 4} { // UT, standard, leap, transitions, types, letters
			b = binary.BigEndian.AppendUint32(b, n)
		}
		return b
	}
	const before = -1 << 40 // the rules count from here on
	local := []byte{0, 0, 0, 0, 0, 0, 'U', 'T', 'C', 0}
	data := append(header('2', 0), local...)
	data = append(data, header('2', 1)...)
	data = binary.BigEndian.AppendUint64(data, uint64(before&(1<<64-1)))
	data = append(append(append(data, 0), local...), "\n"+rules+"\n"...)
	zone, err := time.LoadLocationFromTZData(rules, data)
	if err != nil {
		return nil
	}
	if name, _ := time.Unix(0, 0).In(zone).Zone(); name == "UTC" && !strings.HasPrefix(rules, "UTC") {
		return nil // they could not be read
	}
	return zone
}
