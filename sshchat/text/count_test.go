package text

import "testing"

func TestCount(t *testing.T) {
	for n, want := range map[int][2]string{0: {"0 keys", "0 keys are"}, 1: {"1 key", "1 key is"}, 2: {"2 keys", "2 keys are"}} {
		if got := [2]string{Count(n, "key"), Are(n, "key")}; got != want {
			t.Errorf("%d: %q", n, got)
		}
	}
}

func TestList(t *testing.T) {
	t.Parallel()
	for want, words := range map[string][]string{"": nil, "a": {"a"}, "a and b": {"a", "b"}, "a, b and c": {"a", "b", "c"}} {
		if got := List(words); got != want {
			t.Errorf("%q is %q, not %q", words, got, want)
		}
	}
}
