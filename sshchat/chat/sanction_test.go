package chat

import (
	"errors"
	"net/netip"
	"testing"
	"time"
)

func TestTargets(t *testing.T) {
	const key = "SHA256:nThbg6kXUpJWGl7E1IGOCspRomTxdCARLviKw6E5SY8"
	addr := netip.MustParseAddr
	for word, want := range map[string]struct {
		target string
		hit    netip.Addr
		missed netip.Addr
	}{
		"mallory":            {"mallory", netip.Addr{}, addr("10.0.0.1")},
		"@Mallory":           {"mallory", netip.Addr{}, addr("10.0.0.1")},
		"ip=10.1.2.3":        {"ip=10.1.2.3/32", addr("::ffff:10.1.2.3"), addr("10.1.2.4")},
		"ip=10.1.2.3/8":      {"ip=10.0.0.0/8", addr("10.255.0.1"), addr("11.0.0.1")},
		"ip=::ffff:10.1.2.3": {"ip=10.1.2.3/32", addr("10.1.2.3"), addr("10.1.2.4")},
		"ip=2001:db8::1/64":  {"ip=2001:db8::/64", addr("2001:db8::ffff"), addr("2001:db8:0:1::1")},
		"key=" + key:         {"key=" + key, netip.Addr{}, addr("10.0.0.1")},
	} {
		s, err := ParseTarget(word)
		if err != nil || s.Target() != want.target {
			t.Errorf("%s: %q, %v", word, s.Target(), err)
			continue
		}
		if again, err := ParseTarget(s.Target()); err != nil || again != s {
			t.Errorf("%s: its own form is read as %v, %v", word, again, err)
		}
		if want.hit.IsValid() != s.Matches(Name{}, want.hit, "") || s.Matches(Name{}, want.missed, "") {
			t.Errorf("%s hits the wrong addresses", word)
		}
		if s.Matches(Name{}, netip.Addr{}, "") || s.Matches(name(t, "alice"), netip.Addr{}, "SHA256:other") {
			t.Errorf("%s hits somebody else", word)
		}
	}
	for _, word := range []string{"", "@", "ip=", "ip=10.0.0", "ip=10.0.0.0/33", "ip=::ffff:10.0.0.0/104", "ip=fe80::1%eth0", "key=", "key=SHA256:short", "net=1.2.3.4", "a b", "ip=mallory"} {
		if s, err := ParseTarget(word); !errors.Is(err, ErrTarget) {
			t.Errorf("%q means %v, %v", word, s, err)
		}
	}
}

// A mistyped duration is refused, and bans nobody for ever.
func TestDurations(t *testing.T) {
	for word, want := range map[string]time.Duration{
		"30s": 30 * time.Second, "10m": 10 * time.Minute, "2h": 2 * time.Hour, "7d": 7 * 24 * time.Hour,
		"4w": 4 * 7 * 24 * time.Hour, "forever": 0,
	} {
		if got, err := ParseDuration(word); got != want || err != nil {
			t.Errorf("%s: %v, %v", word, got, err)
		}
	}
	for _, word := range []string{"", "d", "1", "0d", "-1d", "+1d", "1.5h", "1D", "1day", "7 d", "for ever", "99999999999w", "9999w", "1e3s", "٣d"} {
		if got, err := ParseDuration(word); !errors.Is(err, ErrDuration) {
			t.Errorf("%q lasts %v, %v", word, got, err)
		}
	}
}

func TestSanctionsEnd(t *testing.T) {
	now := time.Now()
	for until, over := range map[time.Time]bool{{}: false, now: true, now.Add(1): false, now.Add(-1): true} {
		if (Sanction{Until: until}).Over(now) != over {
			t.Errorf("until %v, at %v: over is not %v", until, now, over)
		}
	}
}
