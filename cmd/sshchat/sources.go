package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"sshchat/sshchat/command"
	"sshchat/sshchat/text"

	tomlparser "github.com/knadh/koanf/parsers/toml/v2"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/posflag"
	"github.com/knadh/koanf/providers/rawbytes"
	"github.com/knadh/koanf/v2"
	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
	"github.com/spf13/pflag"
)

// This file is where values of settings come from: the configuration file, the environment over it, and flags over both.

// configFile is the name of the configuration file in the data folder.
const configFile = "sshchat.toml"

// maxConfig is more than any configuration file has, in bytes.
const maxConfig = 1 << 20

// sources are where the values of settings come from, but for the file, whose name comes from them.
type sources struct {
	flags   *pflag.FlagSet
	environ []string
}

// layer is one of the three places that values come from.
type layer string

const (
	fromFile layer = "file"
	fromEnv  layer = "environment"
	fromFlag layer = "flag"
)

// origin is where a value was given. The zero origin is that of a default.
type origin struct {
	layer layer
	name  string // of the setting, as it was given there
	file  string
	line  int
}

func (o origin) set() bool { return o.layer != "" }

// String names the setting as it was given, or as a flag if it was not.
func (o origin) String(setting string) string {
	switch o.layer {
	case "":
		return "--" + setting
	case fromFile:
		return o.as() + ": " + o.name
	}
	return o.as()
}

// where is where the value comes from, for config print.
func (o origin) where() string {
	if !o.set() {
		return "default"
	}
	return string(o.layer) + " " + o.as()
}

// as is the flag, the variable, or the file and line; empty for a default.
func (o origin) as() string {
	switch o.layer {
	case fromFile:
		return fmt.Sprintf("%s line %d", o.file, o.line)
	case fromEnv:
		return twin(o.name)
	case fromFlag:
		return "--" + o.name
	}
	return ""
}

