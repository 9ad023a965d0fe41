package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// This file makes a message of what a webhook sends. All of it may be hostile: every field is cleaned and cut.

// Bounds of a message, so that one alert does not fill a screen. The server takes 4096 bytes.
const (
	maxMessage = 1500 // bytes
	maxLines   = 12
	maxField   = 200 // bytes of one name, value or sentence
	maxLabels  = 8   // of one alert
	maxListed  = 5   // alerts or commits that are listed
	maxLink    = 400 // bytes; a longer link is left out, since a part of it leads nowhere
)

// Reasons not to make a message.
var (
	errIgnored = errors.New("nothing to post about this event") // the sender did nothing wrong
	errPayload = errors.New("not a payload of this source")
)

// readers make a message of a request's header and body. Errors are errIgnored or wrap errPayload.
var readers = map[string]func(http.Header, []byte) (string, error){
	"alertmanager": func(_ http.Header, body []byte) (string, error) { return readAlerts(body, false) },
	"grafana":      func(_ http.Header, body []byte) (string, error) { return readAlerts(body, true) },
	"github":       func(h http.Header, body []byte) (string, error) { return readGitHub(h.Get("X-GitHub-Event"), body) },
	"json":         func(_ http.Header, body []byte) (string, error) { return readText(body) },
}

// alerts is what Alertmanager (webhook, version 4) and Grafana (unified alerting) send: a group of alerts that changed.
type alerts struct {
	Version         string
	Status          string // firing, or resolved if all of them are
	TruncatedAlerts int
	CommonLabels    map[string]string
	ExternalURL     string
	Alerts          []alert

	Title string // Grafana's
}

type alert struct {
	Status       string
	Labels       map[string]string
	Annotations  map[string]string
	GeneratorURL string

	DashboardURL, PanelURL, SilenceURL string // Grafana's
}

func readAlerts(body []byte, grafana bool) (string, error) {
	var group alerts
	if err := json.Unmarshal(body, &group); err != nil {
		return "", fmt.Errorf("%w: %w", errPayload, err)
	}
	switch {
	case !grafana && group.Version != "4":
		return "", fmt.Errorf("%w: version %q, want \"4\"", errPayload, cut(group.Version, 20))
	case group.Status != "firing" && group.Status != "resolved" || len(group.Alerts) == 0:
		return "", fmt.Errorf("%w: no status or no alerts", errPayload)
	}
	var m message
	m.line("%s: %s%s", strings.ToUpper(group.Status), group.name(), labels(group.CommonLabels, nil))
	all := len(group.Alerts) + min(max(group.TruncatedAlerts, 0), 1_000_000)
	if all > 1 {
		m.line("%d alerts%s", all, group.mixed())
	}
	for _, a := range group.Alerts[:min(len(group.Alerts), maxListed)] {
		m.line("- %s%s%s", a.state(group.Status), what(a.Annotations), labels(a.Labels, group.CommonLabels))
	}
	if more := all - min(len(group.Alerts), maxListed); more > 0 {
		m.line("- and %d more", more)
	}
	first := group.Alerts[0]
	m.link(first.Annotations["runbook_url"])
	if grafana {
		m.link(cmp.Or(first.PanelURL, first.DashboardURL, first.GeneratorURL, group.ExternalURL))
	} else {
		m.link(group.ExternalURL)
	}
	return m.String(), nil
}

// name is what the group is about.
func (g *alerts) name() string {
	return cmp.Or(one(g.CommonLabels["alertname"]), one(g.Alerts[0].Labels["alertname"]), one(g.Title), "alert")
}

// mixed says how many of the alerts are resolved, if some are and some are not.
func (g *alerts) mixed() string {
	resolved := 0
	for _, a := range g.Alerts {
		if a.Status == "resolved" {
			resolved++
		}
	}
	if resolved == 0 || resolved == len(g.Alerts) {
		return ""
	}
	return fmt.Sprintf(", %d resolved", resolved)
}

