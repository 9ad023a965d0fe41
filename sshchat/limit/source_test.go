package limit

import (
	"net"
	"net/netip"
	"testing"
)

func TestSources(t *testing.T) {
	for a, b := range map[string]string{
		"192.0.2.1": "::ffff:192.0.2.1", "2001:db8::1": "2001:db8::ffff:1:2:3",
	} {
		if testSource(t, a) != testSource(t, b) {
			t.Errorf("%s and %s are two sources", a, b)
		}
	}
	for a, b := range map[string]string{"192.0.2.1": "192.0.2.2", "2001:db8::1": "2001:db8:0:1::1"} {
		if testSource(t, a) == testSource(t, b) {
			t.Errorf("%s and %s are one source", a, b)
		}
	}
	if SourceOf(&net.UnixAddr{Name: "/tmp/x"}) != (Source(netip.Prefix{})) {
		t.Error("a path has a source")
	}
}
