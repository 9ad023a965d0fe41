package text

import (
	"strings"
	"testing"
)

func TestMentions(t *testing.T) {
	bob, kim := name(t, "bob"), name(t, "kim")
	for said, want := range map[string]bool{
		"bob": true, "Bob?": true, "hey BOB!": true, "@bob": true, "(@bob)": true, "bob's": true, "bob: hi": true,
		"bobさん": true, "привет bob": true, "-bob-": true, "a\nbob": true, "bobby bob": true, "@@bob": true, "bob@home": true,
		"": false, "bo": false, "bobby": false, "rebob": false, "bob2": false, "2bob": false, "bob_": false, "bob-by": false,
		"well-bob": false, "post@bob.example": false, "bób": false, "bob\u0301": false, "\u00e9bob": false, "b o b": false,
	} {
		if got := (Text{said}).Mentions(bob); got != want {
			t.Errorf("%q mentions bob: %v", said, got)
		}
	}
	if (Text{"\u212aim"}).Mentions(kim) || !(Text{"Kim"}).Mentions(kim) || !(Text{"x-2, a_b-1"}).Mentions(name(t, "a_b-1")) {
		t.Error("names of other letters")
	}
}

func FuzzMentions(f *testing.F) {
	f.Add("hello @Bob", "bob")
	f.Add("bob-", "bob-")
	f.Fuzz(func(t *testing.T, said, who string) {
		n, err := ParseName(who)
		if err != nil {
			return
		}
		parsed, err := ParseText(said)
		if err != nil {
			return
		}
		got := parsed.Mentions(n)
		if got && !strings.Contains(strings.ToLower(parsed.String()), n.String()) {
			t.Errorf("%q does not hold %s", parsed, n)
		}
		if !Sprintf("%s\n@%s", parsed, n).Mentions(n) {
			t.Errorf("%q and @%s on a line of its own", parsed, n)
		}
	})
}
