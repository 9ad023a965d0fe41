package main

import (
	"testing"
	"time"
)

func TestSizes(t *testing.T) {
	t.Parallel()
	for word, want := range map[string]size{"0": 0, "32MiB": 32 << 20, "1GiB": 1 << 30, "5KiB": 5 << 10, "17": 17, "17B": 17} {
		var s, again size
		if err := s.Set(word); err != nil || s != want {
			t.Errorf("%q is %d, %v", word, s, err)
		}
		if err := again.Set(s.String()); err != nil || again != s {
			t.Errorf("%q is shown as %q", word, s.String())
		}
	}
	for _, word := range []string{"", "MiB", "-1", "32MB", "1.5GiB", "9999999999999GiB"} {
		if err := new(size).Set(word); err == nil {
			t.Errorf("%q is taken", word)
		}
	}
}

func TestKeep(t *testing.T) {
	t.Parallel()
	for words, want := range map[string]keep{
		"": {}, "all": {}, "365d": {age: 365 * 24 * time.Hour}, "48h": {age: 48 * time.Hour}, "1GiB": {bytes: 1 << 30},
		"2d,5MiB": {48 * time.Hour, 5 << 20}, "5MiB,2d": {48 * time.Hour, 5 << 20},
	} {
		var k, again keep
		if err := k.Set(words); err != nil || k != want {
			t.Errorf("%q is %+v, %v", words, k, err)
		}
		if err := again.Set(k.String()); err != nil || again != k {
			t.Errorf("%q is shown as %q", words, k.String())
		}
	}
	for _, words := range []string{"0", "0d", "-1h", "2d,3d", "1MiB,2MiB", "soon", "2d,", "2weeks", "0MiB"} {
		if err := new(keep).Set(words); err == nil {
			t.Errorf("%q is taken: everything would be deleted, or nothing", words)
		}
	}
}
