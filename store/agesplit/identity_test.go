package agesplit

import (
	"strings"
	"testing"
)

func TestPassphraseIsACopy(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"plain", "scho\u0308n", strings.Repeat("\u0344", 300)} { // U+0344 grows to twice its size
		given := []byte(s)
		phrase, err := Passphrase(given)
		if err != nil {
			t.Fatal(err)
		}
		if cap(phrase) != 3*len(given) {
			t.Errorf("%q: it grew to %d and left a copy behind", s, cap(phrase))
		}
		clear(phrase)
		if string(given) != s {
			t.Errorf("%q: the caller's bytes were wiped", s)
		}
	}
}

func TestSealedWithTooMuchWork(t *testing.T) {
	t.Parallel()
	sealed, err := DummySealed(20)
	if err != nil {
		t.Fatal(err)
	}
	if err := CheckSealed(sealed); err != nil {
		t.Errorf("the highest work factor is refused: %v", err)
	}
	if _, err := DummySealed(21); err == nil || !strings.Contains(err.Error(), "work factor 21") {
		t.Errorf("a file that would take gigabytes is taken: %v", err)
	}
}
