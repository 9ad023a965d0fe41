package sshchat

import (
	"net"
	"net/netip"
)

// source is where connections come from, as far as they are counted together: an IPv4 address, or the /64 of an IPv6
// address, which is what one customer has at the least. The zero source is that of what has no address.
type source netip.Prefix

// sourceOf returns the source of an address.
func sourceOf(addr net.Addr) source {
	a, err := netip.ParseAddrPort(addr.String())
	if err != nil {
		return source{}
	}
	ip := a.Addr().Unmap().WithZone("")
	bits := 64
	if ip.Is4() {
		bits = 32
	}
	p, err := ip.Prefix(bits)
	if err != nil {
		return source{}
	}
	return source(p)
}

func (s source) String() string { return netip.Prefix(s).String() }