// twin is the name that a setting has in the environment.
func twin(name string) string {
	return "SSHCHAT_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}

// given is the value of a flag while the command line is parsed: the words that it was given.
type given struct {
	words []string
	value value // the setting's default
}

func (g *given) Set(word string) error { g.words = append(g.words, word); return nil }
func (g *given) String() string        { return g.value.String() }
func (g *given) Type() string          { return g.value.arg() }

// addFlags makes a flag of each setting, and hidden ones of the names that settings had before.
func addFlags(f *pflag.FlagSet) {
	for _, row := range newSettings().table() {
		added := f.VarPF(&given{value: row.value}, row.name, "", row.help)
		if _, alone := row.value.(yesNo); alone {
			added.NoOptDefVal = "yes"
		}
		for _, o := range row.old {
			added := f.VarPF(&given{value: row.value}, o.name, "", "old name of --"+row.name)
			added.Hidden = true
			if o.name == "penalties" { // it was a flag that needs no value
				added.NoOptDefVal = "yes"
			}
		}
	}
}

// load takes the values from all sources. The error names the first that cannot be.
func (g sources) load() (*settings, error) {
	s := newSettings()
	s.given = g
	flags, environment := koanf.New("."), koanf.New(".")
	if err := flags.Load(posflag.ProviderWithFlag(g.flags, ".", nil, flagWords), nil); err != nil {
		return nil, err
	}
	names := s.names()
	if err := environment.Load(env.Provider(".", env.Opt{
		Prefix: "SSHCHAT_", EnvironFunc: func() []string { return g.environ },
		TransformFunc: func(variable, value string) (string, any) { return names[variable], value },
	}), nil); err != nil {
		return nil, err
	}
	// The file comes first, but the others say which it is.
	for _, l := range []struct {
		layer  layer
		values map[string]any
	}{{fromEnv, environment.All()}, {fromFlag, flags.All()}} {
		if err := s.take(l.layer, l.values, nil, "config", "data"); err != nil {
			return nil, err
		}
	}
	file, err := s.readFile()
	if err != nil {
		return nil, err
	}
	for _, l := range []struct {
		layer  layer
		values map[string]any
		lines  map[string]int
	}{{fromFile, file.values, file.lines}, {fromEnv, environment.All(), nil}, {fromFlag, flags.All(), nil}} {
		if err := s.take(l.layer, l.values, l.lines); err != nil {
			return nil, err
		}
	}
	return s, s.check()
}

// names finds the settings, and the names they had, by their variables.
func (s *settings) names() map[string]string {
	names := make(map[string]string)
	for _, row := range s.table() {
		names[twin(row.name)] = row.name
		for _, o := range row.old {
			names[twin(o.name)] = o.name
		}
	}
	return names
}

// flagWords returns the words that a flag of a setting was given, for koanf.
func flagWords(f *pflag.Flag) (string, any) {
	g, ok := f.Value.(*given)
	if !ok || !f.Changed {
		return "", nil
	}
	return f.Name, g.words
}

// take sets what one source has, in the order of the table: names from before first, so that a new one beside them counts.
// With only, it looks at these settings alone.
func (s *settings) take(from layer, values map[string]any, lines map[string]int, only ...string) error {
	for _, row := range s.table() {
		if len(only) > 0 && !slices.Contains(only, row.name) {
			continue
		}
		for _, o := range append(slices.Clone(row.old), old{name: row.name}) {
			given, ok := values[o.name]
			if !ok {
				continue
			}
			at := origin{layer: from, name: o.name, file: s.config, line: lines[o.name]}
			s.origins[row.name] = at
			set := row.value.Set
			if o.set != nil {
				set = o.set
			}
			if o.name != row.name {
				s.warnings = append(s.warnings, renamed(from, o, row))
			}
			if err := setAll(row.value, set, given, from); err != nil {
				return &badSetting{at.String(row.name) + ": " + err.Error()}
			}
		}
	}
	return nil
}

// renamed is the warning about a name from before.
func renamed(from layer, o old, row setting) string {
	before, now := "--"+o.name, "--"+row.name
	if from == fromEnv {
		before, now = twin(o.name), twin(row.name)
	}
	if o.set != nil {
		return fmt.Sprintf("%s is now a part of %s %s; the old name will stop working in the next release", before, now, row.value.arg())
	}
	return fmt.Sprintf("%s is now %s; the old name will stop working in the next release", before, now)
}

// setAll gives a value the words of one source: what others gave before does not count any more.
func setAll(v value, set func(string) error, given any, from layer) error {
	words, err := wordsOf(given)
	if err != nil {
		return err
	}
	several, repeatable := v.(repeated)
	switch {
	case repeatable:
		several.clear()
		if word, alone := given.(string); alone && from == fromEnv {
			words = strings.Split(word, ",")
		}
	case len(words) != 1 && from != fromFlag:
		return is("a list", "one value")
	}
	for _, word := range words {
		if err := set(word); err != nil {
			return err
		}
	}
	return nil
}

// wordsOf writes a value of koanf as the command line has it.
func wordsOf(given any) ([]string, error) {
	switch v := given.(type) {
	case string:
		return []string{v}, nil
	case bool:
		return []string{strconv.FormatBool(v)}, nil
	case int64:
		return []string{strconv.FormatInt(v, 10)}, nil
	case float64:
		return []string{strconv.FormatFloat(v, 'g', -1, 64)}, nil
	case []string:
		return v, nil
	case []any:
		var words []string
		for _, one := range v {
			if _, nested := one.([]any); nested {
				return nil, errors.New("a list in a list is not a value")
			}
			word, err := wordsOf(one)
			if err != nil {
				return nil, err
			}
			words = append(words, word...)
		}
		return words, nil
	case map[string]any: // in a list
		return nil, errors.New("a table is not a value")
	}
	return nil, errors.New("a date is not a value; write text in quotes")
}

// fileValues are what a configuration file has, with the lines of its keys.
type fileValues struct {
	values map[string]any
	lines  map[string]int
}

// readFile reads the configuration file: the one that is named, or else the one in the data folder if there is one.
// It sets s.config to its name, or to nothing.
func (s *settings) readFile() (fileValues, error) {
	named := s.config != ""
	if !named {
		s.config = filepath.Join(s.data, configFile)
	}
	content, writable, err := readConfig(s.config)
	if errors.Is(err, fs.ErrNotExist) && !named {
		s.config = ""
		return fileValues{}, nil
	}
	if err != nil {
		return fileValues{}, s.bad("config", "%v", err)
	}
	if writable {
		s.warnings = append(s.warnings, fmt.Sprintf("%s can be changed by other users of this machine; run: chmod go-w %s", s.config, s.config))
	}
	refuse := func(line int, format string, args ...any) error {
		return &badSetting{fmt.Sprintf("%s line %d: %s", s.config, line, fmt.Sprintf(format, args...))}
	}
	lines, err := s.keysOf(content, refuse)
	if err != nil {
		return fileValues{}, err
	}
	k := koanf.New(".")
	if err := k.Load(rawbytes.Provider(content), tomlparser.Parser()); err != nil {
		var at *toml.DecodeError
		if errors.As(err, &at) {
			line, _ := at.Position()
			return fileValues{}, refuse(line, "%s", mistakeIn(content, line, at))
		}
		return fileValues{}, &badSetting{s.config + ": " + err.Error()}
	}
	if line := lines["data"]; line > 0 && !named && filepath.Clean(k.String("data")) != filepath.Clean(s.data) {
		return fileValues{}, refuse(line, "data: the file in a data folder cannot name another one; name this file with --config instead")
	}
	return fileValues{k.All(), lines}, nil
}

// mistakeIn says what is wrong with a line of a configuration file: in plain words where quotes are missing, as they mostly are.
func mistakeIn(content []byte, line int, found error) string {
	all := bytes.Split(content, []byte("\n"))
	if line >= 1 && line <= len(all) {
		key, word, ok := strings.Cut(text.Clean(string(all[line-1]), 200), "=")
		key, word = strings.TrimSpace(key), strings.TrimSpace(word)
		switch {
		case !ok:
		case word == "":
			return key + ": the value is missing"
		case isLetter(word[0]):
			word, _, _ = strings.Cut(word, "#")
			return fmt.Sprintf("%s: text must be in quotes, as in %s = %q", key, key, strings.Trim(word, ` "'`))
		case strings.ContainsAny(word[:1], `"'`) && strings.Count(word, word[:1]) == 1:
			return key + ": the closing quote is missing"
		}
	}
	return strings.TrimPrefix(found.Error(), "toml: ")
}

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '/' }

