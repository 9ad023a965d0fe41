package main

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// released is the systems that .ci/build makes binaries for.
var released = []string{"linux", "darwin", "freebsd", "windows"}

// licensed is a module, or Go itself, that is part of a binary, and the folder with its license.
type licensed struct{ module, dir string }

// linkedModules is every module that is linked into the program on some system, and Go's own library.
func linkedModules(t *testing.T) []licensed {
	t.Helper()
	dirs, systems := make(map[string]string), released
	if !long && os.Getenv("SSHCHAT_UPDATE") == "" { // what is linked on the others is linked on these two; once it is not, all have to be looked at
		systems = []string{"linux", "windows"}
	}
	for _, system := range systems {
		cmd := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{if not .Main}}{{.Path}}\t{{.Dir}}{{end}}{{end}}", ".")
		cmd.Env = append(os.Environ(), "GOOS="+system, "GOARCH=amd64", "CGO_ENABLED=0")
		var errs bytes.Buffer
		cmd.Stderr = &errs
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("go list for %s: %v: %s", system, err, &errs)
		}
		for line := range strings.Lines(string(out)) {
			if module, dir, ok := strings.Cut(strings.TrimSpace(line), "\t"); ok {
				dirs[module] = dir
			}
		}
	}
	all := []licensed{{"Go's standard library", dirs["golang.org/x/sys"]}} // whose license is the same, and where one finds it
	for _, module := range slices.Sorted(maps.Keys(dirs)) {
		all = append(all, licensed{module, dirs[module]})
	}
	return all
}

var licenseFile = regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice|patents)([.-].*)?$`)

// licenseOf is the text of a module's licenses and notices, with the same line breaks and indentation everywhere.
func licenseOf(t *testing.T, l licensed) string {
	t.Helper()
	entries, err := os.ReadDir(l.dir)
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, e := range entries {
		if e.IsDir() || !licenseFile.MatchString(e.Name()) {
			continue
		}
		var text strings.Builder
		for line := range strings.Lines(readText(t, filepath.Join(l.dir, e.Name()))) {
			fmt.Fprintln(&text, strings.TrimRight(line, " \t\r\n\f"))
		}
		texts = append(texts, strings.Trim(text.String(), "\n"))
	}
	if len(texts) == 0 {
		t.Errorf("%s: no license in %s", l.module, l.dir)
	}
	return strings.Join(texts, "\n\n")
}

// notice is the file NOTICE: modules with the same license, then its text.
func notice(t *testing.T, all []licensed) string {
	t.Helper()
	modules := make(map[string][]string)
	for _, l := range all {
		text := licenseOf(t, l)
		modules[text] = append(modules[text], l.module)
	}
	texts := slices.SortedFunc(maps.Keys(modules), func(a, b string) int { return cmp.Compare(modules[a][0], modules[b][0]) })
	var b strings.Builder
	fmt.Fprintf(&b, "sshchat's own license is in the file LICENSE. Its binaries contain the following %d pieces of software of others, under\n"+
		"their licenses.\n", len(all))
	for _, text := range texts {
		fmt.Fprintf(&b, "\n%s\n\n%s\n\n%s\n", strings.Repeat("=", 80), strings.Join(modules[text], "\n"), text)
	}
	return b.String()
}

// NOTICE names everything that is linked, on any system, with its license. SSHCHAT_UPDATE=1 writes it.
func TestNoticeIsComplete(t *testing.T) {
	t.Parallel()
	const path = "../../NOTICE"
	all := linkedModules(t)
	if len(all) < 30 {
		t.Fatalf("only %d modules are linked: %v", len(all), all)
	}
	want := notice(t, all)
	if os.Getenv("SSHCHAT_UPDATE") != "" {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have := readText(t, path)
	for _, l := range all {
		if !strings.Contains(have, "\n"+l.module+"\n") {
			t.Errorf("NOTICE lacks %s", l.module)
		}
	}
	if have != want {
		t.Error("NOTICE is not what is linked; write it with SSHCHAT_UPDATE=1")
	}
}
