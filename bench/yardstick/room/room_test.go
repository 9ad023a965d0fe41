package room

import (
	"fmt"
	"strings"
	"testing"
)

func TestEveryoneGetsEveryLineInOrder(t *testing.T) {
	r := New()
	a, b := r.Enter(), r.Enter()
	r.Say([]byte("one\n"))
	r.Say([]byte("two\n"))
	for _, m := range []*Member{a, b} {
		if got, ok := m.Next(nil); string(got) != "one\ntwo\n" || !ok {
			t.Errorf("%q, %v", got, ok)
		}
	}
}

func TestWhoLagsLosesTheOldest(t *testing.T) {
	r := New()
	m := r.Enter()
	for i := range ringLines + 3 {
		r.Say(fmt.Appendf(nil, "%d ", i))
	}
	got, _ := m.Next(nil)
	words := strings.Fields(string(got))
	if len(words) != ringLines || words[0] != "3" || words[ringLines-1] != fmt.Sprint(ringLines+2) {
		t.Errorf("%d lines, %s to %s", len(words), words[0], words[len(words)-1])
	}
}

func TestLeaveEndsNext(t *testing.T) {
	r := New()
	m := r.Enter()
	r.Leave(m)
	r.Say([]byte("to nobody"))
	if got, ok := m.Next(nil); ok || len(got) > 0 {
		t.Errorf("%q, %v", got, ok)
	}
}