// readConfig reads a file, and reports whether users other than its owner may write it.
func readConfig(path string) (content []byte, writable bool, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, false, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, false, err
	}
	if content, err = io.ReadAll(io.LimitReader(f, maxConfig+1)); err != nil {
		return nil, false, err
	}
	if len(content) > maxConfig {
		return nil, false, fmt.Errorf("%s is larger than %d bytes", path, maxConfig)
	}
	return bytes.TrimPrefix(content, []byte(text.BOM)), info.Mode().Perm()&0o022 != 0, nil
}

// keysOf finds the lines of the keys of a configuration file, and refuses what is not a setting. Mistakes of syntax are for
// the parser that follows.
func (s *settings) keysOf(content []byte, refuse func(line int, format string, args ...any) error) (map[string]int, error) {
	lines := make(map[string]int)
	var p unstable.Parser
	p.Reset(content)
	for p.NextExpression() {
		e := p.Expression()
		var parts []string
		line := 0
		for key := e.Key(); key.Next(); {
			if line == 0 {
				line = p.Shape(key.Node().Raw).Start.Line
			}
			parts = append(parts, string(key.Node().Data))
		}
		name := strings.Join(parts, ".")
		switch {
		case e.Kind == unstable.Table || e.Kind == unstable.ArrayTable:
			return nil, refuse(line, "[%s]: there are no sections; delete this line", text.Clean(name, 80))
		case lines[name] > 0:
			return nil, refuse(line, "%s is set in line %d already; delete one of the two lines", name, lines[name])
		}
		if why := s.unknownKey(name); why != "" {
			return nil, refuse(line, "%s", why)
		}
		if e.Value().Kind == unstable.InlineTable { // which koanf would take for a section
			return nil, refuse(line, "%s: a table is not a value", name)
		}
		lines[name] = line
	}
	return lines, nil
}

// unknownKey says why a key of the configuration file is refused; "" if it is not.
func (s *settings) unknownKey(name string) string {
	var known []string
	for _, row := range s.table() {
		switch {
		case name == "config" && row.name == name:
			return "config cannot be set in the file itself; delete this line"
		case row.name == name:
			return ""
		}
		for _, o := range row.old {
			if o.name == name {
				return fmt.Sprintf("unknown setting %q; it is now %s (%s)", name, row.name, row.value.arg())
			}
		}
		known = append(known, row.name)
	}
	why := fmt.Sprintf("unknown setting %q", text.Clean(name, 80))
	if near := command.Nearest(strings.ReplaceAll(strings.ToLower(name), "_", "-"), known); near != "" {
		return why + "; did you mean " + near + "?"
	}
	return why + "; sshchat --help-all lists them"
}

// forTests are variables of this project's own tests, which run servers beside them.
var forTests = []string{"LONG", "UPDATE", "REQUIRE_CLIENTS", "READS", "ORDER", "KILLS", "CUTS", "SEED", "JQ", "BENCH_PROFILE"}

// unknownTwins are the variables in an environment that look like a setting and are none, each with the one that it may
// have been meant for, or an empty string.
func unknownTwins(environ []string, s *settings) map[string]string {
	known := s.names()
	var twins []string
	for _, row := range s.table() {
		twins = append(twins, twin(row.name))
	}
	unknown := make(map[string]string)
	for _, entry := range environ {
		name, _, _ := strings.Cut(entry, "=")
		rest, ours := strings.CutPrefix(name, "SSHCHAT_")
		if ours && known[name] == "" && !slices.Contains(forTests, rest) && !strings.HasPrefix(rest, "TEST_") {
			unknown[name] = command.Nearest(name, twins)
		}
	}
	return unknown
}

// warn logs what was found about how settings were given: names from before, and SSHCHAT_ variables that set nothing, since
// the person who set them expects an effect.
func (s *settings) warn(log func(msg string, args ...any)) {
	for _, words := range s.warnings {
		log(words)
	}
	unknown := unknownTwins(s.given.environ, s)
	for _, name := range slices.Sorted(maps.Keys(unknown)) {
		args := []any{"name", name}
		if near := unknown[name]; near != "" {
			args = append(args, "did you mean", near)
		}
		log("unknown environment variable: it sets nothing", args...)
	}
}