// state is the alert's, if it is not that of its group.
func (a *alert) state(group string) string {
	if a.Status == group || a.Status == "" {
		return ""
	}
	return one(a.Status) + ": "
}

// what says what is wrong.
func what(annotations map[string]string) string {
	return cmp.Or(one(annotations["summary"]), one(annotations["description"]), one(annotations["message"]), "no summary")
}

// labels are an alert's but for its name and those that are the same in another set, as " (job=api, severity=page)".
func labels(set, besides map[string]string) string {
	var words []string
	for _, name := range slices.Sorted(maps.Keys(set)) {
		if same, ok := besides[name]; name == "alertname" || ok && same == set[name] {
			continue
		}
		if len(words) == maxLabels {
			words = append(words, "…")
			break
		}
		words = append(words, cut(one(name), 60)+"="+cut(one(set[name]), 100))
	}
	if len(words) == 0 {
		return ""
	}
	return " (" + strings.Join(words, ", ") + ")"
}

// event is what GitHub sends, as far as messages are made of it.
type event struct {
	Action     string
	Repository struct {
		FullName string `json:"full_name"`
	}
	Organization struct{ Login string }
	Sender       struct{ Login string }

	Zen string // ping

	Ref                      string // push
	Created, Deleted, Forced bool
	Compare                  string
	Commits                  []commit

	PullRequest *struct { // pull_request
		Number  int
		Title   string
		HTMLURL string `json:"html_url"`
		Merged  bool
	} `json:"pull_request"`
	Issue *struct { // issues
		Number  int
		Title   string
		HTMLURL string `json:"html_url"`
	}
	Release *struct { // release
		TagName    string `json:"tag_name"`
		Name       string
		HTMLURL    string `json:"html_url"`
		Prerelease bool
	}
}

type commit struct{ ID, Message string }

// acts are the actions that are posted, by event: the others (labels, assignments, edits) are many and say little.
var acts = map[string]map[string]string{
	"pull_request": {"opened": "opened", "closed": "closed", "reopened": "reopened", "ready_for_review": "asks for a review of"},
	"issues":       {"opened": "opened", "closed": "closed", "reopened": "reopened", "transferred": "transferred"},
	"release":      {"published": "published"},
}

func readGitHub(kind string, body []byte) (string, error) {
	var e event
	if err := json.Unmarshal(body, &e); err != nil {
		return "", fmt.Errorf("%w: %w", errPayload, err)
	}
	act := acts[kind][e.Action]
	if acts[kind] != nil && act == "" {
		return "", errIgnored
	}
	var m message
	who, where := cmp.Or(one(e.Sender.Login), "somebody"), cmp.Or(one(e.Repository.FullName), one(e.Organization.Login), "GitHub")
	switch {
	case kind == "ping":
		m.line("%s: the webhook works. %s", where, one(e.Zen))
	case kind == "push" && e.Ref != "":
		e.push(&m, where, who)
	case kind == "pull_request" && e.PullRequest != nil:
		if act == "closed" && e.PullRequest.Merged {
			act = "merged"
		}
		m.line("%s: %s %s pull request #%d: %s", where, who, act, e.PullRequest.Number, one(e.PullRequest.Title))
		m.link(e.PullRequest.HTMLURL)
	case kind == "issues" && e.Issue != nil:
		m.line("%s: %s %s issue #%d: %s", where, who, act, e.Issue.Number, one(e.Issue.Title))
		m.link(e.Issue.HTMLURL)
	case kind == "release" && e.Release != nil:
		what := "release"
		if e.Release.Prerelease {
			what = "prerelease"
		}
		m.line("%s: %s %s the %s %s", where, who, act, what, cmp.Or(one(e.Release.Name), one(e.Release.TagName)))
		m.link(e.Release.HTMLURL)
	case kind == "push", acts[kind] != nil:
		return "", fmt.Errorf("%w: no %s in it", errPayload, kind)
	default:
		return "", errIgnored
	}
	return m.String(), nil
}

