package main

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// 64 people speak at once, and all see it in one order: each message once, each speaker's in the order they were sent.
// Who lags behind is told how many were passed over, and that is how many there were. SSHCHAT_ORDER is how many
// each says.
func TestOneOrderForAll(t *testing.T) {
	t.Parallel()
	people := rounds(t, "SSHCHAT_PEOPLE", 32, 64)
	each := rounds(t, "SSHCHAT_ORDER", 20, 20)
	s := startProcess(t, "", "--max-registrations", "100")
	key := writeKey(t) // p00's
	sessions := make([]*openSession, people)
	var coming sync.WaitGroup
	for i := range sessions {
		coming.Go(func() {
			name, signer := fmt.Sprintf("p%02d", i), newSigner(t)
			if i == 0 {
				signer = signerOf(t, key)
			}
			s.login(name, signer).must("register")
			sessions[i] = s.login(name, signer).pipe()
		})
	}
	if coming.Wait(); t.Failed() {
		t.FailNow()
	}
	for _, o := range sessions { // who sees what they say is there
		o.typeln("here")
		o.sees(o.u.name + ": here")
	}
	for _, o := range sessions {
		go func() {
			for n := range each {
				if _, err := fmt.Fprintf(o.typed, "word %d\n", n); err != nil {
					return
				}
			}
		}()
	}
	seen := make([]view, people)
	for i, o := range sessions {
		for before := -1; seen[i].words+seen[i].passed < people*each; { // as long as there is more
			waitFor(t, fmt.Sprintf("p%02d to see more than %d", i, before), func() bool {
				seen[i] = viewOf(o.seen.String())
				return seen[i].words+seen[i].passed > before
			})
			before = seen[i].words + seen[i].passed
		}
	}
	s.stop()
	order := viewOf(afterID.ReplaceAllString(output(t, "open", "-i", key, s.data), "")).lines
	if len(order) != people*each {
		t.Fatalf("%d messages are kept, of %d", len(order), people*each)
	}
	inOrder(t, order, seen)
	for speaker := range people {
		last := -1
		for _, word := range order {
			if rest, ok := strings.CutPrefix(word, fmt.Sprintf("p%02d: word ", speaker)); ok {
				if n, err := strconv.Atoi(rest); err != nil || n <= last {
					t.Fatalf("p%02d: %q after %d", speaker, rest, last)
				} else {
					last = n
				}
			}
		}
	}
	passed := 0
	for _, v := range seen {
		passed += v.passed
	}
	t.Logf("figure: order of %d people, %d messages, %d deliveries seen and %d told of as passed over, one order", people, people*each, people*people*each-passed, passed)
}

// view is what one saw: the words, and between them how many were passed over.
type view struct {
	lines         []string
	words, passed int
}

var passedOver = regexp.MustCompile(`(\d+) messages? in #general not shown`)

func viewOf(text string) (v view) {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if gap := passedOver.FindStringSubmatch(line); gap != nil {
			n, _ := strconv.Atoi(gap[1])
			v.passed += n // on the stream of errors: how it stands to the words is not known
		} else if strings.Contains(line, ": word ") {
			v.words++
			v.lines = append(v.lines, line)
		}
	}
	return v
}

// afterID is what open prints before the words.
var afterID = regexp.MustCompile(`(?m)^\S+ \S+ general/\d+ `)

// inOrder fails the test unless what each saw is in the order of what is kept.
func inOrder(t *testing.T, order []string, seen []view) {
	t.Helper()
	place := make(map[string]int, len(order))
	for i, word := range order {
		if _, twice := place[word]; twice {
			t.Fatalf("%q twice", word)
		}
		place[word] = i
	}
	for i, v := range seen {
		next := 0
		for _, line := range v.lines {
			at, ok := place[line]
			if !ok || at < next || v.passed == 0 && at != next {
				t.Fatalf("p%02d sees %q at %d, others at %d", i, line, next, at)
			}
			next = at + 1
		}
		if v.words+v.passed != len(order) {
			t.Errorf("p%02d saw %d and was told of %d, of %d", i, v.words, v.passed, len(order))
		}
	}
}
