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
}

// A client may give its end of a Unix socket any name.
func TestUnixSocketsAreOneSource(t *testing.T) {
	for _, name := range []string{"", "@", "/tmp/x", "192.0.2.1:22", "[2001:db8::1]:22", "127.0.0.1:1"} {
		at := &net.UnixAddr{Name: name, Net: "unix"}
		if SourceOf(at) != Unix || AddrOf(at).IsValid() {
			t.Errorf("%q is %v, %v", name, SourceOf(at), AddrOf(at))
		}
	}
	if Unix.String() != "unix" || testSource(t, "127.0.0.1") == Unix || (Source{}) == Unix {
		t.Errorf("%v is another source, too", Unix)
	}
	l := AdmissionLimits{Exempt: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}}
	if l.IsExempt(netip.Addr{}) {
		t.Error("networks of addresses exempt Unix sockets")
	}
	if l.Exempt = append(l.Exempt, netip.Prefix(Unix)); !l.IsExempt(netip.Addr{}) {
		t.Error("Unix sockets cannot be exempt")
	}
}