// push writes what was pushed.
func (e *event) push(m *message, where, who string) {
	ref := "the branch " + one(strings.TrimPrefix(e.Ref, "refs/heads/"))
	if tag, ok := strings.CutPrefix(e.Ref, "refs/tags/"); ok {
		ref = "the tag " + one(tag)
	}
	switch n := len(e.Commits); {
	case e.Deleted:
		m.line("%s: %s deleted %s", where, who, ref)
		return
	case n == 0 && e.Created:
		m.line("%s: %s created %s", where, who, ref)
	case n == 0:
		m.line("%s: %s moved %s", where, who, ref)
	default:
		how := "pushed"
		if e.Forced {
			how = "force-pushed"
		}
		plural := "s"
		if n == 1 {
			plural = ""
		}
		m.line("%s: %s %s %d commit%s to %s", where, who, how, n, plural, ref)
	}
	for _, c := range e.Commits[max(0, len(e.Commits)-maxListed):] { // the newest: they come oldest first
		subject, _, _ := strings.Cut(strings.TrimSpace(c.Message), "\n")
		m.line("- %s %s", one(c.ID[:min(len(c.ID), 7)]), one(subject))
	}
	m.link(e.Compare)
}

// readText reads {"text": "…"}: a text of a few lines.
func readText(body []byte) (string, error) {
	var said struct{ Text string }
	if err := json.Unmarshal(body, &said); err != nil {
		return "", fmt.Errorf("%w: %w", errPayload, err)
	}
	var m message
	for line := range strings.Lines(said.Text) {
		m.text(strings.TrimRightFunc(clean(line), unicode.IsSpace))
	}
	if strings.TrimSpace(m.String()) == "" {
		return "", fmt.Errorf(`%w: want {"text": "…"}`, errPayload)
	}
	return m.String(), nil
}

// message is made line by line, up to its bounds.
type message struct {
	lines []string
	size  int
	full  bool
}

// line adds a line. Its arguments have been cleaned.
func (m *message) line(format string, args ...any) { m.text(fmt.Sprintf(format, args...)) }

func (m *message) text(line string) {
	if m.full {
		return
	}
	if len(m.lines) == maxLines || m.size+len(line)+1 > maxMessage {
		m.full = true
		line = cut(line, max(maxMessage-m.size, 0))
		if len(m.lines) == maxLines || line == "" {
			line = "…"
		}
	}
	m.lines = append(m.lines, line)
	m.size += len(line) + 1
}

// link adds a link to a web page, if it is one and there is room for all of it.
func (m *message) link(to string) {
	u, err := url.Parse(to)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil {
		return
	}
	if to = u.String(); len(to) <= maxLink && one(to) == to && !m.full && m.size+len(to)+1 <= maxMessage && len(m.lines) < maxLines {
		m.text(to)
	}
}

func (m *message) String() string { return strings.Join(m.lines, "\n") }

// one is a field as one line of at most maxField bytes.
func one(field string) string {
	if len(field) > 16*maxField { // of which nothing is shown
		field = field[:16*maxField]
	}
	return cut(strings.Join(strings.Fields(clean(field)), " "), maxField)
}

// clean leaves out what is not UTF-8 and what is not seen: control characters, among them escapes of terminals, and marks that
// reorder or hide text. Line ends, tabs and the like become blanks. The server cleans all that is said, too.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case r == utf8.RuneError, unicode.Is(unicode.C, r), !unicode.IsGraphic(r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
}

// cut is s, or its first bytes with an ellipsis: at most max.
func cut(s string, max int) string {
	const ellipsis = "…"
	if len(s) <= max {
		return s
	}
	if max < len(ellipsis) {
		return ""
	}
	at := max - len(ellipsis)
	for at > 0 && !utf8.RuneStart(s[at]) {
		at--
	}
	return s[:at] + ellipsis
}
